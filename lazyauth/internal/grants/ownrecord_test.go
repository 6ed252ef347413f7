package grants_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A store that fails is said, and costs nothing: the grant is in memory.
func TestStore_Fails(t *testing.T) {
	for name, breaks := range map[string]func(*meddled, error){
		"at everything": (*meddled).fails, "at updates": (*meddled).failsToUpdate, "at the writing": (*meddled).failsToWrite,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept, full := newMeddled(), errors.New("the disk is full")
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, store: kept})
				breaks(kept, full)
				w.signsIn(profile)
				for range 3 {
					later(20 * time.Minute)
					w.has(profile)
				}
				w.wants(fakeas.Refresh, 3)
				for _, failed := range w.told("store failed") {
					if !errors.Is(failed.err, full) {
						t.Errorf("told %v", failed.err)
					}
				}
				if n := len(w.told("store failed")); n < 4 {
					t.Errorf("told %d times", n)
				}
				kept.recovers()
				later(20 * time.Minute)
				w.has(profile) // and it is stored again
				w.another().has(profile)
				w.wants(fakeas.Refresh, 4)
			})
		})
	}
}

// What could not be replaced in the store is not used, neither ahead of the end nor after it:
// its refresh token has been.
func TestStore_CannotBeWritten(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		t.Run(fmt.Sprint("ahead=", ahead), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := newMeddled()
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, store: kept})
				w.signsIn(profile)
				kept.failsToWrite(errors.New("the disk is full"))
				gate := &grants.Gate{Need: profile}
				for range 4 {
					if ahead {
						later(9*time.Minute + 45*time.Second)
						w.me.Authorizes(gate)
						later(3 * time.Second)
					} else {
						later(20 * time.Minute)
					}
					w.has(profile)
				}
				w.wants(fakeas.Refresh, 4)
			})
		})
	}
}

// A store that says at once that it cannot be written keeps the refresh token from being
// used: those who read it would be left with the old one. The person is asked.
func TestStore_Unwritable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, store: kept})
		w.signsIn(profile)
		later(20 * time.Minute)
		kept.failsToUpdate(fmt.Errorf("the disk %w", store.ErrUnwritable))
		c := w.asks(profile)
		w.approves()
		(<-c).holds(profile)
		w.wants(fakeas.Refresh, 0)
		kept.recovers()
		w.another().has(profile)
	})
}

// A store that does not answer is done without: no approved sign-in is lost, and no refresh.
func TestStore_Hangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		kept.hangs()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: kept})
		began := time.Now()
		w.signsIn(profile)
		if took := time.Since(began); took > 31*time.Second { // 20 s of reading, a poll, 5 s of writing
			t.Errorf("it took %v", took)
		}
		w.has(profile)
		later(2 * time.Hour)
		began = time.Now()
		w.has(profile)
		if took := time.Since(began); took > 41*time.Second { // 20 s each of reading and of writing
			t.Errorf("it took %v", took)
		}
		for _, failed := range w.told("store failed") {
			if !strings.Contains(failed.err.Error(), "in memory has not answered") && !errors.Is(failed.err, context.DeadlineExceeded) {
				t.Errorf("told %v", failed.err)
			}
		}
	})
}

// A lock that another process does not give back costs twenty seconds, each time.
func TestStore_StuckLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: kept})
		w.signsIn(profile)
		kept.hangsAtUpdates()
		for n := range 3 {
			later(2 * time.Hour)
			began := time.Now()
			w.has(profile)
			if took := time.Since(began); took != 20*time.Second {
				t.Errorf("it took %v", took)
			}
			w.wants(fakeas.Refresh, n+1)
		}
	})
}

// What is refreshed ahead behind such a lock does not come back when it has ended: it was not
// read again since it was written.
func TestStore_StuckLockAhead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: kept})
		w.signsIn(profile)
		kept.hangsAtUpdates()
		later(59*time.Minute + 30*time.Second)
		w.me.Authorizes(&grants.Gate{Need: profile})
		later(25 * time.Second)
		w.wants(fakeas.Refresh, 1)
		later(2 * time.Hour)
		w.has(profile)
		w.wants(fakeas.Refresh, 2)
	})
}

