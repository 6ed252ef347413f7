package lazyauth_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A host that is not known to show progress: the prompt stands there for ten seconds,
// then it is shown as text; that of a second call of the same batch at the same time.
func TestProgress_NotKnownToBeShown(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{Progress: true})
		began := time.Now()
		one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		for _, call := range []<-chan world.Reply{one, two} {
			r := <-call
			r.Fails(t, lazyauth.ReasonPending)
			if !strings.Contains(r.Text(), code) {
				t.Errorf("the text %q lacks the code", r.Text())
			}
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("it was shown as text after %v, want about 10 s", took)
		}
		w.WantResultLast()
		with := 0
		for n := 1; n <= 2; n++ {
			for _, m := range h.Progress(n) {
				if strings.Contains(m.Message, code) && strings.Contains(m.Message, "/device") {
					with++
				}
			}
		}
		if with < 2 || with > 3 { // at once, after 5 s, and perhaps after 10 s
			t.Errorf("%d progress messages have address and code, want 2 or 3 of one call", with)
		}
		w.WantChannels("progress", "text")

		// The next call joins, shows the code again, and stays: the model knows.
		world.Later(2 * time.Second)
		next := h.Call(t.Context(), "whoami", nil)
		world.Later(30 * time.Second)
		synctest.Wait()
		w.AS.Approve(code)
		(<-next).Succeeds(t, "Ada")
		if m := h.Progress(3); len(m) < 5 || !strings.Contains(m[0].Message, code) {
			t.Errorf("the call that joined reported %d times", len(m))
		}
		w.WantResultLast()
		w.WantAuthorizations(1)
		if n := w.Starts("whoami"); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

func message(r world.Reply) string {
	p, _ := r.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams)
	return p.Message
}

// A host that is known to show progress: the person reads it there, and for a minute the
// model is told nothing.
func TestProgress_Shown(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{Name: "gemini-cli-mcp-client", Progress: true})
		one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		world.Later(50 * time.Second)
		w.AS.Approve(code)
		(<-one).Succeeds(t, "Ada")
		(<-two).Succeeds(t, "Ada")
		w.WantChannels("progress")
		w.WantAuthorizations(1)
		shown, silent := h.Progress(1), h.Progress(2)
		if strings.Contains(silent[0].Message, code) {
			shown, silent = silent, shown
		}
		for _, m := range shown {
			if !strings.Contains(m.Message, code) {
				t.Errorf("a message lacks the code: %s", m.Message)
			}
		}
		for _, m := range silent {
			if strings.Contains(m.Message, code) || !strings.Contains(m.Message, "Notes") {
				t.Errorf("the code is shown twice: %s", m.Message)
			}
		}
		if n := len(shown); n < 5 || n > 12 { // every 5 to 10 s
			t.Errorf("%d progress messages in 50 s", n)
		}
		w.WantResultLast()
	})
}

// gemini -p and qwen -p have the name of programs that show progress, and show it to
// nobody. After a minute the prompt is shown as text as well; the next call joins, and waits its
// whole time without telling it again.
func TestProgress_ShownToNobody(t *testing.T) {
	for name, longest := range map[string]time.Duration{"gemini-cli-mcp-client": 595 * time.Second, "qwen-cli-mcp-client-notes": 395 * time.Second} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: fakeas.Options{CodeLifetime: time.Hour}})
				h := w.HostWith(era, world.Manners{Name: name, Progress: true})
				began := time.Now()
				one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
				code := w.Person().UserCode
				for _, call := range []<-chan world.Reply{one, two} {
					r := <-call
					r.Fails(t, lazyauth.ReasonPending)
					if !strings.Contains(r.Text(), code) || !strings.Contains(r.Text(), "/device") {
						t.Errorf("the text %q lacks the code or the page", r.Text())
					}
				}
				if took := time.Since(began); took < time.Minute || took > 61*time.Second {
					t.Errorf("it was shown as text after %v, want a minute", took)
				}
				w.WantChannels("progress", "text")
				world.Later(2 * time.Second)
				began = time.Now()
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
				if took := time.Since(began); took < longest || took > longest+time.Second {
					t.Errorf("the call that joined waited for %v, want %v", took, longest)
				}
				joins := h.Call(t.Context(), "whoami", nil)
				world.Later(2 * time.Minute)
				w.AS.Approve(code)
				(<-joins).Succeeds(t, "Ada")
				w.WantAuthorizations(1)
			})
		})
	}
}

