package providers

import (
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Zitadel is for an API behind a Zitadel, with a native application: base is the address of the
// instance, such as "https://acme.zitadel.cloud".
//
// A request without the scope openid is refused, so it is asked for, and offline_access for a refresh
// token. The application has the grant types "Device Code" and "Refresh Token" (and "Authorization
// Code" for the redirect). The port of RedirectURI is compared ("must match exactly").
//
// Set Name to what people call the API, and APIOrigins to where it is. A token that an API of another
// project is to accept takes a scope of Zitadel's own in Scopes, urn:zitadel:iam:org:project:id:{id}:aud.
//
// Sources: zitadel.com/docs/guides/integrate/login/oidc/device-authorization, zitadel.com/docs/apis/openidoauth/endpoints,
// both as in the repository. Read on 2026-11-26. Not run against Zitadel; the library that it is
// built on (zitadel/oidc) is run in this project's interoperability tests, without this preset.
func Zitadel(base string, app App) (lazyauth.Service, error) {
	const provider = "Zitadel"
	base, err := baseOf(provider, base, "https://acme.zitadel.cloud")
	if err != nil {
		return lazyauth.Service{}, err
	}
	if err := app.checkRedirect(provider, redirectRule{exactPort: true, example: "http://127.0.0.1:8123/callback"}); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Zitadel")
	s.Issuer = base
	s.Scopes = scopes.Of("openid", "profile", "offline_access")
	s.UserInfo = base + "/oidc/v1/userinfo"
	return s, nil
}
