package interop_test

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// The stories below are those of deviceflow_test.go for the redirect (RFC 6749 §4.1 with PKCE):
// without the library, so that it is known what the servers do.

// A redirection is what a client keeps of an authorization request.
type redirection struct {
	address         string // where the person is sent
	verifier, state string
	back            string // where they are sent back to
}

// redirect makes an authorization request, by PAR if pushed.
func (p *provider) redirect(t *testing.T, client oidcClient, scope string, pushed bool) redirection {
	t.Helper()
	return p.redirectTo(t, "http://127.0.0.1:4321/callback/notes", client, scope, pushed)
}

func (p *provider) redirectTo(t *testing.T, back string, client oidcClient, scope string, pushed bool) redirection {
	t.Helper()
	at, r := p.endpoints(t), redirection{verifier: rand.Text() + rand.Text(), state: rand.Text(), back: back}
	hash := sha256.Sum256([]byte(r.verifier))
	q := url.Values{
		"client_id": {client.ID}, "response_type": {"code"}, "redirect_uri": {r.back}, "scope": {scope}, "state": {r.state},
		"code_challenge": {base64.RawURLEncoding.EncodeToString(hash[:])}, "code_challenge_method": {"S256"},
	}
	if pushed {
		var answer struct {
			RequestURI string `json:"request_uri"`
			Error      string `json:"error"`
		}
		post(t, at.PAR, q, &answer)
		if answer.RequestURI == "" {
			t.Fatalf("pushed: %+v", answer)
		}
		q = url.Values{"client_id": {client.ID}, "request_uri": {answer.RequestURI}}
	}
	r.address = at.Authorization + "?" + q.Encode()
	return r
}

// exchange presents a code.
func (p *provider) exchange(t *testing.T, client oidcClient, r redirection, code string) tokenAnswer {
	t.Helper()
	var answer tokenAnswer
	post(t, p.endpoints(t).Token, url.Values{
		"client_id": {client.ID}, "grant_type": {"authorization_code"}, "code": {code},
		"redirect_uri": {r.back}, "code_verifier": {r.verifier},
	}, &answer)
	return answer
}

// sentBack fails unless somebody was sent back to where the client wants them, by this server
// (RFC 9207), with its state and one of these parameters, which is returned.
func (p *provider) sentBack(t *testing.T, r redirection, caught *url.URL, err error, parameter string) string {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	q := caught.Query()
	if at := (&url.URL{Scheme: caught.Scheme, Host: caught.Host, Path: caught.Path}).String(); at != r.back ||
		q.Get("state") != r.state || q.Get("iss") != p.Issuer || q.Get(parameter) == "" {
		t.Fatalf("sent back to %s: want %s with %s, the state, and iss=%s", caught, r.back, parameter, p.Issuer)
	}
	return q.Get(parameter)
}

// What all servers do.
func (p *provider) redirects(t *testing.T, pushed bool, meet func(*testing.T) somebody) {
	t.Helper()
	if at := p.endpoints(t); pushed && at.PAR == "" || p == world.plain && at.PAR != "" {
		t.Errorf("PAR at %q: this is not the story that it should be", at.PAR)
	}
	client, ada := p.register(t, nativeClient), meet(t)

	r := p.redirect(t, client, "profile", pushed)
	caught, err := ada.walk(t.Context(), r.address, approves)
	code := p.sentBack(t, r, caught, err, "code")
	wrong := r
	wrong.verifier = rand.Text() + rand.Text()
	if got := p.exchange(t, client, wrong, code); got.Error == "" || got.AccessToken != "" {
		t.Errorf("another verifier: %+v", got)
	}

	// Whether the refused code is still good is up to the server. Another one is got without a
	// question, since this browser knows the person and their consent.
	r = p.redirect(t, client, "profile", pushed)
	caught, err = ada.walk(t.Context(), r.address, approves)
	code = p.sentBack(t, r, caught, err, "code")
	got := p.exchange(t, client, r, code)
	if got.AccessToken == "" || got.Scope != "profile" {
		t.Fatalf("exchanged: %+v", got)
	}
	if status, challenge := p.me(t, got.AccessToken); status != http.StatusOK {
		t.Errorf("the API says %d %s", status, challenge)
	}
	if again := p.exchange(t, client, r, code); again.Error != "invalid_grant" {
		t.Errorf("a code was good twice: %+v", again)
	}

	denied := meet(t)
	r = p.redirect(t, client, "profile", pushed)
	caught, err = denied.walk(t.Context(), r.address, denies)
	if got := p.sentBack(t, r, caught, err, "error"); got != "access_denied" {
		t.Errorf("denied: %s", got)
	}
}

