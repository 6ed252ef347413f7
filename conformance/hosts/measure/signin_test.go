package main

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/signin"
)

// signedIn are two sign-ins of an agent, one by each flow.
func signedIn(took time.Duration) []signin.Result {
	common := signin.Result{
		Agent: agents.Agent{Title: "An agent, `-p`"}, Version: "1.2.3", Protocol: "2025-11-25", Declares: "url, form",
		Ways: []string{"url"}, Learnt: 100 * time.Millisecond, Drawn: true, Ends: []string{"result"}, Prompts: 1,
		Answered: true, Resumes: took,
	}
	device, redirect := common, common
	device.Flow, redirect.Flow, redirect.Opened = "device", "redirect", true
	device.Left = agents.Leftovers{Own: []string{"agent daemon"}}
	return []signin.Result{device, redirect}
}

// Each trial is begun, once, and what waits longest before the others.
func TestLongestFirst(t *testing.T) {
	var chosen []signin.Trial
	for _, name := range []string{"a-tui", "a-p", "b-exec", "b-p"} {
		chosen = append(chosen, signin.Trial{Name: name})
	}
	if got, want := longestFirst(chosen), []int{1, 3, 0, 2}; !slices.Equal(got, want) {
		t.Errorf("begun in the order %v, want %v", got, want)
	}
}

