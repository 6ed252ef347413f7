package oidcsignin_test

import (
	"encoding/json"
	"errors"
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
		b.shows(b.get(as.approves(b.onward(b.posts(b.posts(b.get(publicURL), "/sign-out"), "/sign-in")), "ada")), 403, "unsigned")
		if !strings.Contains(s.log.String(), "employee_id") {
			t.Errorf("the log does not say which claim is missing: %s", s.log)
		}
	})
}