func TestRedirectServer(t *testing.T) {
	t.Parallel()
	for name, of := range map[string]struct {
		site
		pushed bool
	}{
		"oidc-provider":                {site{world.as, plainly, false}, false},
		"oidc-provider, pushed":        {site{world.as, plainly, false}, true},
		"oidc-provider, demanding PAR": {site{world.strict, plainly, false}, true},
		"oidc-provider, without PAR":   {site{world.plain, plainly, false}, false},
		"oidc-provider, in Chromium":   {site{world.strict, inChromium, true}, true},
		"better-auth, in Chromium":     {site{world.better["plain"], asMember, true}, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if of.script {
				seat(t)
			}
			of.as.redirects(t, of.pushed, of.meet)
		})
	}
}

// What oidc-provider does beside that.
func TestRedirectServer_OIDCProvider(t *testing.T) {
	t.Parallel()
	client, ada := world.as.register(t, nativeClient), newPerson("ada")
	walk := func(r redirection, v verdict) string {
		caught, err := ada.walk(t.Context(), r.address, v)
		return world.as.sentBack(t, r, caught, err, "code")
	}

	// A code is not used up by a verifier that is wrong. One that is presented again costs what
	// was granted for it.
	r := world.as.redirect(t, client, "profile", true)
	code, wrong := walk(r, approves), r
	wrong.verifier = rand.Text() + rand.Text()
	if got := world.as.exchange(t, client, wrong, code); got.Error != "invalid_grant" {
		t.Errorf("another verifier: %+v", got)
	}
	token := world.as.exchange(t, client, r, code).AccessToken
	if again := world.as.exchange(t, client, r, code); again.Error != "invalid_grant" {
		t.Errorf("a code was good twice: %+v", again)
	}
	if status, _ := world.as.me(t, token); status != http.StatusUnauthorized {
		t.Errorf("after a code was presented twice the API says %d to its token", status)
	}

	// Step-up: in the same browser the person is asked for what is new, and in another one for
	// all. The token has all that was asked for.
	ada.consented = nil
	ada.changeBrowser()
	r = world.as.redirect(t, client, "profile", true)
	first := world.as.exchange(t, client, r, walk(r, approves))
	r = world.as.redirect(t, client, "profile notes:read", true)
	second := world.as.exchange(t, client, r, walk(r, approves))
	if second.Scope != "profile notes:read" || !slices.Equal(ada.consented, []string{"profile", "notes:read"}) {
		t.Errorf("step-up: %+v, consented to %q in all", second, ada.consented)
	}
	if status, _ := world.as.me(t, first.AccessToken); status != http.StatusOK {
		t.Errorf("after a step-up the API says %d to the first token", status)
	}

	// A pushed request is good for one sign-in.
	if _, err := ada.walk(t.Context(), r.address, approves); err == nil {
		t.Error("a pushed request was good twice")
	}

	// A client that the server has forgotten is told so when it pushes, and at the token
	// endpoint. Without PAR it is the person who is told, on a page of the server.
	world.as.forget(t, client)
	var answer tokenAnswer
	post(t, world.as.endpoints(t).PAR, url.Values{"client_id": {client.ID}, "response_type": {"code"}}, &answer)
	refreshed := world.as.refresh(t, client, cmp.Or(second.RefreshToken, "none"))
	if answer.Error != "invalid_client" || refreshed.Error != "invalid_client" {
		t.Errorf("forgotten: pushed %+v, refreshed %+v", answer, refreshed)
	}
	if _, _, err := world.as.api.introspect(t.Context(), second.AccessToken); err == nil || !strings.Contains(err.Error(), "500") {
		t.Errorf("forgotten: introspected %v", err)
	}
	caught, err := ada.walk(t.Context(), world.as.redirect(t, client, "profile", false).address, approves)
	if err == nil || caught != nil {
		t.Errorf("forgotten: sent back to %v", caught)
	}
}

// refresh presents a refresh token.
func (p *provider) refresh(t *testing.T, client oidcClient, token string) tokenAnswer {
	t.Helper()
	var answer tokenAnswer
	post(t, p.endpoints(t).Token, url.Values{"client_id": {client.ID}, "grant_type": {"refresh_token"}, "refresh_token": {token}}, &answer)
	return answer
}

