package grants_test

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A process finds the grant where the one before it has left it, adds to it, and refreshes it.
func TestStore_Restart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: store.Memory()})
		first.signsIn(profile)
		if left := first.close(); len(left) != 1 {
			t.Errorf("Close returned %v", left)
		}
		second := first.another()
		second.has(profile)
		later(2 * time.Hour)
		second.has(profile) // refreshed
		c := second.asks(read)
		second.approvesFor("notes:read profile") // more, beside what was restored
		(<-c).holds(scopes.Of("profile", "notes:read"))
		second.close()
		first.another().has(scopes.Of("profile", "notes:read"))
		if strings.Contains(first.stored(), "notes of") {
			t.Error("the record says whose it is")
		}
	})
}

// Two processes with one store: one refresh for both, and no sign-in lost though the server
// takes every second use of a refresh token for theft. What one has stepped up to, the other
// finds.
func TestStore_TwoProcesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 100 * time.Millisecond}, store: store.Memory()})
		one.signsIn(profile)
		two := one.another()
		two.has(profile)
		for round := 1; round <= 20; round++ {
			later(15 * time.Minute)
			a, b := one.asks(profile), two.asks(profile)
			(<-a).holds(profile)
			(<-b).holds(profile)
			one.wants(fakeas.Refresh, round)
		}
		one.signsIn(read)
		two.has(scopes.Of("profile", "notes:read"))
		one.wants(fakeas.DeviceAuthorization, 2)
	})
}

// What another process took out of the store does not come back by a refresh.
func TestStore_LogoutInAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory()})
		w.signsIn(profile)
		w.as.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1)) // or a server that has no such endpoint
		if err := w.another().me.Forget(t.Context()); !errors.Is(err, grants.ErrNotRevoked) {
			t.Fatal(err)
		}
		later(59 * time.Minute)
		w.me.Authorizes(&grants.Gate{Need: profile})
		synctest.Wait()
		w.wants(fakeas.Refresh, 0)
		if failed := w.told("refresh failed"); len(failed) != 1 || !failed[0].ended || !errors.Is(failed[0].err, oauth.ErrRevoked) {
			t.Errorf("told %v", failed)
		}
		later(time.Hour)
		c := w.asks(profile)
		w.person()
		if w.stored() != "" {
			t.Error("the grant that was logged out of is in the store again")
		}
		w.approves()
		(<-c).holds(profile)
	})
}

// Of two grants for the same the later one is stored.
func TestStore_AnotherProcessHasTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: store.Memory()})
		two := w.another()
		second := two.asks(profile)
		code := w.person().UserCode
		c := w.asks(profile)
		later(time.Second)
		if err := w.as.Approve(w.as.Waiting()[1].UserCode); err != nil {
			t.Fatal(err)
		}
		(<-c).holds(profile)
		if err := w.as.Approve(code); err != nil {
			t.Fatal(err)
		}
		if g := (<-second).holds(profile); !strings.Contains(w.stored(), g.Token().AccessToken) {
			t.Error("it was not stored")
		}
	})
}

// What another process has stepped up to is found before the person is asked, and what it has
// less of replaces nothing.
func TestStore_AnotherProcessHasMoreOrLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: store.Memory()})
		w.signsIn(profile)
		two := w.another()
		two.has(profile)
		w.signsIn(scopes.Of("profile", "notes:read"))
		two.has(read)
		less := w.stored()
		w.signsIn(scopes.Of("notes:write"))
		w.plant(less)                                            // a third one that was late
		(<-w.asks(scopes.Of("no:such"))).fails(oauth.ErrRefused) // which looks into the store
		if !w.me.Grant().Covers(scopes.Of("profile", "notes:read", "notes:write")) {
			t.Errorf("the grant is %v", w.me.Grant())
		}
	})
}
