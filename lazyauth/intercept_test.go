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
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// existing is a server whose tools were registered without lazyauth.
func existing(policy scopes.Policy) func(*world.World) {
	return func(w *world.World) {
		me := func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			return w.Get(ctx, "/me")
		}
		mcp.AddTool(w.Server, &mcp.Tool{Name: "whoami"}, world.Counted(w, "whoami", me))
		mcp.AddTool(w.Server, &mcp.Tool{Name: "unlisted"}, world.Counted(w, "unlisted", me))
		mcp.AddTool(w.Server, &mcp.Tool{Name: "ping"}, func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			return nil, world.Answer{Text: "pong"}, nil
		})
		mcp.AddTool(w.Server, &mcp.Tool{Name: "create_note"}, world.Counted(w, "create_note",
			func(ctx context.Context, _ *mcp.CallToolRequest, in world.Note) (*mcp.CallToolResult, world.Answer, error) {
				if _, _, err := w.Post(ctx, in); err != nil {
					return nil, world.Answer{}, err
				}
				return w.Get(ctx, "/notes") // needs more: challenged in the middle
			}))
		w.Auth.Intercept(w.Server, policy)
	}
}

var notesPolicy = scopes.Policy{Tools: map[string]scopes.Requirement{
	"whoami":      scopes.Of("profile"),
	"create_note": scopes.Of("notes:write"),
	"list_notes":  scopes.Of("notes:read"),
}}

func TestIntercept_ByPolicy(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: existing(notesPolicy)})
		h := w.Host(era, world.Accepts)
		h.Gets("ping", nil, "pong")
		list, err := h.Session.ListTools(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, tool := range list.Tools {
			if _, told := tool.Meta[lazyauth.MetaSecuritySchemes]; told != (tool.Name == "whoami" || tool.Name == "create_note") {
				t.Errorf("%s tells what it needs: %t", tool.Name, told)
			}
		}
		// Nobody is asked because of a typo, or for a tool that is not there.
		if r := <-h.Call(t.Context(), "create_note", map[string]any{"txet": "x"}); r.Err != nil || !r.Result.IsError || !strings.Contains(r.Text(), "arguments") || !strings.Contains(r.Text(), "txet") {
			t.Errorf("a typo got %q, %v", r.Text(), r.Err)
		}
		if r := <-h.Call(t.Context(), "list_notes", nil); r.Err == nil || !strings.Contains(r.Err.Error(), "unknown tool") {
			t.Errorf("an unknown tool got %q, %v", r.Text(), r.Err)
		}
		h.WantPrompts(0)

		call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves()
		w.Approves() // challenged in the middle of the handler
		(<-call).Succeeds(t, "x")
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
		if n := w.Starts("create_note"); n != 1 {
			t.Errorf("the handler started %d times", n)
		}
	})
}

// Whatever stands for the arguments of a call, the server answers it, and null is none:
// input schemas have defaults, which are filled in before the handler.
func TestIntercept_ArgumentsOfAnyKind(t *testing.T) {
	schema := json.RawMessage(`{"type":"object","properties":{"limit":{"type":"integer","default":30},
		"page":{"type":"object","properties":{"size":{"type":"integer","default":10}}}}}`)
	type listArgs struct {
		Limit int `json:"limit,omitempty"`
		Page  struct {
			Size int `json:"size,omitempty"`
		} `json:"page,omitzero"`
	}
	typed := func(_ context.Context, _ *mcp.CallToolRequest, in listArgs) (*mcp.CallToolResult, world.Answer, error) {
		return nil, world.Answer{Text: fmt.Sprint(in.Limit)}, nil
	}
	raw := func(_ context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "30"}}}, nil
	}
	for _, tool := range []string{"added", "typed", "free", "raw"} {
		t.Run(tool, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Tools: func(w *world.World) {
					tool := func(name string) *mcp.Tool { return &mcp.Tool{Name: name, InputSchema: schema} }
					lazyauth.AddTool(w.Server, w.Auth, tool("added"), scopes.Of("profile"), typed)
					mcp.AddTool(w.Server, tool("typed"), typed)
					mcp.AddTool(w.Server, tool("free"), typed)
					w.Server.AddTool(tool("raw"), raw)
					w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"typed": scopes.Of("profile"), "raw": scopes.Of("profile")}})
				}})
				h := w.Host(era, world.Accepts)
				for n, arguments := range []string{`null`, ` null `, `{}`, `{"page":{}}`} {
					for _, bad := range []string{`[]`, `5`, `"x"`, `true`, `{"limit":"x"}`, `{"page":5}`} {
						r := <-h.Call(t.Context(), tool, json.RawMessage(bad))
						if refused := r.Err != nil || r.Result.IsError; !refused && (tool != "raw" || n == 0) { // a raw handler validates for itself
							t.Errorf("the arguments %s got %q", bad, r.Text())
						}
					}
					call := h.Call(t.Context(), tool, json.RawMessage(arguments))
					if n == 0 && tool != "free" {
						w.Approves()
					}
					(<-call).Succeeds(t, "30")
				}
			})
		})
	}
}

