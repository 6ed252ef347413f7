package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// On stateless HTTP several hosts of one person are one client. A host that refuses by
// itself, unattended as it is, does not do so for the others: they are asked in its place.
func TestUnattendedHostBesideAnother(t *testing.T) {
	for name, unattended := range map[string]world.Manners{
		"which has nothing else": {URL: true},
		"which takes a form":     {URL: true, Form: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := world.New(t, world.Setup{AS: fakeas.Options{Interval: time.Second}, Options: lazyauth.Options{VerifyUser: world.Anybody}})
			url := world.ServeHTTP(t, w, true, true)
			refuse := make(chan struct{})
			unattended.React = func(_ context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
				if p.Mode == "form" {
					return &mcp.ElicitResult{Action: "accept"}, nil
				}
				<-refuse
				return &mcp.ElicitResult{Action: "decline"}, nil
			}
			a := w.HostAt(url, "ada", unattended)
			b := w.HostAt(url, "ada", world.Manners{URL: true, React: world.Accepts})
			one := a.Call(t.Context(), "whoami", nil)
			w.Until("the unattended host is prompted", func() bool { return len(a.Shown()) == 1 })
			two := b.Call(t.Context(), "whoami", nil)
			w.Until("the other call waits", func() bool { return w.Trace.Count("waiting") >= 2 })
			close(refuse)
			if !unattended.Form {
				r := <-one
				r.Fails(t, lazyauth.ReasonDeclined)
				if strings.Contains(r.Text(), "minute") {
					t.Errorf("%q speaks for the person", r.Text())
				}
				w.Until("the other host is prompted", func() bool { return len(b.Shown()) == 1 })
			} else {
				w.Until("somebody shows the prompt", func() bool { return len(a.Shown())+len(b.Shown()) == 2 })
			}
			w.Approves()
			(<-two).Succeeds(t, "Ada")
			if unattended.Form {
				(<-one).Succeeds(t, "Ada")
			}
			w.WantAuthorizations(1)
		})
	}
}

// Whoever wants to be asked again is asked again, and nobody else.
func TestSignInPromptOverHTTP(t *testing.T) {
	w := world.New(t, world.Setup{AS: fakeas.Options{Interval: time.Second}, Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: func(w *world.World) {
		w.AddTools()
		lazyauth.AddSignInPrompt(w.Server, w.Auth)
	}})
	url := world.ServeHTTP(t, w, true, true)
	ada := w.HostAt(url, "ada", world.Manners{URL: true, React: world.Says("decline", 1100*time.Millisecond)})
	eve := w.HostAt(url, "eve", world.Manners{URL: true, React: world.Accepts})
	(<-ada.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
	ask := func(h *world.Host) {
		if _, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
			t.Error(err)
		}
	}
	ask(eve)
	(<-ada.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
	ada.WantPrompts(1)
	ask(ada)
	(<-ada.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
	ada.WantPrompts(2)
}
