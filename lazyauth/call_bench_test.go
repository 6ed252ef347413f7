package lazyauth_test

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// BenchmarkFirstCalls makes 10,000 first calls at once, against a server that
// answers every request after 100 ms, and reports what one such burst causes:
// one device authorization, one prompt, and no call that is sent away or fails.
func BenchmarkFirstCalls(b *testing.B) {
	calls := manyCalls()
	for _, era := range world.Eras {
		b.Run(map[string]string{world.Legacy: "legacy", world.Modern: "modern"}[era], func(b *testing.B) {
			var authorizations, prompts, bounced, failed atomic.Int64
			for b.Loop() {
				as := fakeas.New(&fakeas.Options{Latency: 100 * time.Millisecond, Interval: time.Second})
				auth, err := lazyauth.New(lazyauth.Service{
					Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
				}, &lazyauth.Options{Transport: as.Transport()})
				if err != nil {
					b.Fatal(err)
				}
				server := mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil)
				lazyauth.AddTool(server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
					func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						_, err := lazyauth.TokenSource(ctx).Token()
						return nil, world.Answer{Text: "hello"}, err
					})
				here, there := mcp.NewInMemoryTransports()
				if _, err := server.Connect(b.Context(), there, nil); err != nil {
					b.Fatal(err)
				}
				client := mcp.NewClient(&mcp.Implementation{Name: "host"}, &mcp.ClientOptions{
					Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
					ElicitationHandler: func(context.Context, *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
						prompts.Add(1)
						return &mcp.ElicitResult{Action: "accept"}, nil
					},
				})
				session, err := client.Connect(b.Context(), here, &mcp.ClientSessionOptions{ProtocolVersion: era})
				if err != nil {
					b.Fatal(err)
				}
				var wg sync.WaitGroup
				for range calls {
					wg.Go(func() {
						result, err := session.CallTool(b.Context(), &mcp.CallToolParams{Name: "whoami"})
						switch {
						case err != nil:
							failed.Add(1)
						case result.IsError:
							bounced.Add(1)
						}
					})
				}
				req, err := as.WaitForRequest(b.Context())
				if err != nil {
					b.Fatal(err)
				}
				if err := as.Approve(req.UserCode); err != nil {
					b.Fatal(err)
				}
				wg.Wait()
				authorizations.Add(int64(as.Count(fakeas.DeviceAuthorization, "")))
				if v := as.Violations(); len(v) > 0 {
					b.Errorf("violations: %v", v)
				}
				session.Close()
				auth.Close()
			}
			for name, n := range map[string]*atomic.Int64{"device-auths": &authorizations, "prompts": &prompts, "bounced": &bounced, "errors": &failed} {
				b.ReportMetric(float64(n.Load())/float64(b.N), name)
			}
		})
	}
}
