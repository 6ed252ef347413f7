package lazyauth_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
		first, second := w.host(era, says("decline", 5*time.Second)), w.host(era, accepts)
		one, two := first.call(t.Context(), "whoami", nil), second.call(t.Context(), "whoami", nil)
		(<-one).fails(t, lazyauth.ReasonDeclined)
		(<-first.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		third := second.call(t.Context(), "whoami", nil) // joins
		w.approves()
		(<-two).succeeds(t, "Ada")
		(<-third).succeeds(t, "Ada")
		// What was refused was the prompt, and there is a grant now.
		first.gets("whoami", nil, "Ada")
		first.wantPrompts(1)
		second.wantPrompts(1)
		w.wantAuthorizations(1)
	})
}

// The host that was prompted is gone: its call ends, the flight does not, and another
// host of the same person is asked with the same code.
func TestPromptedSessionCloses(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
		second := w.host(era, accepts)
		first, hangUp := w.hostThatHangsUp(era)
		gone := first.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		first.wantPrompts(1)
		hangUp()
		<-gone
		call := second.call(t.Context(), "whoami", nil)
		synctest.Wait()
		second.wantPrompts(1)
		if p := second.shown(); !strings.Contains(p[0].Message, code) {
			t.Errorf("the prompt %q has another code", p[0].Message)
		}
		w.as.Approve(code)
		(<-call).succeeds(t, "Ada")
		w.wantAuthorizations(1)
		if n := w.starts("whoami"); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

// A host whose person declined the prompt of one sign-in says so again when it is
// long over, and another one under way.
func TestLateAnswerToAnOldPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		answers := make(chan string)
		old := func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			return &mcp.ElicitResult{Action: <-answers}, nil // whatever became of it
		}
		h := w.host(legacy, inTurn(old, accepts))
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		call = h.call(t.Context(), "list_notes", nil) // step-up
		second := w.person()
		synctest.Wait()
		answers <- "decline"
		later(5 * time.Second)
		w.as.Approve(second.UserCode)
		(<-call).succeeds(t, "[]")
		h.wantPrompts(2)
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.rawHost()
		first := h.round(t.Context(), "whoami", nil, "", "")
		stale := (<-first).state(t)
		later(56 * time.Second) // nobody comes back for that
		state := (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		declined := h.round(t.Context(), "whoami", nil, stale, "decline")
		last := h.round(t.Context(), "whoami", nil, state, "accept")
		synctest.Wait()
		w.approves()
		(<-declined).succeeds(t, "Ada") // its host asks for the outcome
		(<-last).succeeds(t, "Ada")
	})
}

// The model may not nag for a minute. The person may change their mind.
func TestPersonChangesTheirMind(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			lazyauth.AddSignInPrompt(w.server, w.auth)
		}})
		h := w.host(era, inTurn(says("decline", 3*time.Second), accepts))
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		w.denies() // the code that nobody polls for any more
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.text(), `"sign-in-notes"`) {
			t.Errorf("%q does not say how to override it", r.text())
		}
		list, err := h.session.ListPrompts(t.Context(), nil)
		if err != nil || len(list.Prompts) != 1 || list.Prompts[0].Name != "sign-in-notes" {
			t.Fatalf("prompts: %+v, %v", list, err)
		}
		got, err := h.session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"})
		if err != nil || len(got.Messages) != 1 || got.Messages[0].Role != "user" {
			t.Fatalf("the prompt: %+v, %v", got, err)
		}
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(2)
		w.wantAuthorizations(2)
	})
}

func TestSignInPromptOfAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			lazyauth.AddSignInPrompt(w.server, w.auth)
		}})
		first, second := w.host(legacy, says("decline", 3*time.Second)), w.host(legacy, accepts)
		(<-first.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		if _, err := second.session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err == nil {
			t.Error("a second session may end the peace of the first")
		}
		(<-first.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		first.wantPrompts(1)
		w.auth.ForgetDecline(lazyauth.LocalUser)
		(<-first.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		first.wantPrompts(2)
	})
}

// The patience of a call that waits to begin ends, the person approves, and then calls
// again: the handler has run once in all.
func TestMaxWaitEndsThenApproval(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.host(era, accepts)
		one, two := h.call(t.Context(), "saga", noteArgs{"x"}), h.call(t.Context(), "saga", noteArgs{"x"})
		code := w.person().UserCode
		(<-one).fails(t, lazyauth.ReasonPending)
		(<-two).fails(t, lazyauth.ReasonPending)
		w.as.Approve(code)
		later(time.Minute)
		w.wantSaga(0, 0) // approval starts nothing by itself
		call := h.call(t.Context(), "saga", noteArgs{"x"})
		w.approves() // what the handler needs in its middle
		(<-call).succeeds(t, "x")
		w.wantSaga(1, 1)
		w.wantAuthorizations(2)
	})
}