// What was stepped up to behind such a lock is not given up for what is still in the store.
func TestStore_StepUpBehindAStuckLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: kept})
		w.signsIn(profile)
		kept.hangsAtUpdates()
		w.signsIn(read)
		for range 2 {
			later(2 * time.Hour)
			w.has(scopes.Of("profile", "notes:read"))
		}
	})
}

// What a slow store does with a change that it was given up for changes nothing any more.
func TestStore_Slow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: kept})
		w.signsIn(profile)
		before := w.stored()
		later(2 * time.Hour)
		kept.updates(func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
			time.Sleep(time.Minute)
			return kept.Store.Update(context.WithoutCancel(ctx), key, change)
		})
		g := w.has(profile)
		later(2 * time.Minute)
		if w.me.Grant() != g || w.stored() != before {
			t.Errorf("the grant is %v, and the record another: %t", w.me.Grant(), w.stored() != before)
		}
		w.wants(fakeas.Refresh, 1)
		if n := len(w.told("store failed")); n != 1 {
			t.Errorf("told %d times", n)
		}
	})
}

// One that leaves everything unanswered keeps a few goroutines, and no more.
func TestStore_NeverAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, asked, ends := newMeddled(), 0, make(chan struct{})
		defer close(ends)
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: kept})
		w.signsIn(profile)
		kept.updates(func(context.Context, string, func([]byte) ([]byte, error)) error { asked++; <-ends; return nil })
		for range 10 {
			later(2 * time.Hour)
			w.has(profile)
		}
		w.wants(fakeas.Refresh, 10)
		if asked != 4 {
			t.Errorf("the store is being asked %d times", asked)
		}
	})
}

// A store that says yes to everything, and does nothing, has failed.
func TestStore_DoesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		kept.failsToUpdate(nil)
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: kept})
		w.signsIn(profile)
		later(2 * time.Hour)
		w.has(profile)
		failed := w.told("store failed")
		if len(failed) != 2 || !strings.Contains(failed[1].err.Error(), "without having called the change") {
			t.Errorf("told %v", failed)
		}
	})
}

// A store that panics, or gives up its goroutine, has failed.
func TestStore_Panics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		kept.loads(func(context.Context, string) ([]byte, error) { panic("at a look") })
		kept.updates(func(context.Context, string, func([]byte) ([]byte, error)) error { panic("at an update") })
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: kept})
		w.signsIn(profile)
		later(2 * time.Hour)
		w.has(profile)
		if n := len(w.told("store failed")); n != 4 {
			t.Errorf("told %d times", n)
		}
	})
}

// A record that was found damaged, and set aside, is written anew by whoever refreshes next.
func TestStore_Damaged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: kept})
		w.signsIn(profile)
		two := w.another()
		two.has(profile)
		later(59*time.Minute + 40*time.Second)
		damaged := true
		kept.updates(func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
			if damaged {
				damaged = false
				return errors.Join(store.ErrDamaged, kept.Store.Update(ctx, key, func([]byte) ([]byte, error) { return nil, nil }))
			}
			return kept.Store.Update(ctx, key, change)
		})
		w.me.Authorizes(&grants.Gate{Need: profile}) // refreshed ahead
		later(time.Second)
		w.wants(fakeas.Refresh, 1)
		two.has(profile)
		later(2 * time.Hour)
		two.has(profile)
		w.wants(fakeas.DeviceAuthorization, 1)
	})
}

// The wire between process and server breaks while the record is locked: that is waited for
// no longer than a lock may be held.
func TestStore_ServerHangsUnderTheLock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory()})
		w.signsIn(profile)
		later(2 * time.Hour)
		w.as.Script(fakeas.Refresh, fakeas.Stall())
		began := time.Now()
		(<-w.asks(profile)).fails(grants.ErrRefresh)
		if took := time.Since(began); took != 15*time.Second {
			t.Errorf("it took %v", took)
		}
		w.has(profile)
	})
}
