package providers

import (
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// Linear is for Linear's API, with an OAuth application. With PKCE, which is always used, it needs no
// secret, for the first token or for a refresh.
//
// There is no device flow: it is for the local user's machine, or by App.ConnectPage. Linear's own
// examples have http on localhost; its port is taken to be compared. Scopes are separated by commas
// (see Spelling); read is always granted, and write is more than issues:create and
// comments:create. Linear documents S256 and has no metadata for these endpoints, so that
// InsecureAssumePKCE is set. Access tokens live for a day, and are refreshed.
//
// The API is GraphQL, and says in the body what is missing: see [Slack] for what a handler then
// calls. The account is not named, unless Options.Identify asks for the viewer.
//
// Sources: linear.app/developers/oauth-2-0-authentication, in a copy from after April 2026. Read on
// 2026-11-26. Not run against Linear.
func Linear(app App) (lazyauth.Service, error) {
	const provider = "Linear"
	rule := redirectRule{required: true, exactPort: true, example: "http://localhost:8123/callback"}
	if err := app.checkRedirect(provider, rule); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Linear")
	s.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	s.Endpoint = oauth2.Endpoint{
		AuthURL:   "https://linear.app/oauth/authorize",
		TokenURL:  "https://api.linear.app/oauth/token",
		AuthStyle: oauth2.AuthStyleInParams,
	}
	s.RevocationURL = "https://api.linear.app/oauth/revoke"
	s.InsecureAssumePKCE = true
	s.Spelling = lazyauth.Spelling{ScopeSeparator: ","}
	s.Scopes = scopes.Of("read")
	s.APIOrigins = []string{"https://api.linear.app"}
	s.Hierarchy = linear()
	return s, nil
}

var linear = sync.OnceValue(func() *scopes.Hierarchy {
	return hierarchy(map[string]scopes.Set{"write": scopes.Of("comments:create", "issues:create")})
})
