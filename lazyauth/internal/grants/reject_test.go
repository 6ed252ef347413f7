package grants_test

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// rejects says that the API does not accept the owner's grant, to the call that arrived
// then, and demands that there is hope for another one, or not.
func (w *world) rejects(r grants.Refusal, hope bool) {
	w.t.Helper()
	if r.Left == 0 {
		r.Left = time.Hour
	}
	if got := w.me.Reject(w.t.Context(), w.me.Grant(), r); got != hope {
		w.t.Errorf("hope is %t, want %t", got, hope)
	}
}

// A token that the API does not accept is refreshed, once for all who say so, whether a
// sign-in would help or not; those who come late with it have nothing done.
func TestReject_Refreshes(t *testing.T) {
	for name, signIn := range map[string]bool{"a sign-in may help": true, "a sign-in does not help": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{Latency: 50 * time.Millisecond}})
				old := w.signsIn(profile)
				hope := make(chan bool)
				for n := range 20 {
					go func() {
						hope <- w.me.Reject(t.Context(), old, grants.Refusal{By: time.Duration(n), SignIn: signIn, Left: time.Minute})
					}()
				}
				for range 20 {
					if !<-hope {
						t.Error("no hope")
					}
				}
				if g := w.has(profile); g == old || old.Alive() == signIn {
					t.Errorf("the grant is %v; the old one is alive: %t", g, old.Alive())
				}
				if !w.me.Reject(t.Context(), old, grants.Refusal{SignIn: signIn}) {
					t.Error("no hope where there is another grant")
				}
				w.wants(fakeas.Refresh, 1)
			})
		})
	}
}

// Each token that worked and is refused gets its refresh, however young it is.
func TestReject_OneRefreshForEachToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.signsIn(profile)
		for n := range 5 {
			w.rejects(grants.Refusal{By: time.Duration(n), SignIn: n%2 == 0}, true)
			w.has(profile)
			w.wants(fakeas.Refresh, n+1)
		}
	})
}

// One that has ended meanwhile is seen to by whoever needs the next one, and by nobody twice.
func TestReject_Expired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{NoRefresh: true, TokenLifetime: time.Minute}})
		w.signsIn(profile)
		later(time.Minute)
		for _, signIn := range []bool{false, true} {
			w.rejects(grants.Refusal{SignIn: signIn, Again: true}, true)
		}
		if w.me.Grant() == nil {
			t.Error("it was given up")
		}
		w.signsIn(profile)
	})
}

// What was of no use is not tried again for a minute, whoever is refused: first a refresh,
// then a sign-in. The person can have it tried sooner.
func TestReject_EveryToken(t *testing.T) {
	for name, sooner := range map[string]func(*world){
		"after a minute":     func(*world) { later(time.Minute) },
		"when they want to":  func(w *world) { w.me.Forgive() },
		"of another process": func(w *world) { *w = *w.another() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{store: store.Memory()})
				w.signsIn(profile)
				later(2 * time.Minute) // since the sign-in: another one may help
				w.rejects(grants.Refusal{SignIn: true}, true)
				w.has(profile)
				w.wants(fakeas.Refresh, 1)
				w.rejects(grants.Refusal{SignIn: true, Again: true}, true)
				if w.me.Grant() != nil {
					t.Error("what is refused after a refresh is still at hand")
				}
				synctest.Wait()
				if w.stored() != "" || len(w.told("store failed")) != 0 {
					t.Errorf("it is still in the store, or that fails: %v", w.told("store failed"))
				}
				c := w.asks(profile)
				w.approvesFor("profile")
				(<-c).holds(profile)
				w.rejects(grants.Refusal{SignIn: true, Again: true}, false)
				for n := range 5 {
					later(5 * time.Second)
					w.rejects(grants.Refusal{By: time.Duration(n), SignIn: n%2 == 0}, false)
				}
				w.has(profile) // which is as good as any
				w.wants(fakeas.Refresh, 1)
				sooner(w)
				w.has(profile)
				w.rejects(grants.Refusal{SignIn: true}, true)
				w.has(profile)
				w.wants(fakeas.Refresh, 2)
			})
		})
	}
}

// A store that fails then does not bring back what was refused.
func TestReject_StoreFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept, full := newMeddled(), errors.New("the disk is full")
		w := newWorld(t, setup{as: fakeas.Options{NoRefresh: true}, store: kept})
		w.signsIn(profile)
		later(time.Minute)
		kept.failsToWrite(full)
		w.rejects(grants.Refusal{SignIn: true}, true)
		synctest.Wait()
		if failed := w.told("store failed"); len(failed) != 1 || !errors.Is(failed[0].err, full) {
			t.Errorf("told %v", failed)
		}
		w.signsIn(profile)
	})
}

// The person is not asked for another sign-in at once after one of whose grants nothing was
// accepted, but by the call that says so: the tokens may be for another API.
func TestReject_NoSignInAfterASignIn(t *testing.T) {
	for name, test := range map[string]struct {
		before func(w *world)
		hope   bool
	}{
		"at once":                       {func(*world) {}, false},
		"a minute later":                {func(*world) { later(time.Minute) }, true},
		"accepted from another call":    {func(w *world) { w.me.Accepted(w.me.Grant(), 1) }, true},
		"accepted from the same":        {func(w *world) { w.me.Accepted(w.me.Grant(), 2) }, false},
		"accepted from the same, first": {func(w *world) { w.me.Accepted(w.me.Grant(), 2); w.me.Accepted(w.me.Grant(), 1) }, false},
		"the last one was accepted": {func(w *world) {
			old := w.me.Grant()
			w.signsIn(read)
			w.me.Accepted(old, 1)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{NoRefresh: true}})
				w.signsIn(profile)
				test.before(w)
				w.rejects(grants.Refusal{By: 2, SignIn: true}, test.hope)
				if lost := w.me.Grant() == nil; lost != test.hope {
					t.Errorf("the grant is lost: %t", lost)
				}
			})
		})
	}
}