// A waiting call reports progress on every channel, and its handler goes on from there.
func TestProgress_WhileADialogIsOpen(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					for n := range 3 {
						if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
							ProgressToken: req.Params.GetProgressToken(), Progress: float64(n), Total: 3,
						}); err != nil {
							t.Error(err)
						}
					}
					return nil, world.Answer{Text: "done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				})
		}})
		h := w.HostWith(era, world.Manners{URL: true, Progress: true, React: world.Accepts})
		call := h.Call(t.Context(), "import", nil)
		first := w.Person()
		world.Later(22 * time.Second)
		w.AS.Approve(first.UserCode)
		second := w.Person()
		world.Later(22 * time.Second)
		w.AS.Approve(second.UserCode)
		(<-call).Succeeds(t, "done")
		messages := h.Progress(1)
		waits, works := 0, 0
		for _, m := range messages {
			switch {
			case strings.Contains(m.Message, "Waiting for the sign-in to Notes"):
				waits++
			case m.Message == "" && m.Total == 3:
				works++
			default:
				t.Errorf("an unexpected message: %+v", m)
			}
			if strings.Contains(m.Message, first.UserCode) || strings.Contains(m.Message, second.UserCode) {
				t.Error("a host with dialogs got the code as progress")
			}
		}
		if waits < 6 || works != 3 {
			t.Errorf("%d messages about waiting and %d of the handler, want about 8 and 3", waits, works)
		}
		if last := messages[len(messages)-1]; last.Total != 3 || last.Progress >= 3 {
			t.Errorf("the last message %+v is not in the handler's units", last)
		}
		w.WantResultLast()
	})
}

// Progress increases, however large the handler counts.
func TestProgress_Large(t *testing.T) {
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
func TestProgress_OfSeveralWaits(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					var wg sync.WaitGroup
					for range 8 {
						wg.Go(func() {
							if err := lazyauth.Require(ctx, scopes.Of("notes:read")); err != nil {
								t.Error(err)
							}
						})
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

// Two interceptors on one server leave a handler's progress as it is.
func TestProgress_WithTwoServices(t *testing.T) {
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

// The tick that came while a prompt waited for somebody to take it is not reported to
// the request that is answered with it.
func TestProgress_AfterTheHandoff(t *testing.T) {
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

// Progress of a tool behind Intercept follows its call, too.
func TestProgress_BehindIntercept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			mcp.AddTool(w.Server, &mcp.Tool{Name: "slow"},
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					err := lazyauth.Require(ctx, scopes.Of("notes:read"))
					req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: 3})
					return nil, world.Answer{Text: "done"}, err
				})
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"slow": scopes.Of("profile")}})
		}})
		h := w.RawHost()
		state := (<-h.Under("one", "slow", "")).State(t)
		second := h.Under("two", "slow", state)
		w.Approves()
		state = (<-second).State(t)
		third := h.Under("three", "slow", state)
		synctest.Wait()
		w.Approves()
		(<-third).Succeeds(t, "done")
		synctest.Wait()
		w.WantProgress(map[string]int{"one": 0, "two": 0, "three": 1})
	})
}

func TestProgress_FollowsTheCall(t *testing.T) {
	// Progress goes to the request that serves the call now, and never to
	// one that was answered.
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					say := func(n float64) {
						if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: n}); err != nil {
							t.Error(err)
						}
					}
					say(1)
					go func() {
						world.Later(5 * time.Second)
						say(2) // suspended: no request is there
					}()
					err := lazyauth.Require(ctx, scopes.Of("notes:read"))
					say(3)
					return nil, world.Answer{Text: "done"}, err
				})
		}})
		h := w.RawHost()
		state := (<-h.Under("one", "slow", "")).State(t)
		second := h.Under("two", "slow", state)
		w.Approves()
		state = (<-second).State(t)
		world.Later(30 * time.Second)
		third := h.Under("three", "slow", state)
		synctest.Wait()
		w.Approves()
		(<-third).Succeeds(t, "done")
		synctest.Wait()
		w.WantProgress(map[string]int{"one": 0, "two": 1, "three": 1})
	})
}
