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
	"golang.org/x/oauth2"
)

func TestDecline_AsksNobodyForAMinute(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.InTurn(world.Says("decline", 3*time.Second), world.Accepts))
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		for _, p := range h.Shown() {
			if strings.Contains(r.Text(), p.URL) {
				t.Errorf("a decline got the link into the model's hands: %q", r.Text())
			}
		}
		// For a minute nobody is asked again …
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		h.WantPrompts(1)
		// … then they are, with a new code: nobody wanted the first, which is polled for no more.
		w.Denies()
		world.Later(61 * time.Second)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
	})
}

func TestDecline_DismissedIsAskedAgain(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.InTurn(world.Says("cancel", 3*time.Second), world.Accepts))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
		w.WantAuthorizations(1)
	})
}

func TestDecline_AfterTheApproval(t *testing.T) {
	// The person approved in the browser and then closed the dialog.
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Says("decline", 20*time.Second))
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.Gets("whoami", nil, "Ada")
	})
}

// An agent that runs unattended and is meant to approve by itself.
func TestDecline_InsecureTextAfterDecline(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{InsecureTextAfterDecline: true}})
		w.CodesMayFollow = lazyauth.ReasonDeclined
		h := w.Host(era, world.Says("decline", 0))
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		code := w.Person().UserCode
		if !strings.Contains(r.Text(), code) || !strings.Contains(r.Text(), "/device") {
			t.Errorf("the text %q lacks the code or the page", r.Text())
		}
		w.AS.Approve(code)
		world.Later(10 * time.Second)
		h.Gets("whoami", nil, "Ada")
	})
}

// For a minute a model that calls again has nobody asked. The person may change their mind.
func TestDecline_PersonChangesTheirMind(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddSignInPrompt(w.Server, w.Auth)
		}})
		h := w.Host(era, world.InTurn(world.Says("decline", 3*time.Second), world.Accepts))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		w.Denies() // the code that nobody polls for any more
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.Text(), `"sign-in-notes"`) {
			t.Errorf("%q does not say how to override it", r.Text())
		}
		list, err := h.Session.ListPrompts(t.Context(), nil)
		if err != nil || len(list.Prompts) != 1 || list.Prompts[0].Name != "sign-in-notes" {
			t.Fatalf("prompts: %+v, %v", list, err)
		}
		got, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"})
		if err != nil || len(got.Messages) != 1 || got.Messages[0].Role != "user" {
			t.Fatalf("the prompt: %+v, %v", got, err)
		}
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
		w.WantAuthorizations(2)
	})
}

// ReasonDeclined by a step-up's person: what was held goes on working (scopes are a set).
func TestDecline_OfAStepUpKeepsTheGrant(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.InTurn(world.Accepts, world.Says("decline", 3*time.Second)))
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		(<-h.Call(t.Context(), "list_notes", nil)).Fails(t, lazyauth.ReasonDeclined)
		h.Gets("whoami", nil, "Ada")
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), nil); err != nil {
			t.Error(err)
		}
	})
}

// Nobody wants the sign-in: it ends, and the trace has its end.
func TestDecline_EndsTheFlight(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.InTurn(world.Says("decline", 3*time.Second), world.Accepts))
		one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
		(<-one).Fails(t, lazyauth.ReasonDeclined)
		(<-two).Fails(t, lazyauth.ReasonDeclined)
		synctest.Wait()
		if n := w.Counters.All(); n["failed.declined"] != 1 || n["failed.abandoned"] != 1 {
			t.Errorf("the trace has %v", n)
		}
		first := w.Person().UserCode
		w.WantNoPolls()
		// The next call begins anew, with another code.
		call := h.Call(t.Context(), "whoami", nil)
		second := w.Person().UserCode
		synctest.Wait()
		shown := h.Shown()
		if first == second || len(shown) != 2 || !strings.Contains(shown[1].Message, second) {
			t.Errorf("the second prompt is %q, and the codes were %s and %s", shown[1].Message, first, second)
		}
		w.AS.Approve(second)
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(2)
	})
}

// A person who forgets the decline is asked with a new code at once.
func TestDecline_ForgottenBeginsAnew(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.InTurn(world.Says("decline", 3*time.Second), world.Accepts))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		w.Denies() // the code that nobody polls for any more
		w.Auth.ForgetDecline(lazyauth.LocalUser)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(2)
	})
}

// The dialog is declined when the call that showed it has long been answered.
func TestDecline_AfterTheCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.Host(world.Legacy, world.Says("decline", 3*time.Minute))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		w.WantPolls()
		world.Later(3 * time.Minute)
		w.WantNoPolls()
	})
}

// Dismissing a dialog is no decline, nor is what a host refuses by itself: the person may
// be in the browser, and their approval counts.
func TestDecline_NotByDismissalNorByTheHost(t *testing.T) {
	for name, react := range map[string]world.Reaction{"dismissed": world.Says("cancel", 3*time.Second), "automatic": world.Says("decline", 0)} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				h := w.Host(era, react)
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
				w.WantPolls()
				w.Approves()
				world.Later(time.Minute)
				h.Gets("whoami", nil, "Ada")
				w.WantAuthorizations(1)
			})
		})
	}
}

