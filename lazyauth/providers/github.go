package providers

import (
	"net/url"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// GitHub is for github.com, with an OAuth app that has the device flow enabled. It needs no secret
// for that, and none should be given.
//
// By a redirect GitHub wants the secret, with PKCE or without, as it tells no public clients from
// others: App.ClientSecret goes together with App.RedirectURI, for a program that stays on the machine of
// whoever registered the app, or with App.ConnectPage. Any port of 127.0.0.1 will do. The metadata is asked
// whether there is PKCE. What comes back names the issuer since 2026, so that there must be one.
//
// OAuth errors come under status 200, scopes are granted without those that others imply
// ([scopes.GitHub]), and the API asks for more by headers of its own ([scopes.GitHubDemand]).
// Tokens do not end, so nothing is refreshed, and no endpoint of RFC 7009 revokes them: a
// logout forgets the token here, and the user ends it under Settings, Applications.
//
// A GitHub App has permissions and no scopes: for one, set Dialect and Hierarchy to nil, and have
// tools need the empty set. Its tokens are refreshed.
//
// Sources: docs.github.com/en/apps/oauth-apps/building-oauth-apps/authorizing-oauth-apps and
// …/scopes-for-oauth-apps; github.blog/changelog/2025-07-14-pkce-support-for-oauth-and-github-app-authentication
// (PKCE), docs.github.com/en/apps/github-authentication-discovery-endpoints (the metadata and the issuer, as
// github.com/first-tree-ai/opentag/pull/636 and github.com/openiddict/openiddict-core/pull/2529 cite it). Read on
// 2026-11-26. Not run against GitHub.
func GitHub(app App) (lazyauth.Service, error) {
	return gitHub("GitHub", "https://github.com", "https://api.github.com", "https://api.github.com", app)
}

// GitHubEnterprise is for an Enterprise Server, such as "github.example.com", and for an
// Enterprise Cloud with data residency, such as "octocorp.ghe.com": a host, without https://.
// Each has OAuth apps of its own. On a server the REST API is below /api/v3 of the same host, of
// a cloud at https://api.octocorp.ghe.com. A loopback host is reached over http, for doubles.
//
// It is for the device flow alone: version 3.21 of the server documents that it has no PKCE, and neither
// is known to have the metadata that would say so. It is [GitHub] in all else.
//
// Sources: those of GitHub, in their versions for enterprise-server@3.21 and enterprise-cloud@latest.
// Read on 2026-11-26. Not run against either.
func GitHubEnterprise(host string, app App) (lazyauth.Service, error) {
	const provider, example = "GitHubEnterprise", "github.example.com"
	host = strings.ToLower(host)
	if err := checkHost(provider, "host", host, example); err != nil {
		return lazyauth.Service{}, err
	}
	if host == "github.com" || strings.HasSuffix(host, ".github.com") {
		return lazyauth.Service{}, failf(provider, "%q is not an Enterprise host: for github.com there is GitHub", host)
	}
	if app.redirects() {
		return lazyauth.Service{}, failf(provider, "App.RedirectURI or ConnectPage is set, and there is no PKCE to be relied on: leave them and ClientSecret empty, for the device flow")
	}
	site := "https://" + host
	if u, err := url.Parse(site); err == nil && isLoopback(u.Hostname()) {
		site = "http://" + host
	}
	if strings.HasSuffix(host, ".ghe.com") {
		return gitHub("GitHub Enterprise", site, "https://api."+host, "https://api."+host, app)
	}
	return gitHub("GitHub Enterprise", site, site, site+"/api/v3", app)
}

func gitHub(name, site, origin, api string, app App) (lazyauth.Service, error) {
	if err := app.checkRedirect("GitHub", redirectRule{example: "http://127.0.0.1/callback"}); err != nil {
		return lazyauth.Service{}, err
	}
	if app.redirects() {
		if err := app.needSecret("GitHub", "its token endpoint wants the secret with an authorization code; set it, or leave RedirectURI empty, and ConnectPage, for the device flow, which needs none"); err != nil {
			return lazyauth.Service{}, err
		}
	} else if app.ClientSecret != "" {
		return lazyauth.Service{}, failf("GitHub", "App.ClientSecret is set, and the device flow has no use for it: leave it empty, or set RedirectURI or ConnectPage for the redirect flow")
	}
	s := app.service(name)
	s.Issuer = site + "/login/oauth"
	s.Endpoint = oauth2.Endpoint{ // without AuthURL, since nothing would be discovered then
		DeviceAuthURL: site + "/login/device/code",
		TokenURL:      site + "/login/oauth/access_token",
		AuthStyle:     oauth2.AuthStyleInParams,
	}
	s.APIOrigins = []string{origin}
	s.UserInfo = api + "/user"
	s.Hierarchy = scopes.GitHub()
	s.Dialect = scopes.GitHubDemand
	return s, nil
}
