package oauth_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// slack is how Slack writes things (docs.slack.dev/authentication/using-pkce, read in November 2026).
var slack = oauth.Spelling{ScopeParam: "user_scope", ScopeSeparator: ",", TokenMember: "authed_user"}

func TestSpelling_ScopesOfARequest(t *testing.T) {
	for name, test := range map[string]struct {
		spelling oauth.Spelling
		asked    scopes.Set
		want     string
	}{
		"the RFC's":        {oauth.Spelling{}, scopes.Of("b", "a"), "scope=a+b"},
		"a blank, by name": {oauth.Spelling{ScopeParam: "scope", ScopeSeparator: " "}, scopes.Of("b", "a"), "scope=a+b"},
		"Linear":           {oauth.Spelling{ScopeSeparator: ","}, scopes.Of("read", "write"), "scope=read%2Cwrite"},
		"Slack":            {slack, scopes.Of("chat:write", "users:read"), "user_scope=chat%3Awrite%2Cusers%3Aread"},
		"none":             {slack, scopes.Set{}, ""},
	} {
		form := url.Values{}
		client(t, new(server), func(c *oauth.Config) { c.Spelling = test.spelling }).SetScopes(form, test.asked)
		if got := form.Encode(); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// The token is where the spelling says, and what is said of another one beside it is not said of it.
func TestSpelling_WhereTheTokenIs(t *testing.T) {
	asked := scopes.Of("chat:write")
	for name, test := range map[string]struct {
		body    string
		scopes  scopes.Set
		refresh string
		life    time.Duration
	}{
		"within": {`{"ok":true,"authed_user":{"id":"U1","scope":"chat:write,users:read","access_token":"` + accessToken + `","token_type":"user","refresh_token":"xoxe-1","expires_in":43200}}`,
			scopes.Of("chat:write", "users:read"), "xoxe-1", 12 * time.Hour},
		"beside a bot's": {`{"ok":true,"access_token":"xoxb-bot","token_type":"bot","scope":"commands","refresh_token":"of-the-bot","expires_in":60,"authed_user":{"id":"U1","access_token":"` + accessToken + `","token_type":"user"}}`,
			asked, "", 0},
		"outside, as after a refresh": {`{"ok":true,"access_token":"` + accessToken + `","token_type":"user","refresh_token":"xoxe-2","expires_in":43200,"scope":"chat:write"}`,
			asked, "xoxe-2", 12 * time.Hour},
		"outside, scopes within": {`{"ok":true,"access_token":"` + accessToken + `","token_type":"user","authed_user":{"id":"U1","scope":"users:read"}}`,
			scopes.Of("users:read"), "", 0},
		"no object": {`{"access_token":"` + accessToken + `","token_type":"user","authed_user":"U1"}`, asked, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(server).On("/token", ok(test.body))
			c := client(t, s, func(c *oauth.Config) { c.Spelling, c.BearerNames = slack, []string{"user"} })
			before := time.Now()
			token, err := c.Exchange(t.Context(), "code-1", "http://localhost:1/cb", "verifier", asked)
			if err != nil {
				t.Fatal(err)
			}
			if token.Access != accessToken || token.Scopes != test.scopes || token.Refresh != test.refresh {
				t.Errorf("%v, access token %q, refresh token %q", token, token.Access, token.Refresh)
			}
			if life := token.Expires.Sub(before); token.Expires.IsZero() != (test.life == 0) || test.life > 0 && (life < test.life || life > test.life+time.Minute) {
				t.Errorf("it lives for %v, want %v", life, test.life)
			}
		})
	}
}

// Without a token there is none, wherever it is looked for; and nothing of the object is repeated.
func TestSpelling_NoToken(t *testing.T) {
	for name, test := range map[string]struct {
		body string
		kind error
	}{
		"an error":             {`{"ok":false,"error":"invalid_code","authed_user":{"access_token":""}}`, oauth.ErrCode},
		"an object of nothing": {`{"ok":true,"authed_user":{"id":"U1"}}`, oauth.ErrUnreadable},
		"a list":               {`{"ok":true,"authed_user":[{"access_token":"` + accessToken + `"}]}`, oauth.ErrUnreadable},
		"a token of its own":   {`{"ok":true,"authed_user":{"access_token":"` + accessToken + `","token_type":"DPoP"}}`, oauth.ErrTokenType},
		"deep":                 {`{"ok":true,"authed_user":{"authed_user":{"access_token":"` + accessToken + `"}}}`, oauth.ErrUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			s := new(server).On("/token", ok(test.body))
			_, err := client(t, s, func(c *oauth.Config) { c.Spelling = slack }).Exchange(t.Context(), "code-1", "http://localhost:1/cb", "verifier", held)
			wantError(t, err, test.kind)
			checkNoSecret(t, err)
		})
	}
}

func TestSpelling_WhatCannotBe(t *testing.T) {
	for name, config := range map[string]oauth.Config{
		"a parameter of the protocol": {Spelling: oauth.Spelling{ScopeParam: "client_id"}},
		"another one":                 {Spelling: oauth.Spelling{ScopeParam: "State"}},
		"no name":                     {Spelling: oauth.Spelling{ScopeParam: "user scope"}},
		"a separator of names":        {Spelling: oauth.Spelling{ScopeSeparator: "+"}},
		"no member":                   {Spelling: oauth.Spelling{TokenMember: "a\nb"}},
		"the author's parameter":      {Spelling: slack, Params: oauth.Params{Authorization: url.Values{"User_Scope": {"s3cr3t"}}}},
	} {
		config.Endpoints.Token = "https://as.example/token"
		if _, err := oauth.New(config); err == nil {
			t.Errorf("%s is accepted", name)
		} else {
			checkNoSecret(t, err)
		}
	}
}
