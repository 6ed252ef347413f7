package providers_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The issuer is that of the application, with a slash at its end, while the endpoints are one for all
// applications; and refresh tokens take offline_access (docs.goauthentik.io/add-secure-apps/providers/oauth2/,
// read on 2026-11-26).
func TestAuthentik_IssuerOfTheApplication(t *testing.T) {
	const base, issuer = "https://auth.example.com", "https://auth.example.com/application/o/notes/"
	d := newIDP(fakeas.Options{Dialect: withoutRefresh}, app("http://127.0.0.1/callback"), "openid profile offline_access notes:write",
		issuer, base+"/application/o", nil)
	d.whoever(base+"/application/o/userinfo/", "openid", map[string]any{"sub": "8d", "preferred_username": "ada"})
	need := scopes.Of("notes:write")
	d.refuses(t, lazyauth.Service{Issuer: base + "/application/o/notes"}, need, lazyauth.ReasonUnavailable, "another issuer")
	d.refuses(t, lazyauth.Service{Issuer: base}, need, lazyauth.ReasonUnavailable, "no metadata found")

	service := preset(t)(providers.Authentik(base, "notes", providers.App{ClientID: clientID, RedirectURI: "http://127.0.0.1/callback"}))
	for _, flows := range [][]lazyauth.Flow{nil, {lazyauth.FlowRedirect}} {
		if status := d.passes(t, only(service, flows...), need, "ada"); !status.Renewable {
			t.Errorf("there is no refresh token by %v", flows)
		}
	}
}
