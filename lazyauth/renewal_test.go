package lazyauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestRefresh_ThousandCallsAtExpiry(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 50 * time.Millisecond}})
		h := w.SignedIn(era)

		for round := 1; round <= 2; round++ {
			world.Later(10 * time.Minute)
			calls := make([]<-chan world.Reply, 1000/round)
			for n := range calls {
				calls[n] = h.Call(t.Context(), "whoami", nil)
			}
			for _, call := range calls {
				(<-call).Succeeds(t, "Ada")
			}
			if n := w.AS.Count(fakeas.Refresh, ""); n != round {
				t.Errorf("%d refreshes after %d expiries", n, round)
			}
		}
		h.WantPrompts(1)
	})
}

func TestRefresh_NoRefreshToken(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}})
		h := w.Host(era, world.Accepts)
		for range 2 {
			call := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
			world.Later(time.Minute)
		}
		h.WantPrompts(2)
	})
}

// refreshes notes what each refresh asked for by name.
type refreshes struct {
	next http.RoundTripper

	mu    sync.Mutex
	asked []string
}

func (r *refreshes) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Body != nil {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		form, _ := url.ParseQuery(string(body))
		if form.Get("grant_type") == "refresh_token" {
			r.mu.Lock()
			r.asked = append(r.asked, form.Get("scope"))
			r.mu.Unlock()
		}
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(strings.NewReader(string(body)))
	}
	return r.next.RoundTrip(req)
}

// A server that narrows a token at a refresh has not narrowed the grant: the rest is asked
// for by name, at once where it is needed, after a restart, and nobody is prompted. A server
// that wants no names is asked without.
func TestRefresh_NarrowedIsAskedForByName(t *testing.T) {
	for name, test := range map[string]struct {
		script []fakeas.Behaviour
		asked  string
	}{
		"":                  {nil, `["" "notes:read profile"]`},
		"names are refused": {[]fakeas.Behaviour{fakeas.Error(400, "invalid_scope")}, `["" "notes:read profile" ""]`},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				as, kept := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}), store.Memory()
				narrow := true
				r := &refreshes{next: tokens{as.Transport(), func(granted string) string {
					if as.Count(fakeas.Refresh, fakeas.OK) > 0 && narrow {
						return "profile"
					}
					return granted
				}}}
				w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: r, Store: kept}})
				if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
					t.Fatal(err)
				}
				world.Later(2 * time.Hour)
				w.Host(era, world.Accepts).Gets("whoami", nil, "Ada")
				narrow = false
				as.Script(fakeas.Refresh, test.script...)
				again := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: r, Store: kept}})
				h := again.Host(era, world.Accepts)
				h.Gets("list_notes", nil, "[]")
				h.WantPrompts(0)
				if got := fmt.Sprintf("%q", r.asked); got != test.asked {
					t.Errorf("refreshes asked for %s, want %s", got, test.asked)
				}
			})
		})
	}
}

// What is missing after it was asked for by name is gone: the person is asked, once.
func TestRefresh_NarrowedForGood(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour})
		r := &refreshes{next: tokens{as.Transport(), func(granted string) string {
			if as.Count(fakeas.DeviceAuthorization, "") == 1 && as.Count(fakeas.Refresh, fakeas.OK) > 0 {
				return "profile"
			}
			return granted
		}}}
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: r}})
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
			t.Fatal(err)
		}
		h := w.Host(era, world.Accepts)
		world.Later(2 * time.Hour)
		call := h.Call(t.Context(), "list_notes", nil)
		w.ApprovesFor("notes:read profile")
		(<-call).Succeeds(t, "[]")
		h.WantPrompts(1)
		if got := fmt.Sprintf("%q", r.asked); got != `["" "notes:read profile"]` {
			t.Errorf("refreshes asked for %s", got)
		}
	})
}

// A grant in use is refreshed before it ends, in the background: no call waits for it.
func TestRefresh_Ahead(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}})
		h := w.SignedIn(era)
		w.AS.Script(fakeas.Refresh, fakeas.Pass().After(20*time.Second).Times(-1))
		for began := time.Now(); time.Since(began) < 3*time.Hour; world.Later(time.Minute) {
			before := time.Now()
			h.Gets("whoami", nil, "Ada")
			if took := time.Since(before); took != 0 {
				t.Errorf("a call waited %v for a refresh", took)
			}
		}
		if n := w.AS.Count(fakeas.Refresh, ""); n < 3 || n > 4 {
			t.Errorf("%d refreshes in three hours of tokens that live one", n)
		}
		// Nobody uses it: nobody refreshes it.
		before := w.AS.Count(fakeas.Refresh, "")
		world.Later(24 * time.Hour)
		if n := w.AS.Count(fakeas.Refresh, ""); n != before {
			t.Errorf("%d refreshes of a grant that nobody used", n-before)
		}
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
	})
}

