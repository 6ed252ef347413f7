package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// withSaga adds a tool that has a side effect, and only then finds out that it
// needs more.
func withSaga(w *world) {
	w.addTools()
	lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "saga"}, scopes.Of("notes:write"), counted(w, "saga",
		func(ctx context.Context, _ *mcp.CallToolRequest, in noteArgs) (*mcp.CallToolResult, answer, error) {
			body, _ := json.Marshal(in)
			res, err := lazyauth.Client(ctx).Post(w.as.API()+"/notes", "application/json", strings.NewReader(string(body)))
			if _, _, err := read(res, err); err != nil {
				return nil, answer{}, err
			}
			if err := lazyauth.Require(ctx, scopes.Of("notes:read", "notes:write")); err != nil {
				return nil, answer{}, err
			}
			return w.get(ctx, "/notes")
		}))
}

func (w *world) wantSaga(notes, starts int) {
	w.t.Helper()
	if n := w.as.Count(fakeas.CreateNote, fakeas.OK); n != notes {
		w.t.Errorf("%d notes were created, want %d", n, notes)
	}
	if n := w.starts("saga"); n != starts {
		w.t.Errorf("the handler started %d times, want %d", n, starts)
	}
}

func TestParkedHandlerRunsOnce(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "saga", noteArgs{"once"})
		w.approves()
		w.approves()
		(<-call).succeeds(t, "once")
		h.wantPrompts(2)
		w.wantSaga(1, 1)
		want := map[string]int{legacy: 0, modern: 1}[era]
		if p, r := w.trace.count("parked"), w.trace.count("resumed"); p != want || r != want {
			t.Errorf("the handler was parked %d times and resumed %d times, want %d", p, r, want)
		}
	})
}

// rawHost connects a host of the modern era whose every round is played by the
// test.
func (w *world) rawHost() *host { return w.rawHostNamed("raw") }

func (w *world) rawHostNamed(name string) *host {
	w.t.Helper()
	h := &host{w: w}
	here, there := mcp.NewInMemoryTransports()
	if _, err := w.server.Connect(context.Background(), &mcp.LoggingTransport{Transport: there, Writer: &w.wire}, nil); err != nil {
		w.t.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: name, Version: "1"}, &mcp.ClientOptions{
		Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
	})
	session, err := client.Connect(context.Background(), here, nil)
	if err != nil {
		w.t.Fatal(err)
	}
	h.session = session
	w.t.Cleanup(func() { session.Close() })
	return h
}

// round sends one request of a call: the first with neither state nor action,
// a retry with both, or with a state alone.
func (h *host) round(ctx context.Context, tool string, args any, state, action string) <-chan reply {
	params := &mcp.CallToolParams{Name: tool, Arguments: args, RequestState: state}
	if action != "" {
		params.InputResponses = mcp.InputResponseMap{responseKey: &mcp.ElicitResult{Action: action}}
	}
	out := make(chan reply, 1)
	go func() {
		result, err := h.session.CallTool(ctx, params)
		out <- reply{result, err}
	}()
	return out
}

// state returns the state of a reply that asks for input.
func (r reply) state(t *testing.T) string {
	t.Helper()
	if r.err != nil || !r.result.NeedsInput() || r.result.RequestState == "" {
		t.Fatalf("the reply asks for no input: %q, %v", r.text(), r.err)
	}
	return r.result.RequestState
}

func (r reply) refusesState(t *testing.T) {
	t.Helper()
	if e, ok := errors.AsType[*jsonrpc.Error](r.err); !ok || e.Code != jsonrpc.CodeInvalidParams {
		t.Errorf("a state that is not good got %q, %v; want error %d", r.text(), r.err, jsonrpc.CodeInvalidParams)
	}
}

// parkedSaga brings a saga to where its handler is parked, and returns the
// state that its host was given.
func parkedSaga(t *testing.T, w *world, h *host) string {
	t.Helper()
	state := (<-h.round(t.Context(), "saga", noteArgs{"x"}, "", "")).state(t)
	second := h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")
	w.approves()
	state = (<-second).state(t)
	synctest.Wait()
	w.wantSaga(1, 1)
	return state
}

func TestStateIsAnIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		state := parkedSaga(t, w, h)

		// Presented twice at once, while the person still decides …
		one := h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")
		two := h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")
		w.approves()
		(<-one).succeeds(t, "x")
		(<-two).succeeds(t, "x")
		// … and again after the end, with and without an answer.
		(<-h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")).succeeds(t, "x")
		(<-h.round(t.Context(), "saga", noteArgs{"x"}, state, "decline")).succeeds(t, "x")
		(<-h.round(t.Context(), "saga", noteArgs{"x"}, state, "")).succeeds(t, "x")
		w.wantSaga(1, 1)

		// After the lease nothing runs any more.
		later(12 * time.Minute)
		(<-h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")).refusesState(t)
		w.wantSaga(1, 1)
	})
}

func TestStateOfAnotherRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "saga", noteArgs{"x"}, "", "")).state(t)
		for name, try := range map[string]<-chan reply{
			"garbage":         h.round(t.Context(), "saga", noteArgs{"x"}, "garbage", "accept"),
			"altered":         h.round(t.Context(), "saga", noteArgs{"x"}, flip(state), "accept"),
			"truncated":       h.round(t.Context(), "saga", noteArgs{"x"}, state[:len(state)-4], "accept"),
			"long":            h.round(t.Context(), "saga", noteArgs{"x"}, strings.Repeat("A", maxState+1), "accept"),
			"other arguments": h.round(t.Context(), "saga", noteArgs{"y"}, state, "accept"),
			"other tool":      h.round(t.Context(), "create_note", noteArgs{"x"}, state, "accept"),
		} {
			t.Log(name)
			(<-try).refusesState(t)
		}
		w.wantSaga(0, 0)

		// None of this harmed the call itself.
		last := h.round(t.Context(), "saga", map[string]any{"text": "x"}, state, "accept")
		w.approves()
		(<-last).state(t)
		w.wantSaga(1, 1)
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
		before := newWorld(t, setup{})
		state := (<-before.rawHost().round(t.Context(), "whoami", nil, "", "")).state(t)
		// The same service and the same keys, and yet the call is not there.
		after := newWorld(t, setup{})
		(<-after.rawHost().round(t.Context(), "whoami", nil, state, "accept")).refusesState(t)
		if n := after.starts("whoami"); n != 0 {
			t.Errorf("the handler started %d times", n)
		}
	})
}

func TestStateOfAnotherPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: byClientName, VerifyUser: anybody}})
		alice, bob := w.rawHost(), w.rawHostNamed("bob")
		state := (<-alice.round(t.Context(), "whoami", nil, "", "")).state(t)
		(<-bob.round(t.Context(), "whoami", nil, state, "accept")).refusesState(t)
	})
}

func TestParkedHandlerIsAbandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		state := parkedSaga(t, w, h)
		w.approves() // in the browser; but the host never comes back
		later(45 * time.Second)
		synctest.Wait()
		if w.ended["saga"] != 1 {
			t.Error("the handler still waits")
		}
		(<-h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")).fails(t, lazyauth.ReasonAbandoned)
		w.wantSaga(1, 1)
		// The grant is there for the next call.
		h.gets("saga", noteArgs{"z"}, "z")
	})
}

// A handler that was parked and whose own wait then ended works on with nobody to answer: it is
// given up when its call is kept no longer, since its host cannot come back from then on.
func TestParkedHandler_EndsWithItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxScopes: scopes.Of("notes:read")}, tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "watch"}, scopes.Of("profile"), counted(w, "watch",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					short, cancel := context.WithTimeout(ctx, 10*time.Second)
					defer cancel()
					_, _, err := w.get(short, "/notes") // optional: it needs notes:read
					if err == nil {
						t.Error("the API answered without a step-up")
					}
					<-ctx.Done() // it works until the call is given up
					return nil, answer{}, context.Cause(ctx)
				}))
		}})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "watch", nil, "", "")).state(t)
		second := h.round(t.Context(), "watch", nil, state, "accept")
		w.approves()
		state = (<-second).state(t) // the step-up's prompt; and nobody ever comes back
		later(10 * time.Minute)
		synctest.Wait()
		if w.stops("watch") != 0 {
			t.Error("given up while its host could come back")
		}
		later(2 * time.Minute)
		synctest.Wait()
		if w.stops("watch") != 1 {
			t.Error("it runs for a call that nobody can come back to")
		}
		(<-h.round(t.Context(), "watch", nil, state, "accept")).refusesState(t)
	})
}

func TestParkedHandlerFetchedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		state := parkedSaga(t, w, h)
		later(5 * time.Minute) // reading
		w.approves()
		later(20 * time.Second) // looking for the terminal
		(<-h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")).succeeds(t, "x")
		w.wantSaga(1, 1)
	})
}

func TestBrokenStreamIsAttendedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		state := parkedSaga(t, w, h)
		ctx, cancel := context.WithCancel(t.Context())
		broken := h.round(ctx, "saga", noteArgs{"x"}, state, "accept")
		synctest.Wait()
		cancel()
		<-broken
		later(20 * time.Second)
		again := h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")
		synctest.Wait()
		w.approves()
		(<-again).succeeds(t, "x")
		w.wantSaga(1, 1)
	})
}

func TestTableFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxCalls: 1, Principal: byClientName, VerifyUser: anybody}})
		alice, bob := w.rawHost(), w.rawHostNamed("bob")
		state := (<-alice.round(t.Context(), "whoami", nil, "", "")).state(t)
		(<-bob.round(t.Context(), "whoami", nil, "", "")).fails(t, lazyauth.ReasonBusy)
		later(time.Second)
		w.wantAuthorizations(1) // nothing was begun for somebody who cannot be asked
		if w.trace.count("failed") != 1 {
			t.Errorf("the trace has:\n%s", w.trace.text())
		}

		// Nobody was evicted, and there is room when the lease is over.
		first := alice.round(t.Context(), "whoami", nil, state, "accept")
		w.approves()
		(<-first).succeeds(t, "Ada")
		later(12 * time.Minute)
		(<-bob.round(t.Context(), "whoami", nil, "", "")).state(t)
	})
}

