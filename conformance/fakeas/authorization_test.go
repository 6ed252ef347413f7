package fakeas_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

const (
	redirectURI = "http://127.0.0.1:49152/callback/x"
	verifier    = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 Appendix B
	challenge   = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// authorizationURL is what a client sends a browser to. Pairs with an empty
// value leave a parameter out. Each has a challenge of its own.
func (p *peer) authorizationURL(pairs ...string) string {
	p.verifier = rand.Text() + rand.Text()
	values := url.Values{
		"response_type": {"code"}, "client_id": {fakeas.DefaultClientID}, "redirect_uri": {redirectURI},
		"scope": {"profile notes:read"}, "state": {"af0ifjsldkj"},
		"code_challenge": {challengeOf(p.verifier)}, "code_challenge_method": {"S256"},
	}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
		if pairs[i+1] == "" {
			values.Del(pairs[i])
		}
	}
	return p.as.URL(fakeas.Authorization) + "?" + values.Encode()
}

// response is where a browser was sent, as the client reads it.
func (p *peer) response(location string, err error) url.Values {
	p.t.Helper()
	if err != nil {
		p.t.Fatal(err)
	}
	u, err := url.Parse(location)
	if err != nil || u.Scheme+"://"+u.Host+u.Path != redirectURI {
		p.t.Fatalf("sent to %s %v", location, err)
	}
	return u.Query()
}

// code gets an authorization code.
func (p *peer) code(pairs ...string) string {
	p.t.Helper()
	code := p.response(p.as.ApproveURL(p.t.Context(), p.authorizationURL(pairs...))).Get("code")
	if code == "" {
		p.t.Fatal("no code")
	}
	return code
}

// exchangeRequest presents a code, with the verifier of the last URL. Pairs with an empty value leave a parameter
// out.
func (p *peer) exchangeRequest(code string, pairs ...string) *http.Request {
	p.t.Helper()
	all := map[string]string{
		"grant_type": "authorization_code", "code": code, "redirect_uri": redirectURI, "code_verifier": p.verifier,
		"client_id": fakeas.DefaultClientID,
	}
	for i := 0; i < len(pairs); i += 2 {
		all[pairs[i]] = pairs[i+1]
	}
	form := url.Values{}
	for name, value := range all {
		if value != "" {
			form.Set(name, value)
		}
	}
	return p.request(http.MethodPost, p.as.URL(fakeas.Exchange), "application/x-www-form-urlencoded", form.Encode())
}

func (p *peer) exchange(code string, pairs ...string) answer {
	p.t.Helper()
	return p.must(p.exchangeRequest(code, pairs...))
}

// Another verifier, and its challenge.
const otherVerifier = "another-verifier-that-is-forty-three-letters"

func challengeOf(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestAuthorizationApproved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{Latency: time.Second})
		response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL()))
		if response.Get("state") != "af0ifjsldkj" || response.Get("iss") != p.as.Issuer() || len(response) != 3 {
			t.Errorf("response: %v", response)
		}
		token := p.exchange(response.Get("code"))
		if token.text("scope") != "profile notes:read" || token.text("refresh_token") == "" || token.header.Get("Cache-Control") != "no-store" {
			t.Errorf("token: %d %s", token.status, token.body)
		}
		if a := p.call(fakeas.Me, token.text("access_token")); a.body != `{"name":"Ada Example","sub":"ada"}` {
			t.Errorf("GET /me: %s", a.body)
		}
		if outcome(p.refresh(token.text("refresh_token"))) != "ok" {
			t.Error("not refreshed")
		}
		if p.as.Count(fakeas.Authorization, fakeas.OK) != 1 || p.as.Count(fakeas.Consent, "approved") != 1 || p.as.Count(fakeas.Exchange, fakeas.OK) != 1 {
			t.Errorf("journal: %+v", p.as.Journal())
		}
		p.flawless()
	})
}

// The person of the approval is whose token it is, also without an account, and
// what is granted may be less.
func TestAuthorizationByAnother(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Withhold: []string{"notes:read"}})
	response := p.response(p.as.ApproveURLAs(t.Context(), "mallory", p.authorizationURL(), "profile", "notes:read"))
	token := p.exchange(response.Get("code"))
	if a := p.call(fakeas.Me, token.text("access_token")); a.text("sub") != "mallory" || token.text("scope") != "profile notes:read" {
		t.Errorf("GET /me: %s, token %s", a.body, token.body)
	}
	if a := p.exchange(p.code()); a.text("scope") != "profile" {
		t.Errorf("withheld, and yet granted: %s", a.body)
	}
	if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL(), "two words"); err == nil {
		t.Error("approved what is no scope")
	}
}

