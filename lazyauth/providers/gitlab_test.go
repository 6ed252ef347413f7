package providers_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// newGitLab is a GitLab whose endpoints are those of docs.gitlab.com/api/oauth2/ (read on 2026-11-26).
func newGitLab(base string) *double {
	d := newDouble(fakeas.Options{}, app("http://127.0.0.1/callback"), "api read_api read_user", map[string]fakeas.Operation{
		base + "/oauth/authorize":        fakeas.Authorization,
		base + "/oauth/authorize_device": fakeas.DeviceAuthorization,
		base + "/oauth/token":            fakeas.Poll,
	})
	d.whoever(base+"/api/v4/user", "api", map[string]any{"id": 1, "username": "john_smith", "name": "John Smith"})
	return d
}

// The path of a redirect URI is compared, and its port is not, if it is on 127.0.0.1 (Doorkeeper,
// lib/doorkeeper/oauth/helpers/uri_checker.rb, read on 2026-11-26). A client that comes back to a path of its
// own is not sent back.
func TestGitLab_PathOfTheRedirectURI(t *testing.T) {
	d := newGitLab("https://gitlab.com")
	d.refuses(t, lazyauth.Service{Endpoint: oauth2.Endpoint{AuthURL: "https://gitlab.com/oauth/authorize", TokenURL: "https://gitlab.com/oauth/token"},
		Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, InsecureAssumePKCE: true}, scopes.Of("api"), "", errPage.Error())
	service := preset(t)(providers.GitLab(providers.App{ClientID: clientID, RedirectURI: "http://127.0.0.1/callback"}))
	d.passes(t, only(service, lazyauth.FlowRedirect), scopes.Of("api"), "john_smith")
}

// api is more than read_api (docs.gitlab.com/integration/oauth_provider/, read on 2026-11-26): who has it
// is not asked for that.
func TestGitLab_DeviceAndHierarchy(t *testing.T) {
	d := newGitLab("https://gitlab.example.com/git")
	service := preset(t)(providers.GitLabSelfManaged("https://gitlab.example.com/git/", providers.App{ClientID: clientID}))
	d.passes(t, service, scopes.Of("api"), "john_smith")
	if h := service.Hierarchy; !h.Covers(scopes.Of("api"), scopes.Of("read_user")) || h.Covers(scopes.Of("read_api"), scopes.Of("api")) {
		t.Error("api and read_api are not what their descriptions say")
	}
	if got := service.APIOrigins; len(got) != 1 || got[0] != "https://gitlab.example.com" {
		t.Errorf("the token goes to %q", got)
	}
}
