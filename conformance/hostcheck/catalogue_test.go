package hostcheck_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// retired are the IDs of requirements that are told otherwise now. None is given to
// another.
var retired = []string{"B4", "B32", "B33", "P13"}

// The catalogue is complete, in order, and says where each requirement is from.
func TestCatalogue(t *testing.T) {
	var want []string
	for _, series := range []struct {
		letter string
		n      int
	}{{"A", 58}, {"B", 48}, {"P", 19}} {
		for i := range series.n {
			if id := fmt.Sprint(series.letter, i+1); !slices.Contains(retired, id) {
				want = append(want, id)
			}
		}
	}
	var got []string
	for _, r := range hostcheck.Requirements() {
		got = append(got, r.ID)
		prefix := "https://modelcontextprotocol.io/specification/" + r.Revision + "/"
		if r.Revision == "profile" {
			prefix = "https://github.com/lazyauth/mcp-lazyauth/"
		}
		if !strings.HasPrefix(r.Section.URL, prefix) || r.Section.ID == "" {
			t.Errorf("%s: its section is %v", r.ID, r.Section)
		}
		if r.Name == "" || !strings.HasSuffix(r.Text, ".") || len(r.Observed) == 0 || r.Level == "" {
			t.Errorf("%s is not complete: %+v", r.ID, r)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("the catalogue has %v", got)
	}
}

// A requirement is decided by a scenario, or says why it is not; a scenario
// decides what is in the catalogue.
func TestEveryRequirementIsDecidedOrExcused(t *testing.T) {
	decided := make(map[string]bool)
	names := make(map[string]bool)
	for _, s := range hostcheck.Scenarios() {
		if names[s.Name] || s.Title == "" || s.Description == "" || s.Ask == "" {
			t.Errorf("scenario %q is not complete, or there are two", s.Name)
		}
		names[s.Name] = true
		for _, id := range s.Checks {
			decided[id] = true
		}
	}
	for _, r := range hostcheck.Requirements() {
		decided[r.ID] = decided[r.ID] || r.Everywhere
		if decided[r.ID] == (r.Reason != "") {
			t.Errorf("%s: decided %v, reason %q", r.ID, decided[r.ID], r.Reason)
		}
		delete(decided, r.ID)
	}
	if len(decided) > 0 {
		t.Errorf("scenarios decide what is not in the catalogue: %v", decided)
	}
}

func TestCoverage(t *testing.T) {
	implemented, observable := hostcheck.Coverage()
	if implemented*100 < observable*85 {
		t.Errorf("%d of %d wire-observable requirements are decided", implemented, observable)
	}
}