// The strict one takes nothing but pushed requests, and demands PKCE in the device flow too.
func TestRedirectServer_Strict(t *testing.T) {
	t.Parallel()
	client, ada := world.strict.register(t, nativeClient), newPerson("ada")
	caught, err := ada.walk(t.Context(), world.strict.redirect(t, client, "profile", false).address, approves)
	if err != nil || caught.Query().Get("error") != "invalid_request" {
		t.Errorf("a request that was not pushed: %v, %v", caught, err)
	}

	device := world.strict.endpoints(t).Device
	var refused tokenAnswer
	post(t, device, url.Values{"client_id": {client.ID}, "scope": {"profile"}}, &refused)
	if refused.Error != "invalid_request" {
		t.Errorf("a device without PKCE: %+v", refused)
	}
	for name, right := range map[string]bool{"the verifier": true, "another verifier": false, "no verifier": false} {
		verifier := rand.Text() + rand.Text()
		hash := sha256.Sum256([]byte(verifier))
		var code deviceAuthorization
		post(t, device, url.Values{
			"client_id": {client.ID}, "scope": {"profile"},
			"code_challenge": {base64.RawURLEncoding.EncodeToString(hash[:])}, "code_challenge_method": {"S256"},
		}, &code)
		if err := ada.approve(t.Context(), code.VerificationURI, code.UserCode); err != nil {
			t.Fatal(err)
		}
		form := url.Values{
			"client_id": {client.ID}, "device_code": {code.DeviceCode},
			"grant_type": {"urn:ietf:params:oauth:grant-type:device_code"},
		}
		switch name {
		case "the verifier":
			form.Set("code_verifier", verifier)
		case "another verifier":
			form.Set("code_verifier", rand.Text()+rand.Text())
		}
		var got tokenAnswer
		post(t, world.strict.endpoints(t).Token, form, &got)
		if (got.AccessToken != "") != right || right != (got.Error == "") || !right && got.Error != "invalid_grant" {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// What better-auth does beside that, on pages that need script.
func TestRedirectServer_BetterAuth(t *testing.T) {
	t.Parallel()
	as := world.better["plain"]
	seat(t)
	client, ada := as.register(t, nativeClient), asMember(t).browser.(*surfer)
	walk := func(r redirection) string {
		caught, err := ada.walk(t.Context(), r.address, approves)
		return as.sentBack(t, r, caught, err, "code")
	}

	// A code is used up by a verifier that is wrong, which is no invalid_grant.
	r := as.redirect(t, client, "profile", false)
	code, wrong := walk(r), r
	wrong.verifier = rand.Text() + rand.Text()
	if got := as.exchange(t, client, wrong, code); got.Error != "invalid_request" {
		t.Errorf("another verifier: %+v", got)
	}
	if got := as.exchange(t, client, r, code); got.Error != "invalid_grant" {
		t.Errorf("the right one after it: %+v", got)
	}

	// A code that is presented again costs what was granted for it.
	r = as.redirect(t, client, "profile", false)
	code = walk(r)
	token := as.exchange(t, client, r, code).AccessToken
	if again := as.exchange(t, client, r, code); again.Error != "invalid_grant" {
		t.Errorf("a code was good twice: %+v", again)
	}
	if status, _ := as.me(t, token); status != http.StatusUnauthorized {
		t.Errorf("after a code was presented twice the API says %d to its token", status)
	}

	// Step-up: the person is asked for everything once more. The first token lives on.
	r = as.redirect(t, client, "profile offline_access", false)
	first := as.exchange(t, client, r, walk(r))
	ada.consented = nil
	r = as.redirect(t, client, "profile notes:read", false)
	second := as.exchange(t, client, r, walk(r))
	if second.Scope != "profile notes:read" || !slices.Equal(ada.consented, []string{"profile", "notes:read"}) {
		t.Errorf("step-up: %+v, consented to %q", second, ada.consented)
	}
	if status, _ := as.me(t, first.AccessToken); status != http.StatusOK {
		t.Errorf("after a step-up the API says %d to the first token", status)
	}
	refreshed := as.refresh(t, client, first.RefreshToken)
	if refreshed.AccessToken == "" || refreshed.RefreshToken == first.RefreshToken {
		t.Errorf("refreshed: %+v", refreshed)
	}

	// A client that it has forgotten is told so at the token endpoint, and the person on a page.
	as.forget(t, client)
	if got := as.refresh(t, client, refreshed.RefreshToken); got.Error != "invalid_client" {
		t.Errorf("forgotten: refreshed %+v", got)
	}
	caught, err := ada.walk(t.Context(), as.redirect(t, client, "profile", false).address, approves)
	if err == nil || caught != nil || !strings.Contains(err.Error(), "lost: ") {
		t.Errorf("forgotten: sent back to %v, %v", caught, err)
	}

	// One that does not say that it is native may have no redirect to this machine over http.
	web := nativeClient
	web.ApplicationType = "web"
	if _, err := as.tryRegister(t, web); err == nil {
		t.Error("registered a redirect to this machine for a web client")
	}
}
