package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// listing is the handler of those tools.
func listing(ctx context.Context, reword func(error) (*mcp.CallToolResult, error)) (*mcp.CallToolResult, error) {
	if err := lazyauth.Require(ctx, scopes.Of("notes:read")); err != nil {
		return reword(err)
	}
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "listed"}}}, nil
}

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
var waysIn = map[string]func(w *world.World, reword func(error) (*mcp.CallToolResult, error)){
	"AddTool": func(w *world.World, reword func(error) (*mcp.CallToolResult, error)) {
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "list"}, scopes.Of("profile"),
			func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, any, error) {
				result, err := listing(ctx, reword)
				return result, nil, err
			})
	},
	"Handler": func(w *world.World, reword func(error) (*mcp.CallToolResult, error)) {
		w.Auth.Intercept(w.Server, scopes.Policy{}) // for its middleware alone
		w.Server.AddTool(&mcp.Tool{Name: "list", InputSchema: map[string]any{"type": "object"}},
			w.Auth.Handler("list", scopes.Of("profile"), func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return listing(ctx, reword)
			}))
	},
	"Intercept": func(w *world.World, reword func(error) (*mcp.CallToolResult, error)) {
		mcp.AddTool(w.Server, &mcp.Tool{Name: "list"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, any, error) {
			result, err := listing(ctx, reword)
			return result, nil, err
		})
		w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"list": scopes.Of("profile")}})
	},
	"Intercept, not listed": func(w *world.World, reword func(error) (*mcp.CallToolResult, error)) {
		w.Server.AddTool(&mcp.Tool{Name: "list", InputSchema: map[string]any{"type": "object"}}, func(ctx context.Context, _ *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
			return listing(ctx, reword)
		})
		w.Auth.Intercept(w.Server, scopes.Policy{Unlisted: scopes.Of("notes:read")})
	},
}

// On a host that shows no prompts, the result of a call that needs the person in its middle
// has link and code, whatever the handler makes of the error. The error itself has neither:
// see world.World.
func TestError_RewordedHasThePrompt(t *testing.T) {
	for way, register := range waysIn {
		for name, reword := range rewordings {
			t.Run(way+", "+name, func(t *testing.T) {
				world.InBothEras(t, func(t *testing.T, era string) {
					w := world.New(t, world.Setup{Tools: func(w *world.World) {
						register(w, func(err error) (*mcp.CallToolResult, error) {
							w.SawError(err)
							result, err := reword(err)
							if err != nil {
								w.SawError(err)
							}
							return result, err
						})
					}})
					w.SignsIn("profile")
					h := w.Host(era, nil)
					r := <-h.Call(t.Context(), "list", nil)
					if r.Fails(t, lazyauth.ReasonPending); r.Result == nil {
						return
					}
					code := w.Person().UserCode
					if strings.Count(r.Text(), code) != 1 || !strings.Contains(r.Text(), w.AS.Issuer()+"/device") {
						t.Errorf("the result %q lacks the page, or has not one code %s", r.Text(), code)
					}
					if name != "wrapped" && !strings.Contains(r.Text(), "listing: ") {
						t.Errorf("what the handler said is gone: %q", r.Text())
					}
					if required := r.Result.Meta[lazyauth.MetaRequired]; required != "notes:read" {
						t.Errorf("required: %v", r.Result.Meta)
					}
					if own := r.Result.Meta["own"]; (name == "a failed result") != (own == "meta") {
						t.Errorf("the handler's own _meta: %v", r.Result.Meta)
					}
					w.AS.Approve(code)
					world.Later(10 * time.Second)
					h.Gets("list", nil, "listed")
				})
			})
		}
	}
}

// What a handler made of its call without the grant, and calls a success, is one. So is the
// result of a handler that was granted what it needed after all.
func TestError_RewordedOnlyFailures(t *testing.T) {
	fine := func(error) (*mcp.CallToolResult, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "nothing"}}}, nil
	}
	for way, register := range waysIn {
		t.Run(way, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Tools: func(w *world.World) { register(w, fine) }})
				w.SignsIn("profile")
				h := w.Host(era, nil)
				r := <-h.Call(t.Context(), "list", nil)
				r.Succeeds(t, "nothing")
				if strings.Contains(r.Text(), w.Person().UserCode) {
					t.Errorf("a success has the prompt: %q", r.Text())
				}
			})
		})
		t.Run(way+", granted after all", func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				var w *world.World
				w = world.New(t, world.Setup{Tools: func(w2 *world.World) {
					register(w2, func(err error) (*mcp.CallToolResult, error) {
						w.Approves()
						world.Later(10 * time.Second)
						return nil, errors.New("the disk is full")
					})
				}})
				w.SignsIn("profile")
				r := <-w.Host(era, nil).Call(t.Context(), "list", nil)
				if strings.Contains(r.Text(), "/device") {
					t.Errorf("a code that was used is in %q", r.Text())
				}
			})
		})
	}
}

