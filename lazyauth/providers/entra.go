package providers

import (
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// Entra is for Microsoft Graph behind Microsoft Entra ID, with a public client: an app registration
// that allows public client flows. The tenant is an ID, a domain such as "contoso.onmicrosoft.com", or one of
// "organizations", "consumers" and "common". RedirectURI is "http://localhost", registered for
// mobile and desktop applications: the port does not matter there.
//
// For an API of your own, set APIOrigins to where it is, and UserInfo to "", since a token is for one
// resource; scopes are then named in full, such as "api://notes/Notes.Read". Two resources are two services.
//
// Entra names itself in the metadata of "common" by a text that is no URL, and in none says that
// it has PKCE, which it documents: so all endpoints are given, nothing is discovered, and with a
// RedirectURI InsecureAssumePKCE is set. A refresh token takes the scope offline_access, which is
// asked for and never granted by name. There is no revocation endpoint. A "resource" parameter is refused.
// Names of scopes are compared as Entra spells them ([scopes.Entra]).
//
// Sources: learn.microsoft.com/entra/identity-platform/v2-oauth2-device-code (of 2024-01-10), …/reply-url
// (of 2022-08-25), …/v2-oauth2-auth-code-flow (PKCE; as github.com/akuity/kargo/pull/3359 quotes it);
// github.com/modelcontextprotocol/typescript-sdk/issues/832 (the metadata); github.com/agentgateway/agentgateway/pull/2408
// (resource). That nothing revokes is from memory. Read on 2026-11-26. Not
// run against Entra.
func Entra(tenant string, app App) (lazyauth.Service, error) {
	const provider = "Entra"
	if err := checkName(provider, "tenant", tenant, "contoso.onmicrosoft.com, or its ID, or organizations"); err != nil {
		return lazyauth.Service{}, err
	}
	if err := app.checkRedirect(provider, redirectRule{example: "http://localhost"}); err != nil {
		return lazyauth.Service{}, err
	}
	base := "https://login.microsoftonline.com/" + tenant + "/oauth2/v2.0"
	s := app.service("Microsoft")
	s.Endpoint = oauth2.Endpoint{
		AuthURL:       base + "/authorize",
		DeviceAuthURL: base + "/devicecode",
		TokenURL:      base + "/token",
		AuthStyle:     oauth2.AuthStyleInParams,
	}
	s.InsecureAssumePKCE = redirects(s)
	s.Scopes = scopes.Of("openid", "profile", "offline_access")
	s.APIOrigins = []string{"https://graph.microsoft.com"}
	s.UserInfo = "https://graph.microsoft.com/oidc/userinfo"
	s.Hierarchy = scopes.Entra()
	return s, nil
}
