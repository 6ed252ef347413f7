package oidcsignin_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

const (
	tenant = "12345678-1234-1234-1234-123456789abc"
	object = "aaaaaaaa-0000-1111-2222-bbbbbbbbbbbb"
)

// Both sides come to one person, or to none.
func TestIdentity(t *testing.T) {
	entra := lazyauth.Principal{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0", Subject: object}
	for name, story := range map[string]struct {
		identity oidcsignin.Identity
		claims   oidcsignin.Claims
		want     lazyauth.Principal // zero: an error
	}{
		"by subject":                      {oidcsignin.BySubject(), oidcsignin.Claims{"iss": "i", "sub": "s", "email": "e"}, lazyauth.Principal{Issuer: "i", Subject: "s"}},
		"by nothing that was said":        {oidcsignin.Identity{}, oidcsignin.Claims{"iss": "i", "sub": "s"}, lazyauth.Principal{Issuer: "i", Subject: "s"}},
		"by subject, without one":         {oidcsignin.BySubject(), oidcsignin.Claims{"iss": "i"}, lazyauth.Principal{}},
		"by subject, without an issuer":   {oidcsignin.BySubject(), oidcsignin.Claims{"sub": "s"}, lazyauth.Principal{}},
		"by a claim that is the subject":  {oidcsignin.ByClaim("sub"), oidcsignin.Claims{"iss": "i", "sub": "s"}, lazyauth.Principal{Issuer: "i", Subject: "s"}},
		"by a claim":                      {oidcsignin.ByClaim("number"), oidcsignin.Claims{"iss": "i", "sub": "s", "number": "7"}, lazyauth.Principal{Issuer: "i", Subject: "7"}},
		"by a claim that is not there":    {oidcsignin.ByClaim("number"), oidcsignin.Claims{"iss": "i", "sub": "s"}, lazyauth.Principal{}},
		"by a claim that is empty":        {oidcsignin.ByClaim("number"), oidcsignin.Claims{"iss": "i", "sub": "s", "number": ""}, lazyauth.Principal{}},
		"by a claim that is a number":     {oidcsignin.ByClaim("number"), oidcsignin.Claims{"iss": "i", "number": json.Number("7")}, lazyauth.Principal{}},
		"by a claim that is several":      {oidcsignin.ByClaim("number"), oidcsignin.Claims{"iss": "i", "number": []any{"7"}}, lazyauth.Principal{}},
		"by a claim that is too long":     {oidcsignin.ByClaim("number"), oidcsignin.Claims{"iss": "i", "number": strings.Repeat("7", 256)}, lazyauth.Principal{}},
		"Entra's, version 2":              {oidcsignin.ByEntra(), oidcsignin.Claims{"iss": entra.Issuer, "sub": "one", "tid": tenant, "oid": object}, entra},
		"Entra's, version 1":              {oidcsignin.ByEntra(), oidcsignin.Claims{"iss": "https://sts.windows.net/" + tenant + "/", "sub": "other", "tid": tenant, "oid": object}, entra},
		"Entra's, of another tenant":      {oidcsignin.ByEntra(), oidcsignin.Claims{"iss": strings.Replace(entra.Issuer, "abc", "abd", 1), "tid": tenant, "oid": object}, lazyauth.Principal{}},
		"Entra's, of another issuer":      {oidcsignin.ByEntra(), oidcsignin.Claims{"iss": "https://evil.example/" + tenant + "/v2.0", "tid": tenant, "oid": object}, lazyauth.Principal{}},
		"Entra's, without an object":      {oidcsignin.ByEntra(), oidcsignin.Claims{"iss": entra.Issuer, "tid": tenant, "sub": "one"}, lazyauth.Principal{}},
		"Entra's, of a tenant that is no": {oidcsignin.ByEntra(), oidcsignin.Claims{"iss": "https://login.microsoftonline.com/v2.0", "tid": "v2.0", "oid": object}, lazyauth.Principal{}},
		"by a function": {oidcsignin.By("x", func(c oidcsignin.Claims) (lazyauth.Principal, error) {
			return lazyauth.Principal{Subject: c.Text("x"), Account: "work"}, nil
		}), oidcsignin.Claims{"x": "7"}, lazyauth.Principal{Subject: "7"}},
		"by a function that fails": {oidcsignin.By("x", func(oidcsignin.Claims) (lazyauth.Principal, error) {
			return lazyauth.Principal{Subject: "7"}, errors.New("no")
		}), nil, lazyauth.Principal{}},
		"by a function that knows nobody": {oidcsignin.By("x", func(oidcsignin.Claims) (lazyauth.Principal, error) { return lazyauth.Principal{Issuer: "i"}, nil }), nil, lazyauth.Principal{}},
		"by no function":                  {oidcsignin.By("x", nil), oidcsignin.Claims{"iss": "i", "sub": "s"}, lazyauth.Principal{}},
	} {
		got, err := story.identity.Of(story.claims)
		if got != story.want || (err == nil) != (story.want != lazyauth.Principal{}) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// At an issuer with pairwise subjects another claim is compared, at the page and for bearer tokens alike.
func TestIdentity_Pairwise(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newDouble(t)
		as.metadata = claim("subject_types_supported", []string{"pairwise"})
		as.claims = func(c map[string]any) {
			c["employee_id"] = "e-" + c["sub"].(string)
			c["sub"] = "pairwise-of-the-web-client"
		}
		s := newSite(t, as, by(oidcsignin.ByClaim("employee_id")))
		b := s.browser()
		b.get(as.approves(b.leaves(publicURL), "ada"))
		r := request(publicURL)
		r.AddCookie(only(b))
		page, _, err := s.signIn.Session(r)
		if err != nil {
			t.Fatal(err)
		}
		bearer, err := s.signIn.Principal(oidcsignin.Claims{"iss": issuerURL, "sub": "pairwise-of-the-host", "employee_id": "e-ada"})
		if err != nil || bearer != page || bearer.Subject != "e-ada" {
			t.Errorf("the call is %v's, and the browser %v's: %v", bearer, page, err)
		}
		if _, err := s.signIn.Principal(oidcsignin.Claims{"iss": issuerURL, "sub": "pairwise-of-the-host"}); err == nil || !strings.Contains(err.Error(), "employee_id") {
			t.Errorf("a token without the claim: %v", err)
		}
		as.claims = nil
		b.shows(b.get(as.approves(b.onward(b.posts(b.posts(b.get(publicURL), "/sign-out"), "/sign-in")), "ada")), http.StatusForbidden, "unsigned")
		if !strings.Contains(s.log.String(), "employee_id") {
			t.Errorf("the log does not say which claim is missing: %s", s.log)
		}
	})
}

// Microsoft Entra as its metadata has it: pairwise subjects, no "oid" among its claims, no "iss" in answers, and a subject
// and an issuer of its own in the access tokens of version 1. Never run against the real one.
//
// Sources: https://login.microsoftonline.com/common/v2.0/.well-known/openid-configuration, as recorded 2024-04-04 at
// orpheus.data.kit.edu/metadata/Microsoft and, for a tenant, in public test recordings of 2021 to 2023:
// subject_types_supported ["pairwise"]; claims_supported without "oid"; token_endpoint_auth_methods_supported
// ["client_secret_post","private_key_jwt","client_secret_basic"]; response_modes_supported ["query","fragment","form_post"].
func TestIdentity_Entra(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newDouble(t)
		as.url = "https://login.microsoftonline.com/" + tenant + "/v2.0"
		as.metadata = func(m map[string]any) {
			m["subject_types_supported"] = []string{"pairwise"}
			m["claims_supported"] = []string{"sub", "iss", "aud", "exp", "iat", "auth_time", "acr", "nonce", "preferred_username", "name", "tid", "ver", "at_hash", "c_hash", "email"}
			m["token_endpoint_auth_methods_supported"] = []string{"client_secret_post", "private_key_jwt", "client_secret_basic"}
			m["response_modes_supported"] = []string{"query", "fragment", "form_post"}
			m["response_types_supported"] = []string{"code", "id_token", "code id_token", "id_token token"}
			delete(m, "authorization_response_iss_parameter_supported")
		}
		as.answer = func(v url.Values) { v.Del("iss") }
		as.claims = func(c map[string]any) {
			c["sub"], c["tid"], c["oid"], c["ver"], c["preferred_username"] = "of-the-web-client", tenant, object, "2.0", "ada@contoso.example"
			delete(c, "email_verified")
		}
		s := newSite(t, as, by(oidcsignin.ByEntra()))
		if err := s.signIn.Check(t.Context()); err != nil || s.log.String() != "" {
			t.Errorf("%v, %s", err, s.log)
		}
		b := s.browser()
		b.get(as.approves(b.leaves(link), "ada"))
		if got := b.who(); got != "ada@contoso.example" {
			t.Errorf("the page calls her %q; log: %s", got, s.log)
		}
		r := request(publicURL)
		r.AddCookie(only(b))
		page, _, err := s.signIn.Session(r)
		if err != nil {
			t.Fatal(err)
		}
		for version, issuer := range map[string]string{"1.0": "https://sts.windows.net/" + tenant + "/", "2.0": as.url} {
			bearer, err := s.signIn.Principal(oidcsignin.Claims{"iss": issuer, "ver": version, "sub": "of-the-host", "tid": tenant, "oid": object})
			if err != nil || bearer != page {
				t.Errorf("version %s: %v, %v; at the page %v", version, bearer, err, page)
			}
		}
		as.claims = func(c map[string]any) { c["tid"], c["oid"] = strings.Replace(tenant, "1", "2", 1), object }
		b = s.browser()
		b.shows(b.get(as.approves(b.leaves(link), "eve")), http.StatusForbidden, "unsigned")
	})
}
