package lazyauth_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func rawTool(w *world, name string) {
	w.server.AddTool(&mcp.Tool{Name: name, InputSchema: map[string]any{"type": "object", "properties": map[string]any{"id": map[string]any{"type": "string"}}, "additionalProperties": false}},
		func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			w.mu.Lock()
			w.started[name]++
			w.mu.Unlock()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "deleted"}}}, nil
		})
}

// A listed tool that does not validate its arguments itself does not run on bad
// ones without a grant.
func TestRawBypass(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			rawTool(w, "delete_all")
			w.auth.Intercept(w.server, scopes.Policy{Tools: map[string]scopes.Requirement{"delete_all": scopes.Of("profile")}})
		}})
		h := w.host(era, accepts)
		r := <-h.call(t.Context(), "delete_all", map[string]any{"bogus": 1})
		if w.starts("delete_all") != 0 {
			t.Errorf("the gated handler ran without a grant: %q", r.text())
		}
		h.wantPrompts(0)
	})
}

// A listed tool that the author's own middleware hides from tools/list is refused.
func TestHiddenBypass(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			rawTool(w, "delete_all")
			w.server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, m string, r mcp.Request) (mcp.Result, error) {
					if m == "tools/list" {
						return &mcp.ListToolsResult{Tools: []*mcp.Tool{}}, nil
					}
					return next(ctx, m, r)
				}
			})
			w.auth.Intercept(w.server, scopes.Policy{Tools: map[string]scopes.Requirement{"delete_all": scopes.Of("profile")}})
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "delete_all", map[string]any{"id": "x"})
		later(time.Second)
		if w.starts("delete_all") != 0 {
			r := <-call
			t.Errorf("the gated handler ran without a grant: %q", r.text())
		}
	})
}

// A tool that was added to one server does not switch the policy of another off.
func TestOwnNameBypass(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			other := mcp.NewServer(&mcp.Implementation{Name: "other", Version: "1"}, nil)
			lazyauth.AddTool(other, w.auth, &mcp.Tool{Name: "delete_all"}, scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
				return nil, answer{}, nil
			})
			rawTool(w, "delete_all")
			w.auth.Intercept(w.server, scopes.Policy{Tools: map[string]scopes.Requirement{"delete_all": scopes.Of("profile")}})
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "delete_all", map[string]any{"id": "x"})
		later(time.Second)
		if w.starts("delete_all") != 0 {
			r := <-call
			t.Errorf("the gated handler ran without a grant: %q", r.text())
		}
	})
}

// Nothing satisfies a nil requirement, so nobody is asked for it.
func TestNilNeedAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
		defer cancel()
		shown := 0
		err := w.auth.Authorize(ctx, lazyauth.LocalUser, nil, func(_ context.Context, p elicit.Prompt) error {
			shown++
			return w.as.Approve(p.UserCode)
		})
		if shown != 0 || reasonOf(err) != lazyauth.ReasonExceeded {
			t.Errorf("the person was asked %d times, and it ended with %v", shown, err)
		}
	})
}

func TestNilNeedHandler(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			raw := w.auth.Handler("raw", nil, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return &mcp.CallToolResult{}, nil
			})
			w.server.AddTool(&mcp.Tool{Name: "raw", InputSchema: map[string]any{"type": "object"}}, raw)
		}})
		h := w.host(era, func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			for _, r := range w.as.Waiting() {
				w.as.Approve(r.UserCode)
			}
			return accepts(ctx, p)
		})
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		r := <-h.call(ctx, "raw", nil)
		r.fails(t, lazyauth.ReasonExceeded)
		h.wantPrompts(0)
	})
}

// A grant that lacks only what the service names, and nobody needs, is kept: the
// call that it admits does not ask again at each request.
func TestDroppedGrant(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{
			as:      fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write", "offline_access"}},
			service: func(s *lazyauth.Service) { s.Scopes = scopes.Of("offline_access") },
			tools: func(w *world) {
				w.addTools()
				lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "thrice"}, scopes.Of("notes:read"), counted(w, "thrice",
					func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
						for range 2 {
							if _, _, err := w.get(ctx, "/notes"); err != nil {
								return nil, answer{}, err
							}
						}
						return w.get(ctx, "/notes")
					}))
			}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "create_note", noteArgs{"x"})
		w.approves("notes:write") // the server drops offline_access without a word
		(<-call).succeeds(t, "x")
		call = h.call(t.Context(), "thrice", nil)
		go func() {
			for {
				select {
				case <-time.After(10 * time.Second):
				case <-t.Context().Done():
					return
				}
				for _, r := range w.as.Waiting() {
					w.as.Approve(r.UserCode, "notes:read") // always exactly this tool's need
				}
			}
		}()
		(<-call).succeeds(t, "x")
		h.wantPrompts(2)
		w.wantAuthorizations(2)
	})
}

// An API that always says that the token has nothing cannot have the person asked
// for each request.
func TestHeldNagging(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{
			service: func(s *lazyauth.Service) { s.Dialect = scopes.GitHubDemand },
			tools: func(w *world) {
				w.addTools()
				lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "five"}, scopes.Of("notes:read"), counted(w, "five",
					func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
						for range 5 {
							w.get(ctx, "/notes") // the author goes on with the next item
						}
						return nil, answer{"done"}, nil
					}))
			}})
		w.as.Script(fakeas.ListNotes, fakeas.Raw(403, http.Header{"X-Oauth-Scopes": {""}, "X-Accepted-Oauth-Scopes": {"notes:read"}}, "{}").Times(-1))
		h := w.host(era, accepts)
		call := h.call(t.Context(), "five", nil)
		go func() {
			for {
				select {
				case <-time.After(time.Second):
				case <-t.Context().Done():
					return
				}
				for _, r := range w.as.Waiting() {
					w.as.Approve(r.UserCode)
				}
			}
		}()
		(<-call).succeeds(t, "done")
		h.wantPrompts(2)
	})
}

// Two interceptors on one server do not hide each other's grants.
func TestTwoIntercepts(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
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
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			second, err := lazyauth.New(lazyauth.Service{Name: "Other", Issuer: "https://other.example", ClientID: "x"}, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { second.Close() })
			second.Intercept(w.server, scopes.Policy{Tools: map[string]scopes.Requirement{"elsewhere": scopes.Of("a")}})
			existing(notesPolicy)(w)
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
	})
}

var _ = strings.Contains
