package scopes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Hierarchy knows which scopes imply others, so that a broader scope held is
// enough where a narrower one is needed. OAuth itself has no such notion (RFC
// 6749 §3.3); services document theirs.
//
// A Hierarchy is immutable and safe for concurrent use. Nil is one as well: in
// it, no scope implies another.
type Hierarchy struct {
	// implied has, for every scope that implies others, all of those at
	// whatever depth, and the scope itself.
	implied map[string]Set
	// broader is the same seen from below: for every scope that others imply,
	// those others.
	broader map[string]Set
}

// NewHierarchy returns the hierarchy in which each key implies the scopes of
// its value, and whatever these imply in turn; the closure is computed here,
// once. It is an error if a key is not a valid scope, or if a scope implies
// itself, directly or through others.
func NewHierarchy(implies map[string]Set) (*Hierarchy, error) {
	h := &Hierarchy{implied: make(map[string]Set), broader: make(map[string]Set)}
	open := make(map[string]bool) // on the way down from the scope in hand
	var closure func(name string) (Set, error)
	closure = func(name string) (Set, error) {
		if done, ok := h.implied[name]; ok {
			return done, nil
		}
		if open[name] {
			return Set{}, fmt.Errorf("scopes: in the hierarchy, %s implies itself", name)
		}
		open[name] = true
		defer delete(open, name)
		all := Set{name}
		for below := range implies[name].All() {
			further, err := closure(below)
			if err != nil {
				return Set{}, err
			}
			all = all.Union(further)
		}
		if all.Len() > 1 {
			h.implied[name] = all
		}
		return all, nil
	}
	for _, name := range slices.Sorted(maps.Keys(implies)) { // sorted: the same error every time
		if err := checkName(name); err != nil {
			return nil, fmt.Errorf("%w, in the hierarchy: %q", err, name)
		}
		if _, err := closure(name); err != nil {
			return nil, err
		}
	}
	broader := make(map[string][]string)
	for _, name := range slices.Sorted(maps.Keys(h.implied)) { // sorted, as a Set is
		for below := range h.implied[name].All() {
			if below != name {
				broader[below] = append(broader[below], name)
			}
		}
	}
	for name, others := range broader {
		h.broader[name] = Set{strings.Join(others, " ")}
	}
	return h, nil
}

// Expand returns held with everything that it implies. To expand again adds
// nothing.
func (h *Hierarchy) Expand(held Set) Set {
	if h == nil {
		return held
	}
	all := held
	for name := range held.All() {
		if implied, ok := h.implied[name]; ok {
			all = all.Union(implied)
		}
	}
	return all
}

// Reduce returns s without the scopes that others of it imply: what a person has
// to read to grant all of s. Expand of it is Expand of s.
func (h *Hierarchy) Reduce(s Set) Set {
	if h == nil {
		return s
	}
	var b strings.Builder
	for name := range s.All() {
		if !h.has(s.Minus(Set{name}), name) {
			appendName(&b, name)
		}
	}
	return Set{b.String()}
}

// Covers reports whether held, with all that it implies, satisfies need. It
// does not allocate, and takes a few comparisons if held is what [Hierarchy.Expand]
// returned and covers a Set: who asks often keeps that.
func (h *Hierarchy) Covers(held Set, need Requirement) bool {
	return need != nil && need.coveredBy(h, held)
}

// Missing returns the scopes to add to held so that need is satisfied: none if
// it is. Scopes that held implies are not missing. Of alternatives it takes the
// narrowest, which is the one that adds fewest scopes to what held implies
// already, or the first of several such. For a nil need it returns the empty
// set, although nothing covers that.
func (h *Hierarchy) Missing(held Set, need Requirement) Set {
	missing, _ := h.least(held, need, func(Set) bool { return true })
	return missing
}

// Narrowest returns what [Hierarchy.Missing] would, out of those alternatives
// alone for which nothing has to be asked for that limit does not cover. It
// reports whether there is one; if need is satisfied already, there is, and
// nothing is to be asked for. To know it however far it goes, give
// [Ceiling] of the need as the limit.
func (h *Hierarchy) Narrowest(held Set, need Requirement, limit Set) (Set, bool) {
	return h.least(held, need, func(missing Set) bool { return h.coversSet(limit, missing) })
}

// least returns what the narrowest of the permitted alternatives adds to held.
func (h *Hierarchy) least(held Set, need Requirement, permitted func(Set) bool) (least Set, found bool) {
	if need == nil {
		return Set{}, false
	}
	if h.Covers(held, need) {
		return Set{}, true
	}
	var size int
	for set := range need.Alternatives() {
		missing := h.missingOf(held, set)
		if !permitted(missing) {
			continue
		}
		if n := h.Expand(held.Union(missing)).Len(); !found || n < size {
			least, size, found = missing, n, true
		}
	}
	return least, found
}

// missingOf returns the scopes of need that held neither has nor implies.
func (h *Hierarchy) missingOf(held, need Set) Set {
	var b strings.Builder
	for name := range need.All() {
		if !h.has(held, name) {
			appendName(&b, name)
		}
	}
	return Set{b.String()}
}

func (h *Hierarchy) coversSet(held, need Set) bool {
	if held.Covers(need) {
		return true
	}
	if h == nil {
		return false
	}
	for rest := need.text; rest != ""; {
		var name string
		name, rest = cut(rest)
		if !h.has(held, name) {
			return false
		}
	}
	return true
}

// has reports whether held has or implies the scope name.
func (h *Hierarchy) has(held Set, name string) bool {
	if held.Covers(Set{name}) {
		return true
	}
	if h == nil {
		return false
	}
	for rest := h.broader[name].text; rest != ""; {
		var broader string
		broader, rest = cut(rest)
		if held.Covers(Set{broader}) {
			return true
		}
	}
	return false
}
