package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"runtime"
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

func TestCloseForgetsGrants(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), func(context.Context, elicit.Prompt) error { return nil }); err == nil {
			t.Error("Authorize succeeds after Close")
		}
	})
}

// A need that arises after the patience is over still gets its prompt out. Where
// the prompt answers the request the call goes on; elsewhere the next one does.
func TestLateNeed(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "late"}, scopes.Of("profile"), world.Counted(w, "late",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					world.Later(60 * time.Second) // works, and reports progress
					return nil, world.Answer{Text: "done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				}))
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "late", nil)
		w.Approves()
		world.Later(66 * time.Second)
		synctest.Wait()
		h.WantPrompts(2)
		w.Approves()
		if r := <-call; era == world.Modern {
			r.Succeeds(t, "done")
		} else {
			r.Fails(t, lazyauth.ReasonPending)
			world.Later(10 * time.Second)
			h.Gets("late", nil, "done")
		}
		h.WantPrompts(2)
	})
}

// The state of a second prompt is good although the lease of the first has ended.
func TestSecondPromptAfterLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Hour}, Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "long"}, scopes.Of("profile"), world.Counted(w, "long",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					world.Later(15 * time.Minute)
					return nil, world.Answer{Text: "done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				}))
		}})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "long", nil, "", "")).State(t)
		second := h.Request(t.Context(), "long", nil, state, "accept")
		w.Approves()
		state = (<-second).State(t)
		third := h.Request(t.Context(), "long", nil, state, "accept")
		w.Approves()
		(<-third).Succeeds(t, "done")
	})
}

// A call that was cancelled prompts nobody and keeps no turn, though its handler
// waits on a context of its own (http.Client.Get), and however patient it is.
func TestCallThatLeftKeepsNoTurn(t *testing.T) {
	for _, patience := range []time.Duration{0, time.Hour} {
		t.Run(patience.String(), func(t *testing.T) { world.InBothEras(t, callThatLeft(patience)) })
	}
}

func callThatLeft(patience time.Duration) func(*testing.T, string) {
	return func(t *testing.T, era string) {
		release := make(chan struct{})
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}, Options: lazyauth.Options{MaxWait: patience}, Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"), world.Counted(w, "slow",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					<-release
					return world.ReadAnswer(lazyauth.Client(ctx).Get(w.AS.API() + "/me"))
				}))
		}})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		ctx, cancel := context.WithCancel(t.Context())
		gone := h.Call(ctx, "slow", nil)
		synctest.Wait()
		cancel()
		<-gone
		world.Later(2 * time.Minute) // the token lapses
		close(release)
		synctest.Wait()
		if n := len(h.Shown()); n != 1 {
			t.Errorf("a call that was cancelled long ago prompted the person (%d prompts)", n)
		}
		if w.Stops("slow") != 1 {
			t.Error("the cancelled handler still waits")
		}
		next := h.Call(t.Context(), "whoami", nil)
		world.Later(time.Second)
		h.WantPrompts(2)
		w.Approves()
		(<-next).Succeeds(t, "Ada")
	}
}

func withCaps(caps map[string]any) mcp.Meta {
	return mcp.Meta{mcp.MetaKeyClientCapabilities: caps}
}

func TestTextThenURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		r, err := h.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami", Meta: withCaps(map[string]any{})})
		world.Reply{Result: r, Err: err}.Fails(t, lazyauth.ReasonPending)
		// Now a request that declares URL elicitation.
		r2 := <-h.Request(t.Context(), "whoami", nil, "", "")
		if r2.Err == nil && r2.Result.IsError && strings.Contains(r2.Text(), w.Person().UserCode) {
			t.Errorf("a live code went into the text of a host that declares URL elicitation: %q", r2.Text())
		}
		r2.State(t)
	})
}

func TestInnerStateSurvivesAPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}, Tools: world.WithConfirm})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		second := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		asks := (<-second).State(t)
		world.Later(2 * time.Minute) // the token lapses while the person thinks
		state = h.Confirms(asks).State(t)
		last := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		(<-last).Succeeds(t, "accept step-2")
	})
}

func TestInnerStateReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithConfirm})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		second := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		asks := (<-second).State(t)
		for range 3 {
			h.Confirms(asks).Succeeds(t, "accept step-2")
		}
		if n := w.Starts("confirm"); n != 2 {
			t.Errorf("the handler started %d times, want 2", n)
		}
	})
}

func TestGoexit(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		if era == world.Legacy {
			t.Skip()
		}
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "exit"}, scopes.Of("profile"),
				func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					runtime.Goexit()
					return nil, world.Answer{}, nil
				})
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "exit", nil)
		w.Approves()
		select {
		case r := <-call:
			r.Fails(t, lazyauth.ReasonAbandoned)
			if strings.Contains(r.Text(), "came back") || !strings.Contains(r.Text(), "broke off") {
				t.Errorf("the text is not of what happened: %s", r.Text())
			}
		case <-time.After(time.Hour):
			t.Error("the call hangs")
		}
	})
}

func TestRefreshLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.Host(world.Legacy, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		world.Later(time.Minute)
		answers := make([]fakeas.Behaviour, 50)
		for n := range answers {
			answers[n] = fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}}, fmt.Sprintf(`{"access_token":"at%d","token_type":"Bearer","expires_in":0,"refresh_token":"rt%d"}`, n, n))
		}
		w.AS.Script(fakeas.Refresh, answers...)
		<-h.Call(t.Context(), "whoami", nil)
		if n := w.AS.Count(fakeas.Refresh, ""); n > 2 {
			t.Errorf("one call made %d refreshes", n)
		}
	})
}

func TestFailuresReachTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.LocalUser, errors.New("directory is down")
		}}})
		h := w.Host(world.Modern, world.Accepts)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonAnonymous)
		if strings.Contains(r.Text(), "log") && !strings.Contains(w.Log.String(), "directory is down") {
			t.Errorf("%q, but the log says %q", r.Text(), w.Log.String())
		}
	})
}

// Nothing that programs get from this library prints a secret, with any verb or flag, by
// itself or inside something else.
func TestFormatting(t *testing.T) {
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
		h := w.HostWith(world.Legacy, world.Manners{}) // whose model is told
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
	for verb, told := range map[string]bool{"%v": false, "%s": false, "%q": false, "%#v": false, "%d": false, "%+v": true} {
		if text := fmt.Sprintf(verb, failed); strings.Contains(text, "no route to host") != told || !strings.Contains(text, "not possible at the moment") {
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

// asError is an error that holds something.
type asError struct{ V any }

func (asError) Error() string { return "an error" }

func TestUndeclaredMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
		// Two attend: first one without elicitation, then one with.
		out := make(chan world.Reply, 1)
		go func() {
			r, err := h.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "saga", Arguments: world.Note{Text: "x"}, RequestState: state, Meta: withCaps(map[string]any{})})
			out <- world.Reply{Result: r, Err: err}
		}()
		synctest.Wait()
		two := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		synctest.Wait()
		w.Approves()
		select {
		case r := <-out:
			if r.Err == nil && r.Result.NeedsInput() {
				t.Error("an undeclared mode is in inputRequests")
			}
		case <-two:
		}
	})
}

// An author's middleware recovers from panics of handlers, as it always did.
func TestPanic(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.Server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, m string, r mcp.Request) (res mcp.Result, err error) {
					defer func() {
						if p := recover(); p != nil {
							err = fmt.Errorf("recovered: %v", p)
						}
					}()
					return next(ctx, m, r)
				}
			})
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "boom"}, scopes.Of("profile"),
				func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					panic("boom: canary-of-a-panic")
				})
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "boom", nil)
		w.Approves()
		if r := <-call; r.Err == nil || !strings.Contains(r.Err.Error(), "recovered: boom") {
			t.Errorf("the author's middleware did not see the panic: %v", r.Err)
		}
		if strings.Contains(w.Log.String(), "canary-of-a-panic") {
			t.Error("what a handler panicked with is in the log")
		}
	})
}

// A parked handler that nobody comes back for is in nobody's way.
func TestParkedHandlerKeepsNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		parkedSaga(t, w, h) // and nobody comes back
		w.Approves()
		world.Later(10 * time.Second)
		h.Gets("list_notes", nil, "x")
	})
}

// The patience of one duplicated retry does not end the call for the others.
func TestDuplicateRetriesOutliveTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		one := h.Request(t.Context(), "whoami", nil, state, "accept") // its stream broke, and nobody said so
		world.Later(50 * time.Second)
		two := h.Request(t.Context(), "whoami", nil, state, "accept")
		world.Later(10 * time.Second)
		(<-one).Fails(t, lazyauth.ReasonPending)
		w.Approves()
		(<-two).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
	})
}

// A host whose request is gone gets no handler started by the approval that comes
// right after; the next call finds the grant.
func TestCancelledBeforeTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		ctx, cancel := context.WithCancel(t.Context())
		call := h.Request(ctx, "whoami", nil, state, "accept")
		synctest.Wait()
		w.Approves()
		world.Later(5 * time.Second) // the poll comes a moment later
		cancel()
		<-call
		world.Later(10 * time.Second)
		if n := w.Starts("whoami"); n != 0 {
			t.Errorf("the handler started %d times for a request that was gone", n)
		}
		h.Gets("whoami", nil, "Ada")
		w.WantAuthorizations(1)
	})
}

// A principal without a subject is nobody.
func TestIssuerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody, Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.Principal{Issuer: "https://idp.example"}, nil
		}}})
		h := w.Host(world.Modern, world.Accepts)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonAnonymous)
	})
}

// While a host does not read its notice, the grant is there and nobody is
// bounced.
func TestMaxWaitDuringNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: 11 * time.Second}})
		w.Server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, m string, r mcp.Request) (mcp.Result, error) {
				if m == "notifications/elicitation/complete" {
					<-ctx.Done() // the host does not read
				}
				return next(ctx, m, r)
			}
		})
		h := w.Host(world.Legacy, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		world.Later(9 * time.Second)
		w.AS.Approve(code) // seen at the poll after 10 s
		(<-call).Succeeds(t, "Ada")
	})
}

// The person takes more than a patience to say yes to the dialog.
func TestSlowAcceptIsNotAskedTwice(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: 55 * time.Second}})
		h := w.Host(era, world.Says("accept", 70*time.Second))
		call := h.Call(t.Context(), "whoami", nil)
		if era == world.Legacy {
			(<-call).Fails(t, lazyauth.ReasonPending)
			h.WantPrompts(1)
			return
		}
		world.Later(75 * time.Second) // the retry attends
		synctest.Wait()
		h.WantPrompts(1)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(1)
	})
}
