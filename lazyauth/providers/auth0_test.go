package providers_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The issuer has a slash at its end (its OpenID configuration, as others quote it), and what is no use
// without an audience is refused here, where Auth0 would grant a token that no API can read
// (auth0.com/docs, "Call Your API Using the Device Authorization Flow", read on 2026-11-26).
func TestAuth0_IssuerAndAudience(t *testing.T) {
	uri := fixedURI(t, "127.0.0.1")
	const issuer, audience = "https://acme.eu.auth0.com/", "https://notes.example.com"
	d := newIDP(fakeas.Options{
		ExactPorts: true, Dialect: withoutRefresh,
		Demand: map[fakeas.Operation][]string{fakeas.DeviceAuthorization: {"audience=" + audience}, fakeas.Authorization: {"audience=" + audience}},
	}, app(uri), "openid profile offline_access notes:write", issuer, "https://acme.eu.auth0.com/oauth", nil)
	d.whoever(issuer+"userinfo", "openid", map[string]any{"sub": "auth0|1", "name": "ada"})
	need := scopes.Of("notes:write")
	d.refuses(t, lazyauth.Service{Issuer: "https://acme.eu.auth0.com"}, need, lazyauth.ReasonUnavailable, "another issuer")
	d.refuses(t, lazyauth.Service{Issuer: issuer}, need, lazyauth.ReasonUnavailable, "invalid_request")

	service := preset(t)(providers.Auth0("acme.eu.auth0.com", audience, providers.App{ClientID: clientID, RedirectURI: uri}))
	for _, flows := range [][]lazyauth.Flow{nil, {lazyauth.FlowRedirect}} {
		if status := d.passes(t, only(service, flows...), need, "ada"); !status.Renewable {
			t.Errorf("there is no refresh token by %v", flows)
		}
	}
}
