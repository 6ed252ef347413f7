package official_test

import (
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// compare says in which checks a server behind a gate differs from the same server bare. A
// check that is excused must differ: an entry that is not needed any more is reported, too.
func compare(bare, gated verdicts, excused []string) []string {
	var problems []string
	all := maps.Clone(bare)
	maps.Copy(all, gated)
	for _, check := range excused {
		if _, ok := all[check]; !ok {
			problems = append(problems, fmt.Sprintf("%s: excused, and no such check was made", check))
		}
	}
	for _, check := range slices.Sorted(maps.Keys(all)) {
		want, wanted := bare[check]
		got, made := gated[check]
		switch excuse := slices.Contains(excused, check); {
		case !made:
			problems = append(problems, fmt.Sprintf("%s: not made; bare: %s", check, want))
		case !wanted:
			problems = append(problems, fmt.Sprintf("%s: %s; bare: not made", check, got))
		case excuse && got == want:
			problems = append(problems, fmt.Sprintf("%s: excused, and does not differ any more: take it off the list", check))
		case !excuse && got != want:
			problems = append(problems, fmt.Sprintf("%s: %s; bare: %s", check, got, want))
		}
	}
	return problems
}

func TestCompare(t *testing.T) {
	bare := verdicts{"a:1": "SUCCESS", "a:2": "FAILURE: no answer", "b:1": "SKIPPED"}
	for name, c := range map[string]struct {
		gated   verdicts
		excused []string
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
			excused: []string{"a:1"},
		},
		"excused and not made": {
			gated:   verdicts{"a:2": "FAILURE: no answer", "b:1": "SKIPPED"},
			excused: []string{"a:1"},
			want:    []string{"a:1: not made; bare: SUCCESS"},
		},
		"excused in vain": {
			gated:   bare,
			excused: []string{"a:1", "c:1"},
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
