package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func (w *world) wantChannels(want ...string) {
	w.t.Helper()
	if got := w.trace.channels(); !slices.Equal(got, want) {
		w.t.Errorf("prompts went out by %v, want %v", got, want)
	}
}

// progress returns the progress messages under the n-th call's token, and demands that
// they only increase.
func (h *host) progress(n int) []*mcp.ProgressNotificationParams {
	h.w.t.Helper()
	synctest.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	var out []*mcp.ProgressNotificationParams
	for _, m := range h.messages {
		if m.ProgressToken != fmt.Sprintf("call-%d", n) {
			continue
		}
		if len(out) > 0 && m.Progress <= out[len(out)-1].Progress {
			h.w.t.Errorf("progress %v after %v", m.Progress, out[len(out)-1].Progress)
		}
		out = append(out, m)
	}
	return out
}

// wantResultLast demands that nothing was said about progress after the last answer.
func (w *world) wantResultLast() {
	w.t.Helper()
	synctest.Wait()
	messages := w.wire.messages()
	if last := string(messages[len(messages)-1]); strings.Contains(last, "notifications/progress") {
		w.t.Errorf("after the answer: %s", last)
	}
}

func TestFormOnly(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.hostWith(era, manners{form: true, react: accepts})
		call := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		p := h.shown()[0]
		if p.Mode != "form" || !strings.Contains(p.Message, code) || !strings.Contains(p.Message, "/device") {
			t.Errorf("the form %+v lacks the code or the page", p)
		}
		if strings.Contains(p.Message, "://") || p.URL != "" || p.ElicitationID != "" {
			t.Errorf("the form has a link: %+v", p)
		}
		w.as.Approve(code)
		(<-call).succeeds(t, "Ada")
		w.wantChannels("form")
		synctest.Wait()
		if n := w.wire.count("elicitation/complete"); n != 0 {
			t.Errorf("%d completion notices for a form", n)
		}
	})
}

// A host that is not known to show progress: the prompt stands there for ten seconds,
// then the model is told; a second call of the same batch is told at the same time.
func TestProgressNotKnownToBeShown(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.hostWith(era, manners{progress: true})
		began := time.Now()
		one, two := h.call(t.Context(), "whoami", nil), h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		for _, call := range []<-chan reply{one, two} {
			r := <-call
			r.fails(t, lazyauth.ReasonPending)
			if !strings.Contains(r.text(), code) {
				t.Errorf("the text %q lacks the code", r.text())
			}
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("the model was told after %v, want about 10 s", took)
		}
		w.wantResultLast()
		with := 0
		for n := 1; n <= 2; n++ {
			for _, m := range h.progress(n) {
				if strings.Contains(m.Message, code) && strings.Contains(m.Message, "/device") {
					with++
				}
			}
		}
		if with < 2 || with > 3 { // at once, after 5 s, and perhaps after 10 s
			t.Errorf("%d progress messages have address and code, want 2 or 3 of one call", with)
		}
		w.wantChannels("progress", "text")

		// The next call joins, shows the code again, and stays: the model knows.
		later(2 * time.Second)
		next := h.call(t.Context(), "whoami", nil)
		later(30 * time.Second)
		synctest.Wait()
		w.as.Approve(code)
		(<-next).succeeds(t, "Ada")
		if m := h.progress(3); len(m) < 5 || !strings.Contains(m[0].Message, code) {
			t.Errorf("the call that joined reported %d times", len(m))
		}
		w.wantResultLast()
		w.wantAuthorizations(1)
		if n := w.starts("whoami"); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

// A host that is known to show progress: the person reads it there, and for a minute the
// model is told nothing.
func TestProgressShown(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.hostWith(era, manners{name: "gemini-cli-mcp-client", progress: true})
		one, two := h.call(t.Context(), "whoami", nil), h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		later(50 * time.Second)
		w.as.Approve(code)
		(<-one).succeeds(t, "Ada")
		(<-two).succeeds(t, "Ada")
		w.wantChannels("progress")
		w.wantAuthorizations(1)
		shown, silent := h.progress(1), h.progress(2)
		if strings.Contains(silent[0].Message, code) {
			shown, silent = silent, shown
		}
		for _, m := range shown {
			if !strings.Contains(m.Message, code) {
				t.Errorf("a message lacks the code: %s", m.Message)
			}
		}
		for _, m := range silent {
			if strings.Contains(m.Message, code) || !strings.Contains(m.Message, "Notes") {
				t.Errorf("the code is shown twice: %s", m.Message)
			}
		}
		if n := len(shown); n < 5 || n > 12 { // every 5 to 10 s
			t.Errorf("%d progress messages in 50 s", n)
		}
		w.wantResultLast()
	})
}

