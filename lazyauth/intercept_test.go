package lazyauth_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// existing is a server whose tools were registered without lazyauth.
func existing(policy scopes.Policy) func(*world) {
	return func(w *world) {
		me := func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
			return w.get(ctx, "/me")
		}
		mcp.AddTool(w.server, &mcp.Tool{Name: "whoami"}, counted(w, "whoami", me))
		mcp.AddTool(w.server, &mcp.Tool{Name: "unlisted"}, counted(w, "unlisted", me))
		mcp.AddTool(w.server, &mcp.Tool{Name: "ping"}, func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
			return nil, answer{"pong"}, nil
		})
		mcp.AddTool(w.server, &mcp.Tool{Name: "create_note"}, counted(w, "create_note",
			func(ctx context.Context, _ *mcp.CallToolRequest, in noteArgs) (*mcp.CallToolResult, answer, error) {
				if _, _, err := w.post(ctx, in); err != nil {
					return nil, answer{}, err
				}
				return w.get(ctx, "/notes") // needs more: challenged in the middle
			}))
		w.auth.Intercept(w.server, policy)
	}
}

var notesPolicy = scopes.Policy{Tools: map[string]scopes.Requirement{
	"whoami":      scopes.Of("profile"),
	"create_note": scopes.Of("notes:write"),
	"list_notes":  scopes.Of("notes:read"),
}}

func TestIntercept(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: existing(notesPolicy)})
		h := w.host(era, accepts)
		h.gets("ping", nil, "pong")
		list, err := h.session.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range list.Tools {
			if _, told := tool.Meta[lazyauth.MetaSecuritySchemes]; told != (tool.Name == "whoami" || tool.Name == "create_note") {
				t.Errorf("%s tells what it needs: %t", tool.Name, told)
			}
		}
		// Nobody is asked because of a typo, or for a tool that is not there.
		if r := <-h.call(t.Context(), "create_note", map[string]any{"txet": "x"}); r.err != nil || !r.result.IsError || !strings.Contains(r.text(), "arguments") || !strings.Contains(r.text(), "txet") {
			t.Errorf("a typo got %q, %v", r.text(), r.err)
		}
		if r := <-h.call(t.Context(), "list_notes", nil); r.err == nil || !strings.Contains(r.err.Error(), "unknown tool") {
			t.Errorf("an unknown tool got %q, %v", r.text(), r.err)
		}
		h.wantPrompts(0)

		call := h.call(t.Context(), "create_note", noteArgs{"x"})
		w.approves()
		w.approves() // challenged in the middle of the handler
		(<-call).succeeds(t, "x")
		h.gets("whoami", nil, "Ada")
		h.wantPrompts(2)
		w.wantAuthorizations(2)
		if n := w.starts("create_note"); n != 1 {
			t.Errorf("the handler started %d times", n)
		}
	})
}

// Whatever stands for the arguments of a call, the server answers it, and null is none:
// input schemas have defaults, which are filled in before the handler.
func TestArgumentsOfAnyKind(t *testing.T) {
	schema := json.RawMessage(`{"type":"object","properties":{"limit":{"type":"integer","default":30},
		"page":{"type":"object","properties":{"size":{"type":"integer","default":10}}}}}`)
	type listArgs struct {
		Limit int `json:"limit,omitempty"`
		Page  struct {
			Size int `json:"size,omitempty"`
		} `json:"page,omitzero"`
	}
	typed := func(_ context.Context, _ *mcp.CallToolRequest, in listArgs) (*mcp.CallToolResult, answer, error) {
		return nil, answer{fmt.Sprint(in.Limit)}, nil
	}
	raw := func(_ context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "30"}}}, nil
	}
	for _, tool := range []string{"added", "typed", "free", "raw"} {
		t.Run(tool, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{tools: func(w *world) {
					tool := func(name string) *mcp.Tool { return &mcp.Tool{Name: name, InputSchema: schema} }
					lazyauth.AddTool(w.server, w.auth, tool("added"), scopes.Of("profile"), typed)
					mcp.AddTool(w.server, tool("typed"), typed)
					mcp.AddTool(w.server, tool("free"), typed)
					w.server.AddTool(tool("raw"), raw)
					w.auth.Intercept(w.server, scopes.Policy{Tools: map[string]scopes.Requirement{"typed": scopes.Of("profile"), "raw": scopes.Of("profile")}})
				}})
				h := w.host(era, accepts)
				for n, arguments := range []string{`null`, ` null `, `{}`, `{"page":{}}`} {
					for _, bad := range []string{`[]`, `5`, `"x"`, `true`, `{"limit":"x"}`, `{"page":5}`} {
						r := <-h.call(t.Context(), tool, json.RawMessage(bad))
						if refused := r.err != nil || r.result.IsError; !refused && (tool != "raw" || n == 0) { // a raw handler validates for itself
							t.Errorf("the arguments %s got %q", bad, r.text())
						}
					}
					call := h.call(t.Context(), tool, json.RawMessage(arguments))
					if n == 0 && tool != "free" {
						w.approves()
					}
					(<-call).succeeds(t, "30")
				}
			})
		})
	}
}

