package providers_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// "openid is required", and invalid_scope is "typically the required openid value is missing"
// (zitadel.com/docs/apis/openidoauth/endpoints, in the repository, read on 2026-11-26).
func TestZitadel_OpenIDIsRequired(t *testing.T) {
	uri := fixedURI(t, "127.0.0.1")
	const base = "https://acme.zitadel.cloud"
	d := newIDP(fakeas.Options{ExactPorts: true, Dialect: withoutRefresh}, app(uri), "openid profile offline_access notes:write", base, base+"/oauth/v2", nil)
	d.authorize = func(params url.Values) error {
		if !strings.Contains(" "+params.Get("scope")+" ", " openid ") {
			params.Set("scope", "not-a-scope") // which is answered invalid_scope
		}
		return nil
	}
	d.whoever(base+"/oidc/v1/userinfo", "openid", map[string]any{"sub": "1", "preferred_username": "ada@acme.example"})
	need := scopes.Of("notes:write")
	d.refuses(t, lazyauth.Service{Issuer: base, Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, RedirectURI: uri}, need, lazyauth.ReasonUnavailable, "invalid_scope")

	service := preset(t)(providers.Zitadel(base, providers.App{ClientID: clientID, RedirectURI: uri}))
	for _, flows := range [][]lazyauth.Flow{nil, {lazyauth.FlowRedirect}} {
		if status := d.passes(t, only(service, flows...), need, "ada@acme.example"); !status.Renewable {
			t.Errorf("there is no refresh token by %v", flows)
		}
	}
}
