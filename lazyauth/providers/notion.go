package providers

import (
	"net/url"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"golang.org/x/oauth2"
)

// Notion is for Notion's API, with a public integration. Its token endpoint wants the integration's
// secret in the Authorization header, from every client. So it is for a server with an App.ConnectPage, or for a
// program that stays on the machine of whoever registered the integration, or of people who register one each; a
// program that is handed out cannot keep the secret.
//
// There is no device flow either. And Notion documents no
// PKCE: [lazyauth.New] refuses the service until its author has set InsecureAssumePKCE, whose comment says what
// that gives away. That http on loopback is taken for a redirect URI is not documented; people use it.
//
// There are no scopes. Tools need the empty set, scopes.Set{}, and what the integration can do is
// said where it is registered; which pages it sees the person chooses at each sign-in. The account is
// not named: the endpoint that would tell wants a header that UserInfo does not send.
//
// Sources: developers.notion.com/guides/authorization/overview, developers.notion.com/reference/create-a-token
// (which sends JSON; that a form is taken is others' practice: better-auth's provider of this
// name). Read on 2026-11-26. Not run against Notion.
func Notion(app App) (lazyauth.Service, error) {
	const provider = "Notion"
	if err := app.needSecret(provider, "Notion's token endpoint wants that of the integration in every request"); err != nil {
		return lazyauth.Service{}, err
	}
	rule := redirectRule{required: true, exactPort: true, example: "http://localhost:8123/callback"}
	if err := app.checkRedirect(provider, rule); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Notion")
	s.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	s.Endpoint = oauth2.Endpoint{
		AuthURL:   "https://api.notion.com/v1/oauth/authorize",
		TokenURL:  "https://api.notion.com/v1/oauth/token",
		AuthStyle: oauth2.AuthStyleInHeader,
	}
	s.Params = url.Values{"owner": {"user"}}
	s.RevocationURL = "https://api.notion.com/v1/oauth/revoke"
	s.APIOrigins = []string{"https://api.notion.com"}
	return s, nil
}