func TestAuthorizationDenied(t *testing.T) {
	p := newPeer(t, nil)
	response := p.response(p.as.DenyURL(t.Context(), p.authorizationURL()))
	if response.Get("error") != "access_denied" || response.Get("state") != "af0ifjsldkj" || response.Get("iss") != p.as.Issuer() || response.Has("code") {
		t.Errorf("response: %v", response)
	}
	p.flawless()
}

// What is wrong with a request is told to the client where it can be, and
// otherwise on a page that sends nobody anywhere.
func TestAuthorizationErrors(t *testing.T) {
	for _, test := range []struct {
		name     string
		pairs    []string
		code     string
		page     bool
		violated []fakeas.Rule
	}{
		{"unknown client", []string{"client_id", "nobody"}, "invalid_client", true, nil},
		{"no client", []string{"client_id", ""}, "invalid_request", true, []fakeas.Rule{fakeas.MissingParameter}},
		{"no redirect URI", []string{"redirect_uri", ""}, "invalid_request", true, []fakeas.Rule{fakeas.MissingParameter}},
		{"another redirect URI", []string{"redirect_uri", "https://evil.example/callback"}, "invalid_redirect_uri", true, nil},
		{"unknown client, and more is wrong", []string{"client_id", "nobody", "scope", "x", "code_challenge", "", "code_challenge_method", ""}, "invalid_client", true, []fakeas.Rule{fakeas.MissingChallenge}},
		{"no response type", []string{"response_type", ""}, "invalid_request", false, []fakeas.Rule{fakeas.MissingParameter}},
		{"implicit", []string{"response_type", "token"}, "unsupported_response_type", false, []fakeas.Rule{fakeas.WrongResponseType}},
		{"form post", []string{"response_mode", "form_post"}, "invalid_request", false, nil},
		{"no challenge", []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request", false, []fakeas.Rule{fakeas.MissingChallenge}},
		{"plain", []string{"code_challenge_method", "plain"}, "invalid_request", false, []fakeas.Rule{fakeas.WeakChallenge}},
		{"plain by default", []string{"code_challenge_method", ""}, "invalid_request", false, []fakeas.Rule{fakeas.WeakChallenge}},
		{"a method without challenge", []string{"code_challenge", ""}, "invalid_request", false, []fakeas.Rule{fakeas.MissingChallenge}},
		{"a challenge too short", []string{"code_challenge", "x"}, "invalid_request", false, []fakeas.Rule{fakeas.MalformedChallenge}},
		{"unknown scope", []string{"scope", "profile everything"}, "invalid_scope", false, nil},
		{"malformed scope", []string{"scope", "profile  x"}, "invalid_scope", false, []fakeas.Rule{fakeas.MalformedScope}},
		{"a signed request", []string{"request", "eyJ"}, "request_not_supported", false, nil},
		{"unknown prompt", []string{"prompt", "maybe"}, "invalid_request", false, nil},
		{"none and more", []string{"prompt", "none login"}, "invalid_request", false, nil},
		{"nobody signed in", []string{"prompt", "none"}, "login_required", false, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, nil)
			location, err := p.as.ApproveURL(t.Context(), p.authorizationURL(test.pairs...))
			if test.page {
				if !errors.Is(err, fakeas.ErrNoWayBack) || !strings.Contains(err.Error(), test.code) || location != "" {
					t.Errorf("sent to %q: %v", location, err)
				}
			} else if response := p.response(location, err); response.Get("error") != test.code || response.Has("code") ||
				response.Get("state") != "af0ifjsldkj" || response.Get("iss") != p.as.Issuer() {
				t.Errorf("response: %v", response)
			}
			if p.as.Count(fakeas.Authorization, test.code) != 1 {
				t.Errorf("journal: %+v", p.as.Journal())
			}
			if got := p.broke(); !slices.Equal(got, test.violated) {
				t.Errorf("violations: %v", p.as.Violations())
			}
		})
	}
}

// A parameter that is repeated, in the part that says where to go back to and in the rest.
func TestAuthorizationRepeatedParameter(t *testing.T) {
	p := newPeer(t, nil)
	if response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL()+"&scope=profile")); response.Get("error") != "invalid_request" {
		t.Errorf("response: %v", response)
	}
	for _, name := range []string{"client_id=notes-cli", "redirect_uri=" + url.QueryEscape(redirectURI)} {
		if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL()+"&"+name); !errors.Is(err, fakeas.ErrNoWayBack) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL("resource", "https://a.example")+"&resource=https://b.example")); response.Get("code") == "" {
		t.Errorf("two resources: %v", response)
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.RepeatedParameter, fakeas.RepeatedParameter, fakeas.RepeatedParameter}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
}

