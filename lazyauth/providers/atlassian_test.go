package providers_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The authorization request has an audience, the token endpoint wants the secret, and a refresh token
// takes offline_access (developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/, of 2025-07-03). The
// metadata is that of auth.atlassian.com, as others quote it (read on 2026-11-26).
func TestAtlassian_AudienceAndSecret(t *testing.T) {
	uri := fixedURI(t, "localhost")
	const issuer = "https://auth.atlassian.com"
	d := newIDP(fakeas.Options{
		ExactPorts: true, Dialect: withoutRefresh,
		Demand: map[fakeas.Operation][]string{fakeas.Authorization: {"audience=api.atlassian.com", "prompt=consent"}},
	}, confidential(fakeas.EitherAuth, uri), "offline_access read:jira-work read:me", issuer, issuer, nil)
	d.endpoints[issuer+"/oauth/token"] = fakeas.Exchange
	d.metadata[issuer+"/.well-known/openid-configuration"]["token_endpoint"] = issuer + "/oauth/token"
	d.metadata[issuer+"/.well-known/openid-configuration"]["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
	d.whoever("https://api.atlassian.com/me", "read:me", map[string]any{"account_id": "557058:1", "email": "ada@example.com", "name": "Ada"})
	need := scopes.Of("read:jira-work", "read:me")
	naive := lazyauth.Service{Issuer: issuer, Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, RedirectURI: uri}
	d.refuses(t, naive, need, lazyauth.ReasonUnavailable, "invalid_request")

	service := preset(t)(providers.Atlassian(providers.App{ClientID: clientID, ClientSecret: clientSecret, RedirectURI: uri}))
	naive.Params = service.Params
	d.refuses(t, naive, need, lazyauth.ReasonUnavailable, "invalid_client")
	if status := d.passes(t, service, need, "ada@example.com"); !status.Renewable || status.Identity.Subject != "557058:1" {
		t.Errorf("%+v", status)
	}
}
