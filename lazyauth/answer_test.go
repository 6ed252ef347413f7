package lazyauth_test

import (
	"context"
	"errors"
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

func TestDeclined(t *testing.T) {
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

func TestDismissed(t *testing.T) {
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

func TestTokenBeforeDecline(t *testing.T) {
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

func TestMaxWaitEnds(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		began := time.Now()
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonPending)
		if took := time.Since(began); took > 56*time.Second {
			t.Errorf("the call was held for %v", took)
		}
		if strings.Contains(r.Text(), "/device") {
			t.Errorf("a host that shows prompts got the link as text: %q", r.Text())
		}
		// The next call joins; its person is shown the same code again.
		call := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		w.WantAuthorizations(1)
		if p := h.Shown(); len(p) != 2 || p[0].URL != p[1].URL {
			t.Errorf("prompts: %+v", p)
		}
	})
}

func TestMaxWaitEndsWithAParkedHandler(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "saga", world.Note{Text: "x"})
		w.Approves()
		w.Person() // … thinks
		(<-call).Fails(t, lazyauth.ReasonPending)
		synctest.Wait()
		if w.Stops("saga") != 1 {
			t.Error("the handler did not end before its call was answered")
		}
		w.Approves()
		world.Later(time.Minute)
		w.WantSaga(1, 1) // approval started nothing by itself
		h.Gets("saga", world.Note{Text: "y"}, "y")
		w.WantSaga(2, 2)
	})
}

func TestHostWithoutElicitation(t *testing.T) {
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

func TestHostThatDeclaresWhatItRejects(t *testing.T) {
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

func TestNarrowed(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves("profile")
		r := <-call
		r.Fails(t, lazyauth.ReasonNarrowed)
		if !strings.Contains(r.Text(), "notes:write") {
			t.Errorf("%q does not name what is missing", r.Text())
		}
		h.WantPrompts(1) // no loop
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
	})
}

func TestAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		shown := 0
		show := func(_ context.Context, p elicit.Prompt) error {
			shown++
			return w.AS.Approve(p.UserCode)
		}
		for range 2 {
			if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:read"), show); err != nil {
				t.Fatal(err)
			}
		}
		if shown != 1 {
			t.Errorf("shown %d times, want 1", shown)
		}
		h := w.Host(world.Modern, world.Accepts)
		h.Gets("list_notes", nil, "[]")
		h.WantPrompts(0)

		if err := w.Auth.Authorize(t.Context(), lazyauth.Principal{Subject: "x"}, scopes.Set{}, show); reasonOf(err) != lazyauth.ReasonUnverified {
			t.Errorf("a principal that cannot be verified: %v", err)
		}
		refused := errors.New("no terminal")
		err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:write"), func(context.Context, elicit.Prompt) error { return refused })
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
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.Host(era, world.Accepts)
		waiting := h.Call(t.Context(), "whoami", nil)
		w.Person()
		synctest.Wait()
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		(<-waiting).Fails(t, lazyauth.ReasonUnavailable)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
	})
}

func TestCloseNamesStubbornHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := fakeas.New(nil)
		auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID}, &lazyauth.Options{Transport: as.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		w := &world.World{T: t, AS: as, Auth: auth, Server: mcp.NewServer(&mcp.Implementation{Name: "x"}, nil)}
		release := make(chan struct{})
		lazyauth.AddTool(w.Server, auth, &mcp.Tool{Name: "stubborn"}, scopes.Set{},
			func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				<-release
				return nil, world.Answer{}, nil
			})
		h := w.Host(world.Modern, world.Accepts)
		call := h.Call(t.Context(), "stubborn", nil)
		w.Approves()
		world.Later(10 * time.Second)
		if err := auth.Close(); err == nil || !strings.Contains(err.Error(), "stubborn") {
			t.Errorf("Close: %v", err)
		}
		close(release)
		<-call
	})
}
