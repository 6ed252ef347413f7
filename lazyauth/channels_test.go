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

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestFormOnly(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{Form: true, React: world.Accepts})
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		p := h.Shown()[0]
		if p.Mode != "form" || !strings.Contains(p.Message, code) || !strings.Contains(p.Message, "/device") {
			t.Errorf("the form %+v lacks the code or the page", p)
		}
		if strings.Contains(p.Message, "://") || p.URL != "" || p.ElicitationID != "" {
			t.Errorf("the form has a link: %+v", p)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")
		w.WantChannels("form")
		synctest.Wait()
		if n := w.Wire.Count("elicitation/complete"); n != 0 {
			t.Errorf("%d completion notices for a form", n)
		}
	})
}

// A host that is not known to show progress: the prompt stands there for ten seconds,
// then the model is told; a second call of the same batch is told at the same time.
func TestProgressNotKnownToBeShown(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{Progress: true})
		began := time.Now()
		one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		for _, call := range []<-chan world.Reply{one, two} {
			r := <-call
			r.Fails(t, lazyauth.ReasonPending)
			if !strings.Contains(r.Text(), code) {
				t.Errorf("the text %q lacks the code", r.Text())
			}
		}
		if took := time.Since(began); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("the model was told after %v, want about 10 s", took)
		}
		w.WantResultLast()
		with := 0
		for n := 1; n <= 2; n++ {
			for _, m := range h.Progress(n) {
				if strings.Contains(m.Message, code) && strings.Contains(m.Message, "/device") {
					with++
				}
			}
		}
		if with < 2 || with > 3 { // at once, after 5 s, and perhaps after 10 s
			t.Errorf("%d progress messages have address and code, want 2 or 3 of one call", with)
		}
		w.WantChannels("progress", "text")

		// The next call joins, shows the code again, and stays: the model knows.
		world.Later(2 * time.Second)
		next := h.Call(t.Context(), "whoami", nil)
		world.Later(30 * time.Second)
		synctest.Wait()
		w.AS.Approve(code)
		(<-next).Succeeds(t, "Ada")
		if m := h.Progress(3); len(m) < 5 || !strings.Contains(m[0].Message, code) {
			t.Errorf("the call that joined reported %d times", len(m))
		}
		w.WantResultLast()
		w.WantAuthorizations(1)
		if n := w.Starts("whoami"); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

// A host that is known to show progress: the person reads it there, and for a minute the
// model is told nothing.
func TestProgressShown(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{Name: "gemini-cli-mcp-client", Progress: true})
		one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		world.Later(50 * time.Second)
		w.AS.Approve(code)
		(<-one).Succeeds(t, "Ada")
		(<-two).Succeeds(t, "Ada")
		w.WantChannels("progress")
		w.WantAuthorizations(1)
		shown, silent := h.Progress(1), h.Progress(2)
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
		w.WantResultLast()
	})
}

// gemini -p and qwen -p have the name of programs that show progress, and show it to
// nobody. After a minute the model is told as well; the next call joins, and waits its
// whole time without telling it again.
func TestProgressShownToNobody(t *testing.T) {
	for name, longest := range map[string]time.Duration{"gemini-cli-mcp-client": 595 * time.Second, "qwen-cli-mcp-client-notes": 395 * time.Second} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: fakeas.Options{CodeLifetime: time.Hour}})
				h := w.HostWith(era, world.Manners{Name: name, Progress: true})
				began := time.Now()
				one, two := h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)
				code := w.Person().UserCode
				for _, call := range []<-chan world.Reply{one, two} {
					r := <-call
					r.Fails(t, lazyauth.ReasonPending)
					if !strings.Contains(r.Text(), code) || !strings.Contains(r.Text(), "/device") {
						t.Errorf("the text %q lacks the code or the page", r.Text())
					}
				}
				if took := time.Since(began); took < time.Minute || took > 61*time.Second {
					t.Errorf("the model was told after %v, want a minute", took)
				}
				w.WantChannels("progress", "text")
				world.Later(2 * time.Second)
				began = time.Now()
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
				if took := time.Since(began); took < longest || took > longest+time.Second {
					t.Errorf("the call that joined waited for %v, want %v", took, longest)
				}
				joins := h.Call(t.Context(), "whoami", nil)
				world.Later(2 * time.Minute)
				w.AS.Approve(code)
				(<-joins).Succeeds(t, "Ada")
				w.WantAuthorizations(1)
			})
		})
	}
}

