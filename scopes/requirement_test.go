package scopes_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestASetIsARequirement(t *testing.T) {
	var need scopes.Requirement = scopes.Of("b", "a")
	if got := slices.Collect(need.Alternatives()); !slices.Equal(got, []scopes.Set{scopes.Of("a", "b")}) {
		t.Errorf("alternatives %q", got)
	}
	if need.String() != "a b" || need != scopes.Requirement(scopes.Of("a", "b")) {
		t.Errorf("%q", need)
	}
}

func TestAnyOfKeepsTheOrderAndDropsWhatIsSuperfluous(t *testing.T) {
	a, b, c := scopes.Of("a"), scopes.Of("b"), scopes.Of("c")
	for _, test := range []struct {
		sets []scopes.Set
		want string
	}{
		{[]scopes.Set{a}, "a"},
		{[]scopes.Set{a, a, a}, "a"},
		{[]scopes.Set{b, a}, "b, or a"},
		{[]scopes.Set{b, a, b}, "b, or a"},
		{[]scopes.Set{a.Union(b), c}, "a b, or c"},
		{[]scopes.Set{a.Union(b), c, b}, "c, or b"},
		{[]scopes.Set{b, a.Union(b)}, "b"},
		{[]scopes.Set{a, {}, b}, ""},
		{[]scopes.Set{{}}, ""},
		{[]scopes.Set{scopes.Of("or"), scopes.Of("x", "or!")}, "or, or or! x"},
	} {
		need := scopes.AnyOf(test.sets...)
		if need.String() != test.want {
			t.Errorf("AnyOf(%q) is %q, want %q", test.sets, need, test.want)
		}
		alternatives := slices.Collect(need.Alternatives())
		if again := scopes.AnyOf(alternatives...); again != need {
			t.Errorf("of the alternatives of %q comes %q", need, again)
		}
		if _, isSet := need.(scopes.Set); isSet != (len(alternatives) == 1) {
			t.Errorf("%q, with %d alternatives, is a Set: %t", need, len(alternatives), isSet)
		}
		for set := range need.Alternatives() { // may be left early
			if set != alternatives[0] {
				t.Errorf("went on to %q", set)
			}
			break
		}
		text, err := json.Marshal(need)
		if want, _ := json.Marshal(test.want); err != nil || string(text) != string(want) {
			t.Errorf("%q is marshalled as %s, %v", need, text, err)
		}
	}
}

func TestAnyOfNothingIsAMistake(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("AnyOf accepts no set at all")
		}
	}()
	scopes.AnyOf()
}

func TestCeilingIsAllThatCouldBeAskedFor(t *testing.T) {
	got := scopes.Ceiling(scopes.Of("a"), nil, scopes.AnyOf(scopes.Of("b"), scopes.Of("c", "d")), scopes.Set{})
	if want := scopes.Of("a", "b", "c", "d"); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := scopes.Ceiling(); !got.IsEmpty() {
		t.Errorf("of nothing: %q", got)
	}
}
