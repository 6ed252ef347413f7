package lazyauth_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Patience that would overflow is endless, and not over.
func TestEndlessMaxWait(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: math.MaxInt64}})
		later(time.Second)
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		req := w.person()
		later(30 * time.Second)
		w.as.Approve(req.UserCode)
		(<-call).succeeds(t, "Ada")
	})
}

// A patience of a second is one of a second.
func TestShortMaxWait(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: time.Second}})
		h := w.host(era, accepts)
		began := time.Now()
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Progress increases, however large the handler counts.
func TestLargeProgress(t *testing.T) {
	for _, big := range []float64{1e12, 1e14, float64(1.7e18)} {
		t.Run(fmt.Sprint(big), func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{tools: func(w *world) {
					lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
						func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
							req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: big})
							return nil, answer{"done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
						})
				}})
				h := w.hostWith(era, manners{url: true, progress: true, react: accepts})
				call := h.call(t.Context(), "import", nil)
				w.approves()
				p := w.person()
				later(22 * time.Second)
				w.as.Approve(p.UserCode)
				(<-call).succeeds(t, "done")
				h.progress(1)
			})
		})
	}
}

// Several waits of one call report in one order.
func TestProgressOfSeveralWaits(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					var wg sync.WaitGroup
					for range 8 {
						wg.Go(func() { lazyauth.Require(ctx, scopes.Of("notes:read")) })
					}
					wg.Wait()
					return nil, answer{"done"}, nil
				})
		}})
		h := w.hostWith(era, manners{url: true, progress: true, react: accepts})
		call := h.call(t.Context(), "import", nil)
		w.approves()
		p := w.person()
		later(42 * time.Second)
		w.as.Approve(p.UserCode)
		(<-call).succeeds(t, "done")
		h.progress(1)
	})
}

// A link that the host refused by itself and a form that it rejects leave nothing for its
// model: somebody there does not want to be asked.
func TestRefusedByTheHostThenRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		rejects := func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			return nil, errors.New("no forms here")
		}
		h := w.hostWith(legacy, manners{url: true, form: true, react: inTurn(says("decline", 4*time.Millisecond), rejects)})
		r := <-h.call(t.Context(), "whoami", nil)
		if strings.Contains(r.text(), w.person().UserCode) {
			t.Errorf("the code of a refused prompt is in the model's hands: %q", r.text())
		}
	})
}

// A refusal says in both eras what was needed, in the wording that was chosen.
func TestWhatARefusalSays(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{InsecureTextAfterDecline: true, Wording: func(_ *mcp.CallToolRequest, c elicit.Channel, p elicit.Prompt) string {
			return "Bitte anmelden, Code " + p.UserCode
		}}})
		w.codesMayFollow = lazyauth.ReasonDeclined
		h := w.host(era, says("decline", 3*time.Second))
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonDeclined)
		if r.result.Meta[lazyauth.MetaRequired] != "profile" {
			t.Errorf("required: %v", r.result.Meta)
		}
		if !strings.Contains(r.text(), "Bitte anmelden") {
			t.Errorf("wording: %q", r.text())
		}
	})
}

// Whoever wants to be asked again names no account: all are meant.
func TestSignInPromptForAllAccounts(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Account: lazyauth.AccountFromArgument("text")}, tools: func(w *world) {
			w.addTools()
			lazyauth.AddSignInPrompt(w.server, w.auth)
		}})
		h := w.host(era, inTurn(says("decline", 3*time.Second), accepts))
		(<-h.call(t.Context(), "create_note", noteArgs{"work"})).fails(t, lazyauth.ReasonDeclined)
		w.denies() // the code that nobody polls for any more
		if _, err := h.session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
			t.Fatal(err)
		}
		call := h.call(t.Context(), "create_note", noteArgs{"work"})
		w.approves()
		(<-call).succeeds(t, "work")
	})
}

// Two services on one server have a prompt each.
func TestSignInPromptsOfTwoServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			lazyauth.AddSignInPrompt(w.server, w.auth)
			other, err := lazyauth.New(lazyauth.Service{Name: "Mail", Issuer: w.as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{w.as.API()}}, &lazyauth.Options{Transport: w.as.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			lazyauth.AddSignInPrompt(w.server, other)
		}})
		h := w.host(legacy, inTurn(says("decline", 3*time.Second), accepts))
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.text(), `"sign-in-notes"`) {
			t.Fatal(r.text())
		}
		w.denies()
		if _, err := h.session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
			t.Fatal(err)
		}
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
	})
}

