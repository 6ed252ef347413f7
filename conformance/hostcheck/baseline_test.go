package hostcheck_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// known are the scenarios of the baselines here.
var known = []hostcheck.Scenario{
	{Name: "consent", Checks: []string{"A10", "A11"}},
	{Name: "waiting", Checks: []string{"P1", "P2"}},
	{Name: "parallel", Checks: []string{"P7"}},
}

func readBaseline(t *testing.T, text string) *hostcheck.Expectations {
	t.Helper()
	e, err := hostcheck.ReadBaseline(strings.NewReader(text), known)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// ran is a report of runs, each a scenario and then checks with statuses.
func ran(runs ...[]string) *hostcheck.Report {
	r := &hostcheck.Report{}
	for _, run := range runs {
		result := hostcheck.Result{Scenario: run[0]}
		for i := 1; i < len(run); i += 2 {
			result.Checks = append(result.Checks, hostcheck.Check{ID: run[i], Status: hostcheck.Status(run[i+1])})
		}
		r.Results = append(r.Results, result)
	}
	return r
}

func TestBaseline_Compares(t *testing.T) {
	const (
		pass, fail, warn, skip, info = "SUCCESS", "FAILURE", "WARNING", "SKIPPED", "INFO"
	)
	for _, story := range []struct {
		name                        string
		file                        string
		report                      *hostcheck.Report
		strict                      bool
		expected, unexpected, stale string
		others                      string
	}{
		{name: "an empty file expects nothing", report: ran([]string{"consent", "A10", fail, "A11", pass}), unexpected: "consent:A10"},
		{name: "a whole scenario may fail", file: "client:\n  - consent\n",
			report: ran([]string{"consent", "A10", fail, "A11", fail}, []string{"waiting", "P1", fail}), expected: "consent", unexpected: "waiting:P1"},
		{name: "a check may fail, the others of its scenario may not", file: "client: [consent:A10]",
			report: ran([]string{"consent", "A10", fail, "A11", fail}), expected: "consent:A10", unexpected: "consent:A11"},
		{name: "what passes is stale", file: "client: [consent:A10, waiting]",
			report: ran([]string{"consent", "A10", pass, "A11", pass}, []string{"waiting", "P1", pass}), stale: "consent:A10 waiting"},
		{name: "failing once is failing", file: "client: [consent:A10]",
			report: ran([]string{"consent", "A10", pass}, []string{"consent", "A10", fail}, []string{"consent", "A10", pass}), expected: "consent:A10"},
		{name: "what fails twice is named once", report: ran([]string{"consent", "A10", fail}, []string{"consent", "A10", fail}), unexpected: "consent:A10"},
		{name: "what was skipped or did not run says nothing", file: "client: [consent:A10, consent:A11, waiting, parallel:P7]",
			report: ran([]string{"consent", "A10", skip, "A11", info}, []string{"waiting", "P1", skip})},
		{name: "passing once and being skipped otherwise is passing", file: "client: [consent:A10, waiting]",
			report: ran([]string{"consent", "A10", pass}, []string{"consent", "A10", skip}, []string{"waiting", "P1", pass, "P2", info}), stale: "consent:A10 waiting"},
		{name: "a warning need not be expected", report: ran([]string{"waiting", "P2", warn})},
		{name: "but can be", file: "client: [waiting:P2]", report: ran([]string{"waiting", "P2", warn}), expected: "waiting:P2"},
		{name: "and has to be if warnings fail", strict: true, report: ran([]string{"waiting", "P2", warn}), unexpected: "waiting:P2"},
		{name: "another suite's entries say nothing here", file: "client: [auth/basic-cimd, sse-retry:client-sse-retry-timing, consent:A10, waiting]",
			report:   ran([]string{"consent", "A10", fail}, []string{"waiting", "P1", pass}, []string{"parallel", "P7", fail}),
			expected: "consent:A10", unexpected: "parallel:P7", stale: "waiting", others: "auth/basic-cimd sse-retry:client-sse-retry-timing"},
		{name: "the list of servers is for others", file: "server:\n  - tools-list\n", report: ran([]string{"parallel", "P7", pass})},
	} {
		t.Run(story.name, func(t *testing.T) {
			b := readBaseline(t, story.file).Compare(story.report, story.strict)
			for _, list := range []struct {
				name, want string
				got        []string
			}{{"expected", story.expected, b.Expected}, {"unexpected", story.unexpected, b.Unexpected}, {"stale", story.stale, b.Stale}, {"others", story.others, b.Others}} {
				if got := strings.Join(list.got, " "); got != list.want {
					t.Errorf("%s: %q, want %q", list.name, got, list.want)
				}
				if list.got == nil {
					t.Errorf("%s is null in JSON", list.name)
				}
			}
			story.report.Baseline = b
			if want := story.unexpected == "" && story.stale == ""; b.OK() != want || story.report.OK(story.strict) != want {
				t.Errorf("OK: %v, %v, want %v", b.OK(), story.report.OK(story.strict), want)
			}
		})
	}
}

func TestBaseline_ReportOK(t *testing.T) {
	for _, test := range []struct {
		status             string
		relaxed, ifWarning bool
	}{{"FAILURE", false, false}, {"WARNING", true, false}, {"SUCCESS", true, true}, {"SKIPPED", true, true}, {"INFO", true, true}} {
		r := ran([]string{"consent", "A10", "SUCCESS", "A11", test.status})
		if r.OK(false) != test.relaxed || r.OK(true) != test.ifWarning {
			t.Errorf("%s: %v, strict %v", test.status, r.OK(false), r.OK(true))
		}
	}
}

// What is wrong with a file is told with its line and what is allowed there.
func TestBaseline_Refuses(t *testing.T) {
	for _, test := range []struct{ file, says string }{
		{"client:\n  - consent\n  - sonsent\n", `line 3: there is no scenario "sonsent"; is consent meant? There are: consent, waiting, parallel`},
		{"client:\n  - cosnent\n", `line 2: there is no scenario "cosnent"; is consent meant?`},
		{"client:\n  - Waiting:P1\n", `line 2: there is no scenario "Waiting"; is waiting meant?`},
		{"client:\n  - waitng\n", `line 2: there is no scenario "waitng"; is waiting meant?`},
		{"client:\n  - consent-2025-11-25-http\n", `line 2: there is no scenario "consent-2025-11-25-http"; is consent meant?`},
		{"client:\n  - consent:A99\n", `line 2: scenario consent has no check "A99"; it has: A10, A11`},
		{"client:\n  - consent: A11\n", `line 2: an entry is "scenario" or "scenario:check-id"; write "consent:A11", without a space`},
		{"client:\n  - consent:\n", `line 2: an entry is`},
		{"client:\n  - \"consent:\"\n", `"consent:": an entry is`},
		{"client:\n  - \":A11\"\n", `":A11": an entry is`},
		{"client:\n  -\n", `line 2: an entry is`},
		{"client:\n  - [consent]\n", `line 2: an entry is`},
		{"client:\n  - {consent: A11, waiting: P1}\n", `line 2: an entry is`},
		{"client:\n  - consent\n  - consent\n", "line 3: consent is there already, on line 2"},
		{"client:\n  - consent\n  - waiting\n  - consent:A11\n", "line 4: consent:A11 and consent on line 2: the whole scenario includes the check"},
		{"client:\n  - consent:A11\n  - consent\n", "line 3: consent and consent:A11 on line 2"},
		{"clients:\n  - consent\n", `line 1: unknown key "clients"; the list of what a host may fail is named client`},
		{"client: consent\n", "line 1: client is a list"},
		{"client: [consent]\nclient: [waiting]\n", "line 2: the list client is there already, on line 1"},
		{"- consent\n", "line 1: the file is a mapping"},
		{"client: [consent]\n---\nclient: [waiting]\n", "more than one YAML document"},
		{"client: [consent\n", "not YAML: line"},
		{"client:\n  - &a consent\n  - *a\n", "line 3: an entry is"},
		{strings.Repeat("#", 1<<20+1), "more than 1048576 bytes"},
	} {
		_, err := hostcheck.ReadBaseline(strings.NewReader(test.file), known)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%q: %v\nwant: %s", test.file[:min(len(test.file), 80)], err, test.says)
		}
	}
	for _, file := range []string{"", "# nothing yet\n", "client:\n", "client: []\n", "server: [anything]\n", "~\n"} {
		if _, err := hostcheck.ReadBaseline(strings.NewReader(file), known); err != nil {
			t.Errorf("%q: %v", file, err)
		}
	}
}

