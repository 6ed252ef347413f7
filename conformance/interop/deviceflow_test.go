package interop_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// The stories below talk to the authorization server without the library. When
// one of them fails, it is the harness or the server that changed, and what the
// other stories say about the library means nothing.

func TestServerApproved(t *testing.T) {
	t.Parallel()
	client, ada := world.as.register(t, publicClient), newPerson("ada")
	code := world.as.authorize(t, client, "profile")
	if got := world.as.poll(t, client, code.DeviceCode); got.Error != "authorization_pending" {
		t.Errorf("polled before anybody approved: %+v", got)
	}
	if code.Interval != nil {
		t.Errorf("interval = %d: oidc-provider states none, and five seconds have to be assumed", *code.Interval)
	}
	if err := ada.approve(t.Context(), code.VerificationURI, code.UserCode); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ada.consented, []string{"profile"}) {
		t.Errorf("consented to %q", ada.consented)
	}
	got := world.as.poll(t, client, code.DeviceCode)
	if got.Error != "" || got.Scope != "profile" || got.RefreshToken == "" {
		t.Fatalf("polled after approval: %+v", got)
	}
	if status, challenge := world.as.me(t, got.AccessToken); status != http.StatusOK {
		t.Errorf("the API says %d %s to a good token", status, challenge)
	}
	if status, challenge := world.as.me(t, "made up"); status != http.StatusUnauthorized || !strings.Contains(challenge, `error="invalid_token"`) {
		t.Errorf("the API says %d %s to a bad token", status, challenge)
	}

	// Step-up: the same browser approves a second flow with more scopes. It is
	// one grant, and the first token lives on.
	more := world.as.authorize(t, client, "profile notes:read")
	if err := ada.approve(t.Context(), more.VerificationURI, more.UserCode); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(ada.consented, []string{"profile", "notes:read"}) {
		t.Errorf("consented to %q in all", ada.consented)
	}
	if up := world.as.poll(t, client, more.DeviceCode); up.Scope != "profile notes:read" {
		t.Errorf("polled after the second approval: %+v", up)
	}
	if status, challenge := world.as.me(t, got.AccessToken); status != http.StatusOK {
		t.Errorf("after a step-up the API says %d %s to the first token", status, challenge)
	}

	// A code is good once. Presenting it again is taken for theft and costs
	// everything that was granted in this browser, so a client that polls once
	// too often signs the person out.
	if again := world.as.poll(t, client, code.DeviceCode); again.Error != "invalid_grant" {
		t.Errorf("a code was good twice: %+v", again)
	}
	if status, _ := world.as.me(t, got.AccessToken); status != http.StatusUnauthorized {
		t.Errorf("after a code was presented twice the API says %d to its token", status)
	}
}

func TestServerRefused(t *testing.T) {
	t.Parallel()
	type walk = func(*person, context.Context, string, string) error
	for name, refuse := range map[string]walk{
		"at the code page":    (*person).deny,
		"at the consent page": (*person).cancel,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, bob := world.as.register(t, publicClient), newPerson("bob")
			code := world.as.authorize(t, client, "profile")
			if err := refuse(bob, t.Context(), code.VerificationURI, code.UserCode); err != nil {
				t.Fatal(err)
			}
			if got := world.as.poll(t, client, code.DeviceCode); got.Error != "access_denied" {
				t.Errorf("polled after the refusal: %+v", got)
			}
			if got := world.as.poll(t, client, code.DeviceCode); got.Error != "invalid_grant" {
				t.Errorf("polled once more: %+v", got)
			}
		})
	}
}

func TestServerExpired(t *testing.T) {
	t.Parallel()
	client := world.as.register(t, hastyClient)
	code := world.as.authorize(t, client, "profile")
	if code.ExpiresIn != hastyClient.DeviceCodeTTL {
		t.Fatalf("expires_in = %d", code.ExpiresIn)
	}
	every := time.NewTicker(200 * time.Millisecond)
	defer every.Stop()
	for {
		switch got := world.as.poll(t, client, code.DeviceCode); got.Error {
		case "authorization_pending":
		case "expired_token":
			return
		default:
			t.Fatalf("polled an expiring code: %+v", got)
		}
		select {
		case <-every.C:
		case <-t.Context().Done():
			t.Fatal("the code does not expire")
		}
	}
}

