package grants_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A grant that has ended is refreshed once, for all who need it.
func TestRefresh_OnceForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 50 * time.Millisecond}})
		w.signsIn(profile)
		for round := 1; round <= 3; round++ {
			later(10 * time.Minute)
			var calls []<-chan outcome
			for range 1000 {
				calls = append(calls, w.asks(profile))
			}
			first := (<-calls[0]).holds(profile)
			for _, c := range calls[1:] {
				if o := <-c; o.grant != first {
					t.Fatalf("another grant, or none: %v", o.err)
				}
			}
			w.wants(fakeas.Refresh, round)
		}
		if n := len(w.told("refreshed")); n != 3 {
			t.Errorf("%d refreshes were told", n)
		}
		w.wants(fakeas.DeviceAuthorization, 1)
	})
}

// A grant in use is refreshed before it ends, in the background: nobody waits for that. One
// that is not used is not refreshed.
func TestRefresh_Ahead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}})
		w.signsIn(profile)
		gate := &grants.Gate{Need: profile}
		w.as.Script(fakeas.Refresh, fakeas.Pass().After(20*time.Second).Times(-1))
		for began := time.Now(); time.Since(began) < 3*time.Hour; later(time.Minute) {
			if !w.me.Authorizes(gate) {
				t.Fatalf("after %v the grant is not there", time.Since(began))
			}
			w.works(w.me.Grant(), profile)
		}
		if n := w.as.Count(fakeas.Refresh, ""); n < 3 || n > 4 {
			t.Errorf("%d refreshes in three hours of tokens that live one", n)
		}
		before := w.as.Count(fakeas.Refresh, "")
		later(24 * time.Hour)
		w.wants(fakeas.Refresh, before)
		w.has(profile)
	})
}

func TestRefresh_WithoutRefreshToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}})
		for range 2 {
			w.signsIn(profile)
			w.has(profile)
			later(time.Minute)
		}
		w.wants(fakeas.DeviceAuthorization, 2)
		w.wants(fakeas.Refresh, 0)
	})
}

// Tokens that lapse before they can be used are not refreshed for ever.
func TestRefresh_TokensThatLapseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}})
		w.signsIn(profile)
		later(time.Minute)
		for n := range 50 {
			w.as.Script(fakeas.Refresh, fakeas.Raw(200, nil, fmt.Sprintf(`{"access_token":"at%d","token_type":"Bearer","expires_in":1,"refresh_token":"rt%d"}`, n, n)).After(3*time.Second))
		}
		c := w.asks(profile)
		w.approves()
		(<-c).holds(profile)
		w.wants(fakeas.Refresh, 1)
	})
}

// A server that narrows a token at a refresh has not narrowed the grant: the rest is asked
// for by name, where it is needed, after a restart too, and nobody is prompted. A server that
// wants no names is asked without.
func TestRefresh_NarrowedIsAskedForByName(t *testing.T) {
	for name, test := range map[string]struct {
		script []fakeas.Behaviour
		asked  string
	}{
		"":                  {nil, `["" "notes:read profile"]`},
		"names are refused": {[]fakeas.Behaviour{fakeas.Error(400, "invalid_scope")}, `["" "notes:read profile" ""]`},
	} {
		t.Run(name, func(t *testing.T) {
			for _, restart := range []bool{false, true} {
				synctest.Test(t, func(t *testing.T) {
					var sent forms
					narrow := false
					w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: store.Memory(), wire: func(next http.RoundTripper) http.RoundTripper {
						return sent.wire(granting(func(granted string) string {
							if narrow {
								return "profile"
							}
							return granted
						})(next))
					}})
					w.signsIn(scopes.Of("profile", "notes:read"))
					later(2 * time.Hour)
					narrow = true
					if g := w.has(profile); g.Covers(read) {
						t.Errorf("it was not narrowed: %v", g)
					}
					narrow = false
					w.as.Script(fakeas.Refresh, test.script...)
					if restart {
						w = w.another()
					}
					w.has(read)
					if got := fmt.Sprintf("%q", sent.of("grant_type", "refresh_token", "scope")); got != test.asked {
						t.Errorf("refreshes asked for %s, want %s", got, test.asked)
					}
				})
			}
		})
	}
}

// What is missing after it was asked for by name is gone: the person is asked, once.
func TestRefresh_NarrowedForGood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent forms
		narrow := false
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, wire: func(next http.RoundTripper) http.RoundTripper {
			return sent.wire(granting(func(granted string) string {
				if narrow {
					return "profile"
				}
				return granted
			})(next))
		}})
		w.signsIn(scopes.Of("profile", "notes:read"))
		later(2 * time.Hour)
		narrow = true
		c := w.asks(read)
		req := w.person()
		narrow = false
		w.approvesFor("notes:read profile")
		(<-c).holds(read)
		if got := fmt.Sprintf("%q", sent.of("grant_type", "refresh_token", "scope")); got != `["" "notes:read profile"]` {
			t.Errorf("refreshes asked for %s, before %q was asked of the person", got, req.Scopes)
		}
	})
}

// A grant that ends while the person thinks about a step-up is refreshed once, for all who
// need no more than it has.
func TestRefresh_DuringAStepUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true, Latency: 100 * time.Millisecond}})
		w.signsIn(profile)
		later(40 * time.Second)
		more := w.asks(read) // waits for the person
		code := w.person().UserCode
		later(20 * time.Second)
		for range 5 {
			(<-w.asks(profile)).holds(profile)
		}
		w.wants(fakeas.Refresh, 1)
		if err := w.as.Approve(code); err != nil {
			t.Fatal(err)
		}
		(<-more).holds(read)
		w.wants(fakeas.DeviceAuthorization, 2)
	})
}