// gemini -p and qwen -p have the name of programs that show progress, and show it to
// nobody. After a minute the model is told as well; the next call joins, and waits its
// whole time without telling it again.
func TestProgressShownToNobody(t *testing.T) {
	for name, longest := range map[string]time.Duration{"gemini-cli-mcp-client": 595 * time.Second, "qwen-cli-mcp-client-notes": 395 * time.Second} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{as: fakeas.Options{CodeLifetime: time.Hour}})
				h := w.hostWith(era, manners{name: name, progress: true})
				began := time.Now()
				one, two := h.call(t.Context(), "whoami", nil), h.call(t.Context(), "whoami", nil)
				code := w.person().UserCode
				for _, call := range []<-chan reply{one, two} {
					r := <-call
					r.fails(t, lazyauth.ReasonPending)
					if !strings.Contains(r.text(), code) || !strings.Contains(r.text(), "/device") {
						t.Errorf("the text %q lacks the code or the page", r.text())
					}
				}
				if took := time.Since(began); took < time.Minute || took > 61*time.Second {
					t.Errorf("the model was told after %v, want a minute", took)
				}
				w.wantChannels("progress", "text")
				later(2 * time.Second)
				began = time.Now()
				(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
				if took := time.Since(began); took < longest || took > longest+time.Second {
					t.Errorf("the call that joined waited for %v, want %v", took, longest)
				}
				joins := h.call(t.Context(), "whoami", nil)
				later(2 * time.Minute)
				w.as.Approve(code)
				(<-joins).succeeds(t, "Ada")
				w.wantAuthorizations(1)
			})
		})
	}
}

// Hosts that have nothing at all, and wait for the results of all their calls before
// they tell anybody of one.
func TestBatchInText(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.hostWith(era, manners{})
		began := time.Now()
		var batch []<-chan reply
		for range 5 {
			batch = append(batch, h.call(t.Context(), "whoami", nil))
		}
		code := w.person().UserCode
		for _, call := range batch {
			r := <-call
			r.fails(t, lazyauth.ReasonPending)
			if !strings.Contains(r.text(), code) {
				t.Errorf("the text %q lacks the code", r.text())
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the last of the batch was answered after %v", took)
		}
		w.wantChannels("text")
		later(2 * time.Second)
		w.as.Approve(code)
		h.gets("whoami", nil, "Ada")
		w.wantAuthorizations(1)
	})
}

// Refused within milliseconds: the host does not show links. It is asked by a form.
func TestRefusedFasterThanAPersonCan(t *testing.T) {
	for _, action := range []string{"decline", "cancel"} {
		t.Run(action, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{})
				h := w.hostWith(era, manners{url: true, form: true, react: inTurn(says(action, 14*time.Millisecond), accepts)})
				call := h.call(t.Context(), "whoami", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				w.wantChannels("url", "form")
				w.wantAuthorizations(1)
				h.gets("whoami", nil, "Ada")
			})
		})
	}
}