// A tool that may use nothing, because the policy lists it with nil or lists it not at
// all, gets neither the client nor the token nor what it requires, and prompts nobody.
func TestInterceptMayUseNothing(t *testing.T) {
	for name, policy := range map[string]scopes.Policy{
		"listed with nil": {Tools: map[string]scopes.Requirement{"curious": nil, "own": nil}, Unlisted: scopes.Of("profile", "notes:write")},
		"not listed":      {Tools: map[string]scopes.Requirement{"own": nil}},
	} {
		for way, use := range map[string]func(context.Context, *world) error{
			"client": func(ctx context.Context, w *world) error {
				_, _, err := w.get(ctx, "/me")
				return err
			},
			"token": func(ctx context.Context, _ *world) error {
				_, err := lazyauth.TokenSource(ctx).Token()
				return err
			},
			"require": func(ctx context.Context, _ *world) error { return lazyauth.Require(ctx, scopes.Of("notes:write")) },
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				inBothEras(t, func(t *testing.T, era string) {
					ran := 0
					w := newWorld(t, setup{tools: func(w *world) {
						handler := func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
							ran++
							return nil, answer{"ran"}, use(ctx, w)
						}
						mcp.AddTool(w.server, &mcp.Tool{Name: "curious"}, handler)
						mcp.AddTool(w.server, &mcp.Tool{Name: "whoami"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
							return w.get(ctx, "/me")
						})
						lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "own"}, scopes.Of("profile"), handler)
						policy := scopes.Policy{Tools: maps.Clone(policy.Tools), Unlisted: policy.Unlisted}
						policy.Tools["whoami"] = scopes.Of("profile", "notes:write")
						w.auth.Intercept(w.server, policy)
					}})
					h := w.host(era, accepts)
					// Nor is it given a grant that is there already.
					for _, granted := range []bool{false, true} {
						if granted {
							call := h.call(t.Context(), "whoami", nil)
							w.approves()
							(<-call).succeeds(t, "Ada")
						}
						prompts := len(h.shown())
						(<-h.call(t.Context(), "curious", nil)).fails(t, lazyauth.ReasonExceeded)
						(<-h.call(t.Context(), "own", nil)).fails(t, lazyauth.ReasonExceeded)
						if len(h.shown()) != prompts {
							t.Errorf("prompted: %q", h.shown()[prompts].Message)
						}
					}
					if ran != 2 {
						t.Errorf("handlers ran %d times, want that of the tool of the author's alone, twice", ran)
					}
				})
			})
		}
	}
}

func TestInterceptUnlisted(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			w := newWorld(t, setup{tools: existing(notesPolicy)})
			h := w.host(era, accepts)
			call := h.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			// A grant is there, and yet this tool may not use it.
			r := <-h.call(t.Context(), "unlisted", nil)
			r.fails(t, lazyauth.ReasonExceeded)
			if !strings.Contains(r.text(), "scopes.Policy") {
				t.Errorf("%q does not say what to do", r.text())
			}
			h.wantPrompts(1)
		})
	})
	t.Run("asked at first use", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			policy := notesPolicy
			policy.Unlisted = scopes.Of("profile")
			w := newWorld(t, setup{tools: existing(policy)})
			h := w.host(era, accepts)
			call := h.call(t.Context(), "unlisted", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			if n := w.starts("unlisted"); n != 1 {
				t.Errorf("the handler started %d times", n)
			}
		})
	})
	t.Run("a caller who is not known", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			policy := notesPolicy
			policy.Unlisted = scopes.Of("profile")
			w := newWorld(t, setup{tools: existing(policy)})
			known, unknown := w.host(era, accepts), w.host(era, accepts)
			call := known.call(t.Context(), "unlisted", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			unknown.gets("ping", nil, "pong")
			r := <-unknown.call(t.Context(), "unlisted", nil)
			r.fails(t, lazyauth.ReasonAnonymous)
			(<-unknown.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonAnonymous)
		})
	})
}

func TestHandler(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			raw := w.auth.Handler("raw", scopes.Of("profile"), func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				_, a, err := w.get(ctx, "/me")
				if err != nil {
					return nil, err
				}
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: a.Text}}}, nil
			})
			w.server.AddTool(&mcp.Tool{Name: "raw", InputSchema: map[string]any{"type": "object"}}, raw)
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "raw", nil)
		w.denies()
		(<-call).fails(t, lazyauth.ReasonDenied)
		call = h.call(t.Context(), "raw", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
	})
	t.Run("text", func(t *testing.T) {
		inBothEras(t, func(t *testing.T, era string) {
			w := newWorld(t, setup{tools: existing(notesPolicy)})
			h := w.host(era, nil)
			r := <-h.call(t.Context(), "whoami", nil)
			r.fails(t, lazyauth.ReasonPending)
			if !strings.Contains(r.text(), w.person().UserCode) {
				t.Errorf("%q lacks the code", r.text())
			}
			later(2 * time.Second)
			call := h.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
		})
	})
}
