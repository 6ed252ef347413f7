package grants_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A need that is not told is satisfied by nothing, and the empty one by any grant.
func TestOwner_NeedOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		(<-w.asks(nil)).fails(grants.ErrNoNeed)
		w.wants(fakeas.DeviceAuthorization, 0)
		w.signsIn(profile)
		(<-w.asks(nil)).fails(grants.ErrNoNeed)
		w.has(scopes.Set{})
	})
}

// The asker says whether the person may be asked, and is told whether a flight would begin
// with that. It is not asked where a grant is at hand.
func TestOwner_WhoMustNotBeAsked(t *testing.T) {
	declined := errors.New("the person has declined")
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var begins []bool
		refuses := caller{may: func(b bool) error { begins = append(begins, b); return declined }}
		(<-w.asksAs(t.Context(), w.me, profile, refuses)).fails(declined)
		w.wants(fakeas.DeviceAuthorization, 0)
		c := w.asks(profile)
		later(time.Second)
		(<-w.asksAs(t.Context(), w.me, profile, refuses)).fails(declined) // others are being asked
		w.approves()
		(<-c).holds(profile)
		(<-w.asksAs(t.Context(), w.me, profile, refuses)).holds(profile)
		if len(begins) != 2 || !begins[0] || begins[1] {
			t.Errorf("the flight would begin: %t", begins)
		}
	})
}

// What implies a scope is as good as the scope, and its need is met by what is narrower; one
// of several alternatives is enough, and that which needs least is asked for.
func TestOwner_HierarchyAndAlternatives(t *testing.T) {
	order, err := scopes.NewHierarchy(map[string]scopes.Set{"notes": scopes.Of("notes:read", "notes:write")})
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{
			as:     fakeas.Options{Scopes: []string{"profile", "notes", "notes:read", "notes:write"}},
			keeper: func(_ *world, c *grants.Config) { c.Hierarchy = order },
		})
		c := w.asks(scopes.AnyOf(scopes.Of("notes:read", "profile"), read))
		w.approvesFor("notes:read")
		(<-c).holds(read)
		c = w.asks(scopes.Of("notes"))
		w.approvesFor("notes") // which is all that is held, too
		if g := (<-c).holds(scopes.Of("notes")); !g.Covers(write) || g.Scopes() != scopes.Of("notes") {
			t.Errorf("the grant is of %q, and holds %q", g.Scopes(), g.Held())
		}
		if o := <-w.asks(scopes.AnyOf(profile, write)); o.err != nil || o.grant != w.me.Grant() {
			t.Errorf("%v, %v", o.grant, o.err)
		}
		w.wants(fakeas.DeviceAuthorization, 2)
	})
}

// A gate is open once the grant covers its need, and closed when that has gone: narrowed,
// expired, forgotten.
func TestOwner_Authorizes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, NoRefresh: true}})
		gates := map[string]*grants.Gate{"profile": {Need: profile}, "notes:read": {Need: read}, "nothing": {Need: scopes.Set{}}, "untold": {}}
		open := func(when string, want ...string) {
			t.Helper()
			for range 2 { // with the first look, and from memory
				got := map[string]bool{}
				for name, gate := range gates {
					if w.me.Authorizes(gate) {
						got[name] = true
					}
				}
				for _, name := range want {
					if !got[name] {
						t.Errorf("%s: %q is closed", when, name)
					}
					delete(got, name)
				}
				if len(got) != 0 {
					t.Errorf("%s: these are open: %v", when, got)
				}
			}
		}
		open("at first")
		w.signsIn(scopes.Of("profile", "notes:read"))
		open("signed in", "profile", "notes:read", "nothing")
		if _, ok := w.me.Reduce(w.me.Grant(), profile); !ok {
			t.Fatal("not reduced")
		}
		open("reduced", "profile", "nothing")
		w.signsIn(read)
		open("stepped up", "profile", "notes:read", "nothing")
		later(time.Hour)
		open("expired")
		w.signsIn(read)
		open("signed in again", "profile", "notes:read", "nothing")
		if err := w.me.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		open("forgotten")
	})
}

// One call asks for its need once: one that was abandoned by all is told nothing, and one
// whose context has ended begins nothing that it waits for.
func TestOwner_ContextThatHasEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		(<-w.asksAs(ctx, w.me, profile, caller{})).fails(context.Canceled)
		w.signsIn(profile)
		(<-w.asksAs(ctx, w.me, profile, caller{})).holds(profile) // for which nobody waits
	})
}

// The observer is told of each moment from which a grant is another one, and of its end; what
// changes nothing is not told.
func TestOwner_Changed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		told := 0
		changes := func(what string, n int) {
			t.Helper()
			if got := len(w.events.told("changed")) - told; got != n {
				t.Errorf("%s: told %d times, want %d", what, got, n)
			}
			told += n
		}
		c := w.asks(profile)
		w.person()
		if !w.me.IsBeingAsked() {
			t.Error("nobody is being asked")
		}
		changes("asked", 0)
		w.approves()
		g := (<-c).holds(profile)
		changes("signed in", 1)
		w.has(profile)
		if w.me.IsBeingAsked() {
			t.Error("somebody is being asked")
		}
		changes("used", 0)
		w.me.Reduce(g, scopes.Set{})
		changes("reduced", 1)
		w.signsIn(profile)
		changes("signed in again", 1)
		later(2 * time.Hour)
		changes("ended", 1)
		w.has(profile)
		changes("refreshed", 1)
		if err := w.me.Forget(t.Context()); err != nil {
			t.Error(err)
		}
		if err := w.me.Forget(t.Context()); err != nil {
			t.Error(err)
		}
		changes("logged out, twice", 1)
	})
}
