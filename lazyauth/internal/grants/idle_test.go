package grants_test

import (
	"errors"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// rests lets the time pass after which an owner who is idle is forgotten.
func (w *world) rests() {
	later(11 * time.Minute)
	w.events.forget()
	for range 3 { // what the sweep has let go is collected
		runtime.GC()
	}
}

// owners returns how many there are besides the local user.
func (w *world) owners() (n int) {
	for o := range w.keeper.Owners {
		if o.Who() != (grants.Principal{}) {
			n++
		}
	}
	return n
}

func somebody(n int) grants.Principal {
	return grants.Principal{Issuer: "i", Subject: fmt.Sprint(n)}
}

// signsInAs has somebody sign in.
func (w *world) signsInAs(who grants.Principal, need scopes.Set) {
	w.t.Helper()
	c := w.asksAs(w.t.Context(), w.keeper.Owner(who), need, caller{})
	w.approves()
	(<-c).holds(need)
}

// Whose grant is stored, and who does nothing, is forgotten; the next call finds the grant,
// without a prompt.
func TestIdle_Stored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory()})
		for n := range 3 {
			w.signsInAs(somebody(n), profile)
		}
		if n := w.owners(); n != 3 {
			t.Fatalf("%d owners", n)
		}
		w.rests()
		if n := w.owners(); n != 0 {
			t.Errorf("%d owners are left", n)
		}
		(<-w.asksAs(t.Context(), w.keeper.Owner(somebody(1)), profile, caller{})).holds(profile)
		w.wants(fakeas.DeviceAuthorization, 3)
		later(3 * time.Hour)
		(<-w.asksAs(t.Context(), w.keeper.Owner(somebody(2)), profile, caller{})).holds(profile) // by a refresh
		w.wants(fakeas.DeviceAuthorization, 3)
		w.rests()
		if n := w.owners(); n != 0 {
			t.Errorf("%d owners are left", n)
		}
	})
}

// Who has nothing, and never will have, is forgotten, too; who has a grant in memory alone is not.
func TestIdle_InMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		for n := range 100 {
			w.keeper.Owner(somebody(n))
		}
		w.signsInAs(somebody(100), profile)
		w.rests()
		if n := w.owners(); n != 1 {
			t.Errorf("%d owners are left, want the one with a grant", n)
		}
		later(time.Hour) // the token ends, and there is a refresh token
		w.rests()
		(<-w.asksAs(t.Context(), w.keeper.Owner(somebody(100)), profile, caller{})).holds(profile)
		w.wants(fakeas.DeviceAuthorization, 1)
	})
}

// A grant that has ended for good, and was in memory alone, keeps nobody.
func TestIdle_Ended(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, NoRefresh: true}})
		w.signsInAs(somebody(1), profile)
		w.rests()
		if n := w.owners(); n != 1 {
			t.Errorf("%d owners are left while the token is good", n)
		}
		later(time.Hour)
		w.rests()
		if n := w.owners(); n != 0 {
			t.Errorf("%d owners are left", n)
		}
	})
}

// A sign-in under way keeps its owner, though nobody waits for it.
func TestIdle_Flight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{CodeLifetime: time.Hour}, store: store.Memory()})
		ctx, gone := t.Context(), errors.New("gone")
		c := w.asksAs(ctx, w.keeper.Owner(somebody(1)), profile, caller{may: func(bool) error { return nil }})
		req := w.person()
		w.rests()
		if n := w.owners(); n != 1 {
			t.Fatalf("%d owners in the middle of a sign-in", n)
		}
		if err := w.as.Approve(req.UserCode); err != nil {
			t.Fatal(err)
		}
		(<-c).holds(profile)
		w.rests()
		(<-w.asksAs(ctx, w.keeper.Owner(somebody(1)), profile, caller{may: func(bool) error { return gone }})).holds(profile)
	})
}

