package official_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

// The checks of hostcheck that are said to be the official suite's as well are: it makes
// each of them when it examines a client. One that it has renamed fails here.
func TestMerging_IDs(t *testing.T) {
	made := make(map[string]bool)
	for _, e := range eras {
		for _, id := range ids(t, officialResults(t, e.revision)) {
			made[id] = true
		}
	}
	mapped := 0
	for _, r := range hostcheck.Requirements() {
		for _, id := range r.Official {
			mapped++
			if !made[id] {
				t.Errorf("%s (%s) is said to be %s, which the official suite does not make", r.ID, r.Name, id)
			}
			if r.Revision == "profile" {
				t.Errorf("%s is of the lazy-auth profile, and cannot be the official %s", r.ID, id)
			}
		}
	}
	if mapped == 0 {
		t.Error("no check is said to be the official suite's")
	}
}

// ids are those of all checks in a folder of results.
func ids(t *testing.T, folder string) []string {
	t.Helper()
	all := make(map[string]bool)
	for _, file := range checkFiles(t, folder) {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		var checks []hostcheck.Check
		if err := json.Unmarshal(text, &checks); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		for _, c := range checks {
			all[c.ID] = true
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// A scored is what tier-check says of all that it read.
type scored struct {
	Passed, Failed, Total int
	NotScored             struct{ Total, Failed int } `json:"not_scored"`
	Details               []struct {
		Scenario     string
		Passed       bool
		ChecksPassed int `json:"checks_passed"`
		ChecksFailed int `json:"checks_failed"`
	}
}

// tierCheck has the suite's tier-check examine the client, with a folder of other results
// beside its own: see beside.mjs.
func tierCheck(t *testing.T, beside string, args ...string) scored {
	t.Helper()
	hook, err := filepath.Abs("beside.mjs")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("BESIDE", beside)
	t.Setenv("NODE_OPTIONS", "--import "+hook)
	t.Setenv("TMPDIR", t.TempDir()) // it leaves its folders behind
	cmd := exec.CommandContext(t.Context(), "node", append([]string{
		suiteProgram, "tier-check", "--repo", "example/example", "--token", "none", "--client-cmd", everythingClient, "--output", "json",
	}, args...)...)
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	_ = cmd.Run() // its status says that a scenario failed, which is read below
	var card struct {
		Checks struct {
			Client json.RawMessage `json:"client_conformance"`
		}
	}
	var client scored
	err = json.Unmarshal(out.Bytes(), &card)
	if err == nil {
		err = json.Unmarshal(card.Checks.Client, &client)
	}
	if err != nil {
		t.Fatalf("%v in %s%s", err, &out, &log)
	}
	t.Logf("tier-check says of the client: %s", card.Checks.Client)
	return client
}

// The official tier report reads hostcheck's results beside its own. Against what a
// revision requires it reports them and does not score them: its sets of scenarios are
// frozen. Without --requirements it scores every scenario that it does not know.
func TestMerging_TierCheck(t *testing.T) {
	for _, e := range eras {
		t.Run(e.revision, func(t *testing.T) {
			r, folder := ourResults(t, e.revision)
			ours := judgedByTier(r)
			got := tierCheck(t, folder, "--requirements", e.revision)
			if want := len(requiredOfClients(t, e.revision)); got.Total != want || got.Failed > 0 {
				t.Errorf("scored: %d of %d passed, %d are required", got.Passed, got.Total, want)
			}
			read := make(map[string]bool)
			for _, d := range got.Details {
				if _, ok := ours[d.Scenario]; ok {
					read[d.Scenario] = d.Passed
				}
			}
			if !maps.Equal(read, ours) {
				t.Errorf("it read %v, and hostcheck said %v", read, ours)
			}
			if others := len(got.Details) - got.Total - len(ours); got.NotScored.Total != others+len(ours) || others <= 0 {
				t.Errorf("not scored: %+v of %d; %d are ours", got.NotScored, len(got.Details), len(ours))
			}
			if e.revision != hostcheck.Modern {
				return
			}
			// What the client fails of ours, and of nothing else, counts there.
			if loose := tierCheck(t, folder); loose.Failed != failing(ours) || loose.Failed == 0 {
				t.Errorf("without --requirements %d failed: README.md says otherwise", loose.Failed)
			}
		})
	}
}

// failing is how many of the scenarios did not pass.
func failing(passed map[string]bool) (n int) {
	for _, ok := range passed {
		if !ok {
			n++
		}
	}
	return n
}

// judgedByTier is how the tier report has to judge the runs of a report, by the names that
// their folders give them: one passes if no MUST of MCP failed, and something passed.
func judgedByTier(r *hostcheck.Report) map[string]bool {
	all := make(map[string]bool)
	for _, result := range r.Results {
		failed, passed := 0, 0
		for _, c := range result.Checks {
			switch {
			case c.Profile():
			case c.Status == hostcheck.Failure:
				failed++
			case c.Status == hostcheck.Success:
				passed++
			}
		}
		all[strings.Join([]string{result.Scenario, result.Protocol, result.Transport}, "-")] = failed == 0 && passed > 0
	}
	return all
}

// The official traceability manifest is made of both results at once, and of hostcheck's
// alone if they have the official ids: it has all requirements that both suites check.
func TestMerging_Traceability(t *testing.T) {
	r, ours := ourResults(t, hostcheck.Modern, "round-trips", "parallel", "references", "mirrored")
	both := t.TempDir()
	for name, from := range map[string]string{"official": officialResults(t, hostcheck.Modern), "hostcheck": ours} {
		if err := os.CopyFS(filepath.Join(both, name), os.DirFS(from)); err != nil {
			t.Fatal(err)
		}
	}
	named := t.TempDir()
	if err := report.Write(named, r, report.Options{OfficialIDs: true}); err != nil {
		t.Fatal(err)
	}
	t.Run("both", func(t *testing.T) { trace(t, both, "") })
	// The client calls by name, and does not say that it calls no tool that its list does
	// not have: B43 is skipped.
	t.Run("hostcheck's alone", func(t *testing.T) { trace(t, named, "B43") })
}

// trace has the suite make the manifest of a folder of results, and fails where a
// requirement that both suites check is not tested, but for one.
func trace(t *testing.T, folder, but string) {
	t.Helper()
	work := t.TempDir()
	declared := declare(t, work, but)
	program, err := filepath.Abs(suiteProgram)
	if err != nil {
		t.Fatal(err)
	}
	hook, err := filepath.Abs("node20.mjs")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), "node", "--import", hook, program, "traceability", "--results", folder, "--strict")
	cmd.Dir = work
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	text, err := os.ReadFile(filepath.Join(work, "src", "seps", "traceability.json"))
	if err != nil {
		t.Fatal(err)
	}
	var manifest struct {
		Seps map[string]struct {
			Requirements []struct{ Check, Status string }
		}
	}
	if err := json.Unmarshal(text, &manifest); err != nil {
		t.Fatal(err)
	}
	t.Logf("traceability says:\n%s", text)
	tested := make(map[string]bool)
	for _, sep := range manifest.Seps {
		for _, r := range sep.Requirements {
			tested[r.Check] = r.Status == "tested"
		}
	}
	for _, id := range declared {
		if !tested[id] {
			t.Errorf("%s is not tested, says the manifest:\n%s", id, text)
		}
	}
}

// declare writes the requirements that both suites check, but for one, as the official
// suite declares those of a SEP, and returns the ids of the checks.
func declare(t *testing.T, folder, but string) []string {
	t.Helper()
	folder = filepath.Join(folder, "src", "seps")
	if err := os.MkdirAll(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	ofSEP := regexp.MustCompile(`^sep-(\d+)-`)
	files, all := make(map[string]string), []string(nil)
	for _, r := range hostcheck.Requirements() {
		if r.ID == but {
			continue
		}
		for _, id := range r.Official {
			sep := ofSEP.FindStringSubmatch(id)
			if sep == nil || slices.Contains(all, id) {
				continue
			}
			all = append(all, id)
			name := filepath.Join(folder, "sep-"+sep[1]+".yaml")
			if files[name] == "" {
				files[name] = fmt.Sprintf("sep: %s\nrequirements:\n", sep[1])
			}
			files[name] += fmt.Sprintf("  - check: %s\n    text: %q\n    url: %s\n", id, r.Text, r.Section.URL)
		}
	}
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return all
}