// One host's person declines while another call waits, or another host has the prompt:
// they go on. The last of them to go ends the sign-in.
func TestDecline_WhileOthersAreAsked(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		// The other host waits with its own prompt, and its person approves.
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		one, two := w.Host(era, world.Says("decline", 3*time.Second)), w.Host(era, world.Accepts)
		refused, waits := one.Call(t.Context(), "whoami", nil), two.Call(t.Context(), "whoami", nil)
		(<-refused).Fails(t, lazyauth.ReasonDeclined)
		w.WantPolls()
		w.Approves()
		(<-waits).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
	})
	world.InBothEras(t, func(t *testing.T, era string) {
		// Both decline, one after the other.
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		one, two := w.Host(era, world.Says("decline", 3*time.Second)), w.Host(era, world.Says("decline", 30*time.Second))
		first, second := one.Call(t.Context(), "whoami", nil), two.Call(t.Context(), "whoami", nil)
		(<-first).Fails(t, lazyauth.ReasonDeclined)
		w.WantPolls()
		(<-second).Fails(t, lazyauth.ReasonDeclined)
		w.WantNoPolls()
	})
	world.InBothEras(t, func(t *testing.T, era string) {
		// The other host was shown the prompt as text: its person may be on their way.
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		one, two := w.Host(era, world.Says("decline", 3*time.Second)), w.Host(era, nil)
		first, second := one.Call(t.Context(), "whoami", nil), two.Call(t.Context(), "whoami", nil)
		(<-second).Fails(t, lazyauth.ReasonPending)
		(<-first).Fails(t, lazyauth.ReasonDeclined)
		w.WantPolls()
		w.Approves()
		world.Later(10 * time.Second)
		two.Gets("whoami", nil, "Ada")
	})
	synctest.Test(t, func(t *testing.T) {
		// A program waits without having asked; when it stops, nobody is left.
		w := world.New(t, world.Setup{})
		h := w.Host(world.Legacy, world.Says("decline", 3*time.Second))
		call := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		ended := make(chan error, 1)
		go func() { ended <- w.Auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("profile"), nil) }()
		(<-call).Fails(t, lazyauth.ReasonDeclined)
		w.WantPolls()
		<-ended
		w.WantNoPolls()
	})
}

// The model was given the code after the decline, as the author wished.
func TestDecline_InsecureTextKeepsTheFlight(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{InsecureTextAfterDecline: true}})
		w.CodesMayFollow = lazyauth.ReasonDeclined
		h := w.Host(era, world.Says("decline", 3*time.Second))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		w.WantPolls()
		w.Approves()
		world.Later(10 * time.Second)
		h.Gets("whoami", nil, "Ada")
	})
}

// A host whose earlier prompt nobody answered for is told that it is over (MCP 2025-11-25
// client/elicitation, "Completion notifications").
func TestDecline_CompletesThePromptsOfOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.Host(world.Legacy, world.InTurn(world.Accepts, world.Says("decline", 3*time.Second)))
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined) // shown again
		synctest.Wait()
		shown, completed := h.Shown(), h.Completions()
		if len(shown) != 2 || len(completed) != 1 || completed[0] != shown[0].ElicitationID {
			t.Errorf("%d prompts, and %d completions", len(shown), len(completed))
		}
		w.WantNoPolls()
	})
}

// The token is on its way when the person declines: it wins, whoever verifies it however
// slowly.
func TestDecline_AfterTheToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		slow := func(ctx context.Context, _ lazyauth.Principal, _ *oauth2.Token) error {
			select {
			case <-time.After(10 * time.Second):
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: slow}})
		h := w.Host(world.Legacy, world.Says("decline", 8*time.Second))
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves() // polled for after five seconds, and verified after fifteen
		(<-call).Fails(t, lazyauth.ReasonDeclined)
		world.Later(10 * time.Second)
		h.Gets("whoami", nil, "Ada")
		w.WantAuthorizations(1)
	})
}

// A call that was answered with the prompt comes back when its sign-in has ended for want
// of anybody who wants it: the host that declined is left alone, and another is asked anew.
func TestDecline_ACallComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		old := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		world.Later(56 * time.Second) // nobody comes back for that
		state := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		world.Later(5 * time.Second)
		(<-h.Request(t.Context(), "whoami", nil, state, "decline")).Fails(t, lazyauth.ReasonDeclined)
		synctest.Wait()
		w.Denies() // the code that nobody polls for any more
		back := <-h.Request(t.Context(), "whoami", nil, old, "")
		back.Fails(t, lazyauth.ReasonDeclined)
		if text := back.Text(); !strings.Contains(text, "The user declined") {
			t.Errorf("the call is told %q", text)
		}
		world.Later(time.Minute)
		state = (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		call := h.Request(t.Context(), "whoami", nil, state, "accept")
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson}})
		h := w.RawHost()
		old := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		world.Later(56 * time.Second)
		state := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		world.Later(5 * time.Second)
		(<-h.Request(t.Context(), "whoami", nil, state, "decline")).Fails(t, lazyauth.ReasonDeclined)
		synctest.Wait()
		w.Denies()
		w.Auth.ForgetDecline(lazyauth.LocalUser)
		back := h.Request(t.Context(), "whoami", nil, old, "")
		code := w.Person().UserCode
		again := <-back
		if !strings.Contains(message(again), code) {
			t.Errorf("the prompt %q has not the code %s", message(again), code)
		}
		call := h.Request(t.Context(), "whoami", nil, again.State(t), "accept")
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
}