// Hosts that have nothing at all, and wait for the results of all their calls before
// they tell anybody of one.
func TestBatchInText(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{})
		began := time.Now()
		var batch []<-chan world.Reply
		for range 5 {
			batch = append(batch, h.Call(t.Context(), "whoami", nil))
		}
		code := w.Person().UserCode
		for _, call := range batch {
			r := <-call
			r.Fails(t, lazyauth.ReasonPending)
			if !strings.Contains(r.Text(), code) {
				t.Errorf("the text %q lacks the code", r.Text())
			}
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the last of the batch was answered after %v", took)
		}
		w.WantChannels("text")
		world.Later(2 * time.Second)
		w.AS.Approve(code)
		h.Gets("whoami", nil, "Ada")
		w.WantAuthorizations(1)
	})
}

// Refused within milliseconds: the host does not show links. It is asked by a form.
func TestRefusedFasterThanAPersonCan(t *testing.T) {
	for _, action := range []string{"decline", "cancel"} {
		t.Run(action, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				h := w.HostWith(era, world.Manners{URL: true, Form: true, React: world.InTurn(world.Says(action, 14*time.Millisecond), world.Accepts)})
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				w.WantChannels("url", "form")
				w.WantAuthorizations(1)
				h.Gets("whoami", nil, "Ada")
			})
		})
	}
}

// Refused within milliseconds, whatever it is asked: an unattended host. Neither link
// nor code get to its model.
func TestRefusedByTheHost(t *testing.T) {
	for _, test := range []struct {
		manners  world.Manners
		channels []string
	}{
		{world.Manners{URL: true, Form: true}, []string{"url", "form"}},
		{world.Manners{URL: true}, []string{"url"}},
		{world.Manners{Form: true}, []string{"form"}},
		{world.Manners{URL: true, Form: true, Progress: true}, []string{"url", "form"}},
	} {
		t.Run(strings.Join(test.channels, " "), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				test.manners.React = world.Says("decline", 4*time.Millisecond)
				h := w.HostWith(era, test.manners)
				r := <-h.Call(t.Context(), "whoami", nil)
				r.Fails(t, lazyauth.ReasonDeclined)
				if !strings.Contains(r.Text(), "without asking") {
					t.Errorf("%q does not say that the host refused by itself", r.Text())
				}
				w.WantChannels(test.channels...)
				if text := w.Wire.Text(); strings.Count(text, w.Person().UserCode) != len(test.channels) {
					t.Error("the code went elsewhere than into the prompts")
				}
				// What is remembered of it is that it was not the person.
				again := <-h.Call(t.Context(), "whoami", nil)
				again.Fails(t, lazyauth.ReasonDeclined)
				if again.Text() != r.Text() || strings.Contains(again.Text(), "The user declined") {
					t.Errorf("the call after it says %q", again.Text())
				}
				w.WantChannels(test.channels...)
			})
		})
	}
}

// A host that dismisses at once whatever it is asked: that was not the person either, and
// the next call may ask.
func TestDismissedByTheHost(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.HostWith(era, world.Manners{URL: true, React: world.InTurn(world.Says("cancel", 0), world.Accepts)})
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.Text(), "without asking") {
			t.Errorf("%q does not say that the host refused by itself", r.Text())
		}
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		w.WantChannels("url", "url")
	})
}

