package providers

import (
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// GitLab is for gitlab.com, with an application that is not confidential: it has the device flow (generally
// available since 17.9), and the redirect with PKCE, neither of which needs a secret then.
//
// A registered http://127.0.0.1/callback is good for every port of that address, and for no
// other path; "localhost" is compared with its port. GitLab grants the scopes that the application
// was registered with at the most. A token lives for two hours and is refreshed; a refresh ends both the
// token and the refresh token before it. UserInfo needs read_user, or a scope that implies it;
// without one the sign-in is good, and the account is not named.
//
// S256 is documented, and all endpoints are, so that nothing is discovered: with a RedirectURI,
// InsecureAssumePKCE is set.
//
// Sources: docs.gitlab.com/api/oauth2/ and docs.gitlab.com/integration/oauth_provider/ (in the
// repository's mirror); the comparison of redirect URIs is Doorkeeper's, which GitLab uses
// (lib/doorkeeper/oauth/helpers/uri_checker.rb). Read on 2026-11-26. Not run against GitLab.
func GitLab(app App) (lazyauth.Service, error) { return GitLabSelfManaged("https://gitlab.com", app) }

// GitLabSelfManaged is [GitLab] at an address of your own, such as "https://gitlab.example.com", with a
// path if it has one. Versions before 17.2 have no device flow, and up to 17.8 the feature flag
// oauth2_device_grant_flow can have it off, as it comes in 17.2.
func GitLabSelfManaged(base string, app App) (lazyauth.Service, error) {
	const provider = "GitLab"
	base, err := baseOf(provider, base, "https://gitlab.example.com")
	if err != nil {
		return lazyauth.Service{}, err
	}
	if err := app.checkRedirect(provider, redirectRule{example: "http://127.0.0.1/callback"}); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("GitLab")
	s.Issuer = base
	s.Endpoint = oauth2.Endpoint{
		AuthURL:       base + "/oauth/authorize",
		DeviceAuthURL: base + "/oauth/authorize_device",
		TokenURL:      base + "/oauth/token",
	}
	s.RevocationURL = base + "/oauth/revoke"
	s.InsecureAssumePKCE = redirects(s)
	s.APIOrigins = []string{originOf(base)}
	s.UserInfo = base + "/api/v4/user"
	s.Hierarchy = gitLab()
	return s, nil
}

// gitLab is what the descriptions of the scopes say of each other: all of the API, all of it
// for reading, the user's own page of it.
var gitLab = sync.OnceValue(func() *scopes.Hierarchy {
	return hierarchy(map[string]scopes.Set{
		"api":      scopes.Of("read_api"),
		"read_api": scopes.Of("read_user"),
	})
})

// hierarchy is NewHierarchy of what stands in this package.
func hierarchy(implies map[string]scopes.Set) *scopes.Hierarchy {
	h, err := scopes.NewHierarchy(implies)
	if err != nil {
		panic(err)
	}
	return h
}