// A tool that may use nothing, because the policy lists it with nil or lists it not at
// all, gets neither the client nor the token nor what it requires, and prompts nobody.
func TestIntercept_MayUseNothing(t *testing.T) {
	for name, policy := range map[string]scopes.Policy{
		"listed with nil": {Tools: map[string]scopes.Requirement{"curious": nil, "own": nil}, Unlisted: scopes.Of("profile", "notes:write")},
		"not listed":      {Tools: map[string]scopes.Requirement{"own": nil}},
	} {
		for way, use := range map[string]func(context.Context, *world.World) error{
			"client": func(ctx context.Context, w *world.World) error {
				_, _, err := w.Get(ctx, "/me")
				return err
			},
			"token": func(ctx context.Context, _ *world.World) error {
				_, err := lazyauth.TokenSource(ctx).Token()
				return err
			},
			"require": func(ctx context.Context, _ *world.World) error {
				return lazyauth.Require(ctx, scopes.Of("notes:write"))
			},
		} {
			t.Run(name+"/"+way, func(t *testing.T) {
				world.InBothEras(t, func(t *testing.T, era string) {
					ran := 0
					w := world.New(t, world.Setup{Tools: func(w *world.World) {
						handler := func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
							ran++
							return nil, world.Answer{Text: "ran"}, use(ctx, w)
						}
						mcp.AddTool(w.Server, &mcp.Tool{Name: "curious"}, handler)
						mcp.AddTool(w.Server, &mcp.Tool{Name: "whoami"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
							return w.Get(ctx, "/me")
						})
						lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "own"}, scopes.Of("profile"), handler)
						policy := scopes.Policy{Tools: maps.Clone(policy.Tools), Unlisted: policy.Unlisted}
						policy.Tools["whoami"] = scopes.Of("profile", "notes:write")
						w.Auth.Intercept(w.Server, policy)
					}})
					h := w.Host(era, world.Accepts)
					// Nor is it given a grant that is there already.
					for _, granted := range []bool{false, true} {
						if granted {
							call := h.Call(t.Context(), "whoami", nil)
							w.Approves()
							(<-call).Succeeds(t, "Ada")
						}
						prompts := len(h.Shown())
						(<-h.Call(t.Context(), "curious", nil)).Fails(t, lazyauth.ReasonExceeded)
						(<-h.Call(t.Context(), "own", nil)).Fails(t, lazyauth.ReasonExceeded)
						if len(h.Shown()) != prompts {
							t.Errorf("prompted: %q", h.Shown()[prompts].Message)
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

func TestIntercept_Unlisted(t *testing.T) {
	t.Run("refused", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{Tools: existing(notesPolicy)})
			h := w.SignedIn(era)
			// A grant is there, and yet this tool may not use it.
			r := <-h.Call(t.Context(), "unlisted", nil)
			r.Fails(t, lazyauth.ReasonExceeded)
			if !strings.Contains(r.Text(), "scopes.Policy") {
				t.Errorf("%q does not say what to do", r.Text())
			}
			h.WantPrompts(1)
		})
	})
	t.Run("asked at first use", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			policy := notesPolicy
			policy.Unlisted = scopes.Of("profile")
			w := world.New(t, world.Setup{Tools: existing(policy)})
			h := w.Host(era, world.Accepts)
			call := h.Call(t.Context(), "unlisted", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
			if n := w.Starts("unlisted"); n != 1 {
				t.Errorf("the handler started %d times", n)
			}
		})
	})
	t.Run("a caller who is not known", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			policy := notesPolicy
			policy.Unlisted = scopes.Of("profile")
			w := world.New(t, world.Setup{Tools: existing(policy)})
			known, unknown := w.Host(era, world.Accepts), w.Host(era, world.Accepts)
			call := known.Call(t.Context(), "unlisted", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
			unknown.Gets("ping", nil, "pong")
			r := <-unknown.Call(t.Context(), "unlisted", nil)
			r.Fails(t, lazyauth.ReasonAnonymous)
			(<-unknown.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonAnonymous)
		})
	})
}

