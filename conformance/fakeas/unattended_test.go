package fakeas_test

import (
	"encoding/json"
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
	exchangeGrant = "urn:ietf:params:oauth:grant-type:token-exchange"
	jwtGrant      = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	accessToken   = "urn:ietf:params:oauth:token-type:access_token"
	idToken       = "urn:ietf:params:oauth:token-type:id_token"
	idJAG         = "urn:ietf:params:oauth:token-type:id-jag"
)

// identityProvider is one for all tests, which it keeps nothing of.
var identityProvider = fakeas.New(&fakeas.Options{
	Issuer:  "https://idp.example.test",
	Clients: []fakeas.Client{{ID: "agent", Secret: "agent secret", Auth: fakeas.PostAuth}, {ID: "public"}},
	Unattended: fakeas.Unattended{
		Identity: true, ClientIDs: map[[2]string]string{{fakeas.DefaultIssuer, "agent"}: fakeas.DefaultClientID},
	},
})

// vouch has the identity provider exchange an ID token of ada's for an ID-JAG.
func vouch(t *testing.T, pairs ...string) answer {
	t.Helper()
	p := &peer{t: t, as: identityProvider, client: &http.Client{Transport: identityProvider.Transport()}}
	all := append([]string{
		"grant_type", exchangeGrant, "requested_token_type", idJAG, "subject_token", identityProvider.IDToken("ada", "agent"), "subject_token_type", idToken,
		"client_id", "agent", "client_secret", "agent secret", "audience", fakeas.DefaultIssuer, "scope", "profile notes:read",
	}, pairs...)
	return p.must(p.form(fakeas.TokenExchange, all...))
}

func trusting() *fakeas.Options {
	return &fakeas.Options{Unattended: fakeas.Unattended{
		Exchange: true, Credentials: true, Audiences: []string{fakeas.DefaultAPI},
		Trusts: map[string][]byte{identityProvider.Issuer(): identityProvider.JWKS()},
	}}
}

// A token is exchanged for one with no more scopes, that ends no later, and is of the same person.
func TestUnattended_Exchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, trusting())
		bearer := p.as.Issue(fakeas.Access{Subject: "grace", ClientID: "host", Scopes: []string{"profile", "notes:read"}, Expires: time.Now().Add(time.Minute), Audience: []string{"https://mcp.example.test"}})
		if a := p.call(fakeas.Me, bearer); a.status != http.StatusUnauthorized {
			t.Errorf("the API accepts a token that was made out for another: %d", a.status)
		}
		exchange := func(pairs ...string) answer {
			return p.must(p.form(fakeas.TokenExchange, append([]string{"grant_type", exchangeGrant, "subject_token", bearer, "subject_token_type", accessToken}, pairs...)...))
		}
		a := exchange("audience", fakeas.DefaultAPI, "scope", "profile")
		if a.text("issued_token_type") != accessToken || a.text("token_type") != "Bearer" || a.text("scope") != "profile" || a.members["expires_in"] != 60.0 || a.text("refresh_token") != "" {
			t.Errorf("exchanged: %s", a.body)
		}
		if a := p.call(fakeas.Me, a.text("access_token")); a.text("sub") != "grace" {
			t.Errorf("the API says %s", a.body)
		}
		for want, got := range map[string]answer{
			"invalid_scope":   exchange("scope", "notes:write"),
			"invalid_target":  exchange("audience", "https://elsewhere.example.test"),
			"invalid_request": exchange("subject_token", "at_unknown"),
		} {
			if outcome(got) != want {
				t.Errorf("%s, want %s", got.body, want)
			}
		}
		time.Sleep(time.Minute)
		if access, ok := p.as.Introspect(a.text("access_token")); ok {
			t.Errorf("it outlives the token that it was exchanged for: %+v", access)
		}
		if got := outcome(exchange()); got != "invalid_request" {
			t.Errorf("of one that has ended: %s", got)
		}
		p.flawless()
	})
}