// Two interceptors on one server leave a handler's progress as it is.
func TestProgressWithTwoServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: func(w *world) {
			other, err := lazyauth.New(lazyauth.Service{Name: "Mail", Issuer: w.as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{w.as.API()}}, &lazyauth.Options{Transport: w.as.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			lazyauth.AddTool(w.server, other, &mcp.Tool{Name: "mail"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					return nil, answer{"done"}, nil
				})
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					for n := range 4 {
						req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: float64(n), Total: 3})
					}
					return nil, answer{"done"}, nil
				})
		}})
		h := w.hostWith(legacy, manners{url: true, progress: true, react: accepts})
		call := h.call(t.Context(), "import", nil)
		w.approves()
		(<-call).succeeds(t, "done")
		m := h.progress(1)
		if last := m[len(m)-1]; last.Progress != 3 {
			t.Errorf("the handler said 3 of 3, the host heard %v of %v", last.Progress, last.Total)
		}
	})
}

// A call is one call, however often its host comes back for it.
func TestOneCallIsCountedOnce(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		synctest.Wait()
		if !strings.Contains(w.log.String(), `"calls":1`) {
			t.Errorf("one call waited: %s", w.log.String())
		}
	})
}

// A goroutine that a handler left behind waits for nobody, and harms nobody.
func TestGoroutineThatOutlivesItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := make(chan struct{})
		waits := 0
		var mu sync.Mutex
		w := newWorld(t, setup{
			options: lazyauth.Options{Trace: &lazyauth.Trace{Waiting: func(context.Context, lazyauth.WaitingInfo) {
				mu.Lock()
				waits++
				n := waits
				mu.Unlock()
				if n > 1 { // the stray goroutine; not the call's own wait
					<-returned
					later(time.Second)
				}
			}}},
			tools: func(w *world) {
				lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"),
					func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
						for range 30 {
							go lazyauth.Require(ctx, scopes.Of("notes:read"))
						}
						later(time.Second)
						return nil, answer{"done"}, nil
					})
			}})
		h := w.hostWith(modern, manners{progress: true, name: "gemini-cli-mcp-client"})
		call := h.call(t.Context(), "slow", nil)
		w.approves()
		(<-call).succeeds(t, "done")
		close(returned)
		later(time.Minute)
	})
}

// Dialogs are taken down when the server ends.
func TestNoticeAtClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.host(legacy, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.person()
		synctest.Wait()
		w.auth.Close()
		(<-call).fails(t, lazyauth.ReasonUnavailable)
		synctest.Wait()
		if len(h.completions()) != 1 {
			t.Errorf("completions: %d", len(h.completions()))
		}
	})
}

// A request that was made up by a program has no session, and no dialogs.
func TestRequestWithoutSession(t *testing.T) {
	for _, era := range eras {
		for _, extra := range []*mcp.RequestExtra{nil, {}} {
			t.Run(fmt.Sprint(era, extra != nil), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
					h := w.auth.Handler("raw", scopes.Of("profile"), func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
						return &mcp.CallToolResult{}, nil
					})
					meta := mcp.Meta{"progressToken": "x"}
					if era == modern {
						meta[mcp.MetaKeyProtocolVersion] = modern
					}
					defer func() {
						if v := recover(); v != nil {
							t.Errorf("panic: %v", v)
						}
					}()
					for range 2 {
						h(t.Context(), &mcp.CallToolRequest{Extra: extra, Params: &mcp.CallToolParamsRaw{Name: "raw", Meta: meta}})
						later(time.Second)
					}
				})
			})
		}
	}
}

// A wording that panics leaves the prompt in English, and nobody without one.
func TestWordingPanics(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Wording: func(*mcp.CallToolRequest, elicit.Channel, elicit.Prompt) string {
			panic("no translation")
		}}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(1)
		if prompt := h.shown()[0].Message; !strings.HasPrefix(prompt, "Sign in to Notes") {
			t.Errorf("the person was told %q", prompt)
		}
		if w.trace.count("callbackfailed") == 0 {
			t.Error("nobody is told")
		}
	})
}

