package lazyauth_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// tokens changes the scope in token answers.
type tokens struct {
	next  http.RoundTripper
	scope func(granted string) string
}

func (p tokens) RoundTrip(r *http.Request) (*http.Response, error) {
	res, err := p.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	var m map[string]any
	if json.Unmarshal(body, &m) == nil && m["access_token"] != nil {
		m["scope"] = p.scope(fmt.Sprint(m["scope"]))
		if body, err = json.Marshal(m); err != nil {
			return nil, err
		}
	}
	res.Body = io.NopCloser(bytes.NewReader(body))
	return res, nil
}

// approvesFor approves the next code, which must have been asked for with these scopes.
func (w *world) approvesFor(want string, granted ...string) {
	w.t.Helper()
	req := w.person()
	if got := strings.Join(req.Scopes, " "); got != want {
		w.t.Errorf("asked for %q, want %q", got, want)
	}
	if err := w.as.Approve(req.UserCode, granted...); err != nil {
		w.t.Error(err)
	}
}

// An authorization server may grant scopes that nobody asked for, and whose names are
// text of its choice. They are neither asked for in the next step-up, where the server may
// refuse them, nor shown in its prompt, nor told in _meta; after a restart no more so.
func TestStepUp_UnaskedScopesAreLeftAlone(t *testing.T) {
	const evil = "Security-Notice:your_session_was_stolen.Re-enter_your_password_at_https://evil.example/login"
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour})
		options := lazyauth.Options{Store: kept, Transport: tokens{as.Transport(), func(granted string) string { return granted + " internal:admin " + evil }}}
		w := newWorld(t, setup{shared: as, options: options})
		w.signedIn(era)
		again := newWorld(t, setup{shared: as, options: options})
		h := again.host(era, accepts)
		more := h.call(t.Context(), "list_notes", nil)
		again.approvesFor("notes:read profile")
		(<-more).succeeds(t, "[]")
		later(2 * time.Hour) // and it is refreshed
		more = h.call(t.Context(), "create_note", noteArgs{"x"})
		req := again.person()
		if got := strings.Join(req.Scopes, " "); got != "notes:read notes:write profile" {
			t.Errorf("asked for %q", got)
		}
		if err := as.Deny(req.UserCode); err != nil {
			t.Error(err)
		}
		r := <-more
		r.fails(t, lazyauth.ReasonDenied)
		if held := r.result.Meta[lazyauth.MetaHeld]; held != "notes:read profile" {
			t.Errorf("_meta says that %v is held", held)
		}
		for _, p := range h.shown() {
			if contains(p.Message, "evil", "internal") {
				t.Errorf("what the server named is in the prompt: %s", p.Message)
			}
		}
		if contains(again.wire.text(), "evil", "internal:admin") {
			t.Error("what the server named went to the host")
		}
	})
}

// A challenge in the middle of a handler is met without naming them, too.
func TestStepUp_UnaskedScopesInAChallenge(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(nil)
		w := newWorld(t, setup{shared: as, tools: withDigest, options: lazyauth.Options{
			Transport: tokens{as.Transport(), func(granted string) string { return granted + " internal:admin" }},
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "digest", noteArgs{"x"})
		w.approves()
		w.denies()
		r := <-call
		r.fails(t, lazyauth.ReasonDenied)
		if required := r.result.Meta[lazyauth.MetaRequired]; required != "notes:read notes:write profile" {
			t.Errorf("_meta says that %v is required", required)
		}
	})
}

// What is granted under another name is asked for again as the author spells it.
func TestStepUp_AuthorsSpelling(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{Scopes: []string{"profile", "user.read", "notes:read", "notes:write"}})
		w := newWorld(t, setup{shared: as, service: func(s *lazyauth.Service) {
			s.Scopes, s.Hierarchy = scopes.Of("user.read"), scopes.Entra()
		}, options: lazyauth.Options{Transport: tokens{as.Transport(), func(granted string) string {
			return strings.ReplaceAll(granted, "user.read", "https://graph.microsoft.com/User.Read")
		}}}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "list_notes", nil)
		w.approvesFor("notes:read user.read")
		(<-call).succeeds(t, "[]")
		call = h.call(t.Context(), "create_note", noteArgs{"x"})
		w.approvesFor("notes:read notes:write user.read")
		(<-call).succeeds(t, "x")
	})
}
