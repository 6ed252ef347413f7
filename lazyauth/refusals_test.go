package lazyauth_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// onePerson is an Options.Principal for a person with several hosts.
func onePerson(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
	return lazyauth.LocalUser, nil
}

// Two hosts of one person: each shows the prompt once, refusing it at one leaves the
// other alone, and one approval serves both.
func TestTwoHostsOfOnePerson(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: onePerson}})
		first, second := w.Host(era, world.Says("decline", 5*time.Second)), w.Host(era, world.Accepts)
		one, two := first.Call(t.Context(), "whoami", nil), second.Call(t.Context(), "whoami", nil)
		(<-one).Fails(t, lazyauth.ReasonDeclined)
		(<-first.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		third := second.Call(t.Context(), "whoami", nil) // joins
		w.Approves()
		(<-two).Succeeds(t, "Ada")
		(<-third).Succeeds(t, "Ada")
		// What was refused was the prompt, and there is a grant now.
		first.Gets("whoami", nil, "Ada")
		first.WantPrompts(1)
		second.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// The host that was prompted is gone: its call ends, the flight does not, and another
// host of the same person is asked with the same code.
func TestPromptedSessionCloses(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: onePerson}})
		second := w.Host(era, world.Accepts)
		first, hangUp := w.HostThatHangsUp(era)
		gone := first.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		first.WantPrompts(1)
		hangUp()
		<-gone
		call := second.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		second.WantPrompts(1)
		if p := second.Shown(); !strings.Contains(p[0].Message, code) {
			t.Errorf("the prompt %q has another code", p[0].Message)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
		if n := w.Starts("whoami"); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

// A host whose person declined the prompt of one sign-in says so again when it is
// long over, and another one under way.
func TestLateAnswerToAnOldPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		answers := make(chan string)
		old := func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: <-answers}, nil // whatever became of it
		}
		h := w.Host(world.Legacy, world.InTurn(old, world.Accepts))
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		call = h.Call(t.Context(), "list_notes", nil) // step-up
		second := w.Person()
		synctest.Wait()
		answers <- "decline"
		world.Later(5 * time.Second)
		w.AS.Approve(second.UserCode)
		(<-call).Succeeds(t, "[]")
		h.WantPrompts(2)
	})
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		first := h.Request(t.Context(), "whoami", nil, "", "")
		stale := (<-first).State(t)
		world.Later(56 * time.Second) // nobody comes back for that
		state := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		declined := h.Request(t.Context(), "whoami", nil, stale, "decline")
		last := h.Request(t.Context(), "whoami", nil, state, "accept")
		synctest.Wait()
		w.Approves()
		(<-declined).Succeeds(t, "Ada") // its host asks for the outcome
		(<-last).Succeeds(t, "Ada")
	})
}

// The model may not nag for a minute. The person may change their mind.
func TestPersonChangesTheirMind(t *testing.T) {
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

func TestSignInPromptOfAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddSignInPrompt(w.Server, w.Auth)
		}})
		first, second := w.Host(world.Legacy, world.Says("decline", 3*time.Second)), w.Host(world.Legacy, world.Accepts)
		(<-first.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		if _, err := second.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err == nil {
			t.Error("a second session may end the peace of the first")
		}
		(<-first.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		first.WantPrompts(1)
		w.Auth.ForgetDecline(lazyauth.LocalUser)
		(<-first.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		first.WantPrompts(2)
	})
}

// The patience of a call that waits to begin ends, the person approves, and then calls
// again: the handler has run once in all.
func TestMaxWaitEndsThenApproval(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.Host(era, world.Accepts)
		one, two := h.Call(t.Context(), "saga", world.Note{Text: "x"}), h.Call(t.Context(), "saga", world.Note{Text: "x"})
		code := w.Person().UserCode
		(<-one).Fails(t, lazyauth.ReasonPending)
		(<-two).Fails(t, lazyauth.ReasonPending)
		w.AS.Approve(code)
		world.Later(time.Minute)
		w.WantSaga(0, 0) // approval starts nothing by itself
		call := h.Call(t.Context(), "saga", world.Note{Text: "x"})
		w.Approves() // what the handler needs in its middle
		(<-call).Succeeds(t, "x")
		w.WantSaga(1, 1)
		w.WantAuthorizations(2)
	})
}

