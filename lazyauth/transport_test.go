package lazyauth_test

import (
	"context"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestTransport_TokenStaysWithTheAPI(t *testing.T) {
	for target, want := range map[string]string{
		"https://evil.example/":              "https://evil.example",
		"https://api.example.test.evil.org/": "https://api.example.test.evil.org",
		"https://api.example.test:8443/":     "https://api.example.test:8443",
		"http://api.example.test:443/":       "http://api.example.test:443",
		"https://ap%C4%B0.example.test/":     "https://ap\u0130.example.test", // whose lower case in Unicode is ours
		"https://api.example.te%C5%BFt/":     "https://api.example.te\u017ft", // whose upper case is
		"https://api.example.test./":         "https://api.example.test.",
		"https://API.example.TEST:443/moved": "https://API.example.TEST:443+token https://evil.example",
	} {
		t.Run(target, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				var e elsewhere
				w := world.New(t, world.Setup{
					Options: lazyauth.Options{Transport: &e},
					Tools: func(w *world.World) {
						e.next = w.AS.Transport()
						lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "fetch"}, scopes.Of("profile"),
							func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
								return world.ReadAnswer(lazyauth.Client(ctx).Get(target))
							})
					},
				})
				call := w.Host(era, world.Accepts).Call(t.Context(), "fetch", nil)
				w.Approves()
				(<-call).Succeeds(t, "elsewhere")
				if got := strings.Join(e.seen, " "); got != want {
					t.Errorf("requests went to %s, want %s", got, want)
				}
			})
		})
	}
}
