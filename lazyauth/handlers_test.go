package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestSuspended_HandlerRunsOnce(t *testing.T) {
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
			t.Errorf("the call was suspended %d times and resumed %d times, want %d", p, r, want)
		}
	})
}

// suspendedSaga brings a saga to where its handler waits for a request, and returns the
// state that its host was given.
func suspendedSaga(t *testing.T, w *world.World, h *world.Host) string {
	t.Helper()
	state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
	second := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
	w.Approves()
	state = (<-second).State(t)
	synctest.Wait()
	w.WantSaga(1, 1)
	return state
}

func TestSuspended_Abandoned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := suspendedSaga(t, w, h)
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

// A handler that waited for a request, and whose own wait then ended, works on with nobody to answer: it is
// given up when its call is kept no longer, since its host cannot come back from then on.
func TestSuspended_EndsWithItsCall(t *testing.T) {
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

func TestSuspended_FetchedLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := suspendedSaga(t, w, h)
		world.Later(5 * time.Minute) // reading
		w.Approves()
		world.Later(20 * time.Second) // looking for the terminal
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")).Succeeds(t, "x")
		w.WantSaga(1, 1)
	})
}

func TestSuspended_MaxWaitEnds(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "saga", world.Note{Text: "x"})
		w.Approves()
		w.Person() // … thinks
		(<-call).Fails(t, lazyauth.ReasonPending)
		synctest.Wait()
		if w.Stops("saga") != 1 {
			t.Error("the handler did not end before its call was answered")
		}
		w.Approves()
		world.Later(time.Minute)
		w.WantSaga(1, 1) // approval started nothing by itself
		h.Gets("saga", world.Note{Text: "y"}, "y")
		w.WantSaga(2, 2)
	})
}

// A suspended call that no request comes back for is in nobody's way.
func TestSuspended_KeepsNoSlot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		suspendedSaga(t, w, h) // and nobody comes back
		w.Approves()
		world.Later(10 * time.Second)
		h.Gets("list_notes", nil, "x")
	})
}

// withWorker adds a tool that is suspended once and then works for a minute.
func withWorker(w *world.World) {
	w.AddTools()
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "worker"}, scopes.Of("profile"), world.Counted(w, "worker",
		func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			if err := lazyauth.Require(ctx, scopes.Of("notes:read")); err != nil {
				return nil, world.Answer{}, err
			}
			select {
			case <-time.After(time.Minute):
				return nil, world.Answer{Text: "done"}, nil
			case <-ctx.Done():
				return nil, world.Answer{}, ctx.Err()
			}
		}))
}

// working brings a worker to where it has been suspended and works again, under
// two requests with the state that is returned.
func working(ctx context.Context, t *testing.T, w *world.World, h *world.Host) (state string, one, two <-chan world.Reply) {
	state = (<-h.Request(t.Context(), "worker", nil, "", "")).State(t)
	second := h.Request(t.Context(), "worker", nil, state, "accept")
	w.Approves()
	state = (<-second).State(t)
	one = h.Request(ctx, "worker", nil, state, "accept")
	two = h.Request(ctx, "worker", nil, state, "accept")
	w.Approves()
	world.Later(6 * time.Second) // the next poll
	return state, one, two
}

func TestSuspended_WorkingHandlerIsAbandoned(t *testing.T) {
	for name, away := range map[string]time.Duration{"comes back": 20 * time.Second, "stays away": 31 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Tools: withWorker})
				h := w.RawHost()
				ctx, cancel := context.WithCancel(t.Context())
				state, one, two := working(ctx, t, w, h)
				cancel()
				<-one
				<-two
				world.Later(away)
				again := <-h.Request(t.Context(), "worker", nil, state, "")
				if name == "comes back" {
					again.Succeeds(t, "done")
				} else {
					again.Fails(t, lazyauth.ReasonAbandoned)
				}
			})
		})
	}
}

func TestSuspended_OneOfTwoRequestsBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: withWorker})
		h := w.RawHost()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		state, _, _ := working(ctx, t, w, h)
		stays := h.Request(t.Context(), "worker", nil, state, "")
		synctest.Wait()
		cancel()
		(<-stays).Succeeds(t, "done")
	})
}

// A handler whose host never came back for its prompt does not keep other calls from
// showing it, and when that host comes back after all there are not two.
func TestSuspended_LeavesThePromptToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "climb"}, scopes.Of("profile"), world.Counted(w, "climb",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					return nil, world.Answer{Text: "climbed"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				}))
		}})
		e := w.Endpoint()
		state := (<-e.Asks(t, world.Request{Tool: "climb", Caps: world.URLAlone})).State(t)
		call := e.Asks(t, world.Request{Tool: "climb", Caps: world.URLAlone, State: state, Action: "accept"})
		w.Approves("profile")
		state = (<-call).State(t)
		world.Later(56 * time.Second)

		other := <-e.Asks(t, world.Request{Tool: "list_notes", Caps: world.URLAlone})
		shown := other.State(t)
		code := w.Person().UserCode
		if p, ok := other.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams); !ok || !strings.Contains(p.Message, code) {
			t.Fatalf("the other call was answered with %q", other.Text())
		}
		back := e.Asks(t, world.Request{Tool: "climb", Caps: world.URLAlone, State: state, Action: "accept"})
		last := e.Asks(t, world.Request{Tool: "list_notes", Caps: world.URLAlone, State: shown, Action: "accept"})
		w.WantChannels("url", "url", "url")
		w.AS.Approve(code)
		(<-back).Succeeds(t, "climbed")
		(<-last).Succeeds(t, "[]")
		w.WantChannels("url", "url", "url")
	})
}
