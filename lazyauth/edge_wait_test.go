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

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Patience that would overflow is endless, and not over.
func TestEndlessMaxWait(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: math.MaxInt64}})
		world.Later(time.Second)
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		req := w.Person()
		world.Later(30 * time.Second)
		w.AS.Approve(req.UserCode)
		(<-call).Succeeds(t, "Ada")
	})
}

// A patience of a second is one of a second.
func TestShortMaxWait(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Second}})
		h := w.Host(era, world.Accepts)
		began := time.Now()
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("took %v", took)
		}
	})
}

// Progress increases, however large the handler counts.
func TestLargeProgress(t *testing.T) {
	for _, big := range []float64{1e12, 1e14, float64(1.7e18)} {
		t.Run(fmt.Sprint(big), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Tools: func(w *world.World) {
					lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
						func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
							req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: big})
							return nil, world.Answer{Text: "done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
						})
				}})
				h := w.HostWith(era, world.Manners{URL: true, Progress: true, React: world.Accepts})
				call := h.Call(t.Context(), "import", nil)
				w.Approves()
				p := w.Person()
				world.Later(22 * time.Second)
				w.AS.Approve(p.UserCode)
				(<-call).Succeeds(t, "done")
				h.Progress(1)
			})
		})
	}
}

// Several waits of one call report in one order.
func TestProgressOfSeveralWaits(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					var wg sync.WaitGroup
					for range 8 {
						wg.Go(func() { lazyauth.Require(ctx, scopes.Of("notes:read")) })
					}
					wg.Wait()
					return nil, world.Answer{Text: "done"}, nil
				})
		}})
		h := w.HostWith(era, world.Manners{URL: true, Progress: true, React: world.Accepts})
		call := h.Call(t.Context(), "import", nil)
		w.Approves()
		p := w.Person()
		world.Later(42 * time.Second)
		w.AS.Approve(p.UserCode)
		(<-call).Succeeds(t, "done")
		h.Progress(1)
	})
}

// A link that the host refused by itself and a form that it rejects leave nothing for its
// model: somebody there does not want to be asked.
func TestRefusedByTheHostThenRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		rejects := func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			return nil, errors.New("no forms here")
		}
		h := w.HostWith(world.Legacy, world.Manners{URL: true, Form: true, React: world.InTurn(world.Says("decline", 4*time.Millisecond), rejects)})
		r := <-h.Call(t.Context(), "whoami", nil)
		if strings.Contains(r.Text(), w.Person().UserCode) {
			t.Errorf("the code of a refused prompt is in the model's hands: %q", r.Text())
		}
	})
}

// A refusal says in both eras what was needed, in the wording that was chosen.
func TestWhatARefusalSays(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{InsecureTextAfterDecline: true, Wording: func(_ *mcp.CallToolRequest, c elicit.Channel, p elicit.Prompt) string {
			return "Bitte anmelden, Code " + p.UserCode
		}}})
		w.CodesMayFollow = lazyauth.ReasonDeclined
		h := w.Host(era, world.Says("decline", 3*time.Second))
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		if r.Result.Meta[lazyauth.MetaRequired] != "profile" {
			t.Errorf("required: %v", r.Result.Meta)
		}
		if !strings.Contains(r.Text(), "Bitte anmelden") {
			t.Errorf("wording: %q", r.Text())
		}
	})
}

// Whoever wants to be asked again names no account: all are meant.
func TestSignInPromptForAllAccounts(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Account: lazyauth.AccountFromArgument("text")}, Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddSignInPrompt(w.Server, w.Auth)
		}})
		h := w.Host(era, world.InTurn(world.Says("decline", 3*time.Second), world.Accepts))
		(<-h.Call(t.Context(), "create_note", world.Note{Text: "work"})).Fails(t, lazyauth.ReasonDeclined)
		w.Denies() // the code that nobody polls for any more
		if _, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
			t.Fatal(err)
		}
		call := h.Call(t.Context(), "create_note", world.Note{Text: "work"})
		w.Approves()
		(<-call).Succeeds(t, "work")
	})
}