func TestDeclinedWhileParked(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withSaga})
		var reactions []reaction
		h := w.host(era, func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			react := reactions[0]
			reactions = reactions[1:]
			return react(ctx, p)
		})
		reactions = []reaction{accepts, says("decline", 3*time.Second)}
		call := h.call(t.Context(), "saga", noteArgs{"x"})
		w.approves()
		(<-call).fails(t, lazyauth.ReasonDeclined)
		w.wantSaga(1, 1)
		// What was granted before still works.
		h.gets("create_note", noteArgs{"still"}, "still")
	})
}

func TestPromptThatNobodyCameBackFor(t *testing.T) {
	// The person closed the dialog, and the host, as some do, told nobody.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		first := <-h.round(t.Context(), "whoami", nil, "", "")
		old := first.state(t)
		later(10 * time.Second)
		waiting := h.round(t.Context(), "whoami", nil, "", "") // too early for a second dialog
		later(50 * time.Second)
		// The next call finds that nobody came back. One of the two is
		// answered with the prompt, the other goes on waiting.
		third := h.round(t.Context(), "whoami", nil, "", "")
		again := <-waiting
		state := again.state(t)
		if !strings.Contains(message(again), w.person().UserCode) {
			t.Errorf("the prompt %q has another code", message(again))
		}
		// What is said to the old prompt is stale.
		stale := h.round(t.Context(), "whoami", nil, old, "decline")
		last := h.round(t.Context(), "whoami", nil, state, "accept")
		w.approves()
		for _, call := range []<-chan reply{stale, last, third} {
			(<-call).succeeds(t, "Ada")
		}
		w.wantAuthorizations(1)
	})
}

func message(r reply) string {
	p, _ := r.result.InputRequests[responseKey].(*mcp.ElicitParams)
	return p.Message
}

// withConfirm adds a tool whose handler makes a round trip of its own.
func withConfirm(w *world) {
	lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "confirm"}, scopes.Of("profile"), counted(w, "confirm",
		func(_ context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
			if sure, ok := req.Params.InputResponses["sure"].(*mcp.ElicitResult); ok {
				return nil, answer{sure.Action + " " + req.Params.RequestState}, nil
			}
			if len(req.Params.InputResponses) != 0 || req.Params.RequestState != "" {
				w.t.Errorf("the handler sees what is not its own: %+v", req.Params)
			}
			return &mcp.CallToolResult{
				InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}},
				RequestState:  "step-2",
			}, answer{}, nil
		}))
}

// confirms sends the second leg of the tool that withConfirm adds.
func (h *host) confirms(state string) reply {
	result, err := h.session.CallTool(h.w.t.Context(), &mcp.CallToolParams{Name: "confirm", RequestState: state,
		InputResponses: mcp.InputResponseMap{"sure": &mcp.ElicitResult{Action: "accept"}}})
	return reply{result, err}
}

// under sends one request of a call under a progress token.
func (h *host) under(token, tool, state string) <-chan reply {
	params := &mcp.CallToolParams{Name: tool, Meta: mcp.Meta{"progressToken": token}, RequestState: state}
	out := make(chan reply, 1)
	go func() {
		result, err := h.session.CallTool(h.w.t.Context(), params)
		out <- reply{result, err}
	}()
	return out
}

// wantProgress counts what handlers report, which says nothing in words here.
func (w *world) wantProgress(byToken map[string]int) {
	w.t.Helper()
	for token, want := range byToken {
		under := `"progressToken":"` + token + `"`
		if got := w.wire.count("notifications/progress", under) - w.wire.count("notifications/progress", under, `"message"`); got != want {
			w.t.Errorf("%d progress messages of the handler under token %s, want %d", got, token, want)
		}
	}
}

func TestHandlerWithRoundTripsOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withConfirm})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "confirm", nil, "", "")).state(t)
		second := h.round(t.Context(), "confirm", nil, state, "accept")
		w.approves()
		asks := (<-second).state(t)
		if strings.Contains(asks, "step-2") {
			t.Error("the handler's state travels in the open")
		}
		h.confirms(asks).succeeds(t, "accept step-2")
		h.confirms(flip(asks)).refusesState(t)
	})
}

func TestProgressFollowsTheCall(t *testing.T) {
	// Progress goes to the request that attends to the call now, and never to
	// one that was answered.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					say := func(n float64) {
						if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: n}); err != nil {
							t.Error(err)
						}
					}
					say(1)
					go func() {
						later(5 * time.Second)
						say(2) // parked: nobody is there
					}()
					err := lazyauth.Require(ctx, scopes.Of("notes:read"))
					say(3)
					return nil, answer{"done"}, err
				})
		}})
		h := w.rawHost()
		state := (<-h.under("one", "slow", "")).state(t)
		second := h.under("two", "slow", state)
		w.approves()
		state = (<-second).state(t)
		later(30 * time.Second)
		third := h.under("three", "slow", state)
		synctest.Wait()
		w.approves()
		(<-third).succeeds(t, "done")
		synctest.Wait()
		w.wantProgress(map[string]int{"one": 0, "two": 1, "three": 1})
	})
}
