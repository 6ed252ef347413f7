package providers

import (
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Cognito is for an API behind a user pool of Amazon Cognito, with a public app client: pool is the
// pool's ID, such as "eu-central-1_AbCdEfGhI", which names its region. The pool must have a domain.
//
// There is no device flow: it is for the local user's machine, or by App.ConnectPage. On the machine the
// callback URL is on localhost, the only place where Cognito takes http, with its port. The metadata
// does not say that Cognito has PKCE with S256, which it documents, so that InsecureAssumePKCE is set.
//
// Set Name to what people call the API, and APIOrigins to where it is. The account is named once
// UserInfo is set, to /oauth2/userInfo at the pool's domain.
//
// Sources: docs.aws.amazon.com/cognito/latest/developerguide/using-pkce-in-authorization-code.html,
// …/CreateUserPoolClient (CallbackURLs: "requires HTTPS over HTTP except for http://localhost for testing
// purposes only"); the metadata as others quote it. Read on 2026-11-26. Not run against Cognito.
func Cognito(pool string, app App) (lazyauth.Service, error) {
	const provider, example = "Cognito", "eu-central-1_AbCdEfGhI"
	region, _, ok := strings.Cut(pool, "_")
	if err := checkName(provider, "ID of the user pool", pool, example); err != nil {
		return lazyauth.Service{}, err
	}
	if !ok || strings.Trim(region, "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || !strings.Contains(region, "-") {
		return lazyauth.Service{}, failf(provider, "the ID of the user pool %+q names no region: write all of it, such as %s", shown(pool), example)
	}
	rule := redirectRule{required: true, exactPort: true, localhost: true, example: "http://localhost:8123/callback"}
	if err := app.checkRedirect(provider, rule); err != nil {
		return lazyauth.Service{}, err
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	s := app.service("Cognito")
	s.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	s.Issuer = "https://cognito-idp." + region + "." + domain + "/" + pool
	s.InsecureAssumePKCE = true
	s.Scopes = scopes.Of("openid", "profile")
	return s, nil
}
