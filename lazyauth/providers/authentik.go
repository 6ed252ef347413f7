package providers

import (
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Authentik is for an API behind an authentik, with an OAuth2 provider of the client type "Public":
// base is the server's address, such as "https://auth.example.com", and slug that of the application.
//
// The issuer is that of the application, with a slash at its end; where the provider's issuer mode is
// "same for all providers", set Issuer to what its OpenID configuration says. The device flow works once the
// brand has a flow for device codes. A refresh token takes offline_access, which is asked for, and
// which the provider must have among its scopes. A redirect URI that is compared exactly has a port;
// one that is a regular expression can have any: `http://127\.0\.0\.1:\d+/callback`. If the metadata
// of an older release does not list S256, set InsecureAssumePKCE.
//
// Set Name to what people call the API, and APIOrigins to where it is.
//
// Sources: docs.goauthentik.io/add-secure-apps/providers/oauth2/ and …/oauth2/device_code, as in the
// repository. Read on 2026-11-26. Not run against authentik.
func Authentik(base, slug string, app App) (lazyauth.Service, error) {
	const provider = "Authentik"
	base, err := baseOf(provider, base, "https://auth.example.com")
	if err != nil {
		return lazyauth.Service{}, err
	}
	if err := checkName(provider, "slug of the application", slug, "notes"); err != nil {
		return lazyauth.Service{}, err
	}
	if err := app.checkRedirect(provider, redirectRule{example: "http://127.0.0.1/callback"}); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("authentik")
	s.Issuer = base + "/application/o/" + slug + "/"
	s.Scopes = scopes.Of("openid", "profile", "offline_access")
	s.UserInfo = base + "/application/o/userinfo/"
	return s, nil
}
