package providers

import (
	"net/url"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// Atlassian is for the APIs of Atlassian Cloud (Jira, Confluence), with an OAuth 2.0 integration (3LO).
// Its token endpoint wants the integration's secret from every client. So it is for a server with an
// App.ConnectPage, or for a program that stays on the machine of whoever registered the integration; a program that is handed
// out cannot keep the secret, and one that has its customers register integrations of their own is
// against Atlassian's rules.
//
// There is no device flow for such integrations. An integration
// has one callback URL, which is compared. Whether the server honours PKCE is not in the pages on 3LO;
// its metadata lists S256, and is asked each time: if that ends, so do sign-ins. A refresh token takes offline_access,
// which is asked for. OpenID Connect's scopes must not be asked for. UserInfo needs read:me and the User
// Identity API; without them the sign-in is good, and the account is not named.
//
// A token is no good at acme.atlassian.net. Requests go to https://api.atlassian.com/ex/jira/{id} (or
// confluence), where id is one of those that GET https://api.atlassian.com/oauth/token/accessible-resources
// lists: docs/providers.md has the lines.
//
// Sources: developer.atlassian.com/cloud/jira/platform/oauth-2-3lo-apps/ (of 2025-07-03; the rule is in the
// "Important notice" of …/jira/software/oauth-2-3lo-apps/, of the same day); the metadata at
// auth.atlassian.com/.well-known/openid-configuration, and that openid is refused, as others observed
// (2026-08-05). Read on 2026-11-26. Not run against Atlassian.
func Atlassian(app App) (lazyauth.Service, error) {
	const provider = "Atlassian"
	if err := app.needSecret(provider, "Atlassian's token endpoint wants that of the integration from every client"); err != nil {
		return lazyauth.Service{}, err
	}
	rule := redirectRule{required: true, exactPort: true, example: "http://localhost:8123/callback"}
	if err := app.checkRedirect(provider, rule); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Atlassian")
	s.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	s.Issuer = "https://auth.atlassian.com"
	s.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	s.Params = url.Values{"audience": {"api.atlassian.com"}, "prompt": {"consent"}}
	s.Scopes = scopes.Of("offline_access")
	s.APIOrigins = []string{"https://api.atlassian.com"}
	s.UserInfo = "https://api.atlassian.com/me"
	return s, nil
}