// Refused within milliseconds, whatever it is asked: an unattended host. Neither link
// nor code get to its model.
func TestRefusedByTheHost(t *testing.T) {
	for _, test := range []struct {
		manners  manners
		channels []string
	}{
		{manners{url: true, form: true}, []string{"url", "form"}},
		{manners{url: true}, []string{"url"}},
		{manners{form: true}, []string{"form"}},
		{manners{url: true, form: true, progress: true}, []string{"url", "form"}},
	} {
		t.Run(strings.Join(test.channels, " "), func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{})
				test.manners.react = says("decline", 4*time.Millisecond)
				h := w.hostWith(era, test.manners)
				r := <-h.call(t.Context(), "whoami", nil)
				r.fails(t, lazyauth.ReasonDeclined)
				if !strings.Contains(r.text(), "without asking") {
					t.Errorf("%q does not say that the host refused by itself", r.text())
				}
				w.wantChannels(test.channels...)
				if text := w.wire.text(); strings.Count(text, w.person().UserCode) != len(test.channels) {
					t.Error("the code went elsewhere than into the prompts")
				}
				// What is remembered of it is that it was not the person.
				again := <-h.call(t.Context(), "whoami", nil)
				again.fails(t, lazyauth.ReasonDeclined)
				if again.text() != r.text() || strings.Contains(again.text(), "The user declined") {
					t.Errorf("the call after it says %q", again.text())
				}
				w.wantChannels(test.channels...)
			})
		})
	}
}

// A host that dismisses at once whatever it is asked: that was not the person either, and
// the next call may ask.
func TestDismissedByTheHost(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.hostWith(era, manners{url: true, react: inTurn(says("cancel", 0), accepts)})
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.text(), "without asking") {
			t.Errorf("%q does not say that the host refused by itself", r.text())
		}
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		w.wantChannels("url", "url")
	})
}

// An agent that runs unattended and is meant to approve by itself.
func TestTextAfterDecline(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{InsecureTextAfterDecline: true}})
		w.codesMayFollow = lazyauth.ReasonDeclined
		h := w.host(era, says("decline", 0))
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonDeclined)
		code := w.person().UserCode
		if !strings.Contains(r.text(), code) || !strings.Contains(r.text(), "/device") {
			t.Errorf("the text %q lacks the code or the page", r.text())
		}
		w.as.Approve(code)
		later(10 * time.Second)
		h.gets("whoami", nil, "Ada")
	})
}

// What a host answers to a prompt with a protocol error it does not have, whatever it
// declares. No person refused anything: the next channel is tried, down to the text.
func TestDeclaredAndRejected(t *testing.T) {
	rejects := func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		return nil, errors.New("no dialogs here")
	}
	for _, test := range []struct {
		manners  manners
		channels []string
	}{
		{manners{url: true, form: true, react: inTurn(rejects, accepts)}, []string{"url", "form"}},
		{manners{url: true, form: true, progress: true, react: rejects}, []string{"url", "form", "progress", "text"}},
		{manners{url: true, react: rejects}, []string{"url", "text"}},
	} {
		t.Run(strings.Join(test.channels, " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				h := w.hostWith(legacy, test.manners)
				call := h.call(t.Context(), "whoami", nil)
				code := w.person().UserCode
				later(15 * time.Second)
				if last := test.channels[len(test.channels)-1]; last == "text" {
					r := <-call
					r.fails(t, lazyauth.ReasonPending)
					if !strings.Contains(r.text(), code) {
						t.Errorf("the text %q lacks the code", r.text())
					}
					later(2 * time.Second)
					call = h.call(t.Context(), "whoami", nil)
				}
				synctest.Wait()
				w.as.Approve(code)
				(<-call).succeeds(t, "Ada")
				if got := w.trace.channels()[:len(test.channels)]; !slices.Equal(got, test.channels) {
					t.Errorf("prompts went out by %v, want %v", got, test.channels)
				}
				w.wantAuthorizations(1)
			})
		})
	}
}

// A waiting call reports progress on every channel, and its handler goes on from there.
func TestProgressWhileADialogIsOpen(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					for n := range 3 {
						if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
							ProgressToken: req.Params.GetProgressToken(), Progress: float64(n), Total: 3,
						}); err != nil {
							t.Error(err)
						}
					}
					return nil, answer{"done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				})
		}})
		h := w.hostWith(era, manners{url: true, progress: true, react: accepts})
		call := h.call(t.Context(), "import", nil)
		first := w.person()
		later(22 * time.Second)
		w.as.Approve(first.UserCode)
		second := w.person()
		later(22 * time.Second)
		w.as.Approve(second.UserCode)
		(<-call).succeeds(t, "done")
		messages := h.progress(1)
		waits, works := 0, 0
		for _, m := range messages {
			switch {
			case strings.Contains(m.Message, "Waiting for the sign-in to Notes"):
				waits++
			case m.Message == "" && m.Total == 3:
				works++
			default:
				t.Errorf("an unexpected message: %+v", m)
			}
			if strings.Contains(m.Message, first.UserCode) || strings.Contains(m.Message, second.UserCode) {
				t.Error("a host with dialogs got the code as progress")
			}
		}
		if waits < 6 || works != 3 {
			t.Errorf("%d messages about waiting and %d of the handler, want about 8 and 3", waits, works)
		}
		if last := messages[len(messages)-1]; last.Total != 3 || last.Progress >= 3 {
			t.Errorf("the last message %+v is not in the handler's units", last)
		}
		w.wantResultLast()
	})
}

