package providers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2/endpoints"
)

// newEntra is Microsoft Entra ID for a tenant. In the metadata of "common" the issuer is a text that is
// no URL, and S256 is listed in none (github.com/modelcontextprotocol/typescript-sdk, issue 832, of
// 2025-08-01, and others' copies of the document, read on 2026-11-26).
func newEntra(tenant string) *double {
	base := "https://login.microsoftonline.com/" + tenant
	named := tenant
	if tenant == "common" {
		named = "{tenantid}"
	}
	// The port of localhost is ignored (learn.microsoft.com/entra/identity-platform/reply-url, of 2022-08-25).
	d := newDouble(fakeas.Options{Dialect: entraDialect, LocalhostPorts: true}, app("http://localhost"),
		"Mail.Read openid profile offline_access https://graph.microsoft.com/Mail.Read", map[string]fakeas.Operation{
			base + "/oauth2/v2.0/authorize":  fakeas.Authorization,
			base + "/oauth2/v2.0/devicecode": fakeas.DeviceAuthorization,
			base + "/oauth2/v2.0/token":      fakeas.Poll,
		})
	d.metadata = map[string]map[string]any{base + "/v2.0/.well-known/openid-configuration": {
		"issuer":                 "https://login.microsoftonline.com/" + named + "/v2.0",
		"authorization_endpoint": base + "/oauth2/v2.0/authorize", "device_authorization_endpoint": base + "/oauth2/v2.0/devicecode",
		"token_endpoint": base + "/oauth2/v2.0/token", "response_types_supported": []string{"code"},
	}}
	d.whoever("https://graph.microsoft.com/oidc/userinfo", "", map[string]any{"sub": "AAAA", "name": "Ada Example", "email": "ada@contoso.com"})
	return d
}

// entraDialect grants Graph's scopes by their short names, and offline_access by none
// (learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code, of 2024-01-10: its answer to
// a request with offline_access).
func entraDialect(_ *http.Request, a *fakeas.Answer) {
	if scope, ok := a.Members["scope"].(string); ok {
		scope = strings.ReplaceAll(scope, "https://graph.microsoft.com/", "")
		a.Members["scope"] = strings.Join(strings.Fields(strings.ReplaceAll(scope, "offline_access", "")), " ")
	}
}

// The issuer of "common" matches no metadata, and a tenant's does not say that it has PKCE: by
// either a redirect is impossible without the preset.
func TestEntra_Metadata(t *testing.T) {
	need := scopes.Of("Mail.Read")
	for _, tenant := range []string{"common", "contoso.example"} {
		d := newEntra(tenant)
		part := "does not list PKCE"
		reason := lazyauth.ReasonUnsupported
		if tenant == "common" {
			part, reason = "another issuer", lazyauth.ReasonUnavailable
		}
		d.refuses(t, lazyauth.Service{Issuer: "https://login.microsoftonline.com/" + tenant + "/v2.0",
			Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, RedirectURI: "http://localhost"}, need, reason, part)
	}
	d := newEntra("contoso.example")
	service := preset(t)(providers.Entra("contoso.example", providers.App{ClientID: clientID, RedirectURI: "http://localhost"}))
	d.passes(t, only(service, lazyauth.FlowRedirect), need, "ada@contoso.com")
}

// A scope of Graph's that is asked for in full is granted by its short name, and a client that compares
// names takes it for a refusal. The endpoints of golang.org/x/oauth2 are such a client.
func TestEntra_NamesOfScopes(t *testing.T) {
	need := scopes.Of("https://graph.microsoft.com/Mail.Read")
	d := newEntra("contoso.example")
	d.refuses(t, lazyauth.Service{Endpoint: endpoints.AzureAD("contoso.example")}, need, lazyauth.ReasonNarrowed, "Mail.Read")
	d.passes(t, preset(t)(providers.Entra("contoso.example", providers.App{ClientID: clientID})), need, "ada@contoso.com")
}
