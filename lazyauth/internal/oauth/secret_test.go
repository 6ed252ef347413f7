package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestNoExportedTypePrintsASecret(t *testing.T) {
	config := oauth.Config{
		Endpoints:   oauth.Endpoints{Token: "https://as.example/token"},
		Credentials: oauth.Credentials{ID: "notes-client", Secret: clientSecret},
		Params: oauth.Params{
			Authorization: url.Values{"login_hint": {accessToken}}, Token: url.Values{"x": {accessToken}}, Refresh: url.Values{"x": {accessToken}},
		},
	}
	checkNoSecret(t, config)
	checkNoSecret(t, &config)
	config.Transport = new(server).On("/token", ok(granted))
	c, err := oauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	checkNoSecret(t, c)
	checkNoSecret(t, *c)
	token, err := c.Refresh(t.Context(), refreshToken, scopes.Set{})
	if err != nil {
		t.Fatal(err)
	}
	checkNoSecret(t, token)
	checkNoSecret(t, *token)
	if text := fmt.Sprint(token); !strings.Contains(text, `"notes:read profile"`) {
		t.Errorf("a token prints as %s", text)
	}
}

// What nobody has told this package is secret, and looks it, in a body that could not be
// read.
func TestSecretsOfOthersAreBlottedOut(t *testing.T) {
	for _, text := range []string{
		`{"access_token":"s3cr3t`,
		`{"x":1,"refresh_token" : "s3cr3t\"more","y":`,
		`"{\"id_token\":\"s3cr3t\"`,
		`{'device_code':'s3cr3t'`,
		`access_token=s3cr3t&x=1<`,
		`<a href="/cb?code=s3cr3t&state=1">`,
		`<input name=client_secret value=1> client-secret: s3cr3t`,
		`eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9s3cr3t`,
		`{"access_token":"\u0073s3cr3t"`,
		`{"user_code":"AB s3cr3t CD"`,
	} {
		s := new(server).On("/token", answer(503, "text/plain", text))
		_, err := client(t, s, nil).Refresh(t.Context(), refreshToken, scopes.Set{})
		e := wantError(t, err, oauth.ErrUnavailable)
		if !strings.Contains(e.Detail, "[secret]") && !strings.Contains(e.Detail, "a body of") {
			t.Errorf("%s: %s", text, e.Detail)
		}
	}
}

// What an author adds to token requests may be a secret, whichever request the server repeats it in. What says
// what is asked for is none, nor what stands in links.
func TestSecretsOfTheAuthorAreBlottedOut(t *testing.T) {
	params := oauth.Params{
		Authorization: url.Values{"tenant": {"tenant-seven"}},
		Token:         url.Values{"api_key": {"s3cr3t/key", "s3cr3t key 2"}, "resource": {"https://api.example/"}, "tenant": {"tenant-seven"}, "v": {"1"}},
		Refresh:       url.Values{"pin": {"S3CR3T-pin"}, "Audience": {"the-api"}, "scope": {"api://x"}},
	}
	const echo = "1: key s3cr3t/key, s3cr3t%2Fkey, s3cr3t+key+2 and s3cr3t-pin for https://api.example/, the-api, api://x, tenant-seven"
	const want = "1: key [secret], [secret], [secret] and [secret] for https://api.example/, the-api, api://x, tenant-seven"
	for name, reply := range map[string]reply{
		"description": answer(400, "", scripted.JSON(map[string]any{"error": "invalid_request", "error_description": echo})),
		"body":        answer(503, "text/plain", echo),
	} {
		s := new(server).On("/token", reply)
		c := client(t, s, func(config *oauth.Config) { config.Params = params })
		_, err := c.Exchange(t.Context(), "code-1", "http://127.0.0.1:1/cb", "", held)
		for _, err := range []error{err, func() error {
			_, err := c.Refresh(t.Context(), refreshToken, held)
			return err
		}()} {
			e, ok := errors.AsType[*oauth.Error](err)
			if !ok || !strings.Contains(e.Detail, want) {
				t.Errorf("%s: %+v", name, err)
			}
			checkNoSecret(t, err)
		}
	}
}

func TestDetailIsBoundedASCIIOnOneLine(t *testing.T) {
	hostile := strings.Repeat("\u202e\x00\x1b[31m\n\U0010ffff\xff", 1000)
	s := new(server).On("/token", answer(400, "application/json", scripted.JSON(map[string]any{
		"error": hostile, "error_description": hostile,
	})))
	_, err := client(t, s, nil).Refresh(context.Background(), refreshToken, scopes.Set{})
	e := wantError(t, err, oauth.ErrRefused)
	if e.Code != oauth.CodeOther {
		t.Errorf("code %q", e.Code)
	}
	if len(e.Detail) > 1500 || e.Detail == "" {
		t.Errorf("a detail of %d bytes", len(e.Detail))
	}
	for _, r := range e.Detail {
		if r < ' ' || r > '~' {
			t.Fatalf("detail has %q", r)
		}
	}
}