func TestHandler_Gates(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			raw := w.Auth.Handler("raw", scopes.Of("profile"), func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				_, a, err := w.Get(ctx, "/me")
				if err != nil {
					return nil, err
				}
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: a.Text}}}, nil
			})
			w.Server.AddTool(&mcp.Tool{Name: "raw", InputSchema: map[string]any{"type": "object"}}, raw)
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "raw", nil)
		w.Denies()
		(<-call).Fails(t, lazyauth.ReasonDenied)
		call = h.Call(t.Context(), "raw", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
	t.Run("text", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{Tools: existing(notesPolicy)})
			h := w.Host(era, nil)
			r := <-h.Call(t.Context(), "whoami", nil)
			r.Fails(t, lazyauth.ReasonPending)
			if !strings.Contains(r.Text(), w.Person().UserCode) {
				t.Errorf("%q lacks the code", r.Text())
			}
			world.Later(2 * time.Second)
			call := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
		})
	})
}

func TestHandler_NilNeed(t *testing.T) {
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

func rawTool(w *world.World, name string) {
	w.Server.AddTool(&mcp.Tool{Name: name, InputSchema: map[string]any{"type": "object", "properties": map[string]any{"id": map[string]any{"type": "string"}}, "additionalProperties": false}},
		func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			defer w.Begins(name)()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "deleted"}}}, nil
		})
}

// A listed tool that does not validate its arguments itself does not run on bad
// ones without a grant.
func TestIntercept_RawTool(t *testing.T) {
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
func TestIntercept_HiddenTool(t *testing.T) {
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
		wantGated(t, w, era)
	})
}

// wantGated demands that a call of delete_all without a grant does not reach its handler.
func wantGated(t *testing.T, w *world.World, era string) {
	t.Helper()
	call := w.Host(era, world.Accepts).Call(t.Context(), "delete_all", map[string]any{"id": "x"})
	world.Later(time.Second)
	if w.Starts("delete_all") != 0 {
		r := <-call
		t.Errorf("the gated handler ran without a grant: %q", r.Text())
	}
}

// A tool that was added to one server does not switch the policy of another off.
func TestIntercept_NameOfAToolElsewhere(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			other := mcp.NewServer(&mcp.Implementation{Name: "other", Version: "1"}, nil)
			lazyauth.AddTool(other, w.Auth, &mcp.Tool{Name: "delete_all"}, scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				return nil, world.Answer{}, nil
			})
			rawTool(w, "delete_all")
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"delete_all": scopes.Of("profile")}})
		}})
		wantGated(t, w, era)
	})
}

// Two interceptors on one server do not hide each other's grants.
func TestIntercept_TwoOnOneServer(t *testing.T) {
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
		w.SignedIn(era)
	})
}
