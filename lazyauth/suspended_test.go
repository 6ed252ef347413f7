package lazyauth_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The outcome of a call is kept, and handed to whoever comes with its state; the code in it
// only to hosts that show no prompts.
func TestSuspended_OutcomeForAnotherHost(t *testing.T) {
	for way, register := range waysIn {
		for name, reword := range rewordings {
			t.Run(way+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: func(w *world.World) { register(w, reword) }})
					e := w.Endpoint()
					first := <-e.Asks(t, world.Request{Tool: "list", Caps: world.URLAlone})
					state := first.State(t)
					waits := e.Asks(t, world.Request{Tool: "list", Caps: world.URLAlone, State: state, Action: "accept"})
					if way != "Intercept, not listed" {
						w.Approves("profile")
						waits = e.Send(t.Context(), world.Request{Tool: "list", State: (<-waits).State(t)}) // the handler needs more
					} else {
						waits = e.Send(t.Context(), world.Request{Tool: "list", State: state})
					}
					plain := <-waits
					if plain.Err == nil && !world.UserCode.MatchString(plain.Text()) {
						t.Errorf("a host without prompts is told %q", plain.Text())
					}
					if again := <-e.Asks(t, world.Request{Tool: "list", Caps: world.FormAlone, State: state}); again.Result != nil {
						again.WantNoCode(t)
						again.Fails(t, lazyauth.ReasonPending)
					}
				})
			})
		}
	}
}

// A host has refused by itself the one mode that another request of the call declares: its
// model gets the code neither in text nor in progress messages.
func TestSuspended_RefusedByTheHostOfAnotherRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}})
		e := w.Endpoint()
		state := (<-e.Asks(t, world.Request{Caps: world.FormAlone})).State(t)
		(<-e.Asks(t, world.Request{Caps: world.URLAndForm, State: state, Action: "decline"})).State(t) // is asked by URL
		r := <-e.Asks(t, world.Request{Caps: world.FormAlone, State: state, Token: "t"})
		r.Fails(t, lazyauth.ReasonDeclined)
		r.WantNoCode(t)
		if n := w.Wire.Count("notifications/progress", w.Person().UserCode); n != 0 {
			t.Errorf("the code is in %d progress messages", n)
		}
		w.WantChannels("form", "url")
	})
}

// On stateless HTTP several hosts of one person may send requests for one call. One that
// refuses its prompt by itself ends a call that has not begun, and then all requests that
// wait in it are answered with that; none of them shows the prompt of a finished call, and
// what is answered to one that was shown already changes nothing.
func TestSuspended_FinishedWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}})
		e := w.Endpoint()
		send := func(r world.Request) <-chan world.Reply {
			out := e.Send(t.Context(), r)
			synctest.Wait()
			return out
		}
		state := (<-send(world.Request{Caps: world.URLAndForm})).State(t)
		waiting := map[string]<-chan world.Reply{
			"takes a form, too": send(world.Request{Caps: world.URLAndForm, State: state}),
			"takes a form":      send(world.Request{Caps: world.FormAlone, State: state}),
			"takes nothing":     send(world.Request{Token: "t", State: state}),
		}
		(<-send(world.Request{Caps: world.URLAlone, State: state, Action: "decline"})).Fails(t, lazyauth.ReasonDeclined)
		for name, reply := range waiting {
			select {
			case r := <-reply:
				r.Fails(t, lazyauth.ReasonDeclined)
			default:
				t.Errorf("the request whose host %s still waits in a finished call", name)
			}
		}
		(<-send(world.Request{Caps: world.FormAlone, State: state, Action: "decline"})).Fails(t, lazyauth.ReasonDeclined)
		if n := w.Counters.All(); n["prompted.url"] != 1 || n["prompted.form"] != 0 {
			t.Errorf("prompts: %v, want one, by URL", n)
		}
		// The person's other hosts are asked, with the same code.
		other := (<-send(world.Request{Caps: world.URLAlone})).State(t)
		done := send(world.Request{Caps: world.URLAlone, State: other, Action: "accept"})
		w.Approves()
		(<-done).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
	})
}

func TestSuspended_ServedAgainAfterABrokenStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := suspendedSaga(t, w, h)
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