// A host that shows one dialog at a time, and has two services to ask for.
func TestHostThatSerializesDialogs(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		var screen sync.Mutex // a mutex would freeze virtual time where nothing else runs: it is held for short
		busy := false
		var overlaps int
		h := w.host(era, func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			for {
				screen.Lock()
				if !busy {
					busy = true
					screen.Unlock()
					break
				}
				overlaps++
				screen.Unlock()
				later(time.Second)
			}
			defer func() { screen.Lock(); busy = false; screen.Unlock() }()
			return says("accept", 20*time.Second)(ctx, p) // when the person comes back
		})
		var calls []<-chan reply
		for range 4 {
			calls = append(calls, h.call(t.Context(), "whoami", nil), h.call(t.Context(), "list_notes", nil))
		}
		for range 2 {
			if req, err := waitForRequest(t, w); err == nil {
				later(10 * time.Second)
				w.as.Approve(req)
			}
		}
		for _, call := range calls {
			(<-call).succeeds(t, "")
		}
		if n := len(h.shown()); n > 2 {
			t.Errorf("%d dialogs for one burst of calls with two needs", n)
		}
		if overlaps > 30 {
			t.Errorf("a dialog stood %d seconds behind another one", overlaps)
		}
	})
}

func waitForRequest(t *testing.T, w *world) (string, error) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := w.as.WaitForRequest(ctx)
	return req.UserCode, err
}

// A host that makes at most two calls at once gets the third one through when the
// first two are answered, and nobody waits for a call that cannot come.
func TestHostWithTwoCallsAtOnce(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		slots := make(chan struct{}, 2)
		var done sync.WaitGroup
		for range 6 {
			done.Go(func() {
				slots <- struct{}{}
				defer func() { <-slots }()
				h.gets("whoami", nil, "Ada")
			})
		}
		req := w.person()
		later(20 * time.Second)
		w.as.Approve(req.UserCode)
		done.Wait()
		h.wantPrompts(1)
		w.wantAuthorizations(1)
	})
}

// A hundred people sign in at once: a flight each, no polling faster than allowed (which
// the authorization server judges), and nobody gets somebody else's grant.
func TestHundredFlightsAtOnce(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		const people = 100
		w := newWorld(t, setup{options: lazyauth.Options{Principal: byClientName, VerifyUser: anybody}})
		calls := make([]<-chan reply, people)
		hosts := make([]*host, people)
		for n := range people {
			hosts[n] = w.hostWith(era, manners{name: fmt.Sprintf("person-%d", n), url: true, react: accepts})
			calls[n] = hosts[n].call(t.Context(), "whoami", nil)
		}
		later(time.Second)
		for n, h := range hosts {
			p := h.shown()
			if len(p) != 1 {
				t.Fatalf("person %d saw %d prompts", n, len(p))
			}
			_, rest, _ := strings.Cut(p[0].Message, "with the code ")
			code, _, _ := strings.Cut(rest, ".")
			later(time.Second)
			if err := w.as.ApproveAs(fmt.Sprintf("person-%d", n), code); err != nil {
				t.Fatal(err)
			}
		}
		for n, call := range calls {
			// The first ones' patience is over by the time of the last.
			r := <-call
			if r.result != nil && r.result.Meta[lazyauth.MetaReason] == string(lazyauth.ReasonPending) {
				later(10 * time.Second)
				r = <-hosts[n].call(t.Context(), "whoami", nil)
			}
			r.succeeds(t, fmt.Sprintf("person-%d", n))
			hosts[n].wantPrompts(1)
		}
		w.wantAuthorizations(people)
	})
}

// One line tells an operator a whole flight, whichever logger writes it.
func TestOneLineForEachFlight(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, says("cancel", 3*time.Second))
		one, two := h.call(t.Context(), "whoami", nil), h.call(t.Context(), "whoami", nil)
		req := w.person()
		(<-one).fails(t, lazyauth.ReasonDeclined)
		(<-two).fails(t, lazyauth.ReasonDeclined)
		later(20 * time.Second)
		w.as.Approve(req.UserCode)
		later(10 * time.Second)
		synctest.Wait()
		for name, log := range map[string]string{"zap": w.log.String(), "slog": w.slog.String()} {
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
		counts := w.counters.All()
		for name, want := range map[string]int64{"waiting": 2, "prompted.url": 1, "failed.declined": 1, "granted": 1, "polled.granted": 1} {
			if counts[name] != want {
				t.Errorf("the counter %s is %d, want %d (%v)", name, counts[name], want, counts)
			}
		}
		if s := counts["seconds"]; s < 25 || s > 27 {
			t.Errorf("the flight is said to have taken %d seconds", s)
		}
		if text := w.counters.String(); !strings.Contains(text, `"granted":1`) {
			t.Errorf("the counters as text: %s", text)
		}
	})
}

// ReasonDeclined by a step-up's person: what was held goes on working (scopes are a set).
func TestDeclinedStepUpKeepsTheGrant(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, inTurn(accepts, says("decline", 3*time.Second)))
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		(<-h.call(t.Context(), "list_notes", nil)).fails(t, lazyauth.ReasonDeclined)
		h.gets("whoami", nil, "Ada")
		if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), nil); err != nil {
			t.Error(err)
		}
	})
}
