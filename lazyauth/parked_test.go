package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestParkedHandlerRunsOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "saga", world.Note{Text: "once"})
		w.Approves()
		w.Approves()
		(<-call).Succeeds(t, "once")
		h.WantPrompts(2)
		w.WantSaga(1, 1)
		want := map[string]int{world.Legacy: 0, world.Modern: 1}[era]
		if p, r := w.Trace.Count("parked"), w.Trace.Count("resumed"); p != want || r != want {
			t.Errorf("the handler was parked %d times and resumed %d times, want %d", p, r, want)
		}
	})
}

// parkedSaga brings a saga to where its handler is parked, and returns the
// state that its host was given.
func parkedSaga(t *testing.T, w *world.World, h *world.Host) string {
	t.Helper()
	state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
	second := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
	w.Approves()
	state = (<-second).State(t)
	synctest.Wait()
	w.WantSaga(1, 1)
	return state
}

func TestStateIsAnIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := parkedSaga(t, w, h)

		// Presented twice at once, while the person still decides …
		one := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		two := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		w.Approves()
		(<-one).Succeeds(t, "x")
		(<-two).Succeeds(t, "x")
		// … and again after the end, with and without an answer.
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")).Succeeds(t, "x")
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "decline")).Succeeds(t, "x")
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "")).Succeeds(t, "x")
		w.WantSaga(1, 1)

		// After the lease nothing runs any more.
		world.Later(12 * time.Minute)
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")).RefusesState(t)
		w.WantSaga(1, 1)
	})
}

func TestStateOfAnotherRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
		for name, try := range map[string]<-chan world.Reply{
			"garbage":         h.Request(t.Context(), "saga", world.Note{Text: "x"}, "garbage", "accept"),
			"altered":         h.Request(t.Context(), "saga", world.Note{Text: "x"}, flip(state), "accept"),
			"truncated":       h.Request(t.Context(), "saga", world.Note{Text: "x"}, state[:len(state)-4], "accept"),
			"long":            h.Request(t.Context(), "saga", world.Note{Text: "x"}, strings.Repeat("A", world.MaxState+1), "accept"),
			"other arguments": h.Request(t.Context(), "saga", world.Note{Text: "y"}, state, "accept"),
			"other tool":      h.Request(t.Context(), "create_note", world.Note{Text: "x"}, state, "accept"),
		} {
			t.Log(name)
			(<-try).RefusesState(t)
		}
		w.WantSaga(0, 0)

		// None of this harmed the call itself.
		last := h.Request(t.Context(), "saga", map[string]any{"text": "x"}, state, "accept")
		w.Approves()
		(<-last).State(t)
		w.WantSaga(1, 1)
	})
}

// flip changes one bit of a state in its middle.
func flip(state string) string {
	b := []byte(state)
	if b[len(b)/2] == 'A' {
		b[len(b)/2] = 'B'
	} else {
		b[len(b)/2] = 'A'
	}
	return string(b)
}

func TestStateInAFreshProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		before := world.New(t, world.Setup{})
		state := (<-before.RawHost().Request(t.Context(), "whoami", nil, "", "")).State(t)
		// The same service and the same keys, and yet the call is not there.
		after := world.New(t, world.Setup{})
		(<-after.RawHost().Request(t.Context(), "whoami", nil, state, "accept")).RefusesState(t)
		if n := after.Starts("whoami"); n != 0 {
			t.Errorf("the handler started %d times", n)
		}
	})
}

func TestStateOfAnotherPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: world.Anybody}})
		alice, bob := w.RawHost(), w.RawHostNamed("bob")
		state := (<-alice.Request(t.Context(), "whoami", nil, "", "")).State(t)
		(<-bob.Request(t.Context(), "whoami", nil, state, "accept")).RefusesState(t)
	})
}

func TestParkedHandlerIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := parkedSaga(t, w, h)
		w.Approves() // in the browser; but the host never comes back
		world.Later(45 * time.Second)
		synctest.Wait()
		if w.Stops("saga") != 1 {
			t.Error("the handler still waits")
		}
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")).Fails(t, lazyauth.ReasonAbandoned)
		w.WantSaga(1, 1)
		// The grant is there for the next call.
		h.Gets("saga", world.Note{Text: "z"}, "z")
	})
}

