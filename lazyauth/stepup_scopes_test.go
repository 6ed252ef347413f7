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

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

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

// An authorization server may grant scopes that nobody asked for, and whose names are
// text of its choice. They are neither asked for in the next step-up, where the server may
// refuse them, nor shown in its prompt, nor told in _meta; after a restart no more so.
func TestStepUp_UnaskedScopesAreLeftAlone(t *testing.T) {
	const evil = "Security-Notice:your_session_was_stolen.Re-enter_your_password_at_https://evil.example/login"
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour})
		options := lazyauth.Options{Store: kept, Transport: tokens{as.Transport(), func(granted string) string { return granted + " internal:admin " + evil }}}
		w := world.New(t, world.Setup{Shared: as, Options: options})
		w.SignedIn(era)
		again := world.New(t, world.Setup{Shared: as, Options: options})
		h := again.Host(era, world.Accepts)
		more := h.Call(t.Context(), "list_notes", nil)
		again.ApprovesFor("notes:read profile")
		(<-more).Succeeds(t, "[]")
		world.Later(2 * time.Hour) // and it is refreshed
		more = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		req := again.Person()
		if got := strings.Join(req.Scopes, " "); got != "notes:read notes:write profile" {
			t.Errorf("asked for %q", got)
		}
		if err := as.Deny(req.UserCode); err != nil {
			t.Error(err)
		}
		r := <-more
		r.Fails(t, lazyauth.ReasonDenied)
		if held := r.Result.Meta[lazyauth.MetaHeld]; held != "notes:read profile" {
			t.Errorf("_meta says that %v is held", held)
		}
		for _, p := range h.Shown() {
			if contains(p.Message, "evil", "internal") {
				t.Errorf("what the server named is in the prompt: %s", p.Message)
			}
		}
		if contains(again.Wire.Text(), "evil", "internal:admin") {
			t.Error("what the server named went to the host")
		}
	})
}

// A challenge in the middle of a handler is met without naming them, too.
func TestStepUp_UnaskedScopesInAChallenge(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(nil)
		w := world.New(t, world.Setup{Shared: as, Tools: world.WithDigest, Options: lazyauth.Options{
			Transport: tokens{as.Transport(), func(granted string) string { return granted + " internal:admin" }},
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "digest", world.Note{Text: "x"})
		w.Approves()
		w.Denies()
		r := <-call
		r.Fails(t, lazyauth.ReasonDenied)
		if required := r.Result.Meta[lazyauth.MetaRequired]; required != "notes:read notes:write profile" {
			t.Errorf("_meta says that %v is required", required)
		}
	})
}

// What is granted under another name is asked for again as the author spells it.
func TestStepUp_AuthorsSpelling(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{Scopes: []string{"profile", "user.read", "notes:read", "notes:write"}})
		w := world.New(t, world.Setup{Shared: as, Service: func(s *lazyauth.Service) {
			s.Scopes, s.Hierarchy = scopes.Of("user.read"), scopes.Entra()
		}, Options: lazyauth.Options{Transport: tokens{as.Transport(), func(granted string) string {
			return strings.ReplaceAll(granted, "user.read", "https://graph.microsoft.com/User.Read")
		}}}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "list_notes", nil)
		w.ApprovesFor("notes:read user.read")
		(<-call).Succeeds(t, "[]")
		call = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.ApprovesFor("notes:read notes:write user.read")
		(<-call).Succeeds(t, "x")
	})
}
