package providers_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Redirect URIs are compared with their port (github.com/openid/AppAuth-iOS, issue 357, of 2019), and a refresh
// token takes offline_access (developer.okta.com/docs/guides/device-authorization-grant/main/, read on
// 2026-11-26).
func TestOkta_PortAndRefreshToken(t *testing.T) {
	uri := fixedURI(t, "127.0.0.1")
	for name, test := range map[string]struct{ server, issuer, endpoints string }{
		"custom":           {"default", "https://acme.okta.com/oauth2/default", "https://acme.okta.com/oauth2/default/v1"},
		"the organization": {"", "https://acme.okta.com", "https://acme.okta.com/oauth2/v1"},
	} {
		t.Run(name, func(t *testing.T) {
			d := newIDP(fakeas.Options{ExactPorts: true, Dialect: withoutRefresh}, app(uri), "openid profile offline_access notes:write",
				test.issuer, test.endpoints, nil)
			d.whoever(test.endpoints+"/userinfo", "openid", map[string]any{"sub": "00u1", "preferred_username": "ada@acme.example"})
			need := scopes.Of("notes:write")
			d.refuses(t, lazyauth.Service{Issuer: test.issuer, Flows: []lazyauth.Flow{lazyauth.FlowRedirect}}, need, "", errPage.Error())

			service := preset(t)(providers.Okta("acme.okta.com", test.server, providers.App{ClientID: clientID, RedirectURI: uri}))
			if status := d.passes(t, only(service, lazyauth.FlowRedirect), need, "ada@acme.example"); !status.Renewable {
				t.Error("there is no refresh token")
			}
			if status := d.passes(t, only(service), need, "ada@acme.example"); !status.Renewable {
				t.Error("by the device flow there is no refresh token")
			}
		})
	}
}
