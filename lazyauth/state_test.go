package lazyauth_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

func TestState_IsAnIdempotencyKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := suspendedSaga(t, w, h)

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

		// After the time that the call is kept nothing runs any more.
		world.Later(12 * time.Minute)
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")).RefusesState(t)
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

func TestState_OfAnotherRequest(t *testing.T) {
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
			(<-try).RefusesState(t)
			if t.Failed() {
				t.Fatalf("the state was: %s", name)
			}
		}
		w.WantSaga(0, 0)

		// None of this harmed the call itself.
		last := h.Request(t.Context(), "saga", map[string]any{"text": "x"}, state, "accept")
		w.Approves()
		(<-last).State(t)
		w.WantSaga(1, 1)
	})
}

func TestState_InAFreshProcess(t *testing.T) {
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

func TestState_OfAnotherPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: world.Anybody}})
		alice, bob := w.RawHost(), w.RawHostNamed("bob")
		state := (<-alice.Request(t.Context(), "whoami", nil, "", "")).State(t)
		(<-bob.Request(t.Context(), "whoami", nil, state, "accept")).RefusesState(t)
	})
}
