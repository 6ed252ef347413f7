package fakeas_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

const (
	clientURL = "https://app.example.test/client.json"
	document  = `{"client_id":"https://app.example.test/client.json","client_name":"A Notebook","redirect_uris":["http://127.0.0.1/callback/x"],` +
		`"grant_types":["authorization_code","refresh_token","urn:ietf:params:oauth:grant-type:device_code"],"token_endpoint_auth_method":"none"}`
)

// serving is a server that finds one document at every URL.
func serving(text string) *fakeas.Options {
	return &fakeas.Options{ClientDocument: func(string) ([]byte, bool) { return []byte(text), text != "" }}
}

func TestClientDocument(t *testing.T) {
	p := newPeer(t, serving(document))
	if a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", "")); a.members["client_id_metadata_document_supported"] != true {
		t.Errorf("metadata: %s", a.body)
	}
	token := p.exchange(p.code("client_id", clientURL), "client_id", clientURL)
	if outcome(token) != "ok" {
		t.Fatalf("token: %s", token.body)
	}
	if a := p.refresh(token.text("refresh_token"), "client_id", clientURL); outcome(a) != "ok" {
		t.Errorf("refresh: %s", a.body)
	}
	if a := p.must(p.form(fakeas.DeviceAuthorization, "client_id", clientURL)); a.text("user_code") == "" {
		t.Errorf("device authorization: %s", a.body)
	}
	if access, ok := p.as.Introspect(token.text("access_token")); !ok || access.ClientID != clientURL {
		t.Errorf("access: %+v", access)
	}
	p.flawless()
}

// Each way in which a client ID that is a URL is refused: at the authorization
// endpoint on a page, which says why, elsewhere with invalid_client.
func TestClientDocument_Refused(t *testing.T) {
	with := func(old, replaced string) *fakeas.Options {
		return serving(strings.Replace(document, old, replaced, 1))
	}
	onlyHost := serving(document)
	onlyHost.ClientHosts = []string{"other.example.test"}
	for _, test := range []struct {
		name string
		opts *fakeas.Options
		id   string
		says string
	}{
		{"not supported", nil, clientURL, "not supported"},
		{"host not on the list", onlyHost, clientURL, "of this host"},
		{"no document", serving(""), clientURL, "cannot be had"},
		{"too large", with(`"A Notebook"`, `"`+strings.Repeat("x", 5<<10)+`"`), clientURL, "too large"},
		{"malformed", with("{", "["), clientURL, "malformed"},
		{"another client", serving(document), clientURL + "5", "another client"},
		{"written otherwise", serving(document), "https://APP.example.test/client.json", "another client"},
		{"a secret", with(`"client_name"`, `"client_secret":"x","client_name"`), clientURL, "with a secret"},
		{"client_secret_basic", with(`"none"`, `"client_secret_basic"`), clientURL, "with a secret"},
		{"no name", with(`"client_name":"A Notebook",`, ""), clientURL, "no client_name"},
		{"no redirect URI", with(`"http://127.0.0.1/callback/x"`, ""), clientURL, "no redirect URI"},
		{"a redirect URI that is none", with(`"http://127.0.0.1/callback/x"`, `"http://app.example.test/"`), clientURL, "redirect URI"},
		{"no path", serving(document), "https://app.example.test", "no URL of a metadata document"},
		{"the root", serving(document), "https://app.example.test/", "no URL of a metadata document"},
		{"dots", serving(document), "https://app.example.test/a/../client.json", "no URL of a metadata document"},
		{"a fragment", serving(document), clientURL + "#x", "no URL of a metadata document"},
		{"a query", serving(document), clientURL + "?x", "no URL of a metadata document"},
		{"a user", serving(document), "https://ada@app.example.test/client.json", "no URL of a metadata document"},
		{"http", serving(document), "http://app.example.test/client.json", "unknown client"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, test.opts)
			if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL("client_id", test.id)); !errors.Is(err, fakeas.ErrNoWayBack) || !strings.Contains(err.Error(), "invalid_client") {
				t.Errorf("sent back: %v", err)
			}
			a := p.must(p.form(fakeas.DeviceAuthorization, "client_id", test.id))
			if a.status != http.StatusUnauthorized || a.text("error") != "invalid_client" || !strings.Contains(a.text("error_description"), test.says) {
				t.Errorf("device authorization: %d %s", a.status, a.body)
			}
			page := p.must(p.request(http.MethodGet, p.authorizationURL("client_id", test.id), "", ""))
			if strings.HasPrefix(test.id, "https:") && !strings.Contains(page.body, test.says) {
				t.Errorf("page: %s", page.body)
			}
			p.flawless()
		})
	}
}

// A client may be returned to where its document says, and nowhere else.
func TestClientDocument_Redirects(t *testing.T) {
	p := newPeer(t, serving(document))
	if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL("client_id", clientURL, "redirect_uri", "http://127.0.0.1:1/callback")); !errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("sent elsewhere: %v", err)
	}
}

// A server whose metadata promise more than it does.
func TestClientDocument_PromisedOnly(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Metadata: func(m map[string]any) { m["client_id_metadata_document_supported"] = true }})
	if a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", "")); a.members["client_id_metadata_document_supported"] != true {
		t.Errorf("metadata: %s", a.body)
	}
	if a := p.must(p.form(fakeas.DeviceAuthorization, "client_id", clientURL)); outcome(a) != "invalid_client" {
		t.Errorf("device authorization: %s", a.body)
	}
}