// What a request of the old era says in _meta is no capability of its session.
func TestLegacyMetaDeclaresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.hostWith(legacy, manners{})
		began := time.Now()
		params := &mcp.CallToolParams{Name: "whoami", Meta: mcp.Meta{
			mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
		}}
		result, err := h.session.CallTool(t.Context(), params)
		r := reply{result, err}
		r.fails(t, lazyauth.ReasonPending)
		if !strings.Contains(r.text(), w.person().UserCode) {
			t.Errorf("after %v, nobody was told: %q", time.Since(began), r.text())
		}
	})
}

// The tick that came while a prompt waited for somebody to take it is not reported to
// the request that is answered with it.
func TestProgressAfterTheHandOver(t *testing.T) {
	for n := range 40 {
		synctest.Test(t, func(t *testing.T) {
			goOn := make(chan struct{})
			w := newWorld(t, setup{tools: func(w *world) {
				lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"),
					func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
						<-goOn
						return nil, answer{"done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
					})
			}})
			w.server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
					if method == "notifications/progress" {
						later(10 * time.Millisecond) // a pipe that is full for a moment, say
					}
					return next(ctx, method, req)
				}
			})
			h := w.rawHost()
			state := (<-h.under("one", "slow", "")).state(t)
			ctx, cancel := context.WithCancel(t.Context())
			second := make(chan struct{})
			go func() {
				h.session.CallTool(ctx, &mcp.CallToolParams{Name: "slow", Meta: mcp.Meta{"progressToken": "two"}, RequestState: state})
				close(second)
			}()
			w.approves()
			later(6 * time.Second)
			cancel()
			<-second
			synctest.Wait()
			close(goOn)
			later(12 * time.Second)
			(<-h.under("three", "slow", state)).state(t)
			synctest.Wait()
			answers := 0
			for _, m := range w.wire.messages() {
				if bytes.Contains(m, []byte(`"resultType":"input_required"`)) {
					answers++
				} else if answers == 2 && bytes.Contains(m, []byte(`"progressToken":"three"`)) {
					t.Errorf("run %d: progress after the answer: %s", n, m)
				}
			}
		})
		if t.Failed() {
			break
		}
	}
}

// A host that waits longer than others is not shown the prompt again before it has given
// up.
func TestPatientHostIsShownOnce(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.hostWith(era, manners{name: "copilot-cli", url: true, form: true, progress: true, react: accepts})
		one := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		later(60 * time.Second)
		two := h.call(t.Context(), "whoami", nil)
		later(5 * time.Second)
		h.wantPrompts(1)
		w.as.Approve(code)
		(<-one).succeeds(t, "Ada")
		(<-two).succeeds(t, "Ada")
	})
}

// A dialog that was accepted is taken down though a later one was declined.
func TestNoticeForAnEarlierPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.host(legacy, inTurn(accepts, says("decline", 3*time.Second)))
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		h.wantPrompts(2)
		w.as.Approve(w.person().UserCode)
		later(20 * time.Second)
		synctest.Wait()
		got := fmt.Sprint(h.completions())
		if !strings.Contains(got, h.shown()[0].ElicitationID) {
			t.Errorf("the host that accepted the first link never learns that it is over: %s", got)
		}
	})
}

// A host that waits shorter than others is shown the prompt again after its patience.
func TestImpatientHostIsShownAgain(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: 10 * time.Minute, Hosts: map[string]lazyauth.Host{"quick": {MaxWait: 20 * time.Second}}}})
		h := w.hostWith(era, manners{name: "quick", url: true, react: accepts})
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		later(5 * time.Second)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		if n := len(h.shown()); n < 2 {
			t.Errorf("four calls, one patience each, and %d prompt", n)
		}
	})
}

// Options are read once.
func TestHostsAreReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := lazyauth.KnownHosts()
		w := newWorld(t, setup{options: lazyauth.Options{Hosts: hosts}})
		hosts["host"] = lazyauth.Host{MaxWait: -time.Second}
		h := w.host(legacy, accepts)
		began := time.Now()
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took < 50*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
