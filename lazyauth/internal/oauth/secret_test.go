package oauth_test

import (
	"context"
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
