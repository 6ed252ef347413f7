package lazyauth_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// inTurn answers each prompt with the next reaction.
func inTurn(reactions ...reaction) reaction {
	var mu sync.Mutex
	return func(ctx context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
		mu.Lock()
		react := reactions[0]
		reactions = reactions[1:]
		mu.Unlock()
		return react(ctx, p)
	}
}

func TestDeclined(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, inTurn(says("decline", 3*time.Second), accepts))
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonDeclined)
		for _, p := range h.shown() {
			if strings.Contains(r.text(), p.URL) {
				t.Errorf("a decline got the link into the model's hands: %q", r.text())
			}
		}
		// For a minute nobody is asked again …
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		h.wantPrompts(1)
		// … then they are, with a new code: nobody wanted the first, which is polled for no more.
		w.denies()
		later(61 * time.Second)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(2)
		w.wantAuthorizations(2)
	})
}

func TestDismissed(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, inTurn(says("cancel", 3*time.Second), accepts))
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(2)
		w.wantAuthorizations(1)
	})
}

func TestTokenBeforeDecline(t *testing.T) {
	// The person approved in the browser and then closed the dialog.
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, says("decline", 20*time.Second))
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.gets("whoami", nil, "Ada")
	})
}

func TestMaxWaitEnds(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		began := time.Now()
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took > 56*time.Second {
			t.Errorf("the call was held for %v", took)
		}
		if strings.Contains(r.text(), "/device") {
			t.Errorf("a host that shows prompts got the link as text: %q", r.text())
		}
		// The next call joins; its person is shown the same code again.
		call := h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.approves()
		(<-call).succeeds(t, "Ada")
		w.wantAuthorizations(1)
		if p := h.shown(); len(p) != 2 || p[0].URL != p[1].URL {
			t.Errorf("prompts: %+v", p)
		}
	})
}

func TestMaxWaitEndsWithAParkedHandler(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "saga", noteArgs{"x"})
		w.approves()
		w.person() // … thinks
		(<-call).fails(t, lazyauth.ReasonPending)
		synctest.Wait()
		if w.ended["saga"] != 1 {
			t.Error("the handler did not end before its call was answered")
		}
		w.approves()
		later(time.Minute)
		w.wantSaga(1, 1) // approval started nothing by itself
		h.gets("saga", noteArgs{"y"}, "y")
		w.wantSaga(2, 2)
	})
}

func TestHostWithoutElicitation(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, nil)
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonPending)
		code := w.person().UserCode
		if !strings.Contains(r.text(), code) || !strings.Contains(r.text(), w.as.Issuer()+"/device") {
			t.Errorf("the text %q lacks the page or the code", r.text())
		}
		later(2 * time.Second)                     // the model passes it on
		next := h.call(t.Context(), "whoami", nil) // joins, although it is too early
		synctest.Wait()
		w.as.Approve(code)
		(<-next).succeeds(t, "Ada")
		w.wantAuthorizations(1)
	})
}

func TestHostThatDeclaresWhatItRejects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		h := w.host(legacy, func(context.Context, *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			return nil, errors.New("no dialogs here")
		})
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonPending)
		if !strings.Contains(r.text(), w.person().UserCode) {
			t.Errorf("the text %q lacks the code", r.text())
		}
		later(2 * time.Second)
		next := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-next).succeeds(t, "Ada")
		h.wantPrompts(2) // one in each mode
	})
}

func TestNarrowed(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "create_note", noteArgs{"x"})
		w.approves("profile")
		r := <-call
		r.fails(t, lazyauth.ReasonNarrowed)
		if !strings.Contains(r.text(), "notes:write") {
			t.Errorf("%q does not name what is missing", r.text())
		}
		h.wantPrompts(1) // no loop
		h.gets("whoami", nil, "Ada")
		h.wantPrompts(1)
	})
}

func TestAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		shown := 0
		show := func(_ context.Context, p elicit.Prompt) error {
			shown++
			return w.as.Approve(p.UserCode)
		}
		for range 2 {
			if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:read"), show); err != nil {
				t.Fatal(err)
			}
		}
		if shown != 1 {
			t.Errorf("shown %d times, want 1", shown)
		}
		h := w.host(modern, accepts)
		h.gets("list_notes", nil, "[]")
		h.wantPrompts(0)

		if err := w.auth.Authorize(t.Context(), lazyauth.Principal{Subject: "x"}, scopes.Set{}, show); reasonOf(err) != lazyauth.ReasonUnverified {
			t.Errorf("a principal that cannot be verified: %v", err)
		}
		refused := errors.New("no terminal")
		err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:write"), func(context.Context, elicit.Prompt) error { return refused })
		if !errors.Is(err, refused) {
			t.Errorf("an error of show: %v", err)
		}
	})
}

func reasonOf(err error) lazyauth.Reason {
	if e, ok := errors.AsType[*lazyauth.Error](err); ok {
		return e.Reason
	}
	return ""
}

func TestClose(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.host(era, accepts)
		waiting := h.call(t.Context(), "whoami", nil)
		w.person()
		synctest.Wait()
		if err := w.auth.Close(); err != nil {
			t.Error(err)
		}
		(<-waiting).fails(t, lazyauth.ReasonUnavailable)
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonUnavailable)
	})
}

func TestCloseNamesStubbornHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := fakeas.New(nil)
		auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID}, &lazyauth.Options{Transport: as.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		w := &world{t: t, as: as, auth: auth, server: mcp.NewServer(&mcp.Implementation{Name: "x"}, nil)}
		release := make(chan struct{})
		lazyauth.AddTool(w.server, auth, &mcp.Tool{Name: "stubborn"}, scopes.Set{},
			func(context.Context, *mcp.CallToolRequest, noArgs) (*mcp.CallToolResult, answer, error) {
				<-release
				return nil, answer{}, nil
			})
		h := w.host(modern, accepts)
		call := h.call(t.Context(), "stubborn", nil)
		w.approves()
		later(10 * time.Second)
		if err := auth.Close(); err == nil || !strings.Contains(err.Error(), "stubborn") {
			t.Errorf("Close: %v", err)
		}
		close(release)
		<-call
	})
}
