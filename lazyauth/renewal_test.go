package lazyauth_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Calls that wait for a refresh wait for one, and nobody is asked.
func TestRefresh_CallsAtExpiry(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 50 * time.Millisecond}})
		h := w.SignedIn(era)

		for round := 1; round <= 2; round++ {
			world.Later(10 * time.Minute)
			calls := make([]<-chan world.Reply, 100/round)
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

// A grant in use is refreshed before it ends, in the background: no call waits for it.
func TestRefresh_Ahead(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}})
		h := w.SignedIn(era)
		w.AS.Script(fakeas.Refresh, fakeas.Pass().After(20*time.Second).Times(-1))
		for began := time.Now(); time.Since(began) < 90*time.Minute; world.Later(time.Minute) {
			before := time.Now()
			h.Gets("whoami", nil, "Ada")
			if took := time.Since(before); took != 0 {
				t.Errorf("a call waited %v for a refresh", took)
			}
		}
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes in ninety minutes of tokens that live an hour", n)
		}
		h.WantPrompts(1)
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

// Where the refresh token has ended the person is asked again, once, and the calls go on.
func TestRefresh_Refused(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.SignedIn(era)
		world.Later(time.Minute)
		w.AS.RevokeRefreshTokens()

		calls := []<-chan world.Reply{h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)}
		w.Approves()
		for _, call := range calls {
			(<-call).Succeeds(t, "Ada")
		}
		h.WantPrompts(2)
		w.WantAuthorizations(2)
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
	})
}

// Where the server is out of reach, asking the person would not help either: the call fails,
// and the grant is kept.
func TestRefresh_Unavailable(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.SignedIn(era)
		world.Later(time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Unavailable(503, 0))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
	})
}
