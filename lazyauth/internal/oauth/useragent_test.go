package oauth_test

import (
	"runtime/debug"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestUserAgent_NamesTheModuleAndItsVersion(t *testing.T) {
	const module = "github.com/lazyauth/mcp-lazyauth"
	for name, test := range map[string]struct {
		info debug.BuildInfo
		want string
	}{
		"a dependency": {debug.BuildInfo{Main: debug.Module{Path: "example.com/server", Version: "v9.9.9"}, Deps: []*debug.Module{
			{Path: module + "/other", Version: "v3.0.0"}, {Path: module, Version: "v0.3.1"},
		}}, "lazyauth/v0.3.1 (+https://" + module + ")"},
		"this module":       {debug.BuildInfo{Main: debug.Module{Path: module, Version: "v0.3.2-0.20260801120000-0123456789ab+dirty"}}, "lazyauth/v0.3.2-0.20260801120000-0123456789ab+dirty (+https://" + module + ")"},
		"without a version": {debug.BuildInfo{Main: debug.Module{Path: module, Version: "(devel)"}}, "lazyauth (+https://" + module + ")"},
		"replaced": {debug.BuildInfo{Deps: []*debug.Module{
			{Path: module, Version: "v0.3.1", Replace: &debug.Module{Path: "../fork"}},
		}}, "lazyauth (+https://" + module + ")"},
		"vendored otherwise": {debug.BuildInfo{}, "lazyauth (+https://" + module + ")"},
	} {
		if got := oauth.UserAgentOf(oauth.ModuleVersion(&test.info)); got != test.want {
			t.Errorf("%s: %s, want %s", name, got, test.want)
		}
	}
	if got := oauth.DefaultUserAgent(); !strings.HasPrefix(got, "lazyauth") || !strings.HasSuffix(got, " (+https://"+module+")") {
		t.Errorf("here it is %q", got)
	}
}

func TestUserAgent_OnEveryRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for configured, want := range map[string]string{"": oauth.DefaultUserAgent(), "notes/1.2 (ops@example.com)": "notes/1.2 (ops@example.com)"} {
			s := new(server).On("/.well-known/oauth-authorization-server", ok(metadata("https://as.example"))).
				On("/token", ok(granted)).On("/revoke", answer(200, "", ""))
			if _, err := oauth.Discover(t.Context(), s, "https://as.example", oauth.DiscoverOptions{UserAgent: configured}); err != nil {
				t.Fatal(err)
			}
			c := client(t, s, func(c *oauth.Config) {
				c.UserAgent, c.Endpoints.Revocation = configured, "https://as.example/revoke"
			})
			if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
				t.Fatal(err)
			}
			if err := c.Revoke(t.Context(), accessToken, oauth.AccessToken); err != nil {
				t.Fatal(err)
			}
			if len(s.Requests) != 3 {
				t.Errorf("%d requests", len(s.Requests))
			}
			for _, r := range s.Requests {
				if got := r.Header.Values("User-Agent"); len(got) != 1 || got[0] != want {
					t.Errorf("%s: User-Agent %q, want %q", r.URL, got, want)
				}
			}
		}
	})
}
