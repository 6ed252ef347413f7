package providers

import (
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Okta is for an API behind Okta, with a native application: domain is that of the organization,
// such as "acme.okta.com", and server the ID of a custom authorization server, such as "default".
// Without a server it is the organization's own, whose tokens are for Okta's API at that domain.
//
// The application has the grant types "Device Authorization" and "Refresh Token" (and "Authorization
// Code" for the redirect), and so must a rule of the server's access policy. The port of RedirectURI is
// taken to be compared. A refresh token takes offline_access, which is asked for.
//
// Set Name to what people call the API, and for a custom server APIOrigins to where it is.
//
// Sources: developer.okta.com/docs/guides/device-authorization-grant/main/ and …/customize-authz-server/
// (API Access Management); redirect URIs: github.com/openid/AppAuth-iOS/issues/357 (of 2019: with the
// port); sub and uid of access tokens, as docs/providers.md has them: devforum.okta.com/t/3978 and
// support.okta.com/help/s/article/sub-claim-limitation. Read on 2026-11-26. Not run against Okta.
func Okta(domain, server string, app App) (lazyauth.Service, error) {
	const provider = "Okta"
	if err := checkHost(provider, "domain", domain, "acme.okta.com"); err != nil {
		return lazyauth.Service{}, err
	}
	issuer := "https://" + domain
	endpoints := issuer + "/oauth2/v1"
	if server != "" {
		if err := checkName(provider, "authorization server", server, "default"); err != nil {
			return lazyauth.Service{}, err
		}
		issuer += "/oauth2/" + server
		endpoints = issuer + "/v1"
	}
	if err := app.checkRedirect(provider, redirectRule{exactPort: true, example: "http://127.0.0.1:8123/callback"}); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Okta")
	s.Issuer = issuer
	s.Endpoint.DeviceAuthURL = endpoints + "/device/authorize"
	s.Scopes = scopes.Of("openid", "profile", "offline_access")
	s.UserInfo = endpoints + "/userinfo"
	if server == "" {
		s.APIOrigins = []string{issuer}
	}
	return s, nil
}
