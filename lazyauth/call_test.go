package lazyauth_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"runtime"
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

func TestCall_Approved(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		h.Gets("ping", nil, "pong")
		h.WantPrompts(0)

		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		h.WantPrompts(1)
		p := h.Shown()[0]
		if p.Mode != "url" || p.URL != w.AS.Issuer()+"/device" || !strings.Contains(p.Message, code) || strings.Contains(p.URL, code) {
			t.Errorf("prompt %+v does not show the page and the code %s", p, code)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")

		h.Gets("whoami", nil, "Ada") // again, without a prompt
		h.WantPrompts(1)
		w.WantAuthorizations(1)
		if n := w.Starts("whoami"); n != 2 {
			t.Errorf("the handler started %d times for two calls", n)
		}
	})
}

func TestCall_Denied(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Denies()
		(<-call).Fails(t, lazyauth.ReasonDenied)

		// The next call asks anew.
		call = h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
		if n := w.Starts("whoami"); n != 1 {
			t.Errorf("the handler started %d times, want 1", n)
		}
	})
}

func TestCall_Expired(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Hour}})
		h := w.Host(era, world.Accepts)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonExpired)
		h.WantPrompts(1)
	})
}

func TestCall_AnswerToThePromptDecidesNothing(t *testing.T) {
	// Hosts say accept before the person signs in, when they come back, or
	// never; the call goes on when the token is there.
	for name, react := range map[string]world.Reaction{
		"before": world.Accepts,
		"after":  world.Says("accept", 30*time.Second),
		"never":  world.Never,
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				if era == world.Modern && name == "never" {
					t.Skip("a host that never answers never sends the retry that the result could go to")
				}
				w := world.New(t, world.Setup{})
				h := w.Host(era, react)
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				h.WantPrompts(1)
			})
		})
	}
}

func TestCall_EndOfInput(t *testing.T) {
	// The host is gone in mid-flight. Its wait ends; the flight does not, and
	// whoever comes next finds the grant.
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		h, hangUp := w.HostThatHangsUp(era)
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		hangUp()
		if r := <-call; r.Err == nil {
			t.Errorf("a call without a connection returned %q", r.Text())
		}
		w.AS.Approve(code)
		world.Later(10 * time.Second)
		next := w.Host(era, world.Accepts)
		next.Gets("whoami", nil, "Ada")
		next.WantPrompts(0)
		w.WantAuthorizations(1)
	})
}

func TestCall_ThousandAtOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		calls := make([]<-chan world.Reply, 1000)
		for n := range calls {
			calls[n] = h.Call(t.Context(), "whoami", nil)
		}
		w.Approves()
		for _, call := range calls {
			(<-call).Succeeds(t, "Ada")
		}
		h.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// A need that arises after MaxWait is over still gets its prompt out. Where
// the prompt answers the request the call goes on; elsewhere the next one does.
func TestCall_NeedAfterMaxWait(t *testing.T) {
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

// A handler that exits its goroutine ends its call. (A blocking one runs on the SDK's.)
func TestCall_HandlerExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "exit"}, scopes.Of("profile"),
				func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					runtime.Goexit()
					return nil, world.Answer{}, nil
				})
		}})
		h := w.Host(world.Modern, world.Accepts)
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

// An author's middleware recovers from panics of handlers, as it always did.
func TestCall_HandlerPanics(t *testing.T) {
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

// A goroutine that a handler left behind waits for nobody, and harms nobody.
func TestCall_GoroutineThatOutlivesItsHandler(t *testing.T) {
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

func TestCall_CancelledHandlerEndsAtOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"), world.Counted(w, "slow",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					<-ctx.Done()
					return nil, world.Answer{}, ctx.Err()
				}))
		}})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		ctx, cancel := context.WithCancel(t.Context())
		call := h.Call(ctx, "slow", nil)
		synctest.Wait()
		cancel()
		<-call
		synctest.Wait()
		if w.Stops("slow") != 1 {
			t.Error("the handler of a cancelled call that nobody can take up again still runs")
		}
	})
}

