package providers

import (
	"net/url"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Auth0 is for an API behind Auth0, with a native application: domain is that of the tenant, such as
// "acme.eu.auth0.com", or a custom domain, and audience the identifier of the API.
//
// The issuer has a slash at its end. Without an audience Auth0 issues tokens that no API of yours can
// read. The application has the grant types "Device Code" and "Refresh Token" (and "Authorization
// Code" for the redirect), and the API allows offline access, for which offline_access is asked. The
// port of RedirectURI is taken to be compared.
//
// Set Name to what people call the API, and APIOrigins to where it is.
//
// Sources: auth0.com/docs/get-started/authentication-and-authorization-flow/device-authorization-flow
// (in the documentation's repository: articles/flows/guides/device-auth/); redirect URIs:
// github.com/openid/AppAuth-iOS/issues/357 (of 2019: with the port). Read on 2026-11-26. Not run against
// Auth0.
func Auth0(domain, audience string, app App) (lazyauth.Service, error) {
	const provider = "Auth0"
	if err := checkHost(provider, "domain", domain, "acme.eu.auth0.com"); err != nil {
		return lazyauth.Service{}, err
	}
	if audience == "" {
		return lazyauth.Service{}, failf(provider, "the audience is empty: write the identifier that the API is registered by, such as https://notes.example.com")
	}
	if err := app.checkRedirect(provider, redirectRule{exactPort: true, example: "http://127.0.0.1:8123/callback"}); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Auth0")
	s.Issuer = "https://" + domain + "/"
	s.Params = url.Values{"audience": {audience}}
	s.Scopes = scopes.Of("openid", "profile", "offline_access")
	s.UserInfo = s.Issuer + "userinfo"
	return s, nil
}
