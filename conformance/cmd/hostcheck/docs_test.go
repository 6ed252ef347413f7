package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// guidePath is the document that host authors read.
const guidePath = "../../../docs/hostcheck.md"

func readText(t *testing.T, path string) string {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// What the document shows is what is tested here.
func TestDocumentShowsWhatIsTested(t *testing.T) {
	text := readText(t, guidePath)
	for _, path := range []string{"testdata/adapter/main.go", "testdata/host.json.tmpl"} {
		if !strings.Contains(text, "\n"+readText(t, path)+"```\n") {
			t.Errorf("it does not show %s as it is", path)
		}
	}
	for _, r := range hostcheck.Requirements() {
		if r.Revision == "profile" && !strings.Contains(text, "\n| "+r.ID+" | "+string(r.Level)+" | "+r.Name+" | "+r.Text+" |\n") {
			t.Errorf("it does not state %s as it is checked", r.ID)
		}
	}
	file := regexp.MustCompile("(?s)```yaml\n(.*?)```").FindStringSubmatch(text)
	if file == nil {
		t.Fatal("there is no file of expected failures")
	}
	if _, err := hostcheck.ReadBaseline(strings.NewReader(file[1]), hostcheck.Scenarios()); err != nil {
		t.Error(err)
	}
	names := map[string]bool{}
	for _, s := range hostcheck.Scenarios() {
		names[s.Name] = true
	}
	for _, m := range regexp.MustCompile(`--scenario (\S+)`).FindAllStringSubmatch(text+runHelp, -1) {
		if !names[m[1]] {
			t.Errorf("there is no scenario %s", m[1])
		}
	}
}

// Every link in the document leads to a file, or to a heading of its own.
func TestDocumentLinks(t *testing.T) {
	text := readText(t, guidePath)
	anchors := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)^#+ (.*)$`).FindAllStringSubmatch(text, -1) {
		anchors["#"+strings.ReplaceAll(regexp.MustCompile(`[^a-z0-9 -]`).ReplaceAllString(strings.ToLower(m[1]), ""), " ", "-")] = true
	}
	links := regexp.MustCompile(`\]\(([^)]*)\)`).FindAllStringSubmatch(text, -1)
	if len(links) < 10 {
		t.Fatalf("%d links", len(links))
	}
	for _, m := range links {
		switch link := m[1]; {
		case strings.HasPrefix(link, "#"):
			if !anchors[link] {
				t.Errorf("there is no heading %s", link)
			}
		case !strings.HasPrefix(link, "https://"):
			if _, err := os.Stat(filepath.Join(filepath.Dir(guidePath), filepath.FromSlash(link))); err != nil {
				t.Error(err)
			}
		}
	}
	// The catalogue links here.
	for _, r := range hostcheck.Requirements() {
		if page, anchor, ok := strings.Cut(r.Section.URL, "/docs/hostcheck.md"); ok && !anchors[anchor] {
			t.Errorf("%s: there is no heading %s at %s", r.ID, anchor, page)
		}
	}
}

// The adapter of the document takes part in everything that an adapter can: it
// has a hook for all that the person is asked about.
func TestDocumentedAdapter(t *testing.T) {
	t.Parallel()
	adapter := filepath.Join(t.TempDir(), "adapter.exe")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", adapter, "./testdata/adapter").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	status, out, errs := program(t, "run", "--scenario", "consent", "--scenario", "refusal", "--scenario", "parallel", "--verbose", "--", adapter)
	if status != statusOK || strings.Contains(out, "no UI hook") || !strings.Contains(out, "3 scenarios in 12 runs") {
		t.Errorf("status %d\n%s%s", status, out, errs)
	}
}
