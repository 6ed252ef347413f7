package fakeas_test

import (
	"slices"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// login_hint is seen where it stood; what is secret is not.
func TestSeen(t *testing.T) {
	p := newPeer(t, &fakeas.Options{NoHintInURL: true})
	p.code()
	if response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL("login_hint", "ada@example.test"))); response.Get("error") != "invalid_request" {
		t.Errorf("response: %v", response)
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.HintInURL}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
	seen := p.as.AuthorizationRequests()
	if len(seen) != 2 || seen[0].URL.Has("login_hint") || seen[1].URL.Get("login_hint") != "ada@example.test" || seen[0].Pushed != nil ||
		seen[0].ClientID != fakeas.DefaultClientID || seen[0].Outcome != fakeas.OK || seen[1].Outcome != "invalid_request" {
		t.Errorf("seen: %+v", seen)
	}
	for _, name := range []string{"state", "code_challenge"} {
		if got := seen[0].URL.Get(name); got != fakeas.Withheld {
			t.Errorf("%s: %q", name, got)
		}
	}
}
