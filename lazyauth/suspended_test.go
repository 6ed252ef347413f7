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

// A handler whose host never came back for its prompt does not keep other calls from
// showing it, and when that host comes back after all there are not two.
func TestSuspended_ParkedHandlerLeavesThePromptToOthers(t *testing.T) {
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
		parked := (<-call).State(t)
		world.Later(56 * time.Second)

		other := <-e.Asks(t, world.Request{Tool: "list_notes", Caps: world.URLAlone})
		shown := other.State(t)
		code := w.Person().UserCode
		if p, ok := other.Result.InputRequests[world.ResponseKey].(*mcp.ElicitParams); !ok || !strings.Contains(p.Message, code) {
			t.Fatalf("the other call is told %q", other.Text())
		}
		back := e.Asks(t, world.Request{Tool: "climb", Caps: world.URLAlone, State: parked, Action: "accept"})
		last := e.Asks(t, world.Request{Tool: "list_notes", Caps: world.URLAlone, State: shown, Action: "accept"})
		w.WantChannels("url", "url", "url")
		w.AS.Approve(code)
		(<-back).Succeeds(t, "climbed")
		(<-last).Succeeds(t, "[]")
		w.WantChannels("url", "url", "url")
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