// A host that shows one dialog at a time, and has two services to ask for.
func TestHostThatSerializesDialogs(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		var screen sync.Mutex // a mutex would freeze virtual time where nothing else runs: it is held for short
		busy := false
		var overlaps int
		h := w.Host(era, func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			for {
				screen.Lock()
				if !busy {
					busy = true
					screen.Unlock()
					break
				}
				overlaps++
				screen.Unlock()
				world.Later(time.Second)
			}
			defer func() { screen.Lock(); busy = false; screen.Unlock() }()
			return world.Says("accept", 20*time.Second)(ctx, p) // when the person comes back
		})
		var calls []<-chan world.Reply
		for range 4 {
			calls = append(calls, h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "list_notes", nil))
		}
		for range 2 {
			if req, err := waitForRequest(t, w); err == nil {
				world.Later(10 * time.Second)
				w.AS.Approve(req)
			}
		}
		for _, call := range calls {
			(<-call).Succeeds(t, "")
		}
		if n := len(h.Shown()); n > 2 {
			t.Errorf("%d dialogs for one burst of calls with two needs", n)
		}
		if overlaps > 30 {
			t.Errorf("a dialog stood %d seconds behind another one", overlaps)
		}
	})
}

func waitForRequest(t *testing.T, w *world.World) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := w.AS.WaitForRequest(ctx)
	return req.UserCode, err
}

// A host that makes at most two calls at once gets the third one through when the
// first two are answered, and nobody waits for a call that cannot come.
func TestHostWithTwoCallsAtOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		slots := make(chan struct{}, 2)
		var done sync.WaitGroup
		for range 6 {
			done.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				h.Gets("whoami", nil, "Ada")
			})
		}
		req := w.Person()
		world.Later(20 * time.Second)
		w.AS.Approve(req.UserCode)
		done.Wait()
		h.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// A hundred people sign in at once: a flight each, no polling faster than allowed (which
// the authorization server judges), and nobody gets somebody else's grant.
func TestHundredFlightsAtOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		const people = 100
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: world.Anybody}})
		calls := make([]<-chan world.Reply, people)
		hosts := make([]*world.Host, people)
		for n := range people {
			hosts[n] = w.HostWith(era, world.Manners{Name: fmt.Sprintf("person-%d", n), URL: true, React: world.Accepts})
			calls[n] = hosts[n].Call(t.Context(), "whoami", nil)
		}
		world.Later(time.Second)
		for n, h := range hosts {
			p := h.Shown()
			if len(p) != 1 {
				t.Fatalf("person %d saw %d prompts", n, len(p))
			}
			_, rest, _ := strings.Cut(p[0].Message, "with the code ")
			code, _, _ := strings.Cut(rest, ".")
			world.Later(time.Second)
			if err := w.AS.ApproveAs(fmt.Sprintf("person-%d", n), code); err != nil {
				t.Fatal(err)
			}
		}
		for n, call := range calls {
			// The first ones' patience is over by the time of the last.
			r := <-call
			if r.Result != nil && r.Result.Meta[lazyauth.MetaReason] == string(lazyauth.ReasonPending) {
				world.Later(10 * time.Second)
				r = <-hosts[n].Call(t.Context(), "whoami", nil)
			}
			r.Succeeds(t, fmt.Sprintf("person-%d", n))
			hosts[n].WantPrompts(1)
		}
		w.WantAuthorizations(people)
	})
}

// One line tells an operator a whole flight, whichever logger writes it.
func TestOneLineForEachFlight(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Says("cancel", 3*time.Second))
		one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
		req := w.Person()
		(<-one).Fails(t, lazyauth.ReasonDeclined)
		(<-two).Fails(t, lazyauth.ReasonDeclined)
		world.Later(20 * time.Second)
		w.AS.Approve(req.UserCode)
		world.Later(10 * time.Second)
		synctest.Wait()
		for name, log := range map[string]string{"zap": w.Log.String(), "slog": w.Slog.String()} {
			lines := 0
			for line := range strings.Lines(log) {
				if !strings.Contains(line, "authorization granted") {
					continue
				}
				lines++
				for _, want := range []string{`"service":"Notes"`, `"principal":"local user"`, `"tool":"whoami"`, `"scopes":"profile"`, `"prompts":1`, `"calls":2`, `"attempt":5`, `"took":`} {
					if !strings.Contains(line, want) {
						t.Errorf("%s: the line %s lacks %s", name, line, want)
					}
				}
			}
			if lines != 1 {
				t.Errorf("%s: %d lines for one flight", name, lines)
			}
		}
		counts := w.Counters.All()
		for name, want := range map[string]int64{"waiting": 2, "prompted.url": 1, "failed.declined": 1, "granted": 1, "polled.granted": 1} {
			if counts[name] != want {
				t.Errorf("the counter %s is %d, want %d (%v)", name, counts[name], want, counts)
			}
		}
		if s := counts["seconds"]; s < 25 || s > 27 {
			t.Errorf("the flight is said to have taken %d seconds", s)
		}
		if text := w.Counters.String(); !strings.Contains(text, `"granted":1`) {
			t.Errorf("the counters as text: %s", text)
		}
	})
}

// ReasonDeclined by a step-up's person: what was held goes on working (scopes are a set).
func TestDeclinedStepUpKeepsTheGrant(t *testing.T) {
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