// A refresh that is still under way when a sign-in has brought another grant changes nothing.
func TestRefresh_SlowerThanASignIn(t *testing.T) {
	for _, answer := range []fakeas.Behaviour{
		fakeas.Raw(200, nil, `{"access_token":"late","token_type":"Bearer","expires_in":600,"scope":"profile"}`),
		fakeas.Error(400, "invalid_grant"),
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}, store: store.Memory()})
			w.signsIn(profile)
			later(40 * time.Second)
			more := w.asks(read)
			w.person()
			later(20 * time.Second)
			w.as.Script(fakeas.Refresh, answer.After(14*time.Second))
			slow := w.asks(profile)
			synctest.Wait()
			w.approves()
			g := (<-more).holds(read)
			if w.as.Count(fakeas.Refresh, "") != 0 {
				t.Fatal("the refresh was faster")
			}
			<-slow
			later(20 * time.Second)
			if w.me.Grant() != g || !strings.Contains(w.stored(), g.Token().AccessToken) {
				t.Errorf("the grant is %v", w.me.Grant())
			}
			w.another().has(read)
		})
	}
}

// A grant that is due while another kind of renewal is under way is refreshed by who comes
// later.
func TestRefresh_DueDuringARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: kept})
		w.signsIn(profile)
		later(58 * time.Minute)
		w.has(profile) // and is looked at
		hold := make(chan struct{})
		kept.loads(func(ctx context.Context, key string) ([]byte, error) {
			<-hold
			return kept.Store.Load(ctx, key)
		})
		c := w.asks(read)
		synctest.Wait()
		gate := &grants.Gate{Need: profile}
		if !w.me.Authorizes(gate) { // due, and not refreshed
			t.Error("it has ended")
		}
		w.wants(fakeas.Refresh, 0)
		close(hold)
		w.person()
		for range 5 {
			w.me.Authorizes(gate)
			later(5 * time.Second)
		}
		w.wants(fakeas.Refresh, 1)
		w.approves()
		(<-c).holds(read)
	})
}

// Who can wait no longer is told what for: the store, or the authorization server. The
// renewal goes on, and serves the next one. Four seconds there are in any case.
func TestRenewal_NotAnswered(t *testing.T) {
	for name, test := range map[string]struct {
		does  func(w *world, kept *meddled)
		left  time.Duration
		took  time.Duration
		store bool
	}{
		"the store":                {func(_ *world, kept *meddled) { kept.hangs() }, 10 * time.Second, 10 * time.Second, true},
		"the lock":                 {func(_ *world, kept *meddled) { kept.hangsAtUpdates() }, 10 * time.Second, 10 * time.Second, true},
		"the server":               {func(w *world, _ *meddled) { w.as.Script(fakeas.Refresh, fakeas.Pass().After(14*time.Second)) }, 10 * time.Second, 10 * time.Second, false},
		"nothing left, the store":  {func(_ *world, kept *meddled) { kept.hangs() }, -1, 4 * time.Second, true},
		"nothing left, the server": {func(w *world, _ *meddled) { w.as.Script(fakeas.Refresh, fakeas.Pass().After(14*time.Second)) }, time.Second, 4 * time.Second, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := newMeddled()
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: kept})
				w.signsIn(profile)
				later(2 * time.Hour)
				test.does(w, kept)
				began := time.Now()
				o := <-w.asksAs(t.Context(), w.me, profile, caller{left: test.left})
				o.fails(grants.ErrNotAnswered)
				if took := time.Since(began); took != test.took || errors.Is(o.err, grants.ErrStoreNotAnswered) != test.store {
					t.Errorf("after %v: %v", took, o.err)
				}
				w.has(profile)
				w.wants(fakeas.Refresh, 1)
			})
		})
	}
}

// A refresh whose answer is on its way when the process ends is written down, or the next
// one would use the token that was replaced.
func TestRefresh_DuringClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var slow atomic.Bool
		w := newWorld(t, setup{
			as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, store: store.Memory(),
			wire: func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(req *http.Request) (*http.Response, error) {
					res, err := next.RoundTrip(req)
					if slow.Load() && strings.HasSuffix(req.URL.Path, "/token") {
						select {
						case <-time.After(time.Second): // the server has done its work
						case <-req.Context().Done():
							return nil, context.Cause(req.Context())
						}
					}
					return res, err
				})
			},
		})
		w.signsIn(profile)
		later(59*time.Minute + 30*time.Second)
		slow.Store(true)
		w.has(profile)
		w.me.Authorizes(&grants.Gate{Need: profile})
		later(500 * time.Millisecond)
		w.close()
		w.wants(fakeas.Refresh, 1)
		later(time.Hour)
		slow.Store(false)
		w.another().has(profile)
	})
}

// One that takes longer than there is time for at the end is given up.
func TestRefresh_TooSlowForClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory()})
		w.signsIn(profile)
		later(2 * time.Hour)
		w.as.Script(fakeas.Refresh, fakeas.Stall())
		c := w.asks(profile)
		later(time.Second)
		began := time.Now()
		w.close()
		if took := time.Since(began); took != 4*time.Second {
			t.Errorf("Close took %v", took)
		}
		(<-c).fails(grants.ErrRefresh)
		later(time.Minute)
		w.another().has(profile)
	})
}
