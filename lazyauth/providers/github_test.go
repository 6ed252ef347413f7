package providers_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/endpoints"
)

// newGitHub is a GitHub, with an OAuth app: errors under 200, and no scope is granted that another one
// implies (docs.github.com, "Authorizing OAuth apps" and "Scopes for OAuth apps", read on 2026-11-26).
func newGitHub(client fakeas.Client, site, api string) *double {
	d := newDouble(fakeas.Options{Dialect: fakeas.GitHub}, client, "user read:user repo gist", map[string]fakeas.Operation{
		site + "/login/oauth/authorize":    fakeas.Authorization,
		site + "/login/device/code":        fakeas.DeviceAuthorization,
		site + "/login/oauth/access_token": fakeas.Poll,
	})
	// docs.github.com/en/apps/github-authentication-discovery-endpoints, as others cite it (github.com/first-tree-ai/opentag,
	// pull request 636, of 2026-09-17); read on 2026-11-26.
	if site == "https://github.com" {
		d.iss = "https://github.com/login/oauth"
		d.metadata = map[string]map[string]any{"https://github.com/.well-known/oauth-authorization-server/login/oauth": {
			"issuer": d.iss, "authorization_endpoint": site + "/login/oauth/authorize", "token_endpoint": site + "/login/oauth/access_token",
			"response_types_supported": []string{"code"}, "code_challenge_methods_supported": []string{"S256"},
		}}
	}
	d.whoever(api+"/user", "", map[string]any{"login": "octocat", "id": 583231})
	return d
}

// Who needs user and read:user has both by the first, which GitHub grants alone. A client that does
// not know that takes the grant for less than was asked for.
func TestGitHub_ImpliedScopes(t *testing.T) {
	need := scopes.Of("read:user", "user")
	d := newGitHub(app(), "https://github.com", "https://api.github.com")
	d.refuses(t, lazyauth.Service{Endpoint: oauth2.Endpoint{
		DeviceAuthURL: "https://github.com/login/device/code", TokenURL: "https://github.com/login/oauth/access_token",
	}}, need, lazyauth.ReasonNarrowed, "read:user")
	d.passes(t, preset(t)(providers.GitHub(providers.App{ClientID: clientID})), need, "octocat")
}

// The presets of golang.org/x/oauth2 name GitHub's endpoints, and can be used for what they are.
func TestGitHub_EndpointsOfXOAuth2(t *testing.T) {
	d := newGitHub(app(), "https://github.com", "https://api.github.com")
	status := d.passes(t, lazyauth.Service{Name: "GitHub", Endpoint: endpoints.GitHub, ClientID: clientID}, scopes.Of("gist"), "")
	if status.Scopes != scopes.Of("gist") {
		t.Errorf("granted %v", status.Scopes)
	}
}

// The answer to an authorization request names an issuer, and with the code GitHub wants the secret (the same page, "client_secret: Required"), and the
// redirect URI may have any port on 127.0.0.1 and a path below the registered one (the same, "Redirect
// URLs").
func TestGitHub_RedirectNeedsTheSecret(t *testing.T) {
	client := confidential(fakeas.PostAuth, "http://127.0.0.1/callback")
	client.RedirectBelow = true
	d := newGitHub(client, "https://github.com", "https://api.github.com")
	naive := lazyauth.Service{Endpoint: oauth2.Endpoint{
		AuthURL: "https://github.com/login/oauth/authorize", TokenURL: "https://github.com/login/oauth/access_token",
	}, Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, InsecureAssumePKCE: true}
	d.refuses(t, naive, scopes.Of("gist"), "", errMixedUp.Error())
	naive.Issuer = "https://github.com/login/oauth"
	d.refuses(t, naive, scopes.Of("gist"), lazyauth.ReasonUnavailable, "invalid_client")
	service := preset(t)(providers.GitHub(providers.App{ClientID: clientID, ClientSecret: clientSecret, RedirectURI: "http://127.0.0.1/callback"}))
	d.passes(t, only(service, lazyauth.FlowRedirect), scopes.Of("gist"), "octocat")
}

func TestGitHubEnterprise_Addresses(t *testing.T) {
	for host, want := range map[string]struct{ site, api string }{
		"github.example.com":      {"https://github.example.com", "https://github.example.com/api/v3"},
		"GitHub.example.com:8443": {"https://github.example.com:8443", "https://github.example.com:8443/api/v3"},
		"octocorp.ghe.com":        {"https://octocorp.ghe.com", "https://api.octocorp.ghe.com"},
		"[::1]:8080":              {"http://[::1]:8080", "http://[::1]:8080/api/v3"},
		"localhost:8080":          {"http://localhost:8080", "http://localhost:8080/api/v3"},
	} {
		t.Run(host, func(t *testing.T) {
			d := newGitHub(app(), want.site, want.api)
			d.passes(t, preset(t)(providers.GitHubEnterprise(host, providers.App{ClientID: clientID})), scopes.Of("gist"), "octocat")
		})
	}
}