// A scope that the person withholds is missing from the token, and nobody asks
// for it again in the same browser.
func TestServerNarrowed(t *testing.T) {
	t.Parallel()
	client, ada := world.as.register(t, publicClient), newPerson("ada")
	const asked = "profile notes:read"
	for _, step := range []struct {
		name, consented, granted string
		prepare                  func()
	}{
		{"withheld", asked, "profile", func() { ada.withheld = []string{"notes:read"} }},
		{"asked in the same browser", "", "profile", func() { ada.withheld = nil }},
		{"asked in another browser", asked, asked, ada.changeBrowser},
	} {
		step.prepare()
		ada.consented = nil
		code := world.as.authorize(t, client, asked)
		if err := ada.approve(t.Context(), code.VerificationURI, code.UserCode); err != nil {
			t.Fatal(err)
		}
		got := world.as.poll(t, client, code.DeviceCode)
		if got.Scope != step.granted || strings.Join(ada.consented, " ") != step.consented {
			t.Errorf("%s: consent for %q, granted %q", step.name, ada.consented, got.Scope)
		}
	}
}

// Two flows that were approved in one browser end together when one of them is
// revoked; in two browsers they do not.
func TestServerRevoked(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"one cookie jar": http.StatusUnauthorized, "a fresh jar each": http.StatusOK} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client, ada := world.as.register(t, publicClient), newPerson("ada")
			var tokens []string
			for range 2 {
				code := world.as.authorize(t, client, "profile")
				if err := ada.approve(t.Context(), code.VerificationURI, code.UserCode); err != nil {
					t.Fatal(err)
				}
				tokens = append(tokens, world.as.poll(t, client, code.DeviceCode).AccessToken)
				if want == http.StatusOK {
					ada.changeBrowser()
				}
			}
			form := url.Values{"client_id": {client.ID}, "token": {tokens[0]}}
			res := send(t, http.MethodPost, world.as.Revocation, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
			res.Body.Close()
			if status, _ := world.as.me(t, tokens[0]); res.StatusCode != http.StatusOK || status != http.StatusUnauthorized {
				t.Errorf("revocation: %s; the API says %d to the revoked token", res.Status, status)
			}
			if status, _ := world.as.me(t, tokens[1]); status != want {
				t.Errorf("the API says %d to the other token, want %d", status, want)
			}
		})
	}
}

type deviceAuthorization struct {
	DeviceCode      string `json:"device_code"`
	UserCode        string `json:"user_code"`
	VerificationURI string `json:"verification_uri"`
	ExpiresIn       int    `json:"expires_in"`
	Interval        *int   `json:"interval"`
}

func (p *provider) authorize(t *testing.T, client oidcClient, scope string) deviceAuthorization {
	t.Helper()
	endpoint := p.endpoints(t).Device
	var code deviceAuthorization
	post(t, endpoint, url.Values{"client_id": {client.ID}, "scope": {scope}}, &code)
	if code.DeviceCode == "" || code.UserCode == "" || code.VerificationURI == "" {
		t.Fatalf("device authorization: %+v", code)
	}
	return code
}

type tokenAnswer struct {
	AccessToken  string `json:"access_token"`
	RefreshToken string `json:"refresh_token"`
	Scope        string `json:"scope"`
	Error        string `json:"error"`
}

func (p *provider) poll(t *testing.T, client oidcClient, deviceCode string) tokenAnswer {
	t.Helper()
	endpoint := p.endpoints(t).Token
	var answer tokenAnswer
	post(t, endpoint, url.Values{
		"client_id":   {client.ID},
		"grant_type":  {"urn:ietf:params:oauth:grant-type:device_code"},
		"device_code": {deviceCode},
	}, &answer)
	return answer
}

func post(t *testing.T, endpoint string, form url.Values, v any) {
	t.Helper()
	res := send(t, http.MethodPost, endpoint, strings.NewReader(form.Encode()), "Content-Type", "application/x-www-form-urlencoded")
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		t.Fatalf("%s: %s: %v", endpoint, res.Status, err)
	}
}

func (p *provider) me(t *testing.T, token string) (status int, challenge string) {
	t.Helper()
	res := send(t, http.MethodGet, p.api.URL+"/me", nil, "Authorization", "Bearer "+token)
	defer res.Body.Close()
	return res.StatusCode, res.Header.Get("WWW-Authenticate")
}

func send(t *testing.T, method, address string, body io.Reader, header, value string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, address, body)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set(header, value)
	res, err := (&http.Client{Transport: direct}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	return res
}
