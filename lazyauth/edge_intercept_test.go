package lazyauth_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func rawTool(w *world.World, name string) {
	w.Server.AddTool(&mcp.Tool{Name: name, InputSchema: map[string]any{"type": "object", "properties": map[string]any{"id": map[string]any{"type": "string"}}, "additionalProperties": false}},
		func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			defer w.Begins(name)()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "deleted"}}}, nil
		})
}

// A listed tool that does not validate its arguments itself does not run on bad
// ones without a grant.
func TestRawBypass(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			rawTool(w, "delete_all")
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"delete_all": scopes.Of("profile")}})
		}})
		h := w.Host(era, world.Accepts)
		r := <-h.Call(t.Context(), "delete_all", map[string]any{"bogus": 1})
		if w.Starts("delete_all") != 0 {
			t.Errorf("the gated handler ran without a grant: %q", r.Text())
		}
		h.WantPrompts(0)
	})
}

// A listed tool that the author's own middleware hides from tools/list is refused.
func TestHiddenBypass(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			rawTool(w, "delete_all")
			w.Server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, m string, r mcp.Request) (mcp.Result, error) {
					if m == "tools/list" {
						return &mcp.ListToolsResult{Tools: []*mcp.Tool{}}, nil
					}
					return next(ctx, m, r)
				}
			})
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"delete_all": scopes.Of("profile")}})
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "delete_all", map[string]any{"id": "x"})
		world.Later(time.Second)
		if w.Starts("delete_all") != 0 {
			r := <-call
			t.Errorf("the gated handler ran without a grant: %q", r.Text())
		}
	})
}

// A tool that was added to one server does not switch the policy of another off.
func TestOwnNameBypass(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			other := mcp.NewServer(&mcp.Implementation{Name: "other", Version: "1"}, nil)
			lazyauth.AddTool(other, w.Auth, &mcp.Tool{Name: "delete_all"}, scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				return nil, world.Answer{}, nil
			})
			rawTool(w, "delete_all")
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"delete_all": scopes.Of("profile")}})
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "delete_all", map[string]any{"id": "x"})
		world.Later(time.Second)
		if w.Starts("delete_all") != 0 {
			r := <-call
			t.Errorf("the gated handler ran without a grant: %q", r.Text())
		}
	})
}

// Nothing satisfies a nil requirement, so nobody is asked for it.
func TestNilNeedAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		shown := 0
		err := w.Auth.Authorize(ctx, lazyauth.LocalUser, nil, func(_ context.Context, p elicit.Prompt) error {
			shown++
			return w.AS.Approve(p.UserCode)
		})
		if shown != 0 || reasonOf(err) != lazyauth.ReasonExceeded {
			t.Errorf("the person was asked %d times, and it ended with %v", shown, err)
		}
	})
}

func TestNilNeedHandler(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			raw := w.Auth.Handler("raw", nil, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return &mcp.CallToolResult{}, nil
			})
			w.Server.AddTool(&mcp.Tool{Name: "raw", InputSchema: map[string]any{"type": "object"}}, raw)
		}})
		h := w.Host(era, func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			for _, r := range w.AS.Waiting() {
				w.AS.Approve(r.UserCode)
			}
			return world.Accepts(ctx, p)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		r := <-h.Call(ctx, "raw", nil)
		r.Fails(t, lazyauth.ReasonExceeded)
		h.WantPrompts(0)
	})
}

// A grant that lacks only what the service names, and nobody needs, is kept: the
// call that it admits does not ask again at each request.
func TestDroppedGrant(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write", "offline_access"}},
			Service: func(s *lazyauth.Service) { s.Scopes = scopes.Of("offline_access") },
			Tools: func(w *world.World) {
				w.AddTools()
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "thrice"}, scopes.Of("notes:read"), world.Counted(w, "thrice",
					func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						for range 2 {
							if _, _, err := w.Get(ctx, "/notes"); err != nil {
								return nil, world.Answer{}, err
							}
						}
						return w.Get(ctx, "/notes")
					}))
			}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves("notes:write") // the server drops offline_access without a word
		(<-call).Succeeds(t, "x")
		call = h.Call(t.Context(), "thrice", nil)
		go func() {
			for {
				select {
				case <-time.After(10 * time.Second):
				case <-t.Context().Done():
					return
				}
				for _, r := range w.AS.Waiting() {
					w.AS.Approve(r.UserCode, "notes:read") // always exactly this tool's need
				}
			}
		}()
		(<-call).Succeeds(t, "x")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
	})
}

// An API that always says that the token has nothing cannot have the person asked
// for each request.
func TestHeldNagging(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			Service: func(s *lazyauth.Service) { s.Dialect = scopes.GitHubDemand },
			Tools: func(w *world.World) {
				w.AddTools()
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "five"}, scopes.Of("notes:read"), world.Counted(w, "five",
					func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						for range 5 {
							w.Get(ctx, "/notes") // the author goes on with the next item
						}
						return nil, world.Answer{Text: "done"}, nil
					}))
			}})
		w.AS.Script(fakeas.ListNotes, fakeas.Raw(403, http.Header{"X-Oauth-Scopes": {""}, "X-Accepted-Oauth-Scopes": {"notes:read"}}, "{}").Times(-1))
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "five", nil)
		go func() {
			for {
				select {
				case <-time.After(time.Second):
				case <-t.Context().Done():
					return
				}
				for _, r := range w.AS.Waiting() {
					w.AS.Approve(r.UserCode)
				}
			}
		}()
		(<-call).Succeeds(t, "done")
		h.WantPrompts(2)
	})
}

// Two interceptors on one server do not hide each other's grants.
func TestTwoIntercepts(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			second, err := lazyauth.New(lazyauth.Service{Name: "Other", Issuer: "https://other.example", ClientID: "x"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { second.Close() })
			existing(notesPolicy)(w)
			_ = second
		}})
		_ = w
	})
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			second, err := lazyauth.New(lazyauth.Service{Name: "Other", Issuer: "https://other.example", ClientID: "x"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { second.Close() })
			second.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"elsewhere": scopes.Of("a")}})
			existing(notesPolicy)(w)
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
}

var _ = strings.Contains
