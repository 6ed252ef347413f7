package official_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// One file of expected failures is for both suites. Each passes over the other's entries
// and finds what is stale among its own.
func TestShared_ExpectedFailures(t *testing.T) {
	const ours = "  - result-types:B20\n  - burst\n"
	for name, c := range map[string]struct {
		entries  string
		official bool   // whether the official suite is content with it
		stale    string // what it calls stale
	}{
		"nothing of the official suite's":  {"client:\n" + ours, true, ""},
		"and a scenario that passes there": {"client:\n" + ours + "  - initialize\n", false, "initialize"},
		"and a check that passes there":    {"client:\n" + ours + "  - initialize:mcp-client-initialization\n", false, "initialize:mcp-client-initialization"},
		"and a scenario that did not run":  {"client:\n" + ours + "  - auth/basic-cimd\n", true, ""},
	} {
		t.Run(name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "expected.yaml")
			if err := os.WriteFile(file, []byte(c.entries), 0o600); err != nil {
				t.Fatal(err)
			}
			cmd := exec.CommandContext(t.Context(), "node", "--import", "./node20.mjs", suiteProgram, "client",
				"--command", everythingClient, "--scenario", "initialize", "--spec-version", hostcheck.Legacy, "--expected-failures", file)
			out, err := cmd.CombinedOutput()
			if (err == nil) != c.official || !strings.Contains(string(out), c.stale) {
				t.Errorf("the official suite: %v\n%s", err, out)
			}

			e, err := hostcheck.ReadBaseline(strings.NewReader(c.entries), hostcheck.Scenarios())
			if err != nil {
				t.Fatal(err)
			}
			b := e.Compare(&hostcheck.Report{Results: []hostcheck.Result{
				{Scenario: "result-types", Checks: []hostcheck.Check{{ID: "B20", Status: hostcheck.Failure}}},
				{Scenario: "burst", Checks: []hostcheck.Check{{ID: "A23", Status: hostcheck.Success}}},
			}}, false)
			if !slices.Equal(b.Expected, []string{"result-types:B20"}) || !slices.Equal(b.Stale, []string{"burst"}) || len(b.Unexpected) > 0 {
				t.Errorf("hostcheck: %+v", b)
			}
		})
	}
}

// Every scenario that the official suite has for clients can stand in a file of ours, and
// none has the name of one of ours.
func TestShared_Names(t *testing.T) {
	out := suite(t, "list", "--client")
	names := regexp.MustCompile(`(?m)^  - (\S+)`).FindAllStringSubmatch(out, -1)
	if len(names) < 40 {
		t.Fatalf("the suite lists few scenarios:\n%s", out)
	}
	file := "client:\n"
	for _, name := range names {
		file += "  - " + name[1] + "\n"
	}
	e, err := hostcheck.ReadBaseline(strings.NewReader(file), hostcheck.Scenarios())
	if err != nil {
		t.Fatal(err)
	}
	if b := e.Compare(&hostcheck.Report{}, false); len(b.Others) != len(names) {
		t.Errorf("of %d names are another suite's: %q", len(names), b.Others)
	}
}
