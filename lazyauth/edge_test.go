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

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestCloseForgetsGrants(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		if err := w.auth.Close(); err != nil {
			t.Error(err)
		}
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonUnavailable)
		if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), func(context.Context, elicit.Prompt) error { return nil }); err == nil {
			t.Error("Authorize succeeds after Close")
		}
	})
}

// A need that arises after the patience is over still gets its prompt out. Where
// the prompt answers the request the call goes on; elsewhere the next one does.
func TestLateNeed(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "late"}, scopes.Of("profile"), counted(w, "late",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					later(60 * time.Second) // works, and reports progress
					return nil, answer{"done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				}))
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "late", nil)
		w.approves()
		later(66 * time.Second)
		synctest.Wait()
		h.wantPrompts(2)
		w.approves()
		if r := <-call; era == modern {
			r.succeeds(t, "done")
		} else {
			r.fails(t, lazyauth.ReasonPending)
			later(10 * time.Second)
			h.gets("late", nil, "done")
		}
		h.wantPrompts(2)
	})
}

// The state of a second prompt is good although the lease of the first has ended.
func TestSecondPromptAfterLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: time.Hour}, tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "long"}, scopes.Of("profile"), counted(w, "long",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					later(15 * time.Minute)
					return nil, answer{"done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				}))
		}})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "long", nil, "", "")).state(t)
		second := h.round(t.Context(), "long", nil, state, "accept")
		w.approves()
		state = (<-second).state(t)
		third := h.round(t.Context(), "long", nil, state, "accept")
		w.approves()
		(<-third).succeeds(t, "done")
	})
}

// A call that was cancelled prompts nobody and keeps no turn, though its handler
// waits on a context of its own (http.Client.Get), and however patient it is.
func TestCallThatLeftKeepsNoTurn(t *testing.T) {
	for _, patience := range []time.Duration{0, time.Hour} {
		t.Run(patience.String(), func(t *testing.T) { inBothEras(t, callThatLeft(patience)) })
	}
}

func callThatLeft(patience time.Duration) func(*testing.T, string) {
	return func(t *testing.T, era string) {
		release := make(chan struct{})
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}, options: lazyauth.Options{MaxWait: patience}, tools: func(w *world) {
			w.addTools()
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"), counted(w, "slow",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					<-release
					return read(lazyauth.Client(ctx).Get(w.as.API() + "/me"))
				}))
		}})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-first).succeeds(t, "Ada")
		ctx, cancel := context.WithCancel(t.Context())
		gone := h.call(ctx, "slow", nil)
		synctest.Wait()
		cancel()
		<-gone
		later(2 * time.Minute) // the token lapses
		close(release)
		synctest.Wait()
		if n := len(h.shown()); n != 1 {
			t.Errorf("a call that was cancelled long ago prompted the person (%d prompts)", n)
		}
		if w.ended["slow"] != 1 {
			t.Error("the cancelled handler still waits")
		}
		next := h.call(t.Context(), "whoami", nil)
		later(time.Second)
		h.wantPrompts(2)
		w.approves()
		(<-next).succeeds(t, "Ada")
	}
}

func withCaps(caps map[string]any) mcp.Meta {
	return mcp.Meta{mcp.MetaKeyClientCapabilities: caps}
}

func TestTextThenURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		r, err := h.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami", Meta: withCaps(map[string]any{})})
		reply{r, err}.fails(t, lazyauth.ReasonPending)
		// Now a request that declares URL elicitation.
		r2 := <-h.round(t.Context(), "whoami", nil, "", "")
		if r2.err == nil && r2.result.IsError && strings.Contains(r2.text(), w.person().UserCode) {
			t.Errorf("a live code went into the text of a host that declares URL elicitation: %q", r2.text())
		}
		r2.state(t)
	})
}

func TestInnerStateSurvivesAPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}, tools: withConfirm})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "confirm", nil, "", "")).state(t)
		second := h.round(t.Context(), "confirm", nil, state, "accept")
		w.approves()
		asks := (<-second).state(t)
		later(2 * time.Minute) // the token lapses while the person thinks
		state = h.confirms(asks).state(t)
		last := h.round(t.Context(), "confirm", nil, state, "accept")
		w.approves()
		(<-last).succeeds(t, "accept step-2")
	})
}

func TestInnerStateReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withConfirm})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "confirm", nil, "", "")).state(t)
		second := h.round(t.Context(), "confirm", nil, state, "accept")
		w.approves()
		asks := (<-second).state(t)
		for range 3 {
			h.confirms(asks).succeeds(t, "accept step-2")
		}
		if n := w.starts("confirm"); n != 2 {
			t.Errorf("the handler started %d times, want 2", n)
		}
	})
}

func TestGoexit(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		if era == legacy {
			t.Skip()
		}
		w := newWorld(t, setup{tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "exit"}, scopes.Of("profile"),
				func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
					runtime.Goexit()
					return nil, answer{}, nil
				})
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "exit", nil)
		w.approves()
		select {
		case r := <-call:
			r.fails(t, lazyauth.ReasonAbandoned)
			if strings.Contains(r.text(), "came back") || !strings.Contains(r.text(), "broke off") {
				t.Errorf("the text is not of what happened: %s", r.text())
			}
		case <-time.After(time.Hour):
			t.Error("the call hangs")
		}
	})
}

func TestRefreshLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.host(legacy, accepts)
		first := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-first).succeeds(t, "Ada")
		later(time.Minute)
		answers := make([]fakeas.Behaviour, 50)
		for n := range answers {
			answers[n] = fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}}, fmt.Sprintf(`{"access_token":"at%d","token_type":"Bearer","expires_in":0,"refresh_token":"rt%d"}`, n, n))
		}
		w.as.Script(fakeas.Refresh, answers...)
		<-h.call(t.Context(), "whoami", nil)
		if n := w.as.Count(fakeas.Refresh, ""); n > 2 {
			t.Errorf("one call made %d refreshes", n)
		}
	})
}

func TestFailuresReachTheLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.LocalUser, errors.New("directory is down")
		}}})
		h := w.host(modern, accepts)
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonAnonymous)
		if strings.Contains(r.text(), "log") && !strings.Contains(w.log.String(), "directory is down") {
			t.Errorf("%q, but the log says %q", r.text(), w.log.String())
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
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "late"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					pending = lazyauth.Require(ctx, scopes.Of("notes:read"))
					return nil, answer{}, nil
				})
		}})
		h := w.hostWith(legacy, manners{}) // whose model is told
		<-h.call(t.Context(), "late", nil)
		w.approves()
		later(time.Minute)
		<-h.call(t.Context(), "late", nil)
		if e, ok := errors.AsType[*lazyauth.Error](pending); !ok || e.Reason != lazyauth.ReasonPending {
			t.Fatalf("the error is %v", pending)
		}
		code := w.person().UserCode
		everyVerb(t, pending, code)
		status, err := w.auth.Status(t.Context(), lazyauth.LocalUser)
		if err != nil {
			t.Fatal(err)
		}
		everyVerb(t, status, w.secrets.last())
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
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "saga", noteArgs{"x"}, "", "")).state(t)
		// Two attend: first one without elicitation, then one with.
		out := make(chan reply, 1)
		go func() {
			r, err := h.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "saga", Arguments: noteArgs{"x"}, RequestState: state, Meta: withCaps(map[string]any{})})
			out <- reply{r, err}
		}()
		synctest.Wait()
		two := h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")
		synctest.Wait()
		w.approves()
		select {
		case r := <-out:
			if r.err == nil && r.result.NeedsInput() {
				t.Error("an undeclared mode is in inputRequests")
			}
		case <-two:
		}
	})
}

// An author's middleware recovers from panics of handlers, as it always did.
func TestPanic(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, m string, r mcp.Request) (res mcp.Result, err error) {
					defer func() {
						if p := recover(); p != nil {
							err = fmt.Errorf("recovered: %v", p)
						}
					}()
					return next(ctx, m, r)
				}
			})
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "boom"}, scopes.Of("profile"),
				func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
					panic("boom: canary-of-a-panic")
				})
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "boom", nil)
		w.approves()
		if r := <-call; r.err == nil || !strings.Contains(r.err.Error(), "recovered: boom") {
			t.Errorf("the author's middleware did not see the panic: %v", r.err)
		}
		if strings.Contains(w.log.String(), "canary-of-a-panic") {
			t.Error("what a handler panicked with is in the log")
		}
	})
}

// A parked handler that nobody comes back for is in nobody's way.
func TestParkedHandlerKeepsNoTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		parkedSaga(t, w, h) // and nobody comes back
		w.approves()
		later(10 * time.Second)
		h.gets("list_notes", nil, "x")
	})
}

// The patience of one duplicated retry does not end the call for the others.
func TestDuplicateRetriesOutliveTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		one := h.round(t.Context(), "whoami", nil, state, "accept") // its stream broke, and nobody said so
		later(50 * time.Second)
		two := h.round(t.Context(), "whoami", nil, state, "accept")
		later(10 * time.Second)
		(<-one).fails(t, lazyauth.ReasonPending)
		w.approves()
		(<-two).succeeds(t, "Ada")
		w.wantAuthorizations(1)
	})
}

// A host whose request is gone gets no handler started by the approval that comes
// right after; the next call finds the grant.
func TestCancelledBeforeTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		ctx, cancel := context.WithCancel(t.Context())
		call := h.round(ctx, "whoami", nil, state, "accept")
		synctest.Wait()
		w.approves()
		later(5 * time.Second) // the poll comes a moment later
		cancel()
		<-call
		later(10 * time.Second)
		if n := w.starts("whoami"); n != 0 {
			t.Errorf("the handler started %d times for a request that was gone", n)
		}
		h.gets("whoami", nil, "Ada")
		w.wantAuthorizations(1)
	})
}

// A principal without a subject is nobody.
func TestIssuerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{VerifyUser: anybody, Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.Principal{Issuer: "https://idp.example"}, nil
		}}})
		h := w.host(modern, accepts)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonAnonymous)
	})
}

// While a host does not read its notice, the grant is there and nobody is
// bounced.
func TestMaxWaitDuringNotice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: 11 * time.Second}})
		w.server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, m string, r mcp.Request) (mcp.Result, error) {
				if m == "notifications/elicitation/complete" {
					<-ctx.Done() // the host does not read
				}
				return next(ctx, m, r)
			}
		})
		h := w.host(legacy, accepts)
		call := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		later(9 * time.Second)
		w.as.Approve(code) // seen at the poll after 10 s
		(<-call).succeeds(t, "Ada")
	})
}

// The person takes more than a patience to say yes to the dialog.
func TestSlowAcceptIsNotAskedTwice(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: 55 * time.Second}})
		h := w.host(era, says("accept", 70*time.Second))
		call := h.call(t.Context(), "whoami", nil)
		if era == legacy {
			(<-call).fails(t, lazyauth.ReasonPending)
			h.wantPrompts(1)
			return
		}
		later(75 * time.Second) // the retry attends
		synctest.Wait()
		h.wantPrompts(1)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(1)
	})
}
