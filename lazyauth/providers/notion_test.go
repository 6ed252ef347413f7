package providers_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// The token endpoint wants the secret in the Authorization header, the authorization request has
// owner=user, and there are no scopes and no PKCE (developers.notion.com/guides/authorization/overview and
// …/reference/create-a-token, read on 2026-11-26).
func TestNotion_SecretAndOwner(t *testing.T) {
	uri := fixedURI(t, "localhost")
	d := newDouble(fakeas.Options{ExactPorts: true, PKCE: fakeas.PKCEIgnored, Dialect: noScope}, confidential(fakeas.BasicAuth, uri), "all", map[string]fakeas.Operation{
		"https://api.notion.com/v1/oauth/authorize": fakeas.Authorization,
		"https://api.notion.com/v1/oauth/token":     fakeas.Exchange,
	})
	d.authorize = func(params url.Values) error {
		if params.Get("owner") != "user" || params.Has("scope") {
			return errors.New("missing or invalid owner, or a scope")
		}
		params.Del("owner")
		return nil
	}
	naive := lazyauth.Service{
		Endpoint: oauth2.Endpoint{AuthURL: "https://api.notion.com/v1/oauth/authorize", TokenURL: "https://api.notion.com/v1/oauth/token"},
		Flows:    []lazyauth.Flow{lazyauth.FlowRedirect}, RedirectURI: uri, InsecureAssumePKCE: true,
	}
	d.refuses(t, naive, scopes.Set{}, "", "owner")
	naive.Params = url.Values{"owner": {"user"}}
	d.refuses(t, naive, scopes.Set{}, lazyauth.ReasonUnavailable, "invalid_client")

	service := preset(t)(providers.Notion(providers.App{ClientID: clientID, ClientSecret: clientSecret, RedirectURI: uri}))
	if _, err := lazyauth.New(service, nil); err == nil {
		t.Error("nobody has said that Notion is to be used without PKCE, and it is")
	}
	service.InsecureAssumePKCE = true
	d.passes(t, service, scopes.Set{}, "")
}

// noScope is an answer of a server without scopes.
func noScope(_ *http.Request, a *fakeas.Answer) { delete(a.Members, "scope") }
