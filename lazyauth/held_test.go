package lazyauth_test

import (
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// On stateless HTTP several hosts of one person may send requests for one call. One that
// refuses its prompt by itself ends a call that has not begun, and then all requests that
// wait in it are answered with that; none of them shows the prompt of a finished call, and
// what is answered to one that was shown already changes nothing.
func TestHeld_FinishedWhileOthersWait(t *testing.T) {
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