func TestSuspended_Declined(t *testing.T) {
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

func TestSuspended_PromptThatNobodyCameBackFor(t *testing.T) {
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

// MaxWait of one duplicated retry does not end the call for the others.
func TestSuspended_DuplicateRetriesOutliveTheFirst(t *testing.T) {
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
func TestSuspended_CancelledBeforeTheToken(t *testing.T) {
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

func TestSuspended_OnlyWhereItIsDeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
		done := make(chan world.Reply, 1)
		go func() {
			result, err := h.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "saga", Arguments: world.Note{Text: "x"}, RequestState: state,
				Meta: mcp.Meta{mcp.MetaKeyClientCapabilities: map[string]any{}}})
			done <- world.Reply{Result: result, Err: err}
		}()
		w.Approves()
		(<-done).Fails(t, lazyauth.ReasonPending)
	})
}

func TestSuspended_OverStatelessHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var w *world.World
		progress := make(chan string, 10)
		w = world.New(t, world.Setup{AS: fakeas.Options{Interval: time.Second}, Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: func(w *world.World) {
			world.WithSaga(w)
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("notes:write"), world.Counted(w, "slow",
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					say := func(n float64) {
						if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: n}); err != nil {
							t.Errorf("progress %v: %v", n, err)
						}
					}
					say(1)
					err := lazyauth.Require(ctx, scopes.Of("notes:read"))
					say(2)
					return nil, world.Answer{Text: "done"}, err
				}))
		}})
		client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
			Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
			MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
			ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
				progress <- fmt.Sprint(r.Params.ProgressToken, " ", r.Params.Progress)
			},
		})
		session, err := client.Connect(t.Context(), world.ServeHTTP(t, w, true, true).As("ada"), &mcp.ClientSessionOptions{ProtocolVersion: world.Modern})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { session.Close() })
		h := w.HostOf(session)
		state := (<-h.Under("one", "slow", "")).State(t)
		second := h.Under("two", "slow", state)
		w.Approves()
		state = (<-second).State(t)
		third := h.Under("three", "slow", state)
		w.Approves()
		(<-third).Succeeds(t, "done")
		if n := w.Starts("slow"); n != 1 {
			t.Errorf("%d starts", n)
		}
		got := []string{<-progress, <-progress}
		if strings.Join(got, ",") != "two 1,three 2" {
			t.Errorf("progress: %q", got)
		}
	})
}

// Some hosts come back only when their person is done in the browser. They are answered with
// what became of the authorization that the person was asked for: nobody who has refused, or
// granted less, is asked again by the same call.
func TestSuspended_HostComesBackLate(t *testing.T) {
	for reason, decide := range map[lazyauth.Reason]func(*world.World){
		lazyauth.ReasonDenied:   (*world.World).Denies,
		lazyauth.ReasonNarrowed: func(w *world.World) { w.Approves("notes:read") },
		lazyauth.ReasonExpired:  func(*world.World) {},
	} {
		t.Run(string(reason), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Hour}})
				h := w.Host(era, world.Says("accept", 10*time.Minute+30*time.Second)) // codes live for ten
				call := h.Call(t.Context(), "whoami", nil)
				decide(w)
				(<-call).Fails(t, reason)
				h.WantPrompts(1)
				w.WantAuthorizations(1)
				if n := w.Starts("whoami"); n != 0 {
					t.Errorf("the handler started %d times", n)
				}
			})
		})
	}
}

// The state of a second prompt is good although the first one's time has ended.
func TestSuspended_SecondPromptAfterTheFirstOnesTime(t *testing.T) {
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

func TestSuspended_KeptLongerForASecondPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
		world.Later(50 * time.Second)
		second := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		w.Approves()
		state = (<-second).State(t)
		third := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		w.Approves()
		(<-third).Succeeds(t, "x")
		world.Later(10*time.Minute + 30*time.Second) // the first prompt's time is over, the second's is not
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")).Succeeds(t, "x")
		w.WantSaga(1, 1)
	})
}

func TestSuspended_OutcomeOutlivesTheCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Hour}})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		(<-h.Request(t.Context(), "whoami", nil, state, "accept")).Fails(t, lazyauth.ReasonExpired)
		world.Later(30 * time.Second)
		(<-h.Request(t.Context(), "whoami", nil, state, "accept")).Fails(t, lazyauth.ReasonExpired)
		world.Later(31 * time.Second)
		(<-h.Request(t.Context(), "whoami", nil, state, "accept")).RefusesState(t)
	})
}