func TestAuthorizationPKCEOptional(t *testing.T) {
	without := []string{"code_challenge", "", "code_challenge_method", ""}
	p := newPeer(t, &fakeas.Options{PKCE: fakeas.PKCEOptional})
	if a := p.exchange(p.code(without...), "code_verifier", ""); outcome(a) != "ok" {
		t.Errorf("without: %s", a.body)
	}
	if a := p.exchange(p.code()); outcome(a) != "ok" {
		t.Errorf("with: %s", a.body)
	}
	// RFC 9700 §4.8.2: somebody has cut the challenge out of the URL.
	if a := p.exchange(p.code(without...)); outcome(a) != "invalid_grant" {
		t.Errorf("downgraded: %s", a.body)
	}
	p.flawless()
	if a := p.exchange(p.code(), "code_verifier", ""); outcome(a) != "invalid_grant" {
		t.Errorf("verifier forgotten: %s", a.body)
	}

	p = newPeer(t, &fakeas.Options{PKCE: fakeas.PKCEIgnored})
	if a := p.exchange(p.code(), "code_verifier", otherVerifier); outcome(a) != "ok" {
		t.Errorf("ignored: %s", a.body)
	}
	if a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", "")); strings.Contains(a.body, "code_challenge") {
		t.Errorf("metadata: %s", a.body)
	}
	p.flawless()
}

// A client that was not there is given neither code nor error; one that was is.
func TestAuthorizationForgottenClient(t *testing.T) {
	p := newPeer(t, nil)
	code, token := p.code(), p.login("profile")
	p.as.ForgetClient(fakeas.DefaultClientID)
	for name, a := range map[string]answer{
		"exchange": p.exchange(code),
		"refresh":  p.refresh(token.text("refresh_token")),
		"device":   p.must(p.form(fakeas.DeviceAuthorization)),
		"revoke":   p.must(p.form(fakeas.Revocation, "token", token.text("access_token"))),
	} {
		if a.status != http.StatusUnauthorized || outcome(a) != "invalid_client" {
			t.Errorf("%s: %d %s", name, a.status, a.body)
		}
	}
	if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL()); !errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("authorization endpoint: %v", err)
	}
	p.flawless()
}

// What a test demands is missing, in the request where it is.
func TestDemandedParameters(t *testing.T) {
	const resource = "https://api.example.test"
	p := newPeer(t, &fakeas.Options{Demand: map[fakeas.Operation][]string{
		fakeas.Authorization: {"resource=" + resource},
		fakeas.Exchange:      {"audience"},
		fakeas.Refresh:       {"scopes"}, // as Twitch writes it
	}})
	if response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL("resource", "https://other.example"))); response.Get("error") != "invalid_target" {
		t.Errorf("response: %v", response)
	}
	code := p.code("resource", resource)
	if a := p.exchange(code); outcome(a) != "invalid_request" {
		t.Errorf("exchange: %s", a.body)
	}
	token := p.exchange(code, "audience", resource)
	if a := p.refresh(token.text("refresh_token")); outcome(a) != "invalid_request" {
		t.Errorf("refresh: %s", a.body)
	}
	if a := p.refresh(token.text("refresh_token"), "scopes", "profile"); outcome(a) != "ok" {
		t.Errorf("refresh: %s", a.body)
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.MissingParameter, fakeas.MissingParameter, fakeas.MissingParameter}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
}

// Servers that want the client ID in the body, although a header has it.
func TestDemandedClientID(t *testing.T) {
	p := newPeer(t, &fakeas.Options{
		Clients: []fakeas.Client{{ID: "basic", Secret: "s3cret"}},
		Demand:  map[fakeas.Operation][]string{fakeas.DeviceAuthorization: {"client_id"}},
	})
	for id, want := range map[string]string{"": "invalid_request", "basic": "nothing"} {
		req := p.form(fakeas.DeviceAuthorization, "client_id", id)
		req.SetBasicAuth("basic", "s3cret")
		if a := p.must(req); outcome(a) != want {
			t.Errorf("%q: %s", id, a.body)
		}
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.MissingParameter}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
}

