package scopes_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestAllOf(t *testing.T) {
	a, b, c, d := scopes.Of("a"), scopes.Of("b"), scopes.Of("c"), scopes.Of("d")
	for _, test := range []struct {
		needs []scopes.Requirement
		want  string
	}{
		{[]scopes.Requirement{a}, "a"},
		{[]scopes.Requirement{a, b, a}, "a b"},
		{[]scopes.Requirement{scopes.Set{}}, ""},
		{[]scopes.Requirement{a, scopes.AnyOf(b, c)}, "a b, or a c"},
		{[]scopes.Requirement{scopes.AnyOf(a, b), scopes.AnyOf(c, d)}, "a c, or a d, or b c, or b d"},
		{[]scopes.Requirement{scopes.AnyOf(a, b), scopes.AnyOf(a, b)}, "a, or b"},
		{[]scopes.Requirement{scopes.AnyOf(a, b), scopes.AnyOf(b, c)}, "a c, or b"},
		{[]scopes.Requirement{scopes.AnyOf(a, b), a}, "a"}, // met by what is needed in any case
		{[]scopes.Requirement{scopes.AllOf(a, scopes.AnyOf(b, c)), scopes.AnyOf(d, b)}, "a b, or a c d"},
	} {
		need := scopes.AllOf(test.needs...)
		if need.String() != test.want {
			t.Errorf("AllOf(%v) is %q, want %q", test.needs, need, test.want)
		}
		if again := scopes.AllOf(need, need); again != need {
			t.Errorf("twice %q is %q", need, again)
		}
	}
}

// Twenty choices between two would be a million alternatives: that is refused, and soon. As
// many of the same are one.
func TestAllOf_Bounded(t *testing.T) {
	two := func(n int) scopes.Requirement {
		return scopes.AnyOf(scopes.Of(fmt.Sprint("a", n)), scopes.Of(fmt.Sprint("b", n)))
	}
	var six, many, same []scopes.Requirement
	for n := range 10_000 {
		if n < 6 {
			six = append(six, two(n))
		}
		many, same = append(many, two(n)), append(same, two(7))
	}
	if got := len(slices.Collect(scopes.AllOf(six...).Alternatives())); got != 64 {
		t.Errorf("six choices are %d alternatives", got)
	}
	if got := scopes.AllOf(same...); got != two(7) {
		t.Errorf("the same 10,000 times is %q", got)
	}
	for name, needs := range map[string][]scopes.Requirement{
		"many choices": many, "none": nil, "a nil one": {scopes.Of("a"), nil},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			scopes.AllOf(needs...)
		})
	}
}

// FuzzAllOf compares with what AllOf stands for: whatever is held, it is met if each of the
// requirements is, and what is to be asked for is the least of all sets that meet each. There
// are six scopes, so that all sets can be tried.
func FuzzAllOf(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(seed, seed%2 == 0)
	}
	names := []string{"a", "b", "c", "d", "e", "f"}
	var sets []scopes.Set
	for bits := range 1 << len(names) {
		var set scopes.Set
		for n, name := range names {
			if bits&(1<<n) != 0 {
				set = set.Union(scopes.Of(name))
			}
		}
		sets = append(sets, set)
	}
	order := hierarchy(map[string]scopes.Set{"a": scopes.Of("b"), "b": scopes.Of("c"), "d": scopes.Of("c")})
	f.Fuzz(func(t *testing.T, seed uint64, ordered bool) {
		random := rand.New(rand.NewPCG(seed, 0))
		var h *scopes.Hierarchy
		if ordered {
			h = order
		}
		var needs []scopes.Requirement
		for range 1 + random.IntN(4) {
			var alternatives []scopes.Set
			for range 1 + random.IntN(3) {
				alternatives = append(alternatives, sets[random.IntN(len(sets))])
			}
			needs = append(needs, scopes.AnyOf(alternatives...))
		}
		all := scopes.AllOf(needs...)
		meets := func(held scopes.Set) bool {
			return !slices.ContainsFunc(needs, func(need scopes.Requirement) bool { return !h.Covers(held, need) })
		}
		if got, want := scopes.Ceiling(needs...), scopes.Ceiling(all); !got.Covers(want) {
			t.Errorf("%q can ask for %q, and its parts %v only for %q", all, want, needs, got)
		}
		held := sets[random.IntN(len(sets))]
		limit := sets[random.IntN(len(sets))]
		least, found := -1, false
		for _, set := range sets {
			if got, want := h.Covers(set, all), meets(set); got != want {
				t.Fatalf("%v: %q covers it: %t, and each of its parts: %t", needs, set, got, want)
			}
			// What is added is what is not held, and within the limit.
			if meets(held.Union(set)) && h.Missing(held, set) == set && h.Covers(limit, set) {
				if n := h.Expand(held.Union(set)).Len(); least < 0 || n < least {
					least, found = n, true
				}
			}
		}
		missing, ok := h.Narrowest(held, all, limit)
		switch {
		case ok != found:
			t.Fatalf("%v: with %q held and the limit %q there is something to ask for: %t, want %t", needs, held, limit, ok, found)
		case !ok:
		case !meets(held.Union(missing)):
			t.Errorf("%v: %q and %q do not meet it", needs, held, missing)
		case h.Expand(held.Union(missing)).Len() != least:
			t.Errorf("%v: with %q held, %q makes %d scopes, and %d would do", needs, held, missing, h.Expand(held.Union(missing)).Len(), least)
		}
	})
}
