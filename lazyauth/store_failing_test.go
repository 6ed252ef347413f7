package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// brokenStore is one that fails as the story says.
type brokenStore struct {
	store.Store
	load, update error
}

func (s *brokenStore) Load(ctx context.Context, key string) ([]byte, error) {
	if s.load != nil {
		return nil, s.load
	}
	return s.Store.Load(ctx, key)
}

func (s *brokenStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if s.update != nil {
		return s.update
	}
	return s.Store.Update(ctx, key, change)
}

// A store that fails is said aloud and costs no call: the grant is in memory.
func TestStore_Fails(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		broken := &brokenStore{Store: store.Memory(), load: errors.New("no disk"), update: errors.New("disk full")}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, Options: lazyauth.Options{Store: broken}})
		h := w.SignedIn(era)
		if n := w.Trace.Count("storefailed"); n != 2 {
			t.Errorf("the failures were said %d times, want 2", n)
		}
		world.Later(20 * time.Minute)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if n := w.Trace.Count("storefailed"); n != 4 { // read again, and not written
			t.Errorf("the failures were said %d times, want 4", n)
		}
		synctest.Wait()
		if log := w.Log.String(); !strings.Contains(log, "disk full") || !strings.Contains(log, "the store of grants failed") {
			t.Errorf("the log does not say so: %s", log)
		}
	})
}

// lateBroken is a store whose disk becomes full: change runs, the write fails.
type lateBroken struct {
	*brokenStore
	full atomic.Bool
}

func (s *lateBroken) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	return s.Store.Update(ctx, key, func(old []byte) ([]byte, error) {
		r, err := change(old)
		if err == nil && s.full.Load() {
			err = errors.New("disk full")
		}
		return r, err
	})
}

// A full disk costs no login: what was not replaced in the store is not used.
func TestStore_ThatCannotBeWritten(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		t.Run(fmt.Sprint("ahead=", ahead), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				broken := &lateBroken{brokenStore: &brokenStore{Store: store.Memory()}}
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, Options: lazyauth.Options{Store: broken}})
				h := w.SignedIn(era)
				broken.full.Store(true)
				for range 4 {
					if ahead {
						world.Later(9*time.Minute + 45*time.Second)
						h.Gets("whoami", nil, "Ada")
						world.Later(3 * time.Second)
					} else {
						world.Later(20 * time.Minute)
						c := h.Call(t.Context(), "whoami", nil)
						world.Later(20 * time.Second)
						w.Answers(c, "Ada")
					}
				}
				h.WantPrompts(1)
			})
		})
	}
}

// hungStore does not answer.
type hungStore struct{ store.Store }

func (h hungStore) Load(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A store that does not answer is done without.
func TestStore_ThatHangs(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: hungStore{store.Memory()}}})
		h := w.Host(era, world.Accepts)
		began := time.Now()
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the person was asked after %v, want 20 s for the store", took)
		}
		if err := w.AS.Approve(code); err != nil {
			t.Fatal(err)
		}
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(1)
	})
}

// slowStore needs a minute for what others do at once.
type slowStore struct{ store.Store }

func (s slowStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	world.Later(time.Minute)
	return s.Store.Update(ctx, key, change)
}

// A store that does not answer for twenty seconds is done without, before a call's host
// has waited for it for too long.
func TestStore_ThatIsSlow(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		first := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: kept}})
		first.SignedIn(era)
		world.Later(2 * time.Hour)
		w := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: slowStore{kept}}})
		h := w.Host(era, world.Accepts)
		began := time.Now()
		h.Gets("whoami", nil, "Ada")
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the call waited for %v", took)
		}
		h.WantPrompts(0)
		if n := w.Trace.Count("storefailed"); n != 1 {
			t.Errorf("%d failures of the store were traced, want 1", n)
		}
		world.Later(time.Minute) // until the store has answered
	})
}

// lockedKeychain waits for a password that nobody types.
type lockedKeychain struct{}

func (lockedKeychain) Load(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (lockedKeychain) Update(ctx context.Context, _ string, _ func([]byte) ([]byte, error)) error {
	<-ctx.Done()
	return ctx.Err()
}

func (lockedKeychain) Keys(context.Context) ([]string, error) { return nil, nil }

func (lockedKeychain) String() string { return "in a locked keychain" }

// A store that does not answer costs no approved sign-in, and no refresh.
func TestStore_Locked(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: lockedKeychain{}}})
		h := w.SignedIn(era)
		for range 3 {
			world.Later(time.Minute)
			h.Gets("whoami", nil, "Ada")
		}
		world.Later(2 * time.Hour)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if !strings.Contains(w.Log.String(), "in a locked keychain has not answered") {
			t.Error("the log does not name the store")
		}
	})
}

// blockable is a store whose updates can be made to wait: another process was stopped
// while it had the lock.
type blockable struct {
	store.Store
	block atomic.Bool
}

func (b *blockable) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if b.block.Load() {
		<-ctx.Done()
		return ctx.Err()
	}
	return b.Store.Update(ctx, key, change)
}

// A refresh behind a lock that nobody gives back is made without the store. Who can wait no
// longer until then is told that it is the store.
func TestStore_StuckLock(t *testing.T) {
	for _, wait := range []time.Duration{0, 12 * time.Second} {
		t.Run(fmt.Sprint(wait), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				b := &blockable{Store: store.Memory()}
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Options: lazyauth.Options{Store: b, MaxWait: wait}})
				h := w.SignedIn(era)
				b.block.Store(true)
				world.Later(2 * time.Hour)
				if wait != 0 {
					r := <-h.Call(t.Context(), "whoami", nil)
					r.Fails(t, lazyauth.ReasonPending)
					if text := r.Text(); !strings.Contains(text, "store") || contains(text, "authorization server", "browser") {
						t.Errorf("it is the store, and the text says %q", text)
					}
				}
				for range 5 {
					h.Gets("whoami", nil, "Ada")
					world.Later(10 * time.Minute)
				}
				h.WantPrompts(1)
			})
		})
	}
}

// Who waits for the authorization server is told that it is that.
func TestStore_NotToBlame(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: store.Memory(), MaxWait: 10 * time.Second}})
		h := w.SignedIn(era)
		world.Later(2 * time.Hour)
		w.AS.Script(fakeas.Refresh, fakeas.Pass().After(14*time.Second))
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		if text := r.Text(); !strings.Contains(text, "authorization server") || strings.Contains(text, "store") {
			t.Errorf("it is the authorization server, and the text says %q", text)
		}
	})
}

// idle is a store that says yes to every update, and makes none.
type idle struct{ store.Store }

func (idle) Update(context.Context, string, func([]byte) ([]byte, error)) error { return nil }

// A store that does nothing at all costs no refresh, and the log says so.
func TestStore_ThatDoesNothing(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: idle{store.Memory()}}})
		h := w.SignedIn(era)
		world.Later(2 * time.Hour)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if !strings.Contains(w.Log.String(), "without having called the change") {
			t.Error("the log does not say what the store did")
		}
	})
}
