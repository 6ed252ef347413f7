package scopes

import (
	"fmt"
	"slices"
)

// maxAlternatives is how many alternatives [AllOf] may come to: six choices between two that
// have nothing to do with one another. Their number is the product of the choices, so that
// twenty of them would be a million.
const maxAlternatives = 64

// AllOf returns the requirement that every one of the given requirements be met: an AND of what
// [AnyOf] makes ORs of. Its alternatives are the combinations of theirs, in the order in
// which they were declared, the choice of the last requirement changing first; one that
// contains another is dropped, as AnyOf does. For what is held and what to ask for that is
// the same as meeting each, whatever the [Hierarchy].
//
// It panics without any requirement, if one is nil, since nobody has told what such a need
// is, and if the first of them, or all, come to more than 64 alternatives. That a broader
// scope suffices where a narrower one does is better declared in a Hierarchy, once, than as an
// alternative of each need.
func AllOf(needs ...Requirement) Requirement {
	if len(needs) == 0 {
		panic("scopes: AllOf without a requirement")
	}
	var all Set         // what is needed in any case
	var choices [][]Set // … and what there are several ways of
	met := make(map[Requirement]bool)
	for _, need := range needs {
		if need == nil {
			panic("scopes: AllOf with a nil requirement")
		}
		if met[need] { // of the same choice twice one is enough
			continue
		}
		met[need] = true
		if set, ok := need.(Set); ok {
			all = all.Union(set)
			continue
		}
		choices = append(choices, slices.Collect(need.Alternatives()))
	}
	combined := []Set{all}
	for _, choice := range choices {
		combined = combine(combined, choice)
	}
	return AnyOf(combined...)
}

// combine returns the unions of each of some sets with each of others, without what makes
// another one superfluous.
func combine(some, others []Set) []Set {
	var combined []Set
	for _, set := range some {
		for _, other := range others {
			union := set.Union(other)
			if slices.ContainsFunc(combined, union.Covers) {
				continue
			}
			combined = append(slices.DeleteFunc(combined, func(c Set) bool { return c.Covers(union) }), union)
			if len(combined) > maxAlternatives {
				panic(fmt.Sprintf("scopes: AllOf would have more than %d alternatives", maxAlternatives))
			}
		}
	}
	return combined
}
