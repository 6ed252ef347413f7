package fakeas_test

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
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
// value leave a parameter out. Each has a state and a challenge of its own.
func (p *peer) authorizationURL(pairs ...string) string {
	p.verifier, p.state = rand.Text()+rand.Text(), rand.Text()
	values := url.Values{
		"response_type": {"code"}, "client_id": {fakeas.DefaultClientID}, "redirect_uri": {redirectURI},
		"scope": {"profile notes:read"}, "state": {p.state},
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

func TestAuthorization_Approved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{Latency: time.Second})
		response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL()))
		if response.Get("state") != p.state || response.Get("iss") != p.as.Issuer() || len(response) != 3 {
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
func TestAuthorization_ByAnother(t *testing.T) {
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

func TestAuthorization_Denied(t *testing.T) {
	p := newPeer(t, nil)
	response := p.response(p.as.DenyURL(t.Context(), p.authorizationURL()))
	if response.Get("error") != "access_denied" || response.Get("state") != p.state || response.Get("iss") != p.as.Issuer() || response.Has("code") {
		t.Errorf("response: %v", response)
	}
	p.flawless()
}

// What is wrong with a request is told to the client where it can be, and
// otherwise on a page that sends nobody anywhere.
func TestAuthorization_Errors(t *testing.T) {
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
				response.Get("state") != p.state || response.Get("iss") != p.as.Issuer() {
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
func TestAuthorization_RepeatedParameter(t *testing.T) {
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
		if a := p.must(p.form(fakeas.OtherTokenRequest, "grant_type", test.grant, "code", "x", "device_code", "x")); outcome(a) != "unsupported_grant_type" {
			t.Errorf("%s: %s", test.grant, a.body)
		}
		a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", ""))
		if strings.Contains(a.body, test.named) || strings.Contains(a.body, "authorization_endpoint") && test.grant == "authorization_code" && a.members["authorization_endpoint"] != nil {
			t.Errorf("metadata: %s", a.body)
		}
	}
}