// Where the author asked for it, a decline's prompt is in the result as well.
func TestError_RewordedAfterADecline(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{InsecureTextAfterDecline: true}, Tools: func(w *world.World) {
			waysIn["AddTool"](w, rewordings["as text"])
		}})
		w.CodesMayFollow = lazyauth.ReasonDeclined
		w.SignsIn("profile")
		r := <-w.Host(era, world.Says("decline", 0)).Call(t.Context(), "list", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.Text(), w.Person().UserCode) {
			t.Errorf("the result %q lacks the code", r.Text())
		}
	})
}

// asError is an error that holds something.
type asError struct{ V any }

func (asError) Error() string { return "an error" }

// everyVerb prints v, and things with v in them, in every way, and looks for the secrets.
func everyVerb(t *testing.T, v any, secrets ...string) {
	t.Helper()
	type in struct{ V any }
	holders := []any{v, &v, []any{v}, map[string]any{"v": v}, in{v}, &in{v}}
	if !isPlain(v) {
		holders = append(holders, struct{ v any }{v}, fmt.Errorf("wrapped: %w", asError{v}))
	}
	for _, holder := range holders {
		for verb := 'A'; verb <= 'z'; verb++ {
			if (verb == 'p' || verb == 'w') && isPlain(v) {
				continue
			}
			for _, flags := range []string{"", "+", "#", "-9", "09", " "} {
				text := fmt.Sprintf("%"+flags+string(verb), holder)
				for _, secret := range secrets {
					spellings := []string{secret, fmt.Sprintf("%x", secret), fmt.Sprintf("%X", secret), fmt.Sprintf("% x", secret), fmt.Sprintf("%d", []byte(secret)), fmt.Sprintf("%#v", []byte(secret))}
					for _, spelt := range spellings {
						if strings.Contains(text, strings.Trim(spelt, "[]")) {
							t.Errorf("%%%s%c of a %T in a %T: %s", flags, verb, v, holder, text)
							return
						}
					}
				}
			}
		}
	}
}

// Nothing that programs get from this library prints a secret, with any verb or flag, by
// itself or inside something else.
func TestError_FormattingPrintsNoSecret(t *testing.T) {
	service := lazyauth.Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "x", ClientSecret: "s3cr3t-canary"}
	options := &lazyauth.Options{StateKeys: [][]byte{[]byte("canary-key-8bytecanary-key-8byte")}}
	auth, err := lazyauth.New(service, options)
	if err != nil {
		t.Fatal(err)
	}
	defer auth.Close()
	prompt := elicit.Prompt{Service: "Notes", VerificationURI: "https://as.example.test/device", VerificationURIComplete: "https://as.example.test/device?c=WDJB-CANARY", UserCode: "WDJB-CANARY"}
	var pending error
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "late"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					pending = lazyauth.Require(ctx, scopes.Of("notes:read"))
					return nil, world.Answer{}, nil
				})
		}})
		h := w.HostWith(world.Legacy, world.Manners{}) // which is shown prompts as text
		<-h.Call(t.Context(), "late", nil)
		w.Approves()
		world.Later(time.Minute)
		<-h.Call(t.Context(), "late", nil)
		if e, ok := errors.AsType[*lazyauth.Error](pending); !ok || e.Reason != lazyauth.ReasonPending {
			t.Fatalf("the error is %v", pending)
		}
		code := w.Person().UserCode
		everyVerb(t, pending, code)
		status, err := w.Auth.Status(t.Context(), lazyauth.LocalUser)
		if err != nil {
			t.Fatal(err)
		}
		everyVerb(t, status, w.Secrets.Last())
	})
	for _, v := range []any{service, &service, auth, options, *options, prompt, &prompt} {
		everyVerb(t, v, "s3cr3t-canary", "canary-key-8byte", "WDJB-CANARY")
	}
	failed := &lazyauth.Error{Reason: lazyauth.ReasonUnavailable, Cause: errors.New("no route to host")}
	for verb, verbose := range map[string]bool{"%v": false, "%s": false, "%q": false, "%#v": false, "%d": false, "%+v": true} {
		if text := fmt.Sprintf(verb, failed); strings.Contains(text, "no route to host") != verbose || !strings.Contains(text, "not possible at the moment") {
			t.Errorf("%s of an error: %s", verb, text)
		}
	}
}

// isPlain reports whether v holds secrets as its author gave them, or is given them to show
// them. The verbs that fmt has no method for (%p and a misplaced %w, both of which vet
// reports) print such a value by way of reflection, and so it is in a field that fmt may not
// call methods of.
func isPlain(v any) bool {
	switch v.(type) {
	case lazyauth.Service, *lazyauth.Service, lazyauth.Options, *lazyauth.Options, elicit.Prompt, *elicit.Prompt:
		return true
	}
	return false
}