// login_hint is seen where it stood; what is secret is not.
func TestAuthorizationRequestsSeen(t *testing.T) {
	p := newPeer(t, &fakeas.Options{NoHintInURL: true})
	p.code()
	if response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL("login_hint", "ada@example.test"))); response.Get("error") != "invalid_request" {
		t.Errorf("response: %v", response)
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.HintInURL}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
	seen := p.as.AuthorizationRequests()
	if len(seen) != 2 || seen[0].URL.Has("login_hint") || seen[1].URL.Get("login_hint") != "ada@example.test" || seen[0].Pushed != nil ||
		seen[0].ClientID != fakeas.DefaultClientID || seen[0].Outcome != fakeas.OK || seen[1].Outcome != "invalid_request" {
		t.Errorf("seen: %+v", seen)
	}
	for _, name := range []string{"state", "code_challenge"} {
		if got := seen[0].URL.Get(name); got != fakeas.Withheld {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// One half of the server without the other.
func TestGrantsSwitchedOff(t *testing.T) {
	for _, test := range []struct {
		opts  fakeas.Options
		ops   []fakeas.Operation
		grant string
		named string
	}{
		{fakeas.Options{NoDevice: true}, []fakeas.Operation{fakeas.DeviceAuthorization, fakeas.Page}, deviceGrant, "device"},
		{fakeas.Options{NoAuthorization: true}, []fakeas.Operation{fakeas.Authorization}, "authorization_code", `authorization_code"`},
	} {
		p := newPeer(t, &test.opts)
		for _, op := range test.ops {
			if a := p.must(p.request(http.MethodGet, p.as.URL(op), "", "")); a.status != http.StatusNotFound {
				t.Errorf("%s: %d", op, a.status)
			}
		}
		if a := p.must(p.form(fakeas.Token, "grant_type", test.grant, "code", "x", "device_code", "x")); outcome(a) != "unsupported_grant_type" {
			t.Errorf("%s: %s", test.grant, a.body)
		}
		a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", ""))
		if strings.Contains(a.body, test.named) || strings.Contains(a.body, "authorization_endpoint") && test.grant == "authorization_code" && a.members["authorization_endpoint"] != nil {
			t.Errorf("metadata: %s", a.body)
		}
	}
}

func TestVisitAuthorization(t *testing.T) {
	p := listen(t, fakeas.Options{})
	browser := *p.client
	browser.Jar, _ = cookiejar.New(nil)
	visit := func(subject string, approve bool, pairs ...string) url.Values {
		t.Helper()
		return p.response(fakeas.VisitAuthorization(t.Context(), &browser, p.authorizationURL(pairs...), subject, approve))
	}
	sub := func(response url.Values) string {
		t.Helper()
		return p.call(fakeas.Me, p.exchange(response.Get("code")).text("access_token")).text("sub")
	}
	if got := sub(visit("", true)); got != "ada" {
		t.Errorf("first account: %s", got)
	}
	// The same browser remembers who is signed in, also at a step-up.
	signIns := p.as.Count(fakeas.Consent, fakeas.OK)
	if got := sub(visit("", true, "scope", "profile notes:write")); got != "ada" {
		t.Errorf("again: %s", got)
	}
	if now := p.as.Count(fakeas.Consent, fakeas.OK); now != signIns {
		t.Errorf("asked again who it is: %d, %d", signIns, now)
	}
	if got := sub(visit("grace", true)); got != "grace" {
		t.Errorf("another person: %s", got)
	}
	if response := visit("grace", false); response.Get("error") != "access_denied" {
		t.Errorf("denied: %v", response)
	}
	if response := visit("", true, "prompt", "none"); response.Get("error") != "consent_required" {
		t.Errorf("prompt=none: %v", response)
	}
	if _, err := fakeas.VisitAuthorization(t.Context(), nil, p.authorizationURL("client_id", "nobody"), "", true); !errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("unknown client: %v", err)
	}
	p.as.SignOut()
	if response := visit("", true, "prompt", "none"); response.Get("error") != "login_required" {
		t.Errorf("signed out: %v", response)
	}
	p.flawless()
}

// A server that remembers consent shows no page for what was granted before.
func TestRememberConsent(t *testing.T) {
	p := listen(t, fakeas.Options{RememberConsent: true})
	browser := *p.client
	browser.Jar, _ = cookiejar.New(nil)
	approved := func(pairs ...string) int {
		t.Helper()
		response := p.response(fakeas.VisitAuthorization(t.Context(), &browser, p.authorizationURL(pairs...), "", true))
		if outcome(p.exchange(response.Get("code"))) != "ok" {
			t.Errorf("response: %v", response)
		}
		return p.as.Count(fakeas.Consent, "approved")
	}
	for i, test := range []struct {
		pairs []string
		want  int // how often the person was asked
	}{
		{nil, 1},
		{nil, 1},
		{[]string{"prompt", "none"}, 1},
		{[]string{"prompt", "consent"}, 2},
		{[]string{"scope", "profile notes:write"}, 3},
		{[]string{"scope", "notes:read notes:write"}, 3},
	} {
		if got := approved(test.pairs...); got != test.want {
			t.Errorf("%d: asked %d times, want %d", i, got, test.want)
		}
	}
	p.flawless()
}