// The identity provider's word is good at the server that it is for, for the client that it is
// for, once (ID-JAG §4.4.1).
func TestUnattended_IDJAG(t *testing.T) {
	p := newPeer(t, trusting())
	redeem := func(assertion string, pairs ...string) string {
		return outcome(p.must(p.form(fakeas.Assertion, append([]string{"grant_type", jwtGrant, "assertion", assertion}, pairs...)...)))
	}
	a := vouch(t, "resource", fakeas.DefaultAPI)
	if a.text("issued_token_type") != idJAG || a.text("token_type") != "N_A" || a.text("scope") != "profile notes:read" || a.members["expires_in"] != 300.0 {
		t.Fatalf("vouched: %s", a.body)
	}
	assertion := a.text("access_token")
	if got := outcome(vouch(t, "subject_token", identityProvider.IDToken("ada", "public"))); got != "invalid_request" {
		t.Errorf("of another client's ID token: %s", got)
	}
	if got := outcome(vouch(t, "subject_token", "x."+strings.Repeat("y", 20)+".z")); got != "invalid_request" {
		t.Errorf("of no ID token: %s", got)
	}
	forged := assertion[:len(assertion)-6] + "AAAAAA"
	for name, bad := range map[string]string{
		"for another server": vouch(t, "audience", "https://other.example.test").text("access_token"),
		"forged":             forged, "an ID token": identityProvider.IDToken("ada", "agent"), "none": "x",
	} {
		if got := redeem(bad); got != "invalid_grant" {
			t.Errorf("%s: %s", name, got)
		}
	}
	granted := p.must(p.form(fakeas.Assertion, "grant_type", jwtGrant, "assertion", assertion, "scope", "profile notes:write"))
	if granted.text("scope") != "profile" {
		t.Errorf("granted: %s", granted.body)
	}
	if access, ok := p.as.Introspect(granted.text("access_token")); !ok || access.Subject != "ada" || !slices.Equal(access.Audience, []string{fakeas.DefaultAPI}) {
		t.Errorf("it is good for %+v", access)
	}
	p.flawless()
	if got := redeem(assertion); got != "invalid_grant" {
		t.Errorf("used twice: %s", got)
	}
}

// What an identity provider and those that trust it say of themselves.
func TestUnattended_Metadata(t *testing.T) {
	p := newPeer(t, trusting())
	a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", ""))
	for _, want := range []string{exchangeGrant, jwtGrant, "client_credentials", "urn:ietf:params:oauth:grant-profile:id-jag"} {
		if !strings.Contains(a.body, want) {
			t.Errorf("the metadata has no %s", want)
		}
	}
	idp := &peer{t: t, as: identityProvider, client: &http.Client{Transport: identityProvider.Transport()}}
	a = idp.must(idp.request(http.MethodGet, idp.as.URL(fakeas.Metadata), "", ""))
	keys := idp.must(idp.request(http.MethodGet, a.text("jwks_uri"), "", ""))
	if !strings.Contains(a.body, `"identity_chaining_requested_token_types_supported":["`+idJAG+`"]`) || keys.body != string(identityProvider.JWKS()) || !json.Valid([]byte(keys.body)) {
		t.Errorf("metadata %s, keys %s", a.body, keys.body)
	}
	for grant, op := range map[string]fakeas.Operation{exchangeGrant: fakeas.TokenExchange, jwtGrant: fakeas.Assertion, "client_credentials": fakeas.ClientCredentials} {
		plain := newPeer(t, nil)
		if got := outcome(plain.must(plain.form(op, "grant_type", grant))); got != "unsupported_grant_type" {
			t.Errorf("without the option, %s: %s", grant, got)
		}
	}
}

// Clients with a secret have a token of their own; public ones have none.
func TestUnattended_ClientCredentials(t *testing.T) {
	o := trusting()
	o.Clients = []fakeas.Client{{ID: "nightly", Secret: "s3cret", Auth: fakeas.PostAuth}, {ID: "public"}}
	p := newPeer(t, o)
	a := p.must(p.form(fakeas.ClientCredentials, "grant_type", "client_credentials", "client_id", "nightly", "client_secret", "s3cret", "scope", "notes:read"))
	if access, ok := p.as.Introspect(a.text("access_token")); !ok || access.Subject != "nightly" || a.text("scope") != "notes:read" || a.text("refresh_token") != "" {
		t.Errorf("%s, good for %+v", a.body, access)
	}
	for want, pairs := range map[string][]string{
		"unauthorized_client": {"client_id", "public"},
		"invalid_client":      {"client_id", "nightly", "client_secret", "wrong"},
		"invalid_scope":       {"client_id", "nightly", "client_secret", "s3cret", "scope", "everything"},
		"invalid_target":      {"client_id", "nightly", "client_secret", "s3cret", "resource", "https://elsewhere.example.test"},
	} {
		if got := outcome(p.must(p.form(fakeas.ClientCredentials, append([]string{"grant_type", "client_credentials"}, pairs...)...))); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	if n := p.as.Count(fakeas.ClientCredentials, ""); n != 5 {
		t.Errorf("%d in the journal", n)
	}
	p.flawless()
}

func FuzzUnattended_Assertion(f *testing.F) {
	f.Add("a.b.c")
	f.Add(identityProvider.IDToken("ada", "agent"))
	as := fakeas.New(trusting())
	f.Fuzz(func(t *testing.T, assertion string) {
		body := url.Values{"grant_type": {jwtGrant}, "assertion": {assertion}, "client_id": {fakeas.DefaultClientID}}
		p := &peer{t: t, as: as, client: &http.Client{Transport: as.Transport()}}
		if a := p.must(p.request(http.MethodPost, as.URL(fakeas.Assertion), "application/x-www-form-urlencoded", body.Encode())); a.status == http.StatusOK {
			t.Errorf("%q brings a token", assertion)
		}
	})
}
