package grants_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// signsInAgain has the person asked for this once more, and approve it, or this.
func (w *world) signsInAgain(asked string, granted ...string) (*grants.Grant, bool) {
	w.t.Helper()
	f, err := grants.SignInAgain(w.t.Context(), w.me, caller{})
	if err != nil {
		w.t.Fatal(err)
	}
	w.approvesFor(asked, granted...)
	<-f.Done()
	g, adopted, err := f.Result()
	if err != nil {
		w.t.Fatal(err)
	}
	return g, adopted
}

// What a person gives again takes the place of what there was, here and in the store, though it is less. What it is
// asked for is all that there was.
func TestSignInAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory()})
		old := w.signsIn(profile.Union(write))
		g, adopted := w.signsInAgain(profile.Union(write).String(), "profile")
		if !adopted || w.me.Grant() != g || g.Covers(write) {
			t.Errorf("adopted: %t, %v", adopted, g)
		}
		other := w.another()
		if stored, err := other.me.Look(t.Context()); err != nil || stored == nil || stored.ID() != g.ID() || stored.ID() == old.ID() {
			t.Errorf("the store has %v, %v", stored, err)
		}
		later(2 * time.Hour) // and is not refreshed from what there was
		if g := w.has(profile); g.Covers(write) {
			t.Errorf("it is back: %v", g)
		}
	})
}

// Another process begins where nothing is at hand: the store says what there is.
func TestSignInAgain_Stored(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: store.Memory()})
		w.signsIn(profile.Union(read))
		other := w.another()
		if g, adopted := other.signsInAgain(profile.Union(read).String()); !adopted || !g.Covers(profile.Union(read)) {
			t.Errorf("adopted: %t, %v", adopted, g)
		}
	})
}

// There is nothing to give again; and nobody is asked who must not be, or whose sign-in is refused.
func TestSignInAgain_Not(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		if _, err := grants.SignInAgain(t.Context(), w.me, caller{}); !errors.Is(err, grants.ErrNoGrant) {
			t.Errorf("without a grant: %v", err)
		}
		old := w.signsIn(profile)
		no := errors.New("not now")
		if _, err := grants.SignInAgain(t.Context(), w.me, caller{may: func(bool) error { return no }}); !errors.Is(err, no) {
			t.Errorf("the person must not be asked: %v", err)
		}
		w.wants(fakeas.DeviceAuthorization, 1)
		f, err := grants.SignInAgain(t.Context(), w.me, caller{})
		if err != nil {
			t.Fatal(err)
		}
		w.denies()
		<-f.Done()
		if w.me.Grant() != old {
			t.Errorf("what there was is gone: %v", w.me.Grant())
		}
		w.works(old, profile)
		w.close()
		if _, err := grants.SignInAgain(t.Context(), w.me, caller{}); !errors.Is(err, grants.ErrNoGrant) {
			t.Errorf("once it is closed: %v", err)
		}
	})
}

// A call that needs more joins it, and gets less: what the person gave again takes the place of what there was all the
// same.
func TestSignInAgain_Joined(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.signsIn(profile.Union(write))
		f, err := grants.SignInAgain(t.Context(), w.me, caller{})
		if err != nil {
			t.Fatal(err)
		}
		more := w.asks(read)
		w.approvesFor(profile.Union(write).Union(read).String(), "profile")
		if o := <-more; o.err == nil {
			t.Errorf("the call has %v", o.grant)
		}
		<-f.Done()
		if g, adopted, err := f.Result(); err != nil || !adopted || w.me.Grant() != g || g.Covers(write) {
			t.Errorf("adopted: %t, %v, %v; there is %v", adopted, g, err, w.me.Grant())
		}
	})
}
