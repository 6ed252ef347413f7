package oauth_test

import (
	"crypto/rand"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A client that nobody has registered, from the metadata to the end of its grant: it
// registers, is sent back with a code, is forgotten by the server, and registers anew.
func TestStory_RegisteredAndForgotten(t *testing.T) {
	for name, test := range map[string]struct {
		push   fakeas.Push
		method string
	}{
		"public, pushed":  {fakeas.PushRequired, ""},
		"public":          {fakeas.PushNone, ""},
		"header, pushed":  {fakeas.PushAccepted, "client_secret_basic"},
		"the body, asked": {fakeas.PushNone, "client_secret_post"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := fakeas.New(&fakeas.Options{Registration: true, Push: test.push})
				defer func() {
					for _, v := range as.Violations() {
						t.Errorf("violation: %v", v)
					}
				}()
				endpoints, err := oauth.Discover(t.Context(), as.Transport(), as.Issuer(), oauth.DiscoverOptions{})
				if err != nil {
					t.Fatal(err)
				}
				f := endpoints.Features
				if !f.S256 || !f.IssuerInResponse || f.NoCode || !f.Grants.AuthorizationCode || f.PushedOnly != (test.push == fakeas.PushRequired) {
					t.Errorf("features %+v", f)
				}
				c, err := oauth.New(oauth.Config{Endpoints: endpoints, Transport: as.Transport()})
				if err != nil {
					t.Fatal(err)
				}
				known := register(t, c, test.method)
				token := redirected(t, as, known)
				if token.Refresh == "" || token.Scopes != scopes.Of("notes:read") {
					t.Errorf("%v", token)
				}
				fresh, err := known.Refresh(t.Context(), token.Refresh, token.Scopes)
				if err != nil {
					t.Fatal(err)
				}

				as.ForgetClient(known.ClientID())
				_, err = known.Refresh(t.Context(), fresh.Refresh, fresh.Scopes)
				if e := wantError(t, err, oauth.ErrRefused); e.Code != "invalid_client" {
					t.Errorf("%+v", e)
				}
				again := register(t, known, test.method)
				if again.ClientID() == known.ClientID() {
					t.Error("the same client once more")
				}
				if token := redirected(t, as, again); token.Access == fresh.Access {
					t.Errorf("%v", token)
				}
			})
		})
	}
}

func register(t *testing.T, c *oauth.Client, method string) *oauth.Client {
	t.Helper()
	r, err := c.Register(t.Context(), oauth.ClientMetadata{
		RedirectURIs: []string{"http://127.0.0.1/callback"}, GrantTypes: []string{"authorization_code", "refresh_token"},
		ResponseTypes: []string{"code"}, ClientName: "Notes", AuthMethod: method,
	})
	if err != nil {
		t.Fatal(err)
	}
	if r.ManagementToken == "" || (r.Credentials.Secret != "") != (method != "") {
		t.Errorf("%v", r)
	}
	known, err := c.WithCredentials(r.Credentials)
	if err != nil {
		t.Fatal(err)
	}
	return known
}

// redirected goes to the server with a request, comes back with a code, and exchanges it:
// once with another verifier, then well.
func redirected(t *testing.T, as *fakeas.Server, c *oauth.Client) *oauth.Token {
	t.Helper()
	const back = "http://127.0.0.1:40123/callback"
	code := func(verifier string) string {
		t.Helper()
		request := c.AuthorizationForm()
		for name, value := range map[string]string{
			"response_type": "code", "redirect_uri": back, "state": rand.Text(), "scope": "notes:read",
			"code_challenge": oauth2.S256ChallengeFromVerifier(verifier), "code_challenge_method": "S256",
		} {
			request.Set(name, value)
		}
		query := url.Values{"client_id": {c.ClientID()}}
		if c.CanPush() {
			pushed, err := c.Push(t.Context(), request)
			if err != nil {
				t.Fatal(err)
			}
			query.Set("request_uri", pushed.RequestURI)
		} else {
			request.Set("client_id", c.ClientID())
			query = request
		}
		location, err := as.ApproveURL(t.Context(), c.Endpoints().Authorization+"?"+query.Encode())
		if err != nil {
			t.Fatal(err)
		}
		u, err := url.Parse(location)
		if err != nil || !strings.HasPrefix(location, back+"?") || u.Query().Get("iss") != as.Issuer() {
			t.Fatalf("sent to %s", location)
		}
		return u.Query().Get("code")
	}
	verifier := oauth2.GenerateVerifier()
	_, err := c.Exchange(t.Context(), code(verifier), back, oauth2.GenerateVerifier(), held)
	wantError(t, err, oauth.ErrCode)
	verifier = oauth2.GenerateVerifier()
	token, err := c.Exchange(t.Context(), code(verifier), back, verifier, scopes.Of("notes:read"))
	if err != nil {
		t.Fatal(err)
	}
	return token
}
