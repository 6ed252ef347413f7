package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// asks sends requests one after the other, and lets each come to rest.
func (e *endpoint) asks(t *testing.T, r round) <-chan reply {
	t.Helper()
	out := e.send(t.Context(), r)
	synctest.Wait()
	return out
}

// wantNoCode demands that the model of this reply is not told the code.
func (r reply) wantNoCode(t *testing.T) {
	t.Helper()
	if userCode.MatchString(r.text()) {
		t.Errorf("the model of a host that shows prompts is told %q", r.text())
	}
}

// The outcome of a call is kept, and handed to whoever comes with its state; the code in it
// only to hosts that show no prompts.
func TestSuspended_OutcomeForAnotherHost(t *testing.T) {
	for way, register := range waysIn {
		for name, reword := range rewordings {
			t.Run(way+", "+name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, setup{options: lazyauth.Options{VerifyUser: anybody}, tools: func(w *world) { register(w, reword) }})
					e := w.endpoint()
					first := <-e.asks(t, round{tool: "list", caps: urlAlone})
					state := first.state(t)
					waits := e.asks(t, round{tool: "list", caps: urlAlone, state: state, action: "accept"})
					if way != "Intercept, not listed" {
						w.approves("profile")
						waits = e.send(t.Context(), round{tool: "list", state: (<-waits).state(t)}) // the handler needs more
					} else {
						waits = e.send(t.Context(), round{tool: "list", state: state})
					}
					plain := <-waits
					if plain.err == nil && !userCode.MatchString(plain.text()) {
						t.Errorf("a host without prompts is told %q", plain.text())
					}
					if again := <-e.asks(t, round{tool: "list", caps: formAlone, state: state}); again.result != nil {
						again.wantNoCode(t)
						again.fails(t, lazyauth.ReasonPending)
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
		w := newWorld(t, setup{options: lazyauth.Options{VerifyUser: anybody}})
		e := w.endpoint()
		state := (<-e.asks(t, round{caps: formAlone})).state(t)
		(<-e.asks(t, round{caps: urlAndForm, state: state, action: "decline"})).state(t) // is asked by URL
		r := <-e.asks(t, round{caps: formAlone, state: state, token: "t"})
		r.fails(t, lazyauth.ReasonDeclined)
		r.wantNoCode(t)
		if n := w.wire.count("notifications/progress", w.person().UserCode); n != 0 {
			t.Errorf("the code is in %d progress messages", n)
		}
		w.wantChannels("form", "url")
	})
}

// A handler whose host never came back for its prompt does not keep other calls from
// showing it, and when that host comes back after all there are not two.
func TestSuspended_ParkedHandlerLeavesThePromptToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{VerifyUser: anybody}, tools: func(w *world) {
			w.addTools()
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "climb"}, scopes.Of("profile"), counted(w, "climb",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					return nil, answer{"climbed"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				}))
		}})
		e := w.endpoint()
		state := (<-e.asks(t, round{tool: "climb", caps: urlAlone})).state(t)
		call := e.asks(t, round{tool: "climb", caps: urlAlone, state: state, action: "accept"})
		w.approves("profile")
		parked := (<-call).state(t)
		later(56 * time.Second)

		other := <-e.asks(t, round{tool: "list_notes", caps: urlAlone})
		shown := other.state(t)
		code := w.person().UserCode
		if p, ok := other.result.InputRequests[responseKey].(*mcp.ElicitParams); !ok || !strings.Contains(p.Message, code) {
			t.Fatalf("the other call is told %q", other.text())
		}
		back := e.asks(t, round{tool: "climb", caps: urlAlone, state: parked, action: "accept"})
		last := e.asks(t, round{tool: "list_notes", caps: urlAlone, state: shown, action: "accept"})
		w.wantChannels("url", "url", "url")
		w.as.Approve(code)
		(<-back).succeeds(t, "climbed")
		(<-last).succeeds(t, "[]")
		w.wantChannels("url", "url", "url")
	})
}

// On stateless HTTP several hosts of one person may send requests for one call. One that
// refuses its prompt by itself ends a call that has not begun, and then all requests that
// wait in it are answered with that; none of them shows the prompt of a finished call, and
// what is answered to one that was shown already changes nothing.
func TestSuspended_FinishedWhileOthersWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{VerifyUser: anybody}})
		e := w.endpoint()
		send := func(r round) <-chan reply {
			out := e.send(t.Context(), r)
			synctest.Wait()
			return out
		}
		state := (<-send(round{caps: urlAndForm})).state(t)
		waiting := map[string]<-chan reply{
			"takes a form, too": send(round{caps: urlAndForm, state: state}),
			"takes a form":      send(round{caps: formAlone, state: state}),
			"takes nothing":     send(round{token: "t", state: state}),
		}
		(<-send(round{caps: urlAlone, state: state, action: "decline"})).fails(t, lazyauth.ReasonDeclined)
		for name, reply := range waiting {
			select {
			case r := <-reply:
				r.fails(t, lazyauth.ReasonDeclined)
			default:
				t.Errorf("the request whose host %s still waits in a finished call", name)
			}
		}
		(<-send(round{caps: formAlone, state: state, action: "decline"})).fails(t, lazyauth.ReasonDeclined)
		if n := w.counters.All(); n["prompted.url"] != 1 || n["prompted.form"] != 0 {
			t.Errorf("prompts: %v, want one, by URL", n)
		}
		// The person's other hosts are asked, with the same code.
		other := (<-send(round{caps: urlAlone})).state(t)
		done := send(round{caps: urlAlone, state: other, action: "accept"})
		w.approves()
		(<-done).succeeds(t, "Ada")
		w.wantAuthorizations(1)
	})
}
