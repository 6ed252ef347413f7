package lazyauth_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type spanKey struct{}

// The context of each hook has the values of the request that it tells of, or that caused
// the flight or the refresh that it tells of: a span can be tied to it.
func TestTrace_HasTheValuesOfTheRequest(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var mu sync.Mutex
		spans := map[string]any{}
		note := func(hook string, ctx context.Context) {
			mu.Lock()
			defer mu.Unlock()
			spans[hook] = ctx.Value(spanKey{})
		}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Trace: &lazyauth.Trace{
			Waiting:   func(ctx context.Context, _ lazyauth.WaitingInfo) { note("waiting", ctx) },
			Prompted:  func(ctx context.Context, _ lazyauth.PromptedInfo) { note("prompted", ctx) },
			Polled:    func(ctx context.Context, _ lazyauth.PolledInfo) { note("polled", ctx) },
			Granted:   func(ctx context.Context, _ lazyauth.GrantedInfo) { note("granted", ctx) },
			Refreshed: func(ctx context.Context, _ lazyauth.RefreshedInfo) { note("refreshed", ctx) },
			Failed:    func(ctx context.Context, _ lazyauth.FailedInfo) { note("failed", ctx) },
		}}})
		calls := 0
		w.Server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if method == "tools/call" {
					mu.Lock()
					calls++
					ctx = context.WithValue(ctx, spanKey{}, calls)
					mu.Unlock()
				}
				return next(ctx, method, req)
			}
		})
		h := w.SignedIn(era)
		world.Later(2 * time.Minute) // the token has ended
		before := calls
		h.Gets("whoami", nil, "Ada")
		refused := h.Call(t.Context(), "list_notes", nil)
		w.Denies()
		(<-refused).Fails(t, lazyauth.ReasonDenied)
		mu.Lock()
		defer mu.Unlock()
		for _, hook := range []string{"waiting", "prompted", "polled", "granted", "refreshed", "failed"} {
			if n, ok := spans[hook].(int); !ok || n == 0 || hook == "refreshed" && n != before+1 {
				t.Errorf("%s: the context has the value %v", hook, spans[hook])
			}
		}
	})
}
