package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// polls is how often the token endpoint was asked for a device code's token.
func (w *world) polls() int { return w.as.Count(fakeas.Poll, "") }

// wantNoPolls demands that nobody polls for as long as a code lives.
func (w *world) wantNoPolls() {
	w.t.Helper()
	before := w.polls()
	later(20 * time.Minute)
	if n := w.polls() - before; n != 0 {
		w.t.Errorf("%d polls for a sign-in that was declined", n)
	}
}

// wantPolls demands that the sign-in goes on.
func (w *world) wantPolls() {
	w.t.Helper()
	before := w.polls()
	later(11 * time.Second)
	if w.polls() == before {
		w.t.Error("nobody polls any more")
	}
}

// Nobody wants the sign-in: it ends, and the trace has its end.
func TestDeclined_EndsTheFlight(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, inTurn(says("decline", 3*time.Second), accepts))
		one, two := h.call(t.Context(), "whoami", nil), h.call(t.Context(), "whoami", nil)
		(<-one).fails(t, lazyauth.ReasonDeclined)
		(<-two).fails(t, lazyauth.ReasonDeclined)
		synctest.Wait()
		if n := w.counters.All(); n["failed.declined"] != 1 || n["failed.abandoned"] != 1 {
			t.Errorf("the trace was told %v", n)
		}
		first := w.person().UserCode
		w.wantNoPolls()
		// The next call begins anew, with another code.
		call := h.call(t.Context(), "whoami", nil)
		second := w.person().UserCode
		synctest.Wait()
		shown := h.shown()
		if first == second || len(shown) != 2 || !strings.Contains(shown[1].Message, second) {
			t.Errorf("the second prompt is %q, and the codes were %s and %s", shown[1].Message, first, second)
		}
		w.as.Approve(second)
		(<-call).succeeds(t, "Ada")
		w.wantAuthorizations(2)
	})
}

// A person who forgets the decline is asked with a new code at once.
func TestDeclined_ForgottenBeginsAnew(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, inTurn(says("decline", 3*time.Second), accepts))
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		w.denies() // the code that nobody polls for any more
		w.auth.ForgetDecline(lazyauth.LocalUser)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		w.wantAuthorizations(2)
	})
}

// The dialog is declined when the call that showed it has long been answered.
func TestDeclined_AfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.host(legacy, says("decline", 3*time.Minute))
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		w.wantPolls()
		later(3 * time.Minute)
		w.wantNoPolls()
	})
}

// Dismissing a dialog is no decline, nor is what a host refuses by itself: the person may
// be in the browser, and their approval counts.
func TestDeclined_NotByDismissalNorByTheHost(t *testing.T) {
	for name, react := range map[string]reaction{"dismissed": says("cancel", 3*time.Second), "automatic": says("decline", 0)} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{})
				h := w.host(era, react)
				(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
				w.wantPolls()
				w.approves()
				later(time.Minute)
				h.gets("whoami", nil, "Ada")
				w.wantAuthorizations(1)
			})
		})
	}
}

// One host's person declines while another call waits, or another host has the prompt:
// they go on. The last of them to go ends the sign-in.
func TestDeclined_WhileOthersAreAsked(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		// The other host waits with its own prompt, and its person approves.
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
		one, two := w.host(era, says("decline", 3*time.Second)), w.host(era, accepts)
		refused, waits := one.call(t.Context(), "whoami", nil), two.call(t.Context(), "whoami", nil)
		(<-refused).fails(t, lazyauth.ReasonDeclined)
		w.wantPolls()
		w.approves()
		(<-waits).succeeds(t, "Ada")
		w.wantAuthorizations(1)
	})
	inBothEras(t, func(t *testing.T, era string) {
		// Both decline, one after the other.
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
		one, two := w.host(era, says("decline", 3*time.Second)), w.host(era, says("decline", 30*time.Second))
		first, second := one.call(t.Context(), "whoami", nil), two.call(t.Context(), "whoami", nil)
		(<-first).fails(t, lazyauth.ReasonDeclined)
		w.wantPolls()
		(<-second).fails(t, lazyauth.ReasonDeclined)
		w.wantNoPolls()
	})
	inBothEras(t, func(t *testing.T, era string) {
		// The other host's model was told in text: its person may be on their way.
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
		one, two := w.host(era, says("decline", 3*time.Second)), w.host(era, nil)
		first, second := one.call(t.Context(), "whoami", nil), two.call(t.Context(), "whoami", nil)
		(<-second).fails(t, lazyauth.ReasonPending)
		(<-first).fails(t, lazyauth.ReasonDeclined)
		w.wantPolls()
		w.approves()
		later(10 * time.Second)
		two.gets("whoami", nil, "Ada")
	})
	synctest.Test(t, func(t *testing.T) {
		// A program waits without having asked; when it stops, nobody is left.
		w := newWorld(t, setup{})
		h := w.host(legacy, says("decline", 3*time.Second))
		call := h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- w.auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("profile"), nil) }()
		(<-call).fails(t, lazyauth.ReasonDeclined)
		w.wantPolls()
		<-ended
		w.wantNoPolls()
	})
}