// The tables say what was seen.
func TestTables(t *testing.T) {
	text := signInPage(signedIn(2 * time.Second))
	for _, want := range []string{
		"| An agent, `-p` | 1.2.3 | 2025-11-25 | url, form | URL | 1 | under 1 s | yes | resumed | 1 | 2 s | 1 of its own |\n",
		"| An agent, `-p` | URL | 1 | under 1 s | yes | yes | resumed | 1 | 2 s |\n",
		"- An agent, `-p`: agent daemon.\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page lacks %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "{{") || strings.Contains(text, headHostcheck) {
		t.Errorf("the page has places that are empty, or the heading of the next part:\n%s", text)
	}
	never := signin.Result{Agent: agents.Agent{Title: "Another"}, Flow: "device", Ends: []string{"declined", "declined"}}
	if got := deviceTable([]signin.Result{never}); !strings.Contains(got, "| not at all | 0 | – | – | ended: declined; then declined | 2 | – | none |\n") {
		t.Errorf("of one that came to nothing: %s", got)
	}
}

// What is kept has a table of its own, and no row in the others.
func TestTables_Kept(t *testing.T) {
	both := signedIn(2 * time.Second)
	one := both[0]
	one.Kept = &signin.Kept{Title: "An agent; then `-p`", First: []string{"pending"}, Next: []string{"result"}, Outlived: true, Shown: 1, Codes: 1}
	const row = "| An agent; then `-p` | 1.2.3 | 2025-11-25 | URL | ended: pending | yes | result | 1 | 1 | 0 | 2 s | 1 of its own |\n"
	if got := tables([]signin.Result{one}); !strings.HasSuffix(got, row) || strings.Count(got, "\n") != 3 {
		t.Errorf("%s", got)
	}
	text := signInPage(append(both, one))
	if !strings.Contains(text, row) || strings.Count(text, "- An agent, `-p`: agent daemon.\n") != 1 {
		t.Errorf("the page:\n%s", text)
	}
}

// The hosts that start the server for each call are those of the other tables, and each trial
// has a name of its own.
func TestKept(t *testing.T) {
	var all []agents.Agent
	for _, name := range startAnew {
		all = append(all, agents.Adapted(name, name, agents.Adapter{Calls: 3}))
	}
	names := make(map[string]bool)
	trials := kept(append(all, agents.All...))
	for _, trial := range trials {
		if names[trial.Name] || trial.Title == "" || !trial.Kept || trial.Flow != "device" || len(trial.Hosts) == 0 {
			t.Errorf("%+v", trial)
		}
		names[trial.Name] = true
	}
	if len(trials) != len(startAnew)+len(pairs) {
		t.Errorf("%d trials", len(trials))
	}
}

// The page has the words that are written here, so that one changes with the other.
func TestWords(t *testing.T) {
	raw, err := os.ReadFile("../" + page)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(raw), "\n")
	all := strings.Join([]string{opening, words, aboutHostcheck, middle, columns, aboutFailures, aboutWarnings, closing}, "\n")
	for line := range strings.SplitSeq(all, "\n") {
		if !strings.HasPrefix(line, "{{") && !slices.Contains(lines, line) {
			t.Errorf("the page lacks: %s", line)
		}
	}
}

// Times may differ, and nothing else may.
func TestCompare_TimesApart(t *testing.T) {
	page := signInPage(signedIn(2 * time.Second))
	tables := func(results []signin.Result) string { return deviceTable(results) + redirectTable(results) }
	if err := compareRows(page, tables(signedIn(47*time.Second))); err != nil {
		t.Errorf("another time: %v", err)
	}
	if timeless(page) != timeless(signInPage(signedIn(5*time.Minute))) {
		t.Error("another time, the whole page")
	}
	other := signedIn(2 * time.Second)
	other[1].Prompts = 2
	if err := compareRows(page, tables(other)); err == nil || strings.Count(err.Error(), "\n") != 0 {
		t.Errorf("one row differs, and this is told: %v", err)
	}
}

// Each part of the page is put in its place, and leaves the other alone.
func TestReplace(t *testing.T) {
	page := opening + headSignIn + "one\n" + headHostcheck + "two\n"
	for part, want := range map[string]string{
		partSignIn:    opening + headSignIn + "new\n" + headHostcheck + "two\n",
		partHostcheck: opening + headSignIn + "one\n" + headHostcheck + "new\n",
	} {
		head := map[string]string{partSignIn: headSignIn, partHostcheck: headHostcheck}[part]
		if got, err := replace(page, part, head+"new\n"); err != nil || got != want {
			t.Errorf("%s: %v\n%s", part, err, got)
		}
	}
	if _, err := replace("nothing", partSignIn, ""); err == nil {
		t.Error("a page without headings is written")
	}
}

// What cannot be meant is refused.
func TestParse(t *testing.T) {
	for _, args := range [][]string{{"codex"}, {"-part", "all"}, {"-at-once", "0"}, {"-no-such-flag"}, {"-from", "x"}} {
		if o, err := parse(args); err == nil {
			t.Errorf("%q is taken for %+v", args, o)
		}
	}
	if o, err := parse([]string{"-part", "signin", "-check", "codex-tui"}); err != nil || !o.check || len(o.names) != 1 || o.atOnce < 1 {
		t.Errorf("%+v, %v", o, err)
	}
	if _, err := named([]string{"nobody"}, agents.All, func(a agents.Agent) string { return a.Name }); err == nil {
		t.Error("nobody is measured")
	}
}

// What differs is measured once more, and nothing else is; what differs then, too, is told.
func TestCompareTwice(t *testing.T) {
	page := signInPage(signedIn(2 * time.Second))
	results, other := signedIn(47*time.Second), signedIn(2*time.Second)
	chosen := make([]signin.Trial, len(results))
	for i := range chosen {
		chosen[i].Name = fmt.Sprint(i)
	}
	other[1].Prompts = 2
	for _, test := range []struct {
		first, then []signin.Result
		again, ok   bool
	}{{results, nil, false, true}, {other, results[1:2], true, true}, {other, other[1:2], true, false}} {
		var again []signin.Trial
		err := compareTwice(page, chosen, test.first, func(trials []signin.Trial) ([]signin.Result, error) {
			again = trials
			return test.then, nil
		})
		if (err == nil) != test.ok || (len(again) == 1 && again[0].Name == "1") != test.again || len(again) > 1 {
			t.Errorf("made again: %v; %v", again, err)
		}
	}
}
