package providers

import (
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"golang.org/x/oauth2"
)

// Slack is for Slack's Web API in a user's name, with an app that has PKCE enabled, which makes it a public
// client (and cannot be undone without Slack's support). It has no secret then, and user scopes alone.
//
// There is no device flow: it is for the local user's machine, or by App.ConnectPage. On the machine the
// redirect URL is http on localhost, with its port, as Slack compares it. User scopes are listed in
// user_scope, separated by commas, and the token comes in authed_user: see Spelling. Its type is
// "user", and whoever has it can use it. Slack documents S256 and there is no metadata for this flow,
// so that InsecureAssumePKCE is set. Access tokens live for 12 hours and are refreshed (by way of a page
// only if token rotation is on), and refresh tokens of such an app end after 30 days: people sign in once a month at least.
//
// The API answers 200 to all requests, with "ok": false in the body where something is wrong. So
// nothing is asked for in the middle of a call by itself: a handler that reads missing_scope calls
// [lazyauth.Require] with what its request takes (what the answer lists as "needed" is Slack's to say, and
// no limit holds it), and one that reads token_expired or token_revoked calls [lazyauth.RejectToken]. A logout forgets the token here: auth.revoke is no endpoint of RFC 7009.
//
// Sources: docs.slack.dev/authentication/using-pkce, docs.slack.dev/reference/methods/oauth.v2.access and
// …/oauth.v2.user.access, docs.slack.dev/changelog/2026/03/30/pkce. Read on 2026-11-26. Not run against
// Slack.
func Slack(app App) (lazyauth.Service, error) {
	const provider = "Slack"
	if app.ClientSecret != "" {
		return lazyauth.Service{}, failf(provider, "App.ClientSecret is set, and an app with PKCE is a public client: enable PKCE in the app's settings, and leave the secret empty")
	}
	rule := redirectRule{required: true, exactPort: true, localhost: true, example: "http://localhost:8123/callback"}
	if err := app.checkRedirect(provider, rule); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Slack")
	s.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	s.Issuer = "https://slack.com" // by Slack's metadata for MCP, as others quote it; nothing is discovered
	s.Endpoint = oauth2.Endpoint{
		AuthURL:  "https://slack.com/oauth/v2/authorize",
		TokenURL: "https://slack.com/api/oauth.v2.access",
	}
	s.InsecureAssumePKCE = true
	s.Spelling = lazyauth.Spelling{ScopeParam: "user_scope", ScopeSeparator: ",", TokenMember: "authed_user"}
	s.InsecureBearerNames = []string{"user"}
	s.APIOrigins = []string{"https://slack.com"}
	s.UserInfo = "https://slack.com/api/auth.test"
	return s, nil
}
