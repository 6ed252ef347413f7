package fakeas_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

const native = `{"redirect_uris":["http://127.0.0.1/callback/x"],"token_endpoint_auth_method":"none","application_type":"native",` +
	`"grant_types":["authorization_code","refresh_token"],"client_name":"A Notebook","scope":"profile","x_unknown":[1]}`

func (p *peer) register(body string) answer {
	p.t.Helper()
	return p.must(p.request(http.MethodPost, p.as.URL(fakeas.Registration), "application/json", body))
}

// Registered, used, and forgotten; and then registered anew.
func TestRegistration(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Registration: true})
	if a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", "")); a.text("registration_endpoint") != p.as.URL(fakeas.Registration) {
		t.Errorf("metadata: %s", a.body)
	}
	for range 2 {
		a := p.register(native)
		id := a.text("client_id")
		if a.status != http.StatusCreated || id == "" || a.members["client_secret"] != nil || a.text("client_name") != "A Notebook" ||
			a.text("token_endpoint_auth_method") != "none" || a.text("registration_access_token") == "" || a.header.Get("Cache-Control") != "no-store" ||
			!strings.Contains(a.body, `"redirect_uris":["http://127.0.0.1/callback/x"]`) || a.text("scope") != "profile" || a.text("application_type") != "native" {
			t.Fatalf("registered: %d %s", a.status, a.body)
		}
		token := p.exchange(p.code("client_id", id), "client_id", id)
		if outcome(token) != "ok" || token.text("refresh_token") == "" {
			t.Errorf("token: %s", token.body)
		}
		if a := p.must(p.form(fakeas.DeviceAuthorization, "client_id", id)); outcome(a) != "unauthorized_client" {
			t.Errorf("a grant that was not registered: %s", a.body)
		}
		if got := p.as.RegisteredClients(); len(got) != 1 || got[0].ID != id || got[0].Name != "A Notebook" {
			t.Errorf("registered: %+v", got)
		}
		p.as.ForgetClient(id)
		if a := p.refresh(token.text("refresh_token"), "client_id", id); outcome(a) != "invalid_client" {
			t.Errorf("forgotten, and refreshed: %s", a.body)
		}
		if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL("client_id", id)); !errors.Is(err, fakeas.ErrNoWayBack) {
			t.Errorf("forgotten, and sent back: %v", err)
		}
	}
	p.flawless()
}

// A client that does not ask for refresh tokens gets none.
func TestRegistration_WithoutRefresh(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Registration: true})
	id := p.register(`{"redirect_uris":["http://127.0.0.1/callback/x"],"token_endpoint_auth_method":"none"}`).text("client_id")
	if a := p.exchange(p.code("client_id", id), "client_id", id); outcome(a) != "ok" || a.text("refresh_token") != "" {
		t.Errorf("token: %s", a.body)
	}
}

// A secret is given to a client that does not ask to be public, and ends.
func TestRegistration_OfASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{Registration: true, ClientSecretLifetime: time.Hour})
		a := p.register(`{"grant_types":["urn:ietf:params:oauth:grant-type:device_code"]}`)
		var members struct {
			Expires int64 `json:"client_secret_expires_at"`
			Issued  int64 `json:"client_id_issued_at"`
		}
		if err := json.Unmarshal([]byte(a.body), &members); err != nil || members.Expires != time.Now().Add(time.Hour).Unix() || members.Issued != time.Now().Unix() ||
			a.text("token_endpoint_auth_method") != "client_secret_basic" {
			t.Fatalf("registered: %s %v", a.body, err)
		}
		authorize := func() string {
			req := p.form(fakeas.DeviceAuthorization, "client_id", a.text("client_id"))
			req.SetBasicAuth(a.text("client_id"), a.text("client_secret"))
			return outcome(p.must(req))
		}
		if got := authorize(); got != "nothing" {
			t.Errorf("in time: %s", got)
		}
		time.Sleep(time.Hour)
		if got := authorize(); got != "invalid_client" {
			t.Errorf("late: %s", got)
		}
		p.flawless()
	})
}

