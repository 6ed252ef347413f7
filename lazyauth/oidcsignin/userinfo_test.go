package oidcsignin_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

// What an ID token leaves out the UserInfo endpoint is asked for, if it is of the same person; nothing that the ID
// token says is another's to change.
func TestUserInfo(t *testing.T) {
	thin := func(c map[string]any) {
		for _, name := range []string{"name", "email", "email_verified"} {
			delete(c, name)
		}
	}
	number := oidcsignin.ByClaim("employee_id")
	for name, story := range map[string]struct {
		identity oidcsignin.Identity
		claims   func(map[string]any)
		info     func(map[string]any)
		want     string // who is signed in; empty: nobody
		asked    int
	}{
		"nothing is missing":           {claims: nil, info: claim("email", "eve@example.com"), want: "ada@example.com"},
		"the name is missing":          {claims: thin, info: func(c map[string]any) { c["email"], c["email_verified"] = "a@example.com", true }, want: "a@example.com", asked: 1},
		"the name is there of nobody":  {claims: thin, info: claim("sub", "eve"), want: "ada", asked: 1},
		"the name is there unverified": {claims: thin, info: claim("email", "victim@example.com"), want: "ada", asked: 1},
		"an address is verified, another one": {
			claims: func(c map[string]any) { thin(c); c["email"] = "victim@example.com" },
			info:   func(c map[string]any) { c["email"], c["email_verified"] = "eve@example.com", true },
			want:   "ada", asked: 1,
		},
		"the address is verified there": {
			claims: func(c map[string]any) { thin(c); c["email"] = "a@example.com" },
			info:   func(c map[string]any) { c["email"], c["email_verified"] = "a@example.com", true },
			want:   "a@example.com", asked: 1,
		},
		"the identity is missing":          {identity: number, claims: thin, info: claim("employee_id", "7"), want: "7", asked: 1},
		"the identity is somebody else's":  {identity: number, claims: thin, info: func(c map[string]any) { c["sub"], c["employee_id"] = "eve", "7" }, asked: 1},
		"the identity is of nobody":        {identity: number, claims: thin, info: func(c map[string]any) { delete(c, "sub"); c["employee_id"] = "7" }, asked: 1},
		"the identity is not there, too":   {identity: number, claims: thin, info: claim("x", "7"), asked: 1},
		"the identity is contradicted":     {identity: number, claims: claim("employee_id", "7"), info: claim("employee_id", "8"), want: "ada@example.com"},
		"the identity is of another kind":  {identity: number, claims: claim("employee_id", 7), info: claim("employee_id", "8"), asked: 1},
		"the issuer would be another":      {claims: thin, info: claim("iss", "https://evil.example"), want: "ada", asked: 1},
		"there is none":                    {claims: thin, want: "ada"},
		"there is none, and it is needed":  {identity: number, claims: thin},
		"without an end":                   {claims: thin, info: claim("x", strings.Repeat("x", 1<<20)), want: "ada", asked: 1},
		"without an end, and it is needed": {identity: number, claims: thin, info: claim("x", strings.Repeat("x", 1<<20)), asked: 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := newDouble(t)
				as.claims, as.userInfo = story.claims, story.info
				b := newSite(t, as, by(story.identity)).browser()
				v := b.get(as.approves(b.leaves(publicURL), "ada"))
				if got := b.who(); got != story.want {
					t.Errorf("signed in as %q, want %q; log: %s", got, story.want, b.log)
				}
				if story.want == "" {
					b.shows(v, http.StatusForbidden, "unsigned")
				}
				if n := as.count("/userinfo"); n != story.asked {
					t.Errorf("asked %d times", n)
				}
			})
		})
	}
}
