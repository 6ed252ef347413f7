package fakeas_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// Redirect URIs are compared as they stand, but for the port of a loopback
// address (RFC 8252 §7.3).
func TestRedirectURI_Compared(t *testing.T) {
	registered := []string{
		"http://127.0.0.1/callback", "http://[::1]:80/six?x=1", "http://localhost:8080/callback",
		"https://app.example.test/done", "com.example.app:/callback",
	}
	opts := func(exact, below bool) *fakeas.Options {
		return &fakeas.Options{ExactPorts: exact, Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, RedirectURIs: registered, RedirectBelow: below}}}
	}
	strict, exact, below := newPeer(t, opts(false, false)), newPeer(t, opts(true, false)), newPeer(t, opts(false, true))
	for _, test := range []struct {
		uri                  string
		strict, exact, below bool
	}{
		{"http://127.0.0.1/callback", true, true, true},
		{"http://127.0.0.1:49152/callback", true, false, true},
		{"http://127.0.0.1:1/callback", true, false, true},
		{"http://[::1]:49152/six?x=1", true, false, true},
		{"http://[::1]/six?x=1", true, false, true},
		{"http://localhost:8080/callback", true, true, true},
		{"http://localhost:8081/callback", false, false, false},
		{"https://app.example.test/done", true, true, true},
		{"com.example.app:/callback", true, true, true},
		{"http://127.0.0.1:49152/callback/1a", false, false, true},
		{"https://app.example.test/done/1/2", false, false, true},

		{"http://127.0.0.1:49152/callback/", false, false, false},
		{"http://127.0.0.1:49152/callback/../x", false, false, false},
		{"http://127.0.0.1:49152/callback/%2e%2e/x", false, false, false},
		{"http://127.0.0.1:49152/callback//x", false, false, false},
		{"http://127.0.0.1:49152/Callback", false, false, false},
		{"http://127.0.0.1:49152/callback?x=1", false, false, false},
		{"http://127.0.0.1:49152/callback#x", false, false, false},
		{"http://127.0.0.1:49152", false, false, false},
		{"http://127.0.0.1:/callback#", false, false, false},
		{"http://127.0.0.1:49152@evil.example/callback", false, false, false},
		{"http://127.0.0.1.evil.example/callback", false, false, false},
		{"http://127.0.0.2/callback", false, false, false},
		{"http://[::1]:49152/six", false, false, false},
		{"https://127.0.0.1/callback", false, false, false},
		{"https://app.example.test:8443/done", false, false, false},
		{"https://app.example.test.evil.example/done", false, false, false},
		{"https://evil.example/https://app.example.test/done", false, false, false},
		{"javascript:alert(1)", false, false, false},
		{"//app.example.test/done", false, false, false},
		{"callback", false, false, false},
	} {
		for name, p := range map[string]*peer{"strict": strict, "exact ports": exact, "below": below} {
			want := map[string]bool{"strict": test.strict, "exact ports": test.exact, "below": test.below}[name]
			location, err := p.as.ApproveURL(t.Context(), p.authorizationURL("redirect_uri", test.uri))
			if want && (err != nil || !strings.HasPrefix(location, test.uri) || !strings.Contains(location, "code=")) {
				t.Errorf("%s: %s: sent to %s, %v", name, test.uri, location, err)
			}
			if !want && !errors.Is(err, fakeas.ErrNoWayBack) {
				t.Errorf("%s: %s: sent to %s, %v", name, test.uri, location, err)
			}
		}
	}
}

// A redirect URI keeps the query that it has.
func TestRedirectURI_WithAQuery(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, RedirectURIs: []string{"http://127.0.0.1/callback?tenant=1"}}}})
	location, err := p.as.ApproveURL(t.Context(), p.authorizationURL("redirect_uri", "http://127.0.0.1:1/callback?tenant=1"))
	if err != nil || !strings.HasPrefix(location, "http://127.0.0.1:1/callback?tenant=1&code=") {
		t.Errorf("sent to %s, %v", location, err)
	}
}

// Some servers take any port of localhost, too, and of no name that begins like it.
func TestRedirectURI_LocalhostPorts(t *testing.T) {
	for _, exact := range []bool{false, true} {
		p := newPeer(t, &fakeas.Options{ExactPorts: exact, LocalhostPorts: true, Clients: []fakeas.Client{{
			ID: fakeas.DefaultClientID, RedirectURIs: []string{"http://localhost", "http://localhost:8080/app"},
		}}})
		for uri, want := range map[string]bool{
			"http://localhost": true, "http://localhost:49152": true, "http://localhost:49152/app": true, "http://localhost/app": true,
			"http://localhost:49152/": false, "http://localhost:49152/other": false, "https://localhost:49152": false,
			"http://localhost.evil.example": false, "http://127.0.0.1:49152": false,
		} {
			_, err := p.as.ApproveURL(t.Context(), p.authorizationURL("redirect_uri", uri))
			if (err == nil) != want {
				t.Errorf("exact ports %t: %s: %v", exact, uri, err)
			}
		}
	}
}
