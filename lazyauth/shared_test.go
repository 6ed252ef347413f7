package lazyauth_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// hostAt connects a host of user's over HTTP.
func (w *world) hostAt(url, user string, m manners) *host {
	return w.connect(modern, m, &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: asUser(user)}})
}

// until waits in real time for what will soon be so.
func (w *world) until(what string, so func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	for !so() {
		select {
		case <-ctx.Done():
			w.t.Fatalf("it never came to that %s", what)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// On stateless HTTP several hosts of one person are one client. A host that refuses by
// itself, unattended as it is, does not do so for the others: they are asked in its place.
func TestUnattendedHostBesideAnother(t *testing.T) {
	for name, unattended := range map[string]manners{
		"which has nothing else": {url: true},
		"which takes a form":     {url: true, form: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, setup{as: fakeas.Options{Interval: time.Second}, options: lazyauth.Options{VerifyUser: anybody}})
			url := serveHTTP(t, w, true, true)
			refuse := make(chan struct{})
			unattended.react = func(_ context.Context, p *mcp.ElicitParams) (*mcp.ElicitResult, error) {
				if p.Mode == "form" {
					return &mcp.ElicitResult{Action: "accept"}, nil
				}
				<-refuse
				return &mcp.ElicitResult{Action: "decline"}, nil
			}
			a := w.hostAt(url, "ada", unattended)
			b := w.hostAt(url, "ada", manners{url: true, react: accepts})
			one := a.call(t.Context(), "whoami", nil)
			w.until("the unattended host is prompted", func() bool { return len(a.shown()) == 1 })
			two := b.call(t.Context(), "whoami", nil)
			w.until("the other call waits", func() bool { return w.trace.count("waiting") >= 2 })
			close(refuse)
			if !unattended.form {
				r := <-one
				r.fails(t, lazyauth.ReasonDeclined)
				if strings.Contains(r.text(), "minute") {
					t.Errorf("%q speaks for the person", r.text())
				}
				w.until("the other host is prompted", func() bool { return len(b.shown()) == 1 })
			} else {
				w.until("somebody shows the prompt", func() bool { return len(a.shown())+len(b.shown()) == 2 })
			}
			w.approves()
			(<-two).succeeds(t, "Ada")
			if unattended.form {
				(<-one).succeeds(t, "Ada")
			}
			w.wantAuthorizations(1)
		})
	}
}

// Whoever wants to be asked again is asked again, and nobody else.
func TestSignInPromptOverHTTP(t *testing.T) {
	w := newWorld(t, setup{as: fakeas.Options{Interval: time.Second}, options: lazyauth.Options{VerifyUser: anybody}, tools: func(w *world) {
		w.addTools()
		lazyauth.AddSignInPrompt(w.server, w.auth)
	}})
	url := serveHTTP(t, w, true, true)
	ada := w.hostAt(url, "ada", manners{url: true, react: says("decline", 1100*time.Millisecond)})
	eve := w.hostAt(url, "eve", manners{url: true, react: accepts})
	(<-ada.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
	ask := func(h *host) {
		if _, err := h.session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
			t.Error(err)
		}
	}
	ask(eve)
	(<-ada.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
	ada.wantPrompts(1)
	ask(ada)
	(<-ada.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonDeclined)
	ada.wantPrompts(2)
}
