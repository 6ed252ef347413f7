package official_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compare says in which checks a server behind a gate differs from the same server bare. What
// is said of a check that is excused must be the verdict there, and no other: an entry that is
// not needed any more is reported, too, and hides nothing else.
func compare(bare, gated, excused verdicts) []string {
	var problems []string
	all := maps.Clone(bare)
	maps.Copy(all, gated)
	for _, check := range slices.Sorted(maps.Keys(excused)) {
		if _, ok := all[check]; !ok {
			problems = append(problems, fmt.Sprintf("%s: excused, and no such check was made", check))
		}
	}
	for _, check := range slices.Sorted(maps.Keys(all)) {
		want, wanted := bare[check]
		got, made := gated[check]
		switch instead, excuse := excused[check]; {
		case !made:
			problems = append(problems, fmt.Sprintf("%s: not made; bare: %s", check, want))
		case !wanted:
			problems = append(problems, fmt.Sprintf("%s: %s; bare: not made", check, got))
		case excuse && got == want:
			problems = append(problems, fmt.Sprintf("%s: excused, and does not differ any more: take it off the list", check))
		case excuse && got != instead:
			problems = append(problems, fmt.Sprintf("%s: %s; excused is: %s", check, got, instead))
		case !excuse && got != want:
			problems = append(problems, fmt.Sprintf("%s: %s; bare: %s", check, got, want))
		}
	}
	return problems
}

// differing names the scenarios of problems.
func differing(problems []string) (names []string) {
	for _, problem := range problems {
		if name, _, _ := strings.Cut(problem, ":"); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// of returns the verdicts of these scenarios.
func (v verdicts) of(scenarios []string) verdicts {
	some := make(verdicts)
	for check, verdict := range v {
		if name, _, _ := strings.Cut(check, ":"); slices.Contains(scenarios, name) {
			some[check] = verdict
		}
	}
	return some
}

func TestCompare(t *testing.T) {
	bare := verdicts{"a:1": "SUCCESS", "a:2": "FAILURE: no answer", "b:1": "SKIPPED"}
	for name, c := range map[string]struct {
		gated   verdicts
		excused verdicts
		want    []string
	}{
		"the same": {gated: bare},
		"a check fails": {
			gated: verdicts{"a:1": "FAILURE: lost", "a:2": "FAILURE: no answer", "b:1": "SKIPPED"},
			want:  []string{"a:1: FAILURE: lost; bare: SUCCESS"},
		},
		"it fails otherwise": {
			gated: verdicts{"a:1": "SUCCESS", "a:2": "FAILURE: lost", "b:1": "SKIPPED"},
			want:  []string{"a:2: FAILURE: lost; bare: FAILURE: no answer"},
		},
		"it is skipped": {
			gated: verdicts{"a:1": "SKIPPED", "a:2": "FAILURE: no answer", "b:1": "SKIPPED"},
			want:  []string{"a:1: SKIPPED; bare: SUCCESS"},
		},
		"it is not made": {
			gated: verdicts{"a:1": "SUCCESS", "b:1": "SKIPPED"},
			want:  []string{"a:2: not made; bare: FAILURE: no answer"},
		},
		"another one is": {
			gated: verdicts{"a:1": "SUCCESS", "a:2": "FAILURE: no answer", "b:1": "SKIPPED", "b:2": "SUCCESS"},
			want:  []string{"b:2: SUCCESS; bare: not made"},
		},
		"excused": {
			gated:   verdicts{"a:1": "FAILURE: late", "a:2": "FAILURE: no answer", "b:1": "SKIPPED"},
			excused: verdicts{"a:1": "FAILURE: late"},
		},
		"excused for another reason": {
			gated:   verdicts{"a:1": "FAILURE: lost", "a:2": "FAILURE: no answer", "b:1": "SKIPPED"},
			excused: verdicts{"a:1": "FAILURE: late"},
			want:    []string{"a:1: FAILURE: lost; excused is: FAILURE: late"},
		},
		"excused and not made": {
			gated:   verdicts{"a:2": "FAILURE: no answer", "b:1": "SKIPPED"},
			excused: verdicts{"a:1": "FAILURE: late"},
			want:    []string{"a:1: not made; bare: SUCCESS"},
		},
		"excused in vain": {
			gated:   bare,
			excused: verdicts{"a:1": "FAILURE: late", "c:1": "FAILURE: late"},
			want: []string{
				"c:1: excused, and no such check was made",
				"a:1: excused, and does not differ any more: take it off the list",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, compare(bare, c.gated, c.excused)); diff != "" {
				t.Errorf("problems (-want +got):\n%s", diff)
			}
		})
	}
}
