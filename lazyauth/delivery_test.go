package lazyauth_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestDelivery_FormOnly(t *testing.T) {
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
			t.Errorf("%d completions of a form", n)
		}
	})
}

// Hosts that have nothing at all, and wait for the results of all their calls before
// they tell anybody of one.
func TestDelivery_BatchInText(t *testing.T) {
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
func TestDelivery_RefusedFasterThanAPersonCan(t *testing.T) {
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
func TestDelivery_RefusedByTheHost(t *testing.T) {
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
func TestDelivery_DismissedByTheHost(t *testing.T) {
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

// What a host answers to a prompt with a protocol error it does not have, whatever it
// declares. No person refused anything: the next channel is tried, down to the text.
func TestDelivery_DeclaredAndRejected(t *testing.T) {
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

func TestDelivery_RejectedInBothModes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.Host(world.Legacy, func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			return nil, errors.New("no dialogs here")
		})
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		if !strings.Contains(r.Text(), w.Person().UserCode) {
			t.Errorf("the text %q lacks the code", r.Text())
		}
		world.Later(2 * time.Second)
		next := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-next).Succeeds(t, "Ada")
		h.WantPrompts(2) // one in each mode
	})
}

func TestDelivery_WithoutElicitation(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, nil)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		code := w.Person().UserCode
		if !strings.Contains(r.Text(), code) || !strings.Contains(r.Text(), w.AS.Issuer()+"/device") {
			t.Errorf("the text %q lacks the page or the code", r.Text())
		}
		world.Later(2 * time.Second)               // the model passes it on
		next := h.Call(t.Context(), "whoami", nil) // joins, although it is too early
		synctest.Wait()
		w.AS.Approve(code)
		(<-next).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
	})
}

func withCaps(caps map[string]any) mcp.Meta {
	return mcp.Meta{mcp.MetaKeyClientCapabilities: caps}
}

func TestDelivery_TextThenURL(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		h := w.RawHost()
		r, err := h.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "whoami", Meta: withCaps(map[string]any{})})
		world.Reply{Result: r, Err: err}.Fails(t, lazyauth.ReasonPending)
		// Now a request that declares URL elicitation.
		r2 := <-h.Request(t.Context(), "whoami", nil, "", "")
		if r2.Err == nil && r2.Result.IsError && strings.Contains(r2.Text(), w.Person().UserCode) {
			t.Errorf("a live code went into the text of a host that declares URL elicitation: %q", r2.Text())
		}
		r2.State(t)
	})
}

func TestDelivery_UndeclaredMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
		// Two requests serve the call: first one without elicitation, then one with.
		out := make(chan world.Reply, 1)
		go func() {
			r, err := h.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "saga", Arguments: world.Note{Text: "x"}, RequestState: state, Meta: withCaps(map[string]any{})})
			out <- world.Reply{Result: r, Err: err}
		}()
		synctest.Wait()
		two := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		synctest.Wait()
		w.Approves()
		select {
		case r := <-out:
			if r.Err == nil && r.Result.NeedsInput() {
				t.Error("an undeclared mode is in inputRequests")
			}
		case <-two:
		}
	})
}

// A link that the host refused by itself and a form that it rejects leave nothing for its
// model: somebody there does not want to be asked.
func TestDelivery_RefusedByTheHostThenRejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		rejects := func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			return nil, errors.New("no forms here")
		}
		h := w.HostWith(world.Legacy, world.Manners{URL: true, Form: true, React: world.InTurn(world.Says("decline", 4*time.Millisecond), rejects)})
		r := <-h.Call(t.Context(), "whoami", nil)
		if strings.Contains(r.Text(), w.Person().UserCode) {
			t.Errorf("the code of a refused prompt is in the model's hands: %q", r.Text())
		}
	})
}

func TestDelivery_DialogOutlivesItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		taken := make(chan struct{})
		h := w.Host(world.Legacy, func(ctx context.Context, _ *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			<-ctx.Done()
			close(taken)
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		call := h.Call(ctx, "whoami", nil)
		w.Person()
		synctest.Wait()
		cancel()
		<-call
		world.Later(10 * time.Second)
		select {
		case <-taken:
			t.Error("the dialog went away with the call, while its code is good")
		default:
		}
		next := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-next).Succeeds(t, "Ada")
		h.WantPrompts(1)
	})
}

func callThatLeft(maxWait time.Duration) func(*testing.T, string) {
	return func(t *testing.T, era string) {
		release := make(chan struct{})
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}, Options: lazyauth.Options{MaxWait: maxWait}, Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"), world.Counted(w, "slow",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					<-release
					return world.ReadAnswer(lazyauth.Client(ctx).Get(w.AS.API() + "/me"))
				}))
		}})
		h := w.SignedIn(era)
		ctx, cancel := context.WithCancel(t.Context())
		gone := h.Call(ctx, "slow", nil)
		synctest.Wait()
		cancel()
		<-gone
		world.Later(2 * time.Minute) // the token ends
		close(release)
		synctest.Wait()
		if n := len(h.Shown()); n != 1 {
			t.Errorf("a call that was cancelled long ago prompted the person (%d prompts)", n)
		}
		if w.Stops("slow") != 1 {
			t.Error("the cancelled handler still waits")
		}
		next := h.Call(t.Context(), "whoami", nil)
		world.Later(time.Second)
		h.WantPrompts(2)
		w.Approves()
		(<-next).Succeeds(t, "Ada")
	}
}

// A call that was cancelled prompts nobody and keeps no slot, though its handler
// waits on a context of its own (http.Client.Get), and however patient it is.
func TestDelivery_CallThatLeftKeepsNoSlot(t *testing.T) {
	for _, maxWait := range []time.Duration{0, time.Hour} {
		t.Run(maxWait.String(), func(t *testing.T) { world.InBothEras(t, callThatLeft(maxWait)) })
	}
}

// A host whose person declined the prompt of one sign-in says so again when it is
// long over, and another one under way.
func TestDelivery_LateAnswerToAnOldPrompt(t *testing.T) {
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
