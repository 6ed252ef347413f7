package hostcheck_test

import (
	"context"
	"slices"
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

// What was not reached is told as the official suite tells it (its AGENTS.md, "Check
// conventions"): the severity is that of the keyword, the message has its prefix, the
// details say that nothing was tested, and why.
func TestVerdict_NotReached(t *testing.T) {
	levels := make(map[string]hostcheck.Level)
	for _, q := range hostcheck.Requirements() {
		levels[q.ID] = q.Level
	}
	severity := map[hostcheck.Level]hostcheck.Status{
		hostcheck.Must: hostcheck.Failure, hostcheck.MustNot: hostcheck.Failure,
		hostcheck.Should: hostcheck.Warning, hostcheck.ShouldNot: hostcheck.Warning, hostcheck.May: hostcheck.Info,
	}
	seen := make(map[hostcheck.Level]bool)
	for _, c := range []hostcheck.Config{
		one("url-required", hostcheck.Legacy, hostcheck.Stdio), one("round-trips", hostcheck.Modern, hostcheck.Stdio),
		one("consent", hostcheck.Legacy, hostcheck.Stdio),
	} {
		r := play(t, c, func(context.Context, *testing.T, hostcheck.Launch) {}) // does nothing
		for _, c := range r.Checks {
			if c.ID == hostcheck.TaskID || c.Status == hostcheck.Skipped {
				continue
			}
			level := levels[c.ID]
			seen[level] = true
			if c.Status != severity[level] || c.Reached() {
				t.Errorf("%s (%s) is %s: %s", c.ID, level, c.Status, c.ErrorMessage)
			}
			reason, _ := c.Details["reason"].(string)
			if c.Details["untestable"] != true || reason == "" || c.ErrorMessage != "Not testable: "+reason {
				t.Errorf("%s: %q, %v", c.ID, c.ErrorMessage, c.Details)
			}
		}
	}
	for level := range severity {
		if !seen[level] && level != hostcheck.ShouldNot {
			t.Errorf("no %s was tried", level)
		}
	}
}

// A prompt that nobody answers is named where nothing more comes.
func TestVerdict_PromptIgnored(t *testing.T) {
	r := play(t, one("consent", hostcheck.Modern, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
		speak(ctx, t, launch, time.Minute)
	})
	const want = `; the prompt of call "sign-in" was not answered`
	for _, id := range []string{"A6", "P10"} {
		if c := check(t, r, id); c.Reached() || !strings.HasSuffix(c.ErrorMessage, want) {
			t.Errorf("%s is %s: %s", id, c.Status, c.ErrorMessage)
		}
	}
}

// A check that the official suite makes, too, says which of its it is.
func TestVerdict_Official(t *testing.T) {
	r := play(t, one("round-trips", hostcheck.Modern, hostcheck.Stdio), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
		speak(ctx, t, launch, time.Second)
	})
	for id, want := range map[string][]string{"B8": {"sep-2322-client-request-state-echoed"}, "P8": nil} {
		got, _ := check(t, r, id).Metadata["official"].([]string)
		if !slices.Equal(got, want) {
			t.Errorf("%s: official is %q", id, got)
		}
	}
}

// What is wrong with the calls themselves is named where nothing comes of them.
func TestVerdict_WrongCalls(t *testing.T) {
	for name, c := range map[string]struct {
		call hostcheck.Call
		want string
	}{
		"prefixed": {
			hostcheck.Call{Tool: "hostcheck__notes_search", Arguments: map[string]any{"call": "sign-in"}},
			`; it calls the tool "hostcheck__notes_search", which the server does not have`,
		},
		"no arguments": {hostcheck.Call{Tool: "notes_search"}, "; a call lacks the arguments that it is told to have"},
	} {
		t.Run(name, func(t *testing.T) {
			r := play(t, one("refusal", hostcheck.Modern, hostcheck.HTTP), func(ctx context.Context, t *testing.T, launch hostcheck.Launch) {
				launch.Task.Steps = [][]hostcheck.Call{{c.call}}
				speak(ctx, t, launch, time.Second)
			})
			if p9 := check(t, r, "P9"); p9.Reached() || !strings.Contains(p9.ErrorMessage, c.want) {
				t.Errorf("P9 is %s: %s", p9.Status, p9.ErrorMessage)
			}
		})
	}
}