// A grant that the store did not take stays, and so does the memory of one that it did not give up.
func TestIdle_StoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 24 * time.Hour}, store: s})
		w.signsInAs(somebody(1), profile)
		s.fails(errors.New("full"))
		w.signsInAs(somebody(2), profile)
		_ = w.keeper.Owner(somebody(1)).Forget(t.Context()) // is said to have failed
		w.rests()
		if n := w.owners(); n != 2 {
			t.Errorf("%d owners are left", n)
		}
		s.recovers()
		(<-w.asksAs(t.Context(), w.keeper.Owner(somebody(2)), profile, caller{})).holds(profile)
		w.wants(fakeas.DeviceAuthorization, 2)
		if g, err := w.keeper.Owner(somebody(1)).Look(t.Context()); err == nil && g != nil && g.Alive() {
			c := w.asksAs(t.Context(), w.keeper.Owner(somebody(1)), profile, caller{})
			w.approves() // what was ended is not taken up again
			(<-c).holds(profile)
		}
	})
}

// A record that should have been replaced is not taken up again, though nothing else is known of its
// owner.
func TestIdle_Outdated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: s})
		w.signsInAs(somebody(1), profile)
		s.failsToUpdate(errors.New("full"))
		w.signsInAs(somebody(1), read)
		w.as.RevokeAll()
		s.recovers()
		later(2 * time.Hour)
		c := w.asksAs(t.Context(), w.keeper.Owner(somebody(1)), read, caller{})
		w.denies()
		(<-c).fails(oauth.ErrDenied)
		w.rests()
		if n := w.owners(); n != 1 {
			t.Errorf("%d owners are left", n)
		}
	})
}

// What was asked for in vain is not forgotten before its time, however long ago its call began.
func TestIdle_Setback(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{CodeLifetime: time.Hour}, store: store.Memory()})
		c := w.asksAs(t.Context(), w.keeper.Owner(somebody(1)), profile, caller{})
		w.person()
		later(14*time.Minute + 45*time.Second) // 15 s before a sweep
		w.as.Script(fakeas.Poll, fakeas.Error(401, "invalid_client"))
		(<-c).fails(oauth.ErrRefused)
		later(20 * time.Second)
		w.events.forget()
		runtime.GC()
		(<-w.asksAs(t.Context(), w.keeper.Owner(somebody(1)), profile, caller{})).fails(oauth.ErrRefused)
		w.wants(fakeas.DeviceAuthorization, 1)
		w.rests()
		if n := w.owners(); n != 0 {
			t.Errorf("%d owners are left", n)
		}
	})
}

type besides struct{ rests, busy atomic.Bool }

func (b *besides) Rest() bool {
	b.rests.Store(true)
	return !b.busy.Load()
}

// What somebody keeps beside an owner lives as long, and has a say.
func TestIdle_Beside(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		one, other := new(besides), new(besides)
		one.busy.Store(true)
		for _, b := range []grants.Beside{one, other} {
			if w.keeper.Owner(somebody(1)).Beside(func() grants.Beside { return b }) != one {
				t.Error("something else is kept")
			}
		}
		w.rests()
		if !one.rests.Load() || other.rests.Load() || w.owners() != 1 {
			t.Errorf("%d owners, and what is beside them was asked: %t, %t", w.owners(), one.rests.Load(), other.rests.Load())
		}
		one.busy.Store(false)
		w.rests()
		if w.owners() != 0 {
			t.Error("it is kept")
		}
	})
}

// Of very many who are told that there is no room nothing is kept, and nobody has to wait for that.
func TestIdle_TurnedAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: store.Memory(), keeper: func(_ *world, c *grants.Config) { c.MaxSignIns = 1 }})
		first := w.asksAs(t.Context(), w.keeper.Owner(somebody(0)), profile, caller{})
		synctest.Wait()
		for n := range 1000 {
			if out := <-w.asksAs(t.Context(), w.keeper.Owner(somebody(n+1)), profile, caller{}); !errors.Is(out.err, grants.ErrBusy) {
				t.Fatalf("%d: %v", n, out.err)
			}
		}
		w.events.forget()
		for range 3 {
			runtime.GC()
		}
		if n := w.owners(); n > 2 { // the first, and perhaps the last
			t.Errorf("%d owners are kept", n)
		}
		w.approves()
		(<-first).holds(profile)
	})
}
