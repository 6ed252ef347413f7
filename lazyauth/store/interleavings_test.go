package store_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/storetest"
)

var (
	updateInterleavings = flag.Bool("update", false, "write the counterexamples anew")
	deepInterleavings   = flag.Bool("deep", false, "explore more that may happen at once, for some minutes")
)

func whole(s store.Shared) store.Shared { return s }

func without(t *testing.T, guard string) func(store.Shared) store.Shared {
	return func(s store.Shared) store.Shared {
		w, err := storetest.Without(s, guard)
		return must(t, w, err)
	}
}

// Two machines, in every order of their steps, with deaths, lost answers, pauses of all lengths that
// matter, and steps of the store's clock: G1 to G6 hold. See docs/design.md for what is assumed.
func TestInterleavings_Hold(t *testing.T) {
	for _, c := range []struct {
		what    string
		program *program
		budgets []budgets
		deep    budgets
	}{
		{"one refresh each", refreshes(trial{times: 1}), []budgets{{kills: 1, losses: 1}, {kills: 1, pauses: 1}, {losses: 1, steps: 1}, {pauses: 2}, {pauses: 1, steps: 1}, {delays: 1}}, budgets{kills: 1, pauses: 2, steps: 1}},
		{"one refresh each, with a grace", refreshes(trial{times: 1, grace: true}), []budgets{{kills: 1, losses: 1}, {kills: 1, pauses: 1}, {pauses: 1, steps: 1}}, budgets{kills: 1, losses: 1, pauses: 1, steps: 1}},
		{"two refreshes each", refreshes(trial{times: 2}), []budgets{{kills: 1}, {losses: 1}, {pauses: 1}, {steps: 1}, {delays: 1}}, budgets{kills: 1, losses: 1, pauses: 1}},
		{"two refreshes each, with a grace", refreshes(trial{times: 2, grace: true}), []budgets{{pauses: 1}}, budgets{kills: 1, losses: 1, pauses: 1}},
		{"one refresh for both", refreshes(trial{times: 1, known: true}), []budgets{{kills: 1, losses: 1}, {kills: 1, pauses: 1}, {losses: 1, steps: 1}, {pauses: 2}, {pauses: 1, steps: 1}, {delays: 1}}, budgets{kills: 1, pauses: 2, steps: 1}},
		{"a refresh and an end", ends(), []budgets{{kills: 1, pauses: 1}, {losses: 1, pauses: 1}, {pauses: 1, steps: 1}, {delays: 1, pauses: 1}}, budgets{kills: 1, losses: 1, pauses: 1, steps: 1}},
		{"two polls each", polls(2), []budgets{{kills: 1, pauses: 1}, {losses: 1, pauses: 1}, {pauses: 1, steps: 1}, {delays: 1, pauses: 1}}, budgets{kills: 1, losses: 1, pauses: 1, steps: 1}},
		{"two polls each, and the second brings the token", polls(1), []budgets{{pauses: 2}}, budgets{kills: 1, losses: 1, pauses: 2}},
		{"the start of a handler", starts(), []budgets{{kills: 1, losses: 1, steps: 1}, {delays: 1, losses: 1}}, budgets{kills: 1, losses: 2, pauses: 1, steps: 1}},
	} {
		switch {
		case raceDetector: // which is ten times slower; it has been here, too
			c.budgets = c.budgets[:1]
		case *deepInterleavings:
			c.budgets = append(c.budgets, c.deep)
		}
		for _, b := range c.budgets {
			t.Run(c.what+": "+b.String(), func(t *testing.T) {
				trace, runs := explore(t, c.program, b, whole)
				t.Logf("%d executions", runs)
				if trace != nil {
					t.Errorf("after %d executions:\n%s", runs, strings.Join(trace, "\n"))
				}
			})
		}
	}
}

// Each guard is needed: with it taken out something is violated, and testdata has in what way.
func TestInterleavings_Counterexamples(t *testing.T) {
	for _, c := range []struct {
		name    string
		program *program
		budgets budgets
		without func(store.Shared) store.Shared
	}{
		{"fence", refreshes(trial{times: 2, grace: true}), budgets{pauses: 1}, without(t, "fence")},
		{"fence-end", ends(), budgets{}, without(t, "fence")},
		{"fence-poll", polls(1), budgets{pauses: 2}, without(t, "fence")},
		{"begin", refreshes(trial{times: 1}), budgets{}, without(t, "begin")},
		{"begin-poll", polls(2), budgets{}, without(t, "begin")},
		{"start", starts(), budgets{}, without(t, "start")},
		{"deadline", refreshes(trial{times: 1}), budgets{pauses: 1}, without(t, "deadline")},
		{"deadline-asked", refreshes(trial{times: 2, blind: true}), budgets{pauses: 1}, whole},
	} {
		t.Run(c.name, func(t *testing.T) {
			trace, runs := explore(t, c.program, c.budgets, c.without)
			if trace == nil {
				t.Fatalf("nothing is violated in %d executions", runs)
			}
			text := fmt.Sprintf("Without: %s. %v.\n\n%s\n", c.name, c.budgets, strings.Join(trace, "\n"))
			file := filepath.Join("testdata", "interleavings", c.name+".txt")
			if *updateInterleavings {
				if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			kept, err := os.ReadFile(file)
			if string(must(t, kept, err)) != text {
				t.Errorf("found was another one than is kept (-update writes it):\n%s", text)
			}
		})
	}
}
