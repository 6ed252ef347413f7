package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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
	runs := 0
	var single []string
	for _, s := range hostcheck.Scenarios() {
		runs += len(s.Protocols) * len(s.Transports)
		if calls(s) == "1 call" {
			single = append(single, s.Name)
		}
	}
	if said := fmt.Sprintf("(%d times in all, several at a time)", runs); !strings.Contains(text, said) {
		t.Errorf("a host is started %d times, and it says otherwise", runs)
	}
	_, rest, _ := strings.Cut(text, "needs no more than its placeholders.")
	sentence, _, _ := strings.Cut(rest, ";")
	var said []string
	for _, m := range regexp.MustCompile("`([a-z-]+)`").FindAllStringSubmatch(sentence, -1) {
		said = append(said, m[1])
	}
	slices.Sort(said)
	if slices.Sort(single); !slices.Equal(said, single) {
		t.Errorf("it says that the scenarios of one call are %q, and they are %q", said, single)
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

// The document says which checks the official suite makes, too.
func TestDocumentMapsOfficialChecks(t *testing.T) {
	table := readText(t, guidePath)
	_, table, _ = strings.Cut(table, "\n| here | official |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	want := make(map[string]string)
	for _, r := range hostcheck.Requirements() {
		if len(r.Official) > 0 {
			want[r.ID] = "`" + strings.Join(r.Official, "`, `") + "`"
		}
	}
	got := make(map[string]string)
	for _, m := range regexp.MustCompile(`(?m)^\| ([AB][^|]*) \| (.*) \|$`).FindAllStringSubmatch(table, -1) {
		for id := range strings.SplitSeq(m[1], ", ") {
			got[id] = m[2]
		}
	}
	for id := range want {
		if got[id] != want[id] {
			t.Errorf("the table has %s for %s, which is %s", got[id], id, want[id])
		}
		delete(got, id)
	}
	if len(got) > 0 {
		t.Errorf("the table has what is not in the catalogue: %v", got)
	}
}

// What the proposals for others say of requirements is about such as there are, and their
// links lead to files.
func TestProposals(t *testing.T) {
	known := make(map[string]bool)
	for _, r := range hostcheck.Requirements() {
		known[r.ID] = true
	}
	files, err := filepath.Glob(filepath.Join(filepath.Dir(guidePath), "upstream", "*.md"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, files)
	}
	for _, file := range files {
		text := readText(t, file)
		for _, id := range regexp.MustCompile(`\b[ABP][1-9]\d*\b`).FindAllString(text, -1) {
			if !known[id] {
				t.Errorf("%s: there is no requirement %s", file, id)
			}
		}
		for _, m := range regexp.MustCompile(`\]\(([^)#]+)[^)]*\)`).FindAllStringSubmatch(text, -1) {
			if strings.HasPrefix(m[1], "https://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), filepath.FromSlash(m[1]))); err != nil {
				t.Error(err)
			}
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
	repeats(t)
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
