package zitadel_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// The test below is without the library: these are the habits that the stories are told
// for. When it fails the server or the harness has changed.
func TestServer(t *testing.T) {
	t.Parallel()
	p := startProvider(t, lasting, lasting)
	get(t, p.url("/.well-known/openid-configuration"), "", http.StatusOK)
	get(t, p.url("/.well-known/oauth-authorization-server"), "", http.StatusNotFound)

	code := p.authorize(t, "openid profile offline_access")
	if code.Interval != 1 {
		t.Errorf("interval %d", code.Interval)
	}
	for range 2 { // it enforces no interval
		p.polls(t, code, http.StatusBadRequest, "authorization_pending")
	}
	p.approve(t, code.UserCode)
	token := p.polls(t, code, http.StatusOK, "")
	if token.Refresh == "" || token.ExpiresIn > int(lasting.Seconds()) {
		t.Errorf("a refresh token %t, for %d s", token.Refresh != "", token.ExpiresIn)
	}
	get(t, p.url("/userinfo"), token.Access, http.StatusOK)
	// What others call invalid_grant, it calls access_denied.
	p.polls(t, code, http.StatusBadRequest, "access_denied")
	p.polls(t, deviceCode{Code: "made up"}, http.StatusBadRequest, "access_denied")

	denied := p.authorize(t, "openid")
	p.deny(t, denied.UserCode)
	for range 2 {
		p.polls(t, denied, http.StatusBadRequest, "access_denied")
	}
	if r := post[answer](t, p.url("/device_authorization"), http.StatusInternalServerError, "client_id", "nobody", "scope", "openid"); r.Error != "server_error" {
		t.Errorf("an unknown client: %+v", r)
	}
	p.authorize(t, "openid made:up") // accepted

	// A refresh rotates, ends the access token that it replaces, and reuse ends nothing.
	refreshed := p.refreshes(t, token.Refresh, http.StatusOK, "")
	if refreshed.Refresh == "" || refreshed.Refresh == token.Refresh {
		t.Error("the refresh token was not rotated")
	}
	get(t, p.url("/userinfo"), token.Access, http.StatusForbidden)
	p.refreshes(t, token.Refresh, http.StatusBadRequest, "invalid_grant")
	get(t, p.url("/userinfo"), refreshed.Access, http.StatusOK)

	// Revoking an access token leaves the refresh token; revoking that ends both.
	post[any](t, p.url("/revoke"), http.StatusOK, "client_id", clientID, "token", refreshed.Access, "token_type_hint", "access_token")
	get(t, p.url("/userinfo"), refreshed.Access, http.StatusForbidden)
	last := p.refreshes(t, refreshed.Refresh, http.StatusOK, "")
	get(t, p.url("/userinfo"), last.Access, http.StatusOK)
	post[any](t, p.url("/revoke"), http.StatusOK, "client_id", clientID, "token", last.Refresh)
	get(t, p.url("/userinfo"), last.Access, http.StatusForbidden)
	p.refreshes(t, last.Refresh, http.StatusBadRequest, "invalid_grant")
	post[any](t, p.url("/revoke"), http.StatusOK, "client_id", clientID, "token", "made up")
}

type deviceCode struct {
	Code     string `json:"device_code"`
	UserCode string `json:"user_code"`
	Interval int    `json:"interval"`
}

type answer struct {
	Access    string `json:"access_token"`
	Refresh   string `json:"refresh_token"`
	ExpiresIn int    `json:"expires_in"`
	Error     string `json:"error"`
}

func (p *provider) authorize(t *testing.T, scope string) deviceCode {
	t.Helper()
	return post[deviceCode](t, p.url("/device_authorization"), http.StatusOK, "client_id", clientID, "scope", scope)
}

func (p *provider) polls(t *testing.T, code deviceCode, status int, refusal string) answer {
	t.Helper()
	return p.exchange(t, status, refusal, "urn:ietf:params:oauth:grant-type:device_code", "device_code", code.Code)
}

func (p *provider) refreshes(t *testing.T, token string, status int, refusal string) answer {
	t.Helper()
	return p.exchange(t, status, refusal, "refresh_token", "refresh_token", token)
}

func (p *provider) exchange(t *testing.T, status int, refusal, grant, name, value string) answer {
	t.Helper()
	r := post[answer](t, p.url("/oauth/token"), status, "client_id", clientID, "grant_type", grant, name, value)
	if r.Error != refusal {
		t.Errorf("%s: error %q, want %q", grant, r.Error, refusal)
	}
	return r
}

// post sends a form and decodes the answer, which has to have a status.
func post[Answer any](t *testing.T, address string, status int, pairs ...string) (out Answer) {
	t.Helper()
	form := url.Values{}
	for n := 0; n < len(pairs); n += 2 {
		form.Set(pairs[n], pairs[n+1])
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body := send(t, req, status)
	if len(body) > 0 {
		if err := json.Unmarshal(body, &out); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
	return out
}

// get asks with a bearer token, if there is one, and demands a status.
func get(t *testing.T, address, bearer string, status int) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if bearer != "" {
		req.Header.Set("Authorization", "Bearer "+bearer)
	}
	send(t, req, status)
}

func send(t *testing.T, req *http.Request, status int) []byte {
	t.Helper()
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		t.Fatal(err)
	}
	if res.StatusCode != status {
		t.Errorf("%s %s: status %d, want %d", req.Method, req.URL.Path, res.StatusCode, status)
	}
	return body
}