// What a new sign-in has brought must be accepted anew, before another one may help.
func TestReject_AcceptedBeforeTheSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{NoRefresh: true}})
		w.signsIn(profile)
		w.me.Accepted(w.me.Grant(), 1)
		w.rejects(grants.Refusal{By: 2, SignIn: true}, true)
		w.signsIn(profile)
		w.rejects(grants.Refusal{By: 3, SignIn: true}, false)
	})
}

// Where a sign-in would not help, a refresh that fails leaves the grant as it is, and is not
// made again for a while; who can wait no longer goes on without.
func TestReject_WhereNoSignInHelps(t *testing.T) {
	for name, test := range map[string]struct {
		as        fakeas.Options
		script    []fakeas.Behaviour
		left      time.Duration
		took      time.Duration
		refreshes int
	}{
		"no refresh token":    {fakeas.Options{NoRefresh: true}, nil, time.Hour, 0, 0},
		"the refresh fails":   {fakeas.Options{}, []fakeas.Behaviour{fakeas.Unavailable(503, 0)}, time.Hour, 0, 1},
		"the refresh has end": {fakeas.Options{}, []fakeas.Behaviour{fakeas.Error(400, "invalid_grant")}, time.Hour, 0, 1},
		"the refresh is slow": {fakeas.Options{}, []fakeas.Behaviour{fakeas.Pass().After(20 * time.Second)}, 6 * time.Second, 6 * time.Second, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: test.as})
				g := w.signsIn(profile)
				w.as.Script(fakeas.Refresh, test.script...)
				began := time.Now()
				w.rejects(grants.Refusal{Left: test.left}, false)
				if took := time.Since(began); took != test.took {
					t.Errorf("it took %v", took)
				}
				if now := w.me.Grant(); now == nil || now.Token() != g.Token() {
					t.Errorf("the grant is %v", now)
				}
				if later(30 * time.Second); test.took == 0 {
					w.rejects(grants.Refusal{By: 1}, false)
				}
				w.wants(fakeas.Refresh, test.refreshes)
			})
		})
	}
}

// An API that says which scopes the token has takes away those that it has not, and never
// adds one; nothing is noted of a grant that was replaced, or that is being renewed.
func TestReduce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: kept})
		old := w.signsIn(scopes.Of("profile", "notes:read"))
		if held, ok := w.me.Reduce(old, scopes.Of("profile", "notes:write")); !ok || held != profile {
			t.Errorf("it holds %q, %t", held, ok)
		}
		if g := w.me.Grant(); g.Held() != profile || g.Token() != old.Token() || !g.Renewable() || !g.Alive() {
			t.Errorf("the grant is %v, of %q", g, g.Held())
		}
		if _, ok := w.me.Reduce(old, scopes.Set{}); ok {
			t.Error("a grant that was replaced was reduced")
		}
		// It is asked for again, beside what is left.
		c := w.asks(read)
		w.approvesFor("notes:read profile")
		now := (<-c).holds(scopes.Of("profile", "notes:read"))
		later(2 * time.Hour)
		w.as.Script(fakeas.Refresh, fakeas.Pass().After(5*time.Second))
		c = w.asks(profile)
		synctest.Wait()
		if _, ok := w.me.Reduce(now, profile); ok {
			t.Error("a grant that is being refreshed was reduced")
		}
		if err := w.me.Settle(t.Context(), time.Minute); err != nil {
			t.Error(err)
		}
		if (<-c).holds(scopes.Of("profile", "notes:read")); w.me.Grant() == now {
			t.Error("it was not waited for the refresh")
		}
		if err := w.me.Settle(t.Context(), time.Minute); err != nil {
			t.Error(err)
		}
	})
}

// What was taken away by an API is not lost for a refresh, and its timers are the token's.
func TestReduce_Expires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		w.me.Reduce(w.signsIn(scopes.Of("profile", "notes:read")), profile)
		later(time.Hour)
		if w.me.Grant().Alive() {
			t.Error("it outlives its token")
		}
		w.has(profile)
		w.wants(fakeas.Refresh, 1)
	})
}

// A wait for what is under way has an end, whatever comes of that.
func TestSettle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		w.signsIn(profile)
		for _, script := range []fakeas.Behaviour{fakeas.Stall(), fakeas.Unavailable(503, 0).After(5 * time.Second)} {
			later(2 * time.Hour)
			w.as.Script(fakeas.Refresh, script)
			c := w.asks(profile)
			synctest.Wait()
			began := time.Now()
			err := w.me.Settle(t.Context(), 7*time.Second)
			if took := time.Since(began); took != 5*time.Second && (took != 7*time.Second || !errors.Is(err, grants.ErrNotAnswered)) || took == 5*time.Second && err != nil {
				t.Errorf("after %v: %v", took, err)
			}
			(<-c).fails(grants.ErrRefresh)
		}
	})
}