// Two services on one server have a prompt each.
func TestSignInPromptsOfTwoServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddSignInPrompt(w.Server, w.Auth)
			other, err := lazyauth.New(lazyauth.Service{Name: "Mail", Issuer: w.AS.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{w.AS.API()}}, &lazyauth.Options{Transport: w.AS.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			lazyauth.AddSignInPrompt(w.Server, other)
		}})
		h := w.Host(world.Legacy, world.InTurn(world.Says("decline", 3*time.Second), world.Accepts))
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.Text(), `"sign-in-notes"`) {
			t.Fatal(r.Text())
		}
		w.Denies()
		if _, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
			t.Fatal(err)
		}
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
}

// Two interceptors on one server leave a handler's progress as it is.
func TestProgressWithTwoServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			other, err := lazyauth.New(lazyauth.Service{Name: "Mail", Issuer: w.AS.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{w.AS.API()}}, &lazyauth.Options{Transport: w.AS.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			lazyauth.AddTool(w.Server, other, &mcp.Tool{Name: "mail"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					return nil, world.Answer{Text: "done"}, nil
				})
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					for n := range 4 {
						req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: float64(n), Total: 3})
					}
					return nil, world.Answer{Text: "done"}, nil
				})
		}})
		h := w.HostWith(world.Legacy, world.Manners{URL: true, Progress: true, React: world.Accepts})
		call := h.Call(t.Context(), "import", nil)
		w.Approves()
		(<-call).Succeeds(t, "done")
		m := h.Progress(1)
		if last := m[len(m)-1]; last.Progress != 3 {
			t.Errorf("the handler said 3 of 3, the host heard %v of %v", last.Progress, last.Total)
		}
	})
}

// A call is one call, however often its host comes back for it.
func TestOneCallIsCountedOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		synctest.Wait()
		if !strings.Contains(w.Log.String(), `"calls":1`) {
			t.Errorf("one call waited: %s", w.Log.String())
		}
	})
}

// A goroutine that a handler left behind waits for nobody, and harms nobody.
func TestGoroutineThatOutlivesItsHandler(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		returned := make(chan struct{})
		waits := 0
		var mu sync.Mutex
		w := world.New(t, world.Setup{
			Options: lazyauth.Options{Trace: &lazyauth.Trace{Waiting: func(context.Context, lazyauth.WaitingInfo) {
				mu.Lock()
				waits++
				n := waits
				mu.Unlock()
				if n > 1 { // the stray goroutine; not the call's own wait
					<-returned
					world.Later(time.Second)
				}
			}}},
			Tools: func(w *world.World) {
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"),
					func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						for range 30 {
							go lazyauth.Require(ctx, scopes.Of("notes:read"))
						}
						world.Later(time.Second)
						return nil, world.Answer{Text: "done"}, nil
					})
			}})
		h := w.HostWith(world.Modern, world.Manners{Progress: true, Name: "gemini-cli-mcp-client"})
		call := h.Call(t.Context(), "slow", nil)
		w.Approves()
		(<-call).Succeeds(t, "done")
		close(returned)
		world.Later(time.Minute)
	})
}

// Dialogs are taken down when the server ends.
func TestNoticeAtClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.Host(world.Legacy, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Person()
		synctest.Wait()
		w.Auth.Close()
		(<-call).Fails(t, lazyauth.ReasonUnavailable)
		synctest.Wait()
		if len(h.Completions()) != 1 {
			t.Errorf("completions: %d", len(h.Completions()))
		}
	})
}

// A request that was made up by a program has no session, and no dialogs.
func TestRequestWithoutSession(t *testing.T) {
	for _, era := range world.Eras {
		for _, extra := range []*mcp.RequestExtra{nil, {}} {
			t.Run(fmt.Sprint(era, extra != nil), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: onePerson}})
					h := w.Auth.Handler("raw", scopes.Of("profile"), func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
						return &mcp.CallToolResult{}, nil
					})
					meta := mcp.Meta{"progressToken": "x"}
					if era == world.Modern {
						meta[mcp.MetaKeyProtocolVersion] = world.Modern
					}
					defer func() {
						if v := recover(); v != nil {
							t.Errorf("panic: %v", v)
						}
					}()
					for range 2 {
						h(t.Context(), &mcp.CallToolRequest{Extra: extra, Params: &mcp.CallToolParamsRaw{Name: "raw", Meta: meta}})
						world.Later(time.Second)
					}
				})
			})
		}
	}
}

