package providers_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The issuer is that of the realm, and redirect URIs are compared but for the port of 127.0.0.1
// (www.keycloak.org/docs/latest/server_admin/, "Valid Redirect URIs", and RedirectUtils.java in its repository,
// read on 2026-11-26).
func TestKeycloak_RealmAndRedirectURI(t *testing.T) {
	for _, base := range []string{"https://sso.example.com", "https://sso.example.com/auth", "http://localhost:8080"} {
		t.Run(base, func(t *testing.T) {
			issuer := base + "/realms/acme"
			d := newIDP(fakeas.Options{}, app("http://127.0.0.1/callback"), "openid profile notes:write", issuer, issuer+"/protocol/openid-connect", nil)
			d.whoever(issuer+"/protocol/openid-connect/userinfo", "openid", map[string]any{"sub": "f:1", "preferred_username": "ada"})
			need := scopes.Of("notes:write")
			d.refuses(t, lazyauth.Service{Issuer: base}, need, lazyauth.ReasonUnavailable, "no metadata found")
			d.refuses(t, lazyauth.Service{Issuer: issuer, Flows: []lazyauth.Flow{lazyauth.FlowRedirect}}, need, "", errPage.Error())

			service := preset(t)(providers.Keycloak(base+"/", "acme", providers.App{ClientID: clientID, RedirectURI: "http://127.0.0.1/callback"}))
			d.passes(t, only(service, lazyauth.FlowRedirect), need, "ada")
			d.passes(t, only(service), need, "ada")
		})
	}
}
