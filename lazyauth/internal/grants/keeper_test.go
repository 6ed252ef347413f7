package grants_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
)

// Flights of many are under way side by side, and each brings its own grant.
func TestKeeper_ManyFlights(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		owners, calls := make([]*grants.Owner, 100), make([]<-chan outcome, 100)
		for n := range owners {
			owners[n] = w.keeper.Owner(grants.Principal{Issuer: "i", Subject: fmt.Sprint(n)})
			calls[n] = w.asksAs(t.Context(), owners[n], profile, caller{})
		}
		later(time.Second)
		waiting := w.as.Waiting()
		for n, req := range waiting {
			if err := w.as.ApproveAs(fmt.Sprint("person-", n), req.UserCode); err != nil {
				t.Fatal(err)
			}
		}
		people := map[string]bool{}
		for n, c := range calls {
			g := (<-c).holds(profile)
			access, _ := w.as.Introspect(g.Token().AccessToken)
			if people[access.Subject] = true; owners[n].Grant() != g {
				t.Errorf("owner %d has another grant", n)
			}
		}
		if len(people) != 100 {
			t.Errorf("%d people have signed in", len(people))
		}
		if all := len(slices.Collect(w.keeper.Owners)); all != 101 {
			t.Errorf("%d owners", all)
		}
	})
}

// Close ends flights, renewals and waits, and nothing begins any more.
func TestKeeper_Close(t *testing.T) {
	for name, under := range map[string]func(w *world){
		"a discovery":      func(w *world) { w.as.Script(fakeas.Metadata, fakeas.Stall()) },
		"a code asked for": func(w *world) { w.as.Script(fakeas.DeviceAuthorization, fakeas.Stall()) },
		"a prompt":         func(*world) {},
		"a poll":           func(w *world) { w.as.Script(fakeas.Poll, fakeas.Stall()) },
		"a store": func(w *world) {
			w.setup.store.(*meddled).hangs() //nolint:forcetypeassert // it is
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{store: newMeddled()})
				under(w)
				c := w.asks(profile)
				later(6 * time.Second)
				began := time.Now()
				if left := w.close(); left != nil || time.Since(began) != 0 {
					t.Errorf("after %v: %v", time.Since(began), left)
				}
				(<-c).fails(grants.ErrClosed)
				(<-w.asks(profile)).fails(grants.ErrClosed)
				if w.keeper.Context().Err() == nil {
					t.Error("its context goes on")
				}
			})
		})
	}
}

// What has ended in time leaves nothing behind: the grant is forgotten, in memory.
func TestKeeper_CloseForgetsGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		g := w.signsIn(profile)
		if left := w.close(); len(left) != 1 || left[0] != g || w.me.Grant() != nil {
			t.Errorf("Close returned %v, and the owner has %v", left, w.me.Grant())
		}
		(<-w.asks(profile)).fails(grants.ErrClosed)
		w.wants(fakeas.Revocation, 0)
	})
}

// Join names what does not end.
func TestKeeper_Join(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		ends := make(chan struct{})
		for _, what := range []string{"b", "a", "b"} {
			w.keeper.Spawn(what, func() { <-ends })
		}
		w.keeper.Spawn("c", func() { panic("c") })
		w.keeper.Close()
		began := time.Now()
		if still := w.keeper.Join(time.Second); !slices.Equal(still, []string{"a", "b"}) || time.Since(began) != time.Second {
			t.Errorf("after %v these go on: %q", time.Since(began), still)
		}
		if w.keeper.Spawn("d", func() { t.Error("it began after Close") }) {
			t.Error("it is said to have begun")
		}
		w.keeper.Go("e", func() {})
		close(ends)
		if still := w.keeper.Join(time.Second); still != nil {
			t.Errorf("these go on: %q", still)
		}
		if len(w.told("callback failed: c")) != 1 {
			t.Error("a panic was not told")
		}
	})
}

// Beyond a person's share of sign-ins, and what there may be in all, nothing is begun; what ends
// makes room.
func TestKeeper_BoundsSignIns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{keeper: func(_ *world, c *grants.Config) { c.MaxSignIns = 20 }})
		account := func(n int) *grants.Owner {
			return w.keeper.Owner(grants.Principal{Issuer: "i", Subject: "mallory", Account: fmt.Sprint(n)})
		}
		var calls []<-chan outcome
		for n := range 16 {
			calls = append(calls, w.asksAs(t.Context(), account(n), profile, caller{}))
		}
		later(time.Second)
		(<-w.asksAs(t.Context(), account(16), profile, caller{})).fails(grants.ErrManySignIns)
		calls = append(calls, w.asksAs(t.Context(), account(3), profile, caller{})) // joins its own
		for n := range 4 {
			calls = append(calls, w.asksAs(t.Context(), w.keeper.Owner(somebody(n)), profile, caller{}))
		}
		later(time.Second)
		o := <-w.asksAs(t.Context(), w.keeper.Owner(somebody(4)), profile, caller{})
		if o.fails(grants.ErrManySignIns); !errors.Is(o.err, grants.ErrBusy) {
			t.Errorf("it is not busy: %v", o.err)
		}
		w.wants(fakeas.DeviceAuthorization, 20)
		for range 20 {
			w.approves()
		}
		for _, c := range calls {
			(<-c).holds(profile)
		}
		c := w.asksAs(t.Context(), w.keeper.Owner(somebody(4)), profile, caller{})
		w.approves()
		(<-c).holds(profile)
	})
}

// Of the calls that wait one person has a share, and all together a limit; the local user's are
// not counted. A call that finds its grant needs no room.
func TestKeeper_BoundsWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{keeper: func(_ *world, c *grants.Config) { c.MaxWaiting = 64 }})
		var calls []<-chan outcome
		waits := func(who grants.Principal, n int) {
			for range n {
				calls = append(calls, w.asksAs(t.Context(), w.keeper.Owner(who), profile, caller{}))
			}
			synctest.Wait()
		}
		waits(grants.Principal{}, 100)
		for n := range 15 {
			waits(somebody(n), 4)
		}
		(<-w.asksAs(t.Context(), w.keeper.Owner(somebody(1)), profile, caller{})).fails(grants.ErrBusy)
		waits(somebody(15), 4)
		before := w.as.Count(fakeas.DeviceAuthorization, "")
		(<-w.asksAs(t.Context(), w.keeper.Owner(somebody(16)), profile, caller{})).fails(grants.ErrBusy)
		later(time.Second)
		w.wants(fakeas.DeviceAuthorization, before+17) // of those who were let wait
		for range 17 {
			w.approves()
		}
		for _, c := range calls {
			(<-c).holds(profile)
		}
		waits(somebody(16), 1)
		w.approves()
		(<-calls[len(calls)-1]).holds(profile)
	})
}

// Keys of different principals are different.
func TestPrincipal_Key(t *testing.T) {
	seen := map[string]grants.Principal{}
	parts := []string{"", "a", "1:a", "0:", "a1:b", ":"}
	for _, issuer := range parts {
		for _, subject := range parts {
			for _, account := range parts {
				who := grants.Principal{Issuer: issuer, Subject: subject, Account: account}
				if other, ok := seen[who.Key()]; ok {
					t.Errorf("%+v and %+v have the key %q", who, other, who.Key())
				}
				seen[who.Key()] = who
				if who.IsLocal() != (issuer == "" && subject == "") {
					t.Errorf("%+v is local: %t", who, who.IsLocal())
				}
			}
		}
	}
}