// An agent that runs unattended and is meant to approve by itself.
func TestTextAfterDecline(t *testing.T) {
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

// What a host answers to a prompt with a protocol error it does not have, whatever it
// declares. No person refused anything: the next channel is tried, down to the text.
func TestDeclaredAndRejected(t *testing.T) {
	rejects := func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		return nil, errors.New("no dialogs here")
	}
	for _, test := range []struct {
		manners  world.Manners
		channels []string
	}{
		{world.Manners{URL: true, Form: true, React: world.InTurn(rejects, world.Accepts)}, []string{"url", "form"}},
		{world.Manners{URL: true, Form: true, Progress: true, React: rejects}, []string{"url", "form", "progress", "text"}},
		{world.Manners{URL: true, React: rejects}, []string{"url", "text"}},
	} {
		t.Run(strings.Join(test.channels, " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{})
				h := w.HostWith(world.Legacy, test.manners)
				call := h.Call(t.Context(), "whoami", nil)
				code := w.Person().UserCode
				world.Later(15 * time.Second)
				if last := test.channels[len(test.channels)-1]; last == "text" {
					r := <-call
					r.Fails(t, lazyauth.ReasonPending)
					if !strings.Contains(r.Text(), code) {
						t.Errorf("the text %q lacks the code", r.Text())
					}
					world.Later(2 * time.Second)
					call = h.Call(t.Context(), "whoami", nil)
				}
				synctest.Wait()
				w.AS.Approve(code)
				(<-call).Succeeds(t, "Ada")
				if got := w.Trace.Channels()[:len(test.channels)]; !slices.Equal(got, test.channels) {
					t.Errorf("prompts went out by %v, want %v", got, test.channels)
				}
				w.WantAuthorizations(1)
			})
		})
	}
}

// A waiting call reports progress on every channel, and its handler goes on from there.
func TestProgressWhileADialogIsOpen(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "import"}, scopes.Of("profile"),
				func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					for n := range 3 {
						if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{
							ProgressToken: req.Params.GetProgressToken(), Progress: float64(n), Total: 3,
						}); err != nil {
							t.Error(err)
						}
					}
					return nil, world.Answer{Text: "done"}, lazyauth.Require(ctx, scopes.Of("notes:read"))
				})
		}})
		h := w.HostWith(era, world.Manners{URL: true, Progress: true, React: world.Accepts})
		call := h.Call(t.Context(), "import", nil)
		first := w.Person()
		world.Later(22 * time.Second)
		w.AS.Approve(first.UserCode)
		second := w.Person()
		world.Later(22 * time.Second)
		w.AS.Approve(second.UserCode)
		(<-call).Succeeds(t, "done")
		messages := h.Progress(1)
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
		w.WantResultLast()
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
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{Hosts: test.hosts}})
				h := w.HostWith(era, world.Manners{Name: test.host, URL: true, Progress: test.progress, React: world.Accepts})
				began := time.Now()
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonPending)
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
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			Options: lazyauth.Options{Wording: speaks},
			Service: func(s *lazyauth.Service) { s.ScopeNames = map[string]string{"notes:write": "create and change notes"} },
		})
		h := w.HostWith(era, world.Manners{Name: "deutsch", Form: true, Progress: true, React: world.Accepts})
		call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		code := w.Person().UserCode
		world.Later(6 * time.Second)
		if got, want := h.Shown()[0].Message, "Bitte bei Notes anmelden (as.example.test), Code "+code+", für: create and change notes; profile"; got != want {
			t.Errorf("the prompt says %q, want %q", got, want)
		}
		if m := h.Progress(1); len(m) == 0 || m[0].Message != "Bitte warten." {
			t.Errorf("the progress says %+v", m)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "x")
	})
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Wording: speaks}})
		h := w.HostWith(era, world.Manners{Form: true, React: world.Accepts})
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		if got := h.Shown()[0].Message; !strings.Contains(got, code) || !strings.Contains(got, "It asks for: profile.") {
			t.Errorf("the prompt says %q", got)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")
	})
}