func TestKnownHosts(t *testing.T) {
	for _, test := range []struct {
		host     string
		progress bool
		hosts    map[string]lazyauth.Host
		want     time.Duration
	}{
		{host: "somebody", want: 55 * time.Second},
		{host: "codex-mcp-client", want: 295 * time.Second},
		{host: "copilot-cli", want: 175 * time.Second},
		{host: "copilot-cli", progress: true, want: 395 * time.Second},
		{host: "opencode", want: 55 * time.Second},
		{host: "opencode", progress: true, want: 395 * time.Second},
		{host: "qwen-cli-mcp-client-notes", want: 295 * time.Second},
		{host: "codex-mcp-client", hosts: map[string]lazyauth.Host{}, want: 55 * time.Second},
		{host: "mine", hosts: map[string]lazyauth.Host{"mi*": {MaxWait: time.Second}, "mine": {MaxWait: 2 * time.Minute}}, want: 2 * time.Minute},
		{host: "miner", hosts: map[string]lazyauth.Host{"m*": {MaxWait: time.Second}, "mine*": {MaxWait: 20 * time.Second}}, want: 20 * time.Second},
	} {
		t.Run(fmt.Sprintf("%s %t", test.host, test.progress), func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{options: lazyauth.Options{Hosts: test.hosts}})
				h := w.hostWith(era, manners{name: test.host, url: true, progress: test.progress, react: accepts})
				began := time.Now()
				(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonPending)
				if took := time.Since(began); took < test.want || took > test.want+time.Second {
					t.Errorf("the call was held for %v, want %v", took, test.want)
				}
			})
		})
	}
}

func TestWording(t *testing.T) {
	// Prompts in the language that a host asks for, here by its name; one in which the
	// code was forgotten is not used.
	speaks := func(req *mcp.CallToolRequest, c elicit.Channel, p elicit.Prompt) string {
		switch {
		case req.ClientInfo().Name == "deutsch" && c == elicit.Form:
			return fmt.Sprintf("Bitte bei %s anmelden (%s), Code %s, für: %s", p.Service, p.Domain(), p.UserCode, strings.Join(p.Access, "; "))
		case c == elicit.Form:
			return "Just sign in!"
		case c == elicit.Progress && p.UserCode == "":
			return "Bitte warten."
		}
		return ""
	}
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{
			options: lazyauth.Options{Wording: speaks},
			service: func(s *lazyauth.Service) { s.ScopeNames = map[string]string{"notes:write": "create and change notes"} },
		})
		h := w.hostWith(era, manners{name: "deutsch", form: true, progress: true, react: accepts})
		call := h.call(t.Context(), "create_note", noteArgs{"x"})
		code := w.person().UserCode
		later(6 * time.Second)
		if got, want := h.shown()[0].Message, "Bitte bei Notes anmelden (as.example.test), Code "+code+", für: create and change notes; profile"; got != want {
			t.Errorf("the prompt says %q, want %q", got, want)
		}
		if m := h.progress(1); len(m) == 0 || m[0].Message != "Bitte warten." {
			t.Errorf("the progress says %+v", m)
		}
		w.as.Approve(code)
		(<-call).succeeds(t, "x")
	})
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Wording: speaks}})
		h := w.hostWith(era, manners{form: true, react: accepts})
		call := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		if got := h.shown()[0].Message; !strings.Contains(got, code) || !strings.Contains(got, "It asks for: profile.") {
			t.Errorf("the prompt says %q", got)
		}
		w.as.Approve(code)
		(<-call).succeeds(t, "Ada")
	})
}