func TestRegistration_Errors(t *testing.T) {
	for body, want := range map[string]string{
		``:                                       "invalid_client_metadata",
		`null`:                                   "invalid_client_metadata",
		`[]`:                                     "invalid_client_metadata",
		`{"redirect_uris":"https://x.example/"}`: "invalid_client_metadata",
		`{}`:                                     "invalid_redirect_uri",
		`{"redirect_uris":[]}`:                   "invalid_redirect_uri",
		`{"redirect_uris":["https://x.example/#f"]}`:                                                         "invalid_redirect_uri",
		`{"redirect_uris":["http://x.example/"]}`:                                                            "invalid_redirect_uri",
		`{"redirect_uris":["javascript:alert(1)"]}`:                                                          "invalid_redirect_uri",
		`{"redirect_uris":["https://x.example/","//x"]}`:                                                     "invalid_redirect_uri",
		`{"redirect_uris":["https://x.example/"],"token_endpoint_auth_method":"tls"}`:                        "invalid_client_metadata",
		`{"redirect_uris":["https://x.example/"],"grant_types":["password"]}`:                                "invalid_client_metadata",
		`{"redirect_uris":["https://x.example/"],"response_types":["token"]}`:                                "invalid_client_metadata",
		`{"redirect_uris":["https://x.example/"],"grant_types":["refresh_token"],"response_types":["code"]}`: "invalid_client_metadata",
		`{"redirect_uris":["https://x.example/"],"scope":"everything"}`:                                      "invalid_client_metadata",
		`{"redirect_uris":["https://x.example/"],"scope":"profile  x"}`:                                      "invalid_client_metadata",
		`{"redirect_uris":["https://x.example/"],"client_name":"a\u0000b"}`:                                  "invalid_client_metadata",
		`{"redirect_uris":["https://x.example/"],"client_name":"` + strings.Repeat("x", 201) + `"}`:          "invalid_client_metadata",
		`{"redirect_uris":["https://x.example/"],"application_type":"toaster"}`:                              "invalid_client_metadata",
		`{"redirect_uris":[` + strings.Repeat(`"https://x.example/",`, 20) + `"https://x.example/"]}`:        "invalid_redirect_uri",
	} {
		p := newPeer(t, &fakeas.Options{Registration: true})
		if a := p.register(body); a.status != http.StatusBadRequest || a.text("error") != want || len(p.as.RegisteredClients()) != 0 {
			t.Errorf("%s: %d %s", body, a.status, a.body)
		}
	}
	// OpenID Connect Registration 1.0 §2: a web application by default.
	p := newPeer(t, &fakeas.Options{Registration: true, OpenID: true})
	if a := p.register(strings.Replace(native, `"application_type":"native",`, "", 1)); a.text("error") != "invalid_redirect_uri" {
		t.Errorf("web application: %s", a.body)
	}
	if a := p.register(native); a.status != http.StatusCreated {
		t.Errorf("native application: %s", a.body)
	}
}

// RFC 7592: what was registered can be read and deleted with the token that
// came with it, and with nothing else.
func TestRegistration_IsManaged(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Registration: true})
	a, other := p.register(`{"redirect_uris":["https://x.example/"]}`), p.register(native)
	uri, token := a.text("registration_client_uri"), a.text("registration_access_token")
	for name, req := range map[string]*http.Request{
		"no token":         p.request(http.MethodGet, uri, "", ""),
		"another's":        p.bearer(uri, other.text("registration_access_token")),
		"an unknown one":   p.bearer(uri, "rat_unknown"),
		"of nobody at all": p.bearer(p.as.URL(fakeas.Registration)+"/cl_unknown", token),
	} {
		if a := p.must(req); a.status != http.StatusUnauthorized {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	read := p.must(p.bearer(uri, token))
	for _, name := range []string{"client_id", "client_secret", "registration_access_token", "registration_client_uri"} {
		if read.text(name) == "" || read.text(name) != a.text(name) {
			t.Errorf("%s: %q, want %q", name, read.text(name), a.text(name))
		}
	}
	req := p.bearer(uri, token)
	req.Method = http.MethodDelete
	if a := p.must(req); a.status != http.StatusNoContent {
		t.Errorf("deleted: %d", a.status)
	}
	if got := p.as.RegisteredClients(); len(got) != 1 || got[0].ID != other.text("client_id") {
		t.Errorf("still there: %+v", got)
	}
	p.flawless()
}

// Every way in which the answer can be wrong.
func TestRegistration_AnsweredWrongly(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Registration: true})
	p.as.Script(fakeas.Registration,
		fakeas.Edit(fakeas.WithoutClientID), fakeas.Edit(fakeas.OtherRedirectURIs), fakeas.Edit(fakeas.UnaskedSecret), fakeas.Edit(fakeas.Huge),
		fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) { a.Status = http.StatusOK }),
		fakeas.Error(http.StatusBadRequest, "invalid_redirect_uri"), fakeas.Raw(http.StatusCreated, nil, "<html>"))
	if a := p.register(native); a.members["client_id"] != nil {
		t.Errorf("without: %s", a.body)
	}
	if a := p.register(native); strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("other redirect URIs: %s", a.body)
	}
	if a := p.register(native); a.text("client_secret") == "" || a.text("token_endpoint_auth_method") == "none" {
		t.Errorf("a secret: %s", a.body)
	}
	if a := p.register(native); len(a.body) < 8<<20 {
		t.Errorf("%d bytes", len(a.body))
	}
	if a := p.register(native); a.status != http.StatusOK || a.text("client_id") == "" {
		t.Errorf("under 200: %d %s", a.status, a.body)
	}
	if a := p.register(native); a.text("error") != "invalid_redirect_uri" {
		t.Errorf("refused: %s", a.body)
	}
	if a := p.register(native); a.body != "<html>" {
		t.Errorf("raw: %s", a.body)
	}
	if a := p.register(native); a.text("client_id") == "" {
		t.Errorf("right again: %s", a.body)
	}
}

// The forms of a registration request that are violations.
func TestRegistration_Violations(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Registration: true})
	p.must(p.request(http.MethodPut, p.as.URL(fakeas.Registration), "application/json", native))
	p.must(p.request(http.MethodPost, p.as.URL(fakeas.Registration), "application/x-www-form-urlencoded", "redirect_uris=x"))
	p.register("{")
	p.register(`{"padding":"` + strings.Repeat("x", 100<<10) + `"}`)
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.WrongMethod, fakeas.WrongContentType, fakeas.MalformedBody, fakeas.MalformedBody}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
}
