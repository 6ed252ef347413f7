package providers_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The metadata is at the pool's issuer and names endpoints at its domain, but neither S256, which
// docs.aws.amazon.com/cognito/latest/developerguide/using-pkce-in-authorization-code.html documents, nor a
// device endpoint (the document as others quote it, read on 2026-11-26). http is taken on localhost.
func TestCognito_MetadataWithoutPKCE(t *testing.T) {
	uri := fixedURI(t, "localhost")
	const issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI"
	d := newIDP(fakeas.Options{ExactPorts: true}, app(uri), "openid profile notes/write", issuer, "https://acme.auth.eu-central-1.amazoncognito.com/oauth2",
		map[string]any{"code_challenge_methods_supported": nil, "device_authorization_endpoint": nil})
	d.whoever("https://acme.auth.eu-central-1.amazoncognito.com/oauth2/userInfo", "openid", map[string]any{"sub": "9119", "username": "ada"})
	need := scopes.Of("notes/write")
	d.refuses(t, lazyauth.Service{Issuer: issuer}, need, lazyauth.ReasonUnsupported, "")
	d.refuses(t, lazyauth.Service{Issuer: issuer, Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, RedirectURI: uri}, need, lazyauth.ReasonUnsupported, "does not list PKCE")

	service := preset(t)(providers.Cognito("eu-central-1_AbCdEfGhI", providers.App{ClientID: clientID, RedirectURI: uri}))
	d.passes(t, service, need, "")
	service.UserInfo = "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/userInfo"
	d.passes(t, service, need, "ada")
}
