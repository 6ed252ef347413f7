package lazyauth_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// newStorm returns a storm whose refresh is answered when so many calls have arrived.
func newStorm(b *testing.B, era string, calls int64) *storm {
	b.Helper()
	const life = 200 * time.Millisecond
	s := &storm{as: fakeas.New(&fakeas.Options{
		Interval: time.Second, TokenLifetime: time.Hour, DetectReuse: true,
		// The first token is said to live for a moment, those that come after it for
		// long, or the last of so many calls would find another one expired.
		Dialect: func(_ *http.Request, a *fakeas.Answer) {
			if a.Operation == fakeas.Poll && a.Members["expires_in"] != nil {
				a.Members["expires_in"] = life.Seconds()
			}
		},
	})}
	var arrived atomic.Int64
	all := make(chan struct{})
	var err error
	s.auth, err = lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: s.as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{s.as.API()},
	}, &lazyauth.Options{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
		res, err := s.as.Transport().RoundTrip(req)
		if s.as.Count(fakeas.Refresh, "") > 0 {
			<-all
		}
		return res, err
	})})
	if err != nil {
		b.Fatal(err)
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil)
	lazyauth.AddTool(server, s.auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
		func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			_, err := lazyauth.TokenSource(ctx).Token()
			return nil, world.Answer{Text: "hello"}, err
		})
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
			if strings.HasSuffix(method, "/call") && arrived.Add(1) == calls {
				close(all)
			}
			return next(ctx, method, req)
		}
	})
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(b.Context(), there, nil); err != nil {
		b.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "host"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			s.prompts.Add(1)
			return &mcp.ElicitResult{Action: "accept"}, nil
		},
	})
	s.session, err = client.Connect(b.Context(), here, &mcp.ClientSessionOptions{ProtocolVersion: era})
	if err != nil {
		b.Fatal(err)
	}
	err = s.auth.Authorize(b.Context(), lazyauth.LocalUser, scopes.Of("profile"),
		func(_ context.Context, p elicit.Prompt) error { return s.as.Approve(p.UserCode) })
	if err != nil {
		b.Fatal(err)
	}
	<-time.After(life)
	return s
}

// BenchmarkRefreshStorm lets a token end and then makes 10,000 calls at once. The answer
// to the refresh is held back until all of them have arrived, so that all have to wait
// for it. It reports what one such expiry causes: one refresh, no prompt, and no call
// that is sent away or fails.
func BenchmarkRefreshStorm(b *testing.B) {
	calls := manyCalls()
	for _, era := range world.Eras {
		b.Run(map[string]string{world.Legacy: "legacy", world.Modern: "modern"}[era], func(b *testing.B) {
			var refreshes, prompts, bounced, failed atomic.Int64
			for b.Loop() {
				b.StopTimer()
				s := newStorm(b, era, int64(calls))
				b.StartTimer()
				var wg sync.WaitGroup
				for range calls {
					wg.Go(func() {
						result, err := s.session.CallTool(b.Context(), &mcp.CallToolParams{Name: "whoami"})
						switch {
						case err != nil:
							failed.Add(1)
						case result.IsError:
							bounced.Add(1)
						}
					})
				}
				wg.Wait()
				b.StopTimer()
				refreshes.Add(int64(s.as.Count(fakeas.Refresh, "")))
				prompts.Add(s.prompts.Load())
				if v := s.as.Violations(); len(v) > 0 {
					b.Errorf("violations: %v", v)
				}
				s.session.Close()
				s.auth.Close()
				b.StartTimer()
			}
			for name, n := range map[string]*atomic.Int64{"refreshes": &refreshes, "prompts": &prompts, "bounced": &bounced, "errors": &failed} {
				b.ReportMetric(float64(n.Load())/float64(b.N), name)
				if want := map[string]int64{"refreshes": int64(b.N)}[name]; n.Load() != want {
					b.Errorf("%d %s in %d expiries, want %d", n.Load(), name, b.N, want)
				}
			}
		})
	}
}

// A storm is a host with an expired grant.
type storm struct {
	as      *fakeas.Server
	auth    *lazyauth.Interceptor
	session *mcp.ClientSession
	prompts atomic.Int64
}