// The answer to a refresh is lost on its way, and the server has rotated the token: only
// the person can help, and is asked once.
func TestRefresh_RotatedTokenLost(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true}})
		w.Tolerated = append(w.Tolerated, fakeas.RefreshTokenReused)
		h := w.SignedIn(era)
		world.Later(2 * time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Lose())
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		var calls []<-chan world.Reply
		for range 10 {
			calls = append(calls, h.Call(t.Context(), "whoami", nil))
		}
		w.Approves()
		for _, call := range calls {
			(<-call).Succeeds(t, "Ada")
		}
		h.WantPrompts(2)
	})
}

// A grant that ends while the person thinks about a step-up is refreshed once, for all.
func TestRefresh_OnceDuringAStepUp(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true, Latency: 100 * time.Millisecond}})
		h := w.SignedIn(era)
		world.Later(40 * time.Second)
		more := h.Call(t.Context(), "list_notes", nil) // waits for the person
		code := w.Person().UserCode
		world.Later(20 * time.Second)
		var calls []<-chan world.Reply
		for range 5 {
			calls = append(calls, h.Call(t.Context(), "whoami", nil))
		}
		for _, c := range calls {
			(<-c).Succeeds(t, "Ada")
		}
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
		if err := w.AS.Approve(code); err != nil {
			t.Fatal(err)
		}
		(<-more).Succeeds(t, "[]")
	})
}

// A grant that is due while the store is read is refreshed ahead by a later call.
func TestRefresh_DueDuringARestore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := &gateStore{Store: store.Memory()}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: gs}})
		h := w.SignedIn(world.Legacy)
		world.Later(58 * time.Minute)
		hold := make(chan struct{})
		gs.set(hold, nil)
		c := h.Call(t.Context(), "list_notes", nil) // restoring
		synctest.Wait()
		h.Gets("whoami", nil, "Ada") // due, and not refreshed
		gs.set(nil, nil)
		close(hold)
		code := w.Person().UserCode
		for range 5 {
			world.Later(5 * time.Second)
			h.Gets("whoami", nil, "Ada")
		}
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes", n)
		}
		w.AS.Approve(code)
		(<-c).Succeeds(t, "[]")
	})
}

func TestRefresh_TokensThatHaveEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.SignedIn(world.Legacy)
		world.Later(time.Minute)
		answers := make([]fakeas.Behaviour, 50)
		for n := range answers {
			answers[n] = fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}}, fmt.Sprintf(`{"access_token":"at%d","token_type":"Bearer","expires_in":0,"refresh_token":"rt%d"}`, n, n))
		}
		w.AS.Script(fakeas.Refresh, answers...)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		if n := w.AS.Count(fakeas.Refresh, ""); n > 2 {
			t.Errorf("one call made %d refreshes", n)
		}
	})
}

func TestRefresh_SlowLosesToASignIn(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.SignedIn(era)
		world.Later(time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}},
			`{"access_token":"late","token_type":"Bearer","expires_in":600,"scope":"profile"}`).After(20*time.Second))
		slow := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		write := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves()
		(<-write).Succeeds(t, "x")
		(<-slow).Succeeds(t, "Ada")
		world.Later(20 * time.Second)
		h.Gets("create_note", world.Note{Text: "y"}, "y")
		h.WantPrompts(2)
	})
}

// An API that takes scopes away while the grant is being refreshed does not make
// the rotated refresh token be lost.
func TestRefresh_ReducedMeanwhile(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			Service: func(s *lazyauth.Service) { s.Dialect = scopes.GitHubDemand },
			Tools: func(w *world.World) {
				w.AddTools()
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "both"}, scopes.Of("profile", "notes:read"),
					func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						var g sync.WaitGroup
						g.Go(func() { w.Get(ctx, "/me") })
						g.Go(func() { w.Get(ctx, "/notes") })
						g.Wait()
						return nil, world.Answer{Text: "both"}, nil
					})
			}})
		h := w.Host(era, world.Accepts)
		w.AS.Script(fakeas.Me, challenge(401, `Bearer error="invalid_token"`))
		w.AS.Script(fakeas.ListNotes, fakeas.Raw(403, http.Header{"X-Oauth-Scopes": {"profile"}, "X-Accepted-Oauth-Scopes": {"notes:read"}}, "{}").After(5*time.Second))
		w.AS.Script(fakeas.Refresh, fakeas.Pass().After(10*time.Second))
		call := h.Call(t.Context(), "both", nil)
		w.Approves()
		go func() {
			world.Later(30 * time.Second)
			for _, r := range w.AS.Waiting() {
				w.AS.Deny(r.UserCode)
			} // the step-up
		}()
		<-call
		world.Later(time.Minute)
		w.AS.ExpireAccessTokens()
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		r := <-h.Call(ctx, "whoami", nil)
		if r.Err != nil || r.Result.IsError {
			t.Errorf("the grant is lost: %q %v", r.Text(), r.Err)
		}
	})
}
