package providers

import (
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Keycloak is for an API behind a Keycloak, with a client whose "Client authentication" is off: base is
// the server's address, such as "https://sso.example.com", with its path if it has one (/auth up to
// version 16), and realm the name of the realm.
//
// The client has "OAuth 2.0 Device Authorization Grant" on, and "Standard flow" for the redirect. A
// valid redirect URI of http://127.0.0.1/callback, without a port, is good for every port of that
// address. Refresh tokens end with the person's session; for one that does not, add offline_access to
// Scopes.
//
// Set Name to what people call the API, and APIOrigins to where it is. For token exchange
// ([lazyauth.TokenExchange]) the client is confidential, with "Standard token exchange" on.
//
// Sources: www.keycloak.org/docs/latest/server_admin/ ("Basic configuration" of clients); the port is
// in its source (RedirectUtils.java), and token exchange in docs/guides/securing-apps/token-exchange.adoc
// there. The path of old versions, and what ends a refresh token, are from memory. Read on 2026-11-26.
// Not run against Keycloak.
func Keycloak(base, realm string, app App) (lazyauth.Service, error) {
	const provider = "Keycloak"
	base, err := baseOf(provider, base, "https://sso.example.com")
	if err != nil {
		return lazyauth.Service{}, err
	}
	if err := checkName(provider, "realm", realm, "acme"); err != nil {
		return lazyauth.Service{}, err
	}
	if err := app.checkRedirect(provider, redirectRule{example: "http://127.0.0.1/callback"}); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Keycloak")
	s.Issuer = base + "/realms/" + realm
	s.Scopes = scopes.Of("openid", "profile")
	s.UserInfo = s.Issuer + "/protocol/openid-connect/userinfo"
	return s, nil
}