// Whatever a file holds, what it expects is among what there is.
func FuzzReadBaseline(f *testing.F) {
	for _, seed := range []string{"client:\n  - consent\n  - waiting:P1\n", "client: [consent: A11]", "- consent", "client: &a [*a]", "client: {a: b}", "client: [auth/basic-cimd, initialize:x]", "\xff", "---\n---\n"} {
		f.Add(seed)
	}
	all := ran([]string{"consent", "A10", "FAILURE", "A11", "FAILURE"}, []string{"waiting", "P1", "FAILURE", "P2", "FAILURE"}, []string{"parallel", "P7", "FAILURE"})
	f.Fuzz(func(t *testing.T, file string) {
		e, err := hostcheck.ReadBaseline(strings.NewReader(file), known)
		if err != nil {
			return
		}
		b := e.Compare(all, true)
		for _, entry := range b.Expected {
			scenario, check, perCheck := strings.Cut(entry, ":")
			if !slices.ContainsFunc(known, func(s hostcheck.Scenario) bool {
				return s.Name == scenario && (!perCheck || slices.Contains(s.Checks, check))
			}) {
				t.Errorf("%q expects %q", file, entry)
			}
		}
		if len(b.Stale) > 0 {
			t.Errorf("%q: stale although everything failed: %q", file, b.Stale)
		}
	})
}
