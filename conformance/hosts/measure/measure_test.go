package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// saw is a measurement of a host, mcp-go unless it is changed, with these checks
// in two scenarios over stdio.
func saw(first, second []hostcheck.Check) measurement {
	result := func(name string, checks []hostcheck.Check) hostcheck.Result {
		return hostcheck.Result{
			Scenario: name, Protocol: hostcheck.Modern, Transport: hostcheck.Stdio, Started: time.Now(), Checks: checks,
		}
	}
	return measurement{hosts[1], "1.2.3", &hostcheck.Report{Results: []hostcheck.Result{result("one", first), result("two", second)}}}
}

func check(id string, status hostcheck.Status, message string) hostcheck.Check {
	return hostcheck.Check{ID: id, Status: status, ErrorMessage: message}
}

// judged are all failures as they are judged in mcp-go.
func judged() []hostcheck.Check {
	var checks []hostcheck.Check
	for id, j := range judgements["mcp-go"] {
		checks = append(checks, check(id, hostcheck.Failure, j.found))
	}
	return checks
}

// A requirement is as bad as its worst scenario; one that was decided anywhere
// is decided.
func TestTally(t *testing.T) {
	m := saw([]hostcheck.Check{
		check("B8", hostcheck.Failure, missing+": the host exited"),
		check("B9", hostcheck.Success, ""),
		check("B10", hostcheck.Failure, missing+": the host exited"),
		check("B11", hostcheck.Info, ""),
		check("B5", hostcheck.Failure, "decided by the adapter"),
	}, []hostcheck.Check{
		check("B8", hostcheck.Success, ""),
		check("B9", hostcheck.Warning, "no"),
		check("B10", hostcheck.Skipped, ""),
		check("B11", hostcheck.Failure, "the same id"),
	})
	got := m.tally()[place{hostcheck.Modern, hostcheck.Stdio}]
	want := map[string]verdict{"B8": passed, "B9": warned, "B10": unreached, "B11": failed}
	if len(got) != len(want) {
		t.Errorf("%d requirements count, want %d: what is left aside does not", len(got), len(want))
	}
	for id, v := range want {
		if got[id].verdict != v {
			t.Errorf("%s came to %d, want %d", id, got[id].verdict, v)
		}
	}
}

// Every failure has a judgement that speaks of what was found, and every
// judgement a failure.
func TestUnsettled(t *testing.T) {
	if open := unsettled([]measurement{saw(judged(), nil)}); len(open) > 0 {
		t.Errorf("all is judged, and these are open: %q", open)
	}
	for name, tt := range map[string]struct {
		checks []hostcheck.Check
		want   string
	}{
		"a failure without judgement": {append(judged(), check("B8", hostcheck.Failure, "the retry lacks the state")), "B8 failed and has no judgement"},
		"a failure that is another": {
			append(judged(), check("B15", hostcheck.Failure, "something else")), "B15 failed and has no judgement",
		},
		"a judgement without failure": {nil, "B15 is judged and does not fail"},
	} {
		open := strings.Join(unsettled([]measurement{saw(tt.checks, nil)}), "\n")
		if !strings.Contains(open, tt.want) {
			t.Errorf("%s: open are %q", name, open)
		}
		if strings.Contains(name, "judgement without") {
			continue
		}
		if page := write([]measurement{saw(tt.checks, nil)}); !strings.Contains(page, "**Not judged yet:**") {
			t.Errorf("%s: the page does not say so", name)
		}
	}
}

// The page counts what is excused apart from what failed, says what is not
// spoken, and does not depend on when it is written.
func TestPage(t *testing.T) {
	m := saw(judged(), []hostcheck.Check{check("B8", hostcheck.Success, ""), check("B22", hostcheck.Warning, "no")})
	m.protocols = []string{hostcheck.Modern}
	page := write([]measurement{m})
	var rulings [2]int
	for _, j := range judgements["mcp-go"] {
		rulings[j.ruling]++
	}
	row := fmt.Sprintf("| mcp-go | 2026-07-28 | stdio | 1 | %d | %d | 1 | 0 | 0 | 0 |\n", rulings[upheld], rulings[excused])
	for _, want := range []string{
		"| mcp-go | 2025-11-25 | | does not speak it |\n",
		row,
		"`github.com/mark3labs/mcp-go` 1.2.3",
		"- **B22 restarts a dead server** (SHOULD): mcp-go (2026-07-28 over stdio). " + warnings["B22"][:20],
	} {
		if !strings.Contains(page, want) {
			t.Errorf("the page lacks %q:\n%s", want, page)
		}
	}
	later := saw(judged(), []hostcheck.Check{check("B8", hostcheck.Success, ""), check("B22", hostcheck.Warning, "no")})
	later.protocols = m.protocols
	later.report.Took = time.Hour
	if write([]measurement{later}) != page {
		t.Error("the page differs from one time to the next")
	}
	if got := difference(page, strings.Replace(page, row, "| another |\n", 1)); strings.Count(got, "\n") != 2 {
		t.Errorf("one line differs, and this is told: %q", got)
	}
}

// What is said of requirements is said of those that there are.
func TestNames(t *testing.T) {
	known := make(map[string]bool)
	for _, r := range hostcheck.Requirements() {
		known[r.ID] = true
	}
	names := make(map[string]bool)
	for _, h := range hosts {
		names[h.name] = true
		for id := range h.aside {
			if !known[id] {
				t.Errorf("%s: %s is left aside and does not exist", h.name, id)
			}
			if _, ok := judgements[h.name][id]; ok {
				t.Errorf("%s: %s is judged and left aside", h.name, id)
			}
		}
	}
	for name, list := range judgements {
		for id := range list {
			if !names[name] || !known[id] {
				t.Errorf("there is a judgement on %s of %s", id, name)
			}
		}
	}
}