// A wording that panics leaves the prompt in English, and nobody without one.
func TestWordingPanics(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Wording: func(*mcp.CallToolRequest, elicit.Channel, elicit.Prompt) string {
			panic("no translation")
		}}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(1)
		if prompt := h.Shown()[0].Message; !strings.HasPrefix(prompt, "Sign in to Notes") {
			t.Errorf("the person was told %q", prompt)
		}
		if w.Trace.Count("callbackfailed") == 0 {
			t.Error("nobody is told")
		}
	})
}

// What a request of the old era says in _meta is no capability of its session.
func TestLegacyMetaDeclaresNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(world.Legacy, world.Manners{})
		began := time.Now()
		params := &mcp.CallToolParams{Name: "whoami", Meta: mcp.Meta{
			mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
		}}
		result, err := h.Session.CallTool(t.Context(), params)
		r := world.Reply{Result: result, Err: err}
		r.Fails(t, lazyauth.ReasonPending)
		if !strings.Contains(r.Text(), w.Person().UserCode) {
			t.Errorf("after %v, nobody was told: %q", time.Since(began), r.Text())
		}
	})
}

// The tick that came while a prompt waited for somebody to take it is not reported to
// the request that is answered with it.
func TestProgressAfterTheHandOver(t *testing.T) {
	for n := range 40 {
		synctest.Test(t, func(t *testing.T) {
			goOn := make(chan struct{})
			w := world.New(t, world.Setup{Tools: func(w *world.World) {
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"),
					func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
						<-goOn
						return nil, world.Answer{Text: "done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
					})
			}})
			w.Server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
				return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
					if method == "notifications/progress" {
						world.Later(10 * time.Millisecond) // a pipe that is full for a moment, say
					}
					return next(ctx, method, req)
				}
			})
			h := w.RawHost()
			state := (<-h.Under("one", "slow", "")).State(t)
			ctx, cancel := context.WithCancel(t.Context())
			second := make(chan struct{})
			go func() {
				h.Session.CallTool(ctx, &mcp.CallToolParams{Name: "slow", Meta: mcp.Meta{"progressToken": "two"}, RequestState: state})
				close(second)
			}()
			w.Approves()
			world.Later(6 * time.Second)
			cancel()
			<-second
			synctest.Wait()
			close(goOn)
			world.Later(12 * time.Second)
			(<-h.Under("three", "slow", state)).State(t)
			synctest.Wait()
			answers := 0
			for _, m := range w.Wire.Messages() {
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
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{Name: "copilot-cli", URL: true, Form: true, Progress: true, React: world.Accepts})
		one := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		world.Later(60 * time.Second)
		two := h.Call(t.Context(), "whoami", nil)
		world.Later(5 * time.Second)
		h.WantPrompts(1)
		w.AS.Approve(code)
		(<-one).Succeeds(t, "Ada")
		(<-two).Succeeds(t, "Ada")
	})
}

// A dialog that was accepted is taken down though a later one was declined.
func TestNoticeForAnEarlierPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.Host(world.Legacy, world.InTurn(world.Accepts, world.Says("decline", 3*time.Second)))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		h.WantPrompts(2)
		w.AS.Approve(w.Person().UserCode)
		world.Later(20 * time.Second)
		synctest.Wait()
		got := fmt.Sprint(h.Completions())
		if !strings.Contains(got, h.Shown()[0].ElicitationID) {
			t.Errorf("the host that accepted the first link never learns that it is over: %s", got)
		}
	})
}

// A host that waits shorter than others is shown the prompt again after its patience.
func TestImpatientHostIsShownAgain(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: 10 * time.Minute, Hosts: map[string]lazyauth.Host{"quick": {MaxWait: 20 * time.Second}}}})
		h := w.HostWith(era, world.Manners{Name: "quick", URL: true, React: world.Accepts})
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		world.Later(5 * time.Second)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		if n := len(h.Shown()); n < 2 {
			t.Errorf("four calls, one patience each, and %d prompt", n)
		}
	})
}

// Options are read once.
func TestHostsAreReadOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hosts := lazyauth.KnownHosts()
		w := world.New(t, world.Setup{Options: lazyauth.Options{Hosts: hosts}})
		hosts["host"] = lazyauth.Host{MaxWait: -time.Second}
		h := w.Host(world.Legacy, world.Accepts)
		began := time.Now()
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took < 50*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