// The model was given the code after the decline, as the author wished.
func TestDeclined_TextAfterDecline(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{InsecureTextAfterDecline: true}})
		w.codesMayFollow = lazyauth.ReasonDeclined
		h := w.host(era, says("decline", 3*time.Second))
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		w.wantPolls()
		w.approves()
		later(10 * time.Second)
		h.gets("whoami", nil, "Ada")
	})
}

// A host whose earlier prompt nobody answered for is told that it is over (MCP 2025-11-25
// client/elicitation, "Completion notifications").
func TestDeclined_OthersAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.host(legacy, inTurn(accepts, says("decline", 3*time.Second)))
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined) // shown again
		synctest.Wait()
		shown, completed := h.shown(), h.completions()
		if len(shown) != 2 || len(completed) != 1 || completed[0] != shown[0].ElicitationID {
			t.Errorf("%d prompts, and %d completions", len(shown), len(completed))
		}
		w.wantNoPolls()
	})
}

// The token is on its way when the person declines: it wins, whoever verifies it however
// slowly.
func TestDeclined_AfterTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context, _ lazyauth.Principal, _ *oauth2.Token) error {
			select {
			case <-time.After(10 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		w := newWorld(t, setup{options: lazyauth.Options{Principal: byClientName, VerifyUser: slow}})
		h := w.host(legacy, says("decline", 8*time.Second))
		call := h.call(t.Context(), "whoami", nil)
		w.approves() // polled for after five seconds, and verified after fifteen
		(<-call).fails(t, lazyauth.ReasonDeclined)
		later(10 * time.Second)
		h.gets("whoami", nil, "Ada")
		w.wantAuthorizations(1)
	})
}

// A call that was answered with the prompt comes back when its sign-in has ended for want
// of anybody who wants it: the host that declined is left alone, and another is asked anew.
func TestDeclined_ACallComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		old := (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		later(56 * time.Second) // nobody comes back for that
		state := (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		later(5 * time.Second)
		(<-h.round(t.Context(), "whoami", nil, state, "decline")).fails(t, lazyauth.ReasonDeclined)
		synctest.Wait()
		w.denies() // the code that nobody polls for any more
		back := <-h.round(t.Context(), "whoami", nil, old, "")
		back.fails(t, lazyauth.ReasonDeclined)
		if text := back.text(); !strings.Contains(text, "The user declined") {
			t.Errorf("the call is told %q", text)
		}
		later(time.Minute)
		state = (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		call := h.round(t.Context(), "whoami", nil, state, "accept")
		w.approves()
		(<-call).succeeds(t, "Ada")
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
		h := w.rawHost()
		old := (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		later(56 * time.Second)
		state := (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		later(5 * time.Second)
		(<-h.round(t.Context(), "whoami", nil, state, "decline")).fails(t, lazyauth.ReasonDeclined)
		synctest.Wait()
		w.denies()
		w.auth.ForgetDecline(lazyauth.LocalUser)
		back := h.round(t.Context(), "whoami", nil, old, "")
		code := w.person().UserCode
		again := <-back
		if !strings.Contains(message(again), code) {
			t.Errorf("the prompt %q has not the code %s", message(again), code)
		}
		call := h.round(t.Context(), "whoami", nil, again.state(t), "accept")
		w.approves()
		(<-call).succeeds(t, "Ada")
	})
}