// A request that was made up by a program has no session, and no dialogs.
func TestCall_WithoutSession(t *testing.T) {
	for _, era := range world.Eras {
		for _, extra := range []*mcp.RequestExtra{nil, {}} {
			t.Run(fmt.Sprint(era, extra != nil), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
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

func TestCall_ClientOutsideOfIt(t *testing.T) {
	if _, err := lazyauth.Client(t.Context()).Get("https://api.example.test/me"); err == nil || !strings.Contains(err.Error(), "lazyauth.AddTool") {
		t.Errorf("a client outside of a call: %v", err)
	}
	if _, err := lazyauth.TokenSource(t.Context()).Token(); err == nil {
		t.Error("a token source outside of a call returned a token")
	}
	if err := lazyauth.Require(t.Context(), scopes.Of("a")); err == nil {
		t.Error("Require outside of a call succeeded")
	}
}

func TestCall_TokenSource(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "raw"}, scopes.Of("profile"),
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					token, err := lazyauth.TokenSource(ctx).Token()
					if err != nil {
						return nil, world.Answer{}, err
					}
					if !token.Valid() || token.RefreshToken != "" {
						t.Error("the token is not valid, or its refresh token is handed to the handler")
					}
					req, _ := http.NewRequestWithContext(ctx, "GET", w.AS.API()+"/me", nil)
					token.SetAuthHeader(req)
					return world.ReadAnswer((&http.Client{Transport: w.AS.Transport()}).Do(req))
				})
		}})
		call := w.Host(era, world.Accepts).Call(t.Context(), "raw", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
}

// Random hosts; anything may happen at any moment.
func TestCall_HostsThatDoWhatTheyLike(t *testing.T) {
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				rnd := rand.New(rand.NewPCG(seed, 7))
				var mu sync.Mutex
				roll := func(n int) int { mu.Lock(); defer mu.Unlock(); return rnd.IntN(n) }
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 90 * time.Second, NoRefresh: seed%2 == 0, CodeLifetime: 3 * time.Minute},
					Options: lazyauth.Options{Principal: world.OnePerson}, Tools: world.WithSaga})
				react := func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
					return world.Says([]string{"accept", "decline", "cancel", "accept"}[roll(4)], time.Duration(roll(40))*time.Second)(ctx, p)
				}
				hosts := []*world.Host{w.Host(world.Legacy, react), w.Host(world.Modern, react), w.Host(world.Modern, react), w.Host(world.Legacy, nil), w.Host(world.Modern, nil)}
				stop := make(chan struct{})
				var person sync.WaitGroup
				person.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(time.Duration(roll(60)) * time.Second):
							for _, r := range w.AS.Waiting() {
								switch roll(4) {
								case 0:
									w.AS.Deny(r.UserCode)
								case 1:
									w.AS.Approve(r.UserCode, "profile")
								default:
									w.AS.Approve(r.UserCode)
								}
							}
						}
					}
				})
				var wg sync.WaitGroup
				for _, h := range hosts {
					for range 4 {
						wg.Go(func() {
							for range 6 {
								ctx, cancel := context.WithTimeout(t.Context(), time.Duration(roll(200)+1)*time.Second)
								tool := []string{"whoami", "saga", "list_notes", "create_note"}[roll(4)]
								var args any
								if tool == "saga" || tool == "create_note" {
									args = world.Note{Text: "x"}
								}
								select {
								case <-h.Call(ctx, tool, args):
								case <-time.After(10 * time.Minute):
									t.Errorf("a call of %s hangs", tool)
								}
								cancel()
								world.Later(time.Duration(roll(30)) * time.Second)
							}
						})
					}
				}
				wg.Wait()
				close(stop)
				person.Wait()
				began := time.Now()
				if err := w.Auth.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
				if took := time.Since(began); took > time.Second {
					t.Errorf("Close took %v", took)
				}
			})
		})
	}
}
