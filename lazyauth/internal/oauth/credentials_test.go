package oauth_test

import (
	"testing"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A client that has no id yet sends nothing, and fails in the way that tells its owner to
// register it.
func TestCredentials_NotRegisteredYet(t *testing.T) {
	s := new(server).On("/token", ok(granted)).On("/par", ok("{}")).On("/revoke", ok(""))
	c := client(t, s, func(c *oauth.Config) {
		c.Credentials = oauth.Credentials{}
		c.Endpoints.PushedAuthorization, c.Endpoints.Revocation = "https://as.example/par", "https://as.example/revoke"
	})
	_, refreshErr := c.Refresh(t.Context(), refreshToken, scopes.Set{})
	_, exchangeErr := c.Exchange(t.Context(), "code", "http://127.0.0.1/cb", "", scopes.Set{})
	_, pushErr := c.Push(t.Context(), nil)
	for _, err := range []error{refreshErr, exchangeErr, pushErr, c.Revoke(t.Context(), accessToken, oauth.AccessToken)} {
		if e := wantError(t, err, oauth.ErrRefused); e.Code != "invalid_client" || e.Detail != "the client is not registered" {
			t.Errorf("%v, detail %q", e, e.Detail)
		}
	}
	if len(s.Requests) != 0 {
		t.Errorf("%d requests", len(s.Requests))
	}
	registered, err := c.WithCredentials(oauth.Credentials{ID: "learnt"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registered.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil || registered.ClientID() != "learnt" || c.ClientID() != "" {
		t.Errorf("%v, %q and %q", err, registered.ClientID(), c.ClientID())
	}
}

// Two clients of one server know nothing of each other's credentials, nor of how those are sent.
func TestCredentials_AreExchanged(t *testing.T) {
	s := new(server).On("/token", scripted.InBody(scripted.RefusesClient, ok(granted)))
	c := confidential(t, s)
	if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil { // finds out: the body
		t.Fatal(err)
	}
	for _, change := range []oauth.Credentials{
		{ID: "other", Secret: "another s3cr3t"},
		{ID: "other", Secret: "another s3cr3t", AuthStyle: oauth2.AuthStyleInParams},
	} {
		other, err := c.WithCredentials(change)
		if err != nil {
			t.Fatal(err)
		}
		checkNoSecret(t, change)
		checkNoSecret(t, other)
		if _, err := other.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
		t.Fatal(err)
	}
	s.CheckAuth(t, "/token", "basic+post"+"+basic+post"+"+post"+"+post")
	for _, wrong := range []oauth.Credentials{{ID: "s3cr3t\n"}, {ID: "a", Secret: "s3cr3t\n"}, {Secret: "s3cr3t"}, {ID: "a", AuthStyle: 9}} {
		if _, err := c.WithCredentials(wrong); err == nil {
			t.Errorf("accepted %v", wrong)
		} else {
			checkNoSecret(t, err)
		}
	}
}
