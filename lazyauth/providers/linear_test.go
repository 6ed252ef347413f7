package providers_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// Scopes are a list with commas, and a client with PKCE needs no secret
// (linear.app/developers/oauth-2-0-authentication, read on 2026-11-26).
func TestLinear_Commas(t *testing.T) {
	uri := fixedURI(t, "localhost")
	d := newDouble(fakeas.Options{ExactPorts: true}, app(uri), "read write", map[string]fakeas.Operation{
		"https://linear.app/oauth/authorize": fakeas.Authorization,
		"https://api.linear.app/oauth/token": fakeas.Exchange,
	})
	d.authorize = func(params url.Values) error {
		if strings.Contains(params.Get("scope"), " ") {
			return errors.New("invalid scope")
		}
		params.Set("scope", strings.ReplaceAll(params.Get("scope"), ",", " "))
		return nil
	}
	need := scopes.Of("read", "write")
	d.refuses(t, lazyauth.Service{
		Endpoint: oauth2.Endpoint{AuthURL: "https://linear.app/oauth/authorize", TokenURL: "https://api.linear.app/oauth/token"},
		Flows:    []lazyauth.Flow{lazyauth.FlowRedirect}, RedirectURI: uri, InsecureAssumePKCE: true,
	}, need, "", "invalid scope")

	service := preset(t)(providers.Linear(providers.App{ClientID: clientID, RedirectURI: uri}))
	if status := d.passes(t, service, need, ""); !status.Renewable {
		t.Error("there is no refresh token")
	}
	if !service.Hierarchy.Covers(scopes.Of("write"), scopes.Of("issues:create")) {
		t.Error("write is not more than issues:create")
	}
}
