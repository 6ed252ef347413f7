package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What handlers make of an error of ours that they were given.
var rewordings = map[string]func(error) (*mcp.CallToolResult, error){
	"wrapped": func(err error) (*mcp.CallToolResult, error) { return nil, fmt.Errorf("listing: %w", err) },
	"as text": func(err error) (*mcp.CallToolResult, error) { return nil, fmt.Errorf("listing: %v", err) },
	"of its own": func(error) (*mcp.CallToolResult, error) {
		return nil, errors.New("listing: I could not")
	},
	"of the protocol": func(error) (*mcp.CallToolResult, error) {
		return nil, &jsonrpc.Error{Code: jsonrpc.CodeInternalError, Message: "listing: I could not"}
	},
	"a failed result": func(error) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{IsError: true, Content: []mcp.Content{&mcp.TextContent{Text: "listing: I could not"}}, Meta: mcp.Meta{"own": "meta"}}, nil
	},
	"a failed result with an error": func(err error) (*mcp.CallToolResult, error) {
		result := new(mcp.CallToolResult)
		result.SetError(fmt.Errorf("listing: %v", err))
		return result, nil
	},
}

// waysIn registers a tool in each of the three ways: it runs at once for who has signed in,
// and needs more in its middle. What it returns then is what reword makes of the error.
var waysIn = map[string]func(w *world, reword func(error) (*mcp.CallToolResult, error)){
	"AddTool": func(w *world, reword func(error) (*mcp.CallToolResult, error)) {
		lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "list"}, scopes.Of("profile"),
			func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, any, error) {
				result, err := listing(ctx, reword)
				return result, nil, err
			})
	},
	"Handler": func(w *world, reword func(error) (*mcp.CallToolResult, error)) {
		w.auth.Intercept(w.server, scopes.Policy{}) // for its middleware alone
		w.server.AddTool(&mcp.Tool{Name: "list", InputSchema: map[string]any{"type": "object"}},
			w.auth.Handler("list", scopes.Of("profile"), func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return listing(ctx, reword)
			}))
	},
	"Intercept": func(w *world, reword func(error) (*mcp.CallToolResult, error)) {
		mcp.AddTool(w.server, &mcp.Tool{Name: "list"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, any, error) {
			result, err := listing(ctx, reword)
			return result, nil, err
		})
		w.auth.Intercept(w.server, scopes.Policy{Tools: map[string]scopes.Requirement{"list": scopes.Of("profile")}})
	},
	"Intercept, not listed": func(w *world, reword func(error) (*mcp.CallToolResult, error)) {
		w.server.AddTool(&mcp.Tool{Name: "list", InputSchema: map[string]any{"type": "object"}}, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return listing(ctx, reword)
		})
		w.auth.Intercept(w.server, scopes.Policy{Unlisted: scopes.Of("notes:read")})
	},
}

// listing is the handler of those tools.
func listing(ctx context.Context, reword func(error) (*mcp.CallToolResult, error)) (*mcp.CallToolResult, error) {
	if err := lazyauth.Require(ctx, scopes.Of("notes:read")); err != nil {
		return reword(err)
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "listed"}}}, nil
}

// signsIn has the local user sign in beforehand.
func (w *world) signsIn(need ...string) {
	w.t.Helper()
	err := w.auth.Authorize(w.t.Context(), lazyauth.LocalUser, scopes.Of(need...), func(_ context.Context, p elicit.Prompt) error {
		return w.as.Approve(p.UserCode)
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

// On a host that shows no prompts, the result of a call that needs the person in its middle
// has link and code, whatever the handler makes of the error. The error itself has neither:
// see world.check.
func TestReworded_ResultHasThePrompt(t *testing.T) {
	for way, register := range waysIn {
		for name, reword := range rewordings {
			t.Run(way+", "+name, func(t *testing.T) {
				inBothEras(t, func(t *testing.T, era string) {
					w := newWorld(t, setup{tools: func(w *world) {
						register(w, func(err error) (*mcp.CallToolResult, error) {
							w.mu.Lock()
							w.errs = append(w.errs, fmt.Sprintf("%v %+v %#v", err, err, err))
							w.mu.Unlock()
							result, err := reword(err)
							if err != nil {
								w.mu.Lock()
								w.errs = append(w.errs, fmt.Sprintf("%v %+v %#v", err, err, err))
								w.mu.Unlock()
							}
							return result, err
						})
					}})
					w.signsIn("profile")
					h := w.host(era, nil)
					r := <-h.call(t.Context(), "list", nil)
					if r.fails(t, lazyauth.ReasonPending); r.result == nil {
						return
					}
					code := w.person().UserCode
					if strings.Count(r.text(), code) != 1 || !strings.Contains(r.text(), w.as.Issuer()+"/device") {
						t.Errorf("the result %q lacks the page, or has not one code %s", r.text(), code)
					}
					if name != "wrapped" && !strings.Contains(r.text(), "listing: ") {
						t.Errorf("what the handler said is gone: %q", r.text())
					}
					if required := r.result.Meta[lazyauth.MetaRequired]; required != "notes:read" {
						t.Errorf("required: %v", r.result.Meta)
					}
					if own := r.result.Meta["own"]; (name == "a failed result") != (own == "meta") {
						t.Errorf("the handler's own _meta: %v", r.result.Meta)
					}
					w.as.Approve(code)
					later(10 * time.Second)
					h.gets("list", nil, "listed")
				})
			})
		}
	}
}

// What a handler made of its call without the grant, and calls a success, is one. So is the
// result of a handler that was granted what it needed after all.
func TestReworded_OnlyFailures(t *testing.T) {
	fine := func(error) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "nothing"}}}, nil
	}
	for way, register := range waysIn {
		t.Run(way, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{tools: func(w *world) { register(w, fine) }})
				w.signsIn("profile")
				h := w.host(era, nil)
				r := <-h.call(t.Context(), "list", nil)
				r.succeeds(t, "nothing")
				if strings.Contains(r.text(), w.person().UserCode) {
					t.Errorf("a success has the prompt: %q", r.text())
				}
			})
		})
		t.Run(way+", granted after all", func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				var w *world
				w = newWorld(t, setup{tools: func(w2 *world) {
					register(w2, func(err error) (*mcp.CallToolResult, error) {
						w.approves()
						later(10 * time.Second)
						return nil, errors.New("the disk is full")
					})
				}})
				w.signsIn("profile")
				r := <-w.host(era, nil).call(t.Context(), "list", nil)
				if strings.Contains(r.text(), "/device") {
					t.Errorf("a code that was used is in %q", r.text())
				}
			})
		})
	}
}

// Where the author asked for it, a decline's prompt is in the result as well.
func TestReworded_AfterADecline(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{InsecureTextAfterDecline: true}, tools: func(w *world) {
			waysIn["AddTool"](w, rewordings["as text"])
		}})
		w.codesMayFollow = lazyauth.ReasonDeclined
		w.signsIn("profile")
		r := <-w.host(era, says("decline", 0)).call(t.Context(), "list", nil)
		r.fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.text(), w.person().UserCode) {
			t.Errorf("the result %q lacks the code", r.text())
		}
	})
}