// A handler that was parked and whose own wait then ended works on with nobody to answer: it is
// given up when its call is kept no longer, since its host cannot come back from then on.
func TestParkedHandler_EndsWithItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxScopes: scopes.Of("notes:read")}, Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "watch"}, scopes.Of("profile"), world.Counted(w, "watch",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					short, cancel := context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
					_, _, err := w.Get(short, "/notes") // optional: it needs notes:read
					if err == nil {
						t.Error("the API answered without a step-up")
					}
					<-ctx.Done() // it works until the call is given up
					return nil, world.Answer{}, context.Cause(ctx)
				}))
		}})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "watch", nil, "", "")).State(t)
		second := h.Request(t.Context(), "watch", nil, state, "accept")
		w.Approves()
		state = (<-second).State(t) // the step-up's prompt; and nobody ever comes back
		world.Later(10 * time.Minute)
		synctest.Wait()
		if w.Stops("watch") != 0 {
			t.Error("given up while its host could come back")
		}
		world.Later(2 * time.Minute)
		synctest.Wait()
		if w.Stops("watch") != 1 {
			t.Error("it runs for a call that nobody can come back to")
		}
		(<-h.Request(t.Context(), "watch", nil, state, "accept")).RefusesState(t)
	})
}

func TestParkedHandlerFetchedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := parkedSaga(t, w, h)
		world.Later(5 * time.Minute) // reading
		w.Approves()
		world.Later(20 * time.Second) // looking for the terminal
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")).Succeeds(t, "x")
		w.WantSaga(1, 1)
	})
}

func TestBrokenStreamIsAttendedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := parkedSaga(t, w, h)
		ctx, cancel := context.WithCancel(t.Context())
		broken := h.Request(ctx, "saga", world.Note{Text: "x"}, state, "accept")
		synctest.Wait()
		cancel()
		<-broken
		world.Later(20 * time.Second)
		again := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		synctest.Wait()
		w.Approves()
		(<-again).Succeeds(t, "x")
		w.WantSaga(1, 1)
	})
}

func TestTableFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxCalls: 1, Principal: world.ByClientName, VerifyUser: world.Anybody}})
		alice, bob := w.RawHost(), w.RawHostNamed("bob")
		state := (<-alice.Request(t.Context(), "whoami", nil, "", "")).State(t)
		(<-bob.Request(t.Context(), "whoami", nil, "", "")).Fails(t, lazyauth.ReasonBusy)
		world.Later(time.Second)
		w.WantAuthorizations(1) // nothing was begun for somebody who cannot be asked
		if w.Trace.Count("failed") != 1 {
			t.Errorf("the trace has:\n%s", w.Trace.Text())
		}

		// Nobody was evicted, and there is room when the lease is over.
		first := alice.Request(t.Context(), "whoami", nil, state, "accept")
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		world.Later(12 * time.Minute)
		(<-bob.Request(t.Context(), "whoami", nil, "", "")).State(t)
	})
}

func TestDeclinedWhileParked(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		var reactions []world.Reaction
		h := w.Host(era, func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			react := reactions[0]
			reactions = reactions[1:]
			return react(ctx, p)
		})
		reactions = []world.Reaction{world.Accepts, world.Says("decline", 3*time.Second)}
		call := h.Call(t.Context(), "saga", world.Note{Text: "x"})
		w.Approves()
		(<-call).Fails(t, lazyauth.ReasonDeclined)
		w.WantSaga(1, 1)
		// What was granted before still works.
		h.Gets("create_note", world.Note{Text: "still"}, "still")
	})
}

func TestPromptThatNobodyCameBackFor(t *testing.T) {
	// The person closed the dialog, and the host, as some do, told nobody.
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		first := <-h.Request(t.Context(), "whoami", nil, "", "")
		old := first.State(t)
		world.Later(10 * time.Second)
		waiting := h.Request(t.Context(), "whoami", nil, "", "") // too early for a second dialog
		world.Later(50 * time.Second)
		// The next call finds that nobody came back. One of the two is
		// answered with the prompt, the other goes on waiting.
		third := h.Request(t.Context(), "whoami", nil, "", "")
		again := <-waiting
		state := again.State(t)
		if !strings.Contains(message(again), w.Person().UserCode) {
			t.Errorf("the prompt %q has another code", message(again))
		}
		// What is said to the old prompt is stale.
		stale := h.Request(t.Context(), "whoami", nil, old, "decline")
		last := h.Request(t.Context(), "whoami", nil, state, "accept")
		w.Approves()
		for _, call := range []<-chan world.Reply{stale, last, third} {
			(<-call).Succeeds(t, "Ada")
		}
		w.WantAuthorizations(1)
	})
}

func message(r world.Reply) string {
	p, _ := r.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams)
	return p.Message
}

func TestHandlerWithRoundTripsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithConfirm})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		second := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		asks := (<-second).State(t)
		if strings.Contains(asks, "step-2") {
			t.Error("the handler's state travels in the open")
		}
		h.Confirms(asks).Succeeds(t, "accept step-2")
		h.Confirms(flip(asks)).RefusesState(t)
	})
}

func TestProgressFollowsTheCall(t *testing.T) {
	// Progress goes to the request that attends to the call now, and never to
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
						say(2) // parked: nobody is there
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
