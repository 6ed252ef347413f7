package hostcheck_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A host without hooks is judged by its messages; what shows in its user
// interface alone is skipped, and nothing else is.
func TestVerdict_HostWithoutHooks(t *testing.T) {
	r := play(t, one("consent", hostcheck.Modern, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
		speak(ctx, t, launch, time.Second)
	})
	observed := make(map[string][]hostcheck.Observation)
	for _, q := range hostcheck.Requirements() {
		observed[q.ID] = q.Observed
	}
	for _, c := range r.Checks {
		want := hostcheck.Success
		for _, o := range observed[c.ID] {
			if o == hostcheck.UI {
				want = hostcheck.Skipped
			}
		}
		if c.Status != want {
			t.Errorf("%s is %s, not %s: %s", c.ID, c.Status, want, c.ErrorMessage)
		}
		if want == hostcheck.Skipped && c.Details["reason"] != "no UI hook" {
			t.Errorf("%s is skipped because of %v", c.ID, c.Details["reason"])
		}
	}
}

// A host that announces hooks and reports nothing is not skipped.
func TestVerdict_HooksAnnouncedInVain(t *testing.T) {
	r := play(t, one("consent", hostcheck.Modern, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
		visitor(ctx, t, launch).do("GET", launch.Control+"/task?hooks=shown,opened,outcome", "")
		speak(ctx, t, launch, time.Second)
	})
	if c := check(t, r, "P4"); c.Status != hostcheck.Failure || !strings.Contains(c.ErrorMessage, "was not shown") {
		t.Errorf("P4 is %s: %s", c.Status, c.ErrorMessage)
	}
	if c := check(t, r, "A13"); c.Status != hostcheck.Failure || c.Reached() {
		t.Errorf("A13 is %s: %s", c.Status, c.ErrorMessage)
	}
}
