package oauth_test

import (
	"fmt"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// confidential is a client with a secret, of which it is not known how to authenticate.
func confidential(t *testing.T, s *server) *oauth.Client {
	return client(t, s, func(c *oauth.Config) {
		c.Credentials.Secret = clientSecret
		c.Endpoints.Revocation = "https://as.example/revoke"
	})
}

func TestClientAuth_RefreshFindsItOut(t *testing.T) {
	s := new(server).On("/token", scripted.InBody(scripted.RefusesClient, ok(granted)))
	c := confidential(t, s)
	for range 2 {
		if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
			t.Fatal(err)
		}
	}
	s.CheckAuth(t, "/token", "basic+post+post")
}

// A secret that is wrong is refused in both ways: two requests, and the error says so.
func TestClientAuth_WrongSecret(t *testing.T) {
	s := new(server).On("/token", scripted.RefusesClient)
	_, err := confidential(t, s).Refresh(t.Context(), refreshToken, scopes.Set{})
	e := wantError(t, err, oauth.ErrRefused)
	if e.Code != "invalid_client" || !strings.Contains(e.Detail, "the client authenticated by client_secret_basic, then by client_secret_post") ||
		!strings.Contains(e.Detail, "percent-encoded in the header (RFC 6749 section 2.3.1)") {
		t.Errorf("code %s, detail %s", e.Code, e.Detail)
	}
	s.CheckAuth(t, "/token", "basic+post")
}

// What the author, the metadata or an earlier token has settled is not tried otherwise;
// neither is a public client.
func TestClientAuth_Settled(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*oauth.Config)
		used   string
	}{
		"author, header":   {func(c *oauth.Config) { c.Credentials.AuthStyle = oauth2.AuthStyleInHeader }, "basic"},
		"author, body":     {func(c *oauth.Config) { c.Credentials.AuthStyle = oauth2.AuthStyleInParams }, "post"},
		"metadata, header": {func(c *oauth.Config) { c.Endpoints.AuthStyle = oauth2.AuthStyleInHeader }, "basic"},
		"metadata, body":   {func(c *oauth.Config) { c.Endpoints.AuthStyle = oauth2.AuthStyleInParams }, "post"},
		"author against metadata": {func(c *oauth.Config) {
			c.Credentials.AuthStyle, c.Endpoints.AuthStyle = oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams
		}, "basic"},
		"author against metadata 2": {func(c *oauth.Config) {
			c.Credentials.AuthStyle, c.Endpoints.AuthStyle = oauth2.AuthStyleInParams, oauth2.AuthStyleInHeader
		}, "post"},
	} {
		s := new(server).On("/token", scripted.RefusesClient)
		c := client(t, s, func(c *oauth.Config) {
			c.Credentials.Secret = clientSecret
			test.change(c)
		})
		_, err := c.Refresh(t.Context(), refreshToken, scopes.Set{})
		e := wantError(t, err, oauth.ErrRefused)
		s.CheckAuth(t, "/token", test.used)
		if want := "the client authenticated by client_secret_" + test.used; !strings.Contains(e.Detail, want) || strings.Contains(e.Detail, "then by") {
			t.Errorf("%s: detail %s", name, e.Detail)
		}
	}
	s := new(server).On("/token", ok(granted), scripted.RefusesClient)
	c := confidential(t, s)
	if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Refresh(t.Context(), refreshToken, scopes.Set{})
	wantError(t, err, oauth.ErrRefused)
	s.CheckAuth(t, "/token", "basic+basic")

	s = new(server).On("/token", scripted.RefusesClient)
	_, err = client(t, s, nil).Refresh(t.Context(), refreshToken, scopes.Set{})
	if e := wantError(t, err, oauth.ErrRefused); len(s.Requests) != 1 || strings.Contains(e.Detail, "authenticated by") {
		t.Errorf("%d requests of a public client, detail %s", len(s.Requests), e.Detail)
	}
}

// Other refusals are not about how the client authenticates.
func TestClientAuth_OtherErrorsAreNotTriedAgain(t *testing.T) {
	for _, code := range []string{"invalid_scope", "unauthorized_client", "invalid_target", "a_word_of_its_own"} {
		s := new(server).On("/token", answer(401, "application/json", fmt.Sprintf(`{"error":%q}`, code)))
		_, err := confidential(t, s).Refresh(t.Context(), refreshToken, scopes.Set{})
		wantError(t, err, oauth.ErrRefused)
		s.CheckAuth(t, "/token", "basic")
	}
}
