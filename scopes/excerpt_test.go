package scopes_test

import (
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestExcerpt(t *testing.T) {
	const token = "ya29.secret/+=x"
	for _, test := range []struct {
		name   string
		header http.Header
		want   string // up to an ellipsis
	}{
		{"nothing", http.Header{"X-Other": {"a"}}, ``},
		{"a challenge", http.Header{"Www-Authenticate": {`Bearer error="x"`}}, `WWW-Authenticate: "Bearer error=\"x\""`},
		{"all that is read", http.Header{"X-Oauth-Scopes": {""}, "X-Accepted-Oauth-Scopes": {"a, b"}, "Www-Authenticate": {"A", "B"}},
			`WWW-Authenticate: "A"; WWW-Authenticate: "B"; X-Accepted-OAuth-Scopes: "a, b"; X-OAuth-Scopes: ""`},
		{"not of one line", http.Header{"Www-Authenticate": {"a\r\nlevel=INFO\x1b[2J\u202e\xff"}}, `WWW-Authenticate: "a\r\nlevel=INFO\x1b[2J\u202e\xff"`},
		{"the token", http.Header{"Www-Authenticate": {`Bearer error_description="` + token + ` has expired"`}}, `WWW-Authenticate: "Bearer error_description=\"[secret] has expired\""`},
		{"the token late", http.Header{"Www-Authenticate": {strings.Repeat("x", 505) + token}}, `WWW-Authenticate: "` + strings.Repeat("x", 490) + `...`},
		{"long", http.Header{"Www-Authenticate": {strings.Repeat("\x00", 1<<20)}}, `WWW-Authenticate: "` + strings.Repeat(`\x00`, 122) + `\x...`},
		{"many", http.Header{"Www-Authenticate": slices.Repeat([]string{""}, 1<<20)}, strings.Repeat(`WWW-Authenticate: ""; `, 23) + `WWW...`},
	} {
		got := scopes.Excerpt(test.header, token, "")
		if got != test.want || len(got) > 512 {
			t.Errorf("%s: %d bytes, %s", test.name, len(got), got)
		}
	}
}

var tokens, plain = regexp.MustCompile(`^[a-z0-9]{10,}$`), regexp.MustCompile(`^[ -!#-[\]-~]*$`)

func FuzzExcerpt(f *testing.F) {
	f.Add(`Bearer realm="x"`, "", "token")
	f.Add("\x00\xff\u202e", "a, b", "a")
	f.Add("Bearer error_description='abcdefghij0 has expired'", "abcdefghij0", "abcdefghij0")
	f.Fuzz(func(t *testing.T, challenge, accepted, secret string) {
		got := scopes.Excerpt(http.Header{"Www-Authenticate": {challenge, challenge}, "X-Accepted-Oauth-Scopes": {accepted}}, secret)
		if len(got) > 512 || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r > '~' }) {
			t.Errorf("%d bytes, %q", len(got), got)
		}
		// Not of what the excerpt adds itself: names, quotes and escapes.
		if tokens.MatchString(secret) && plain.MatchString(challenge+accepted) && strings.Contains(got, secret) {
			t.Errorf("%q is in %q", secret, got)
		}
	})
}
