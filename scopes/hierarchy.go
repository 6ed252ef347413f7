package scopes

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// A Hierarchy knows which scopes imply others, so that a broader scope held is
// enough where a narrower one is needed, and which names mean the same scope, so
// that it does not matter by which of them it was granted. OAuth itself has
// neither notion (RFC 6749 §3.3); services document theirs.
//
// What is to be asked for is named as the program named it, whatever other names
// there are.
//
// A Hierarchy is immutable and safe for concurrent use. Nil is one as well: in
// it, no scope implies another, and every name means a scope of its own.
type Hierarchy struct {
	// implies and same are what was declared; the rest is made of them.
	implies map[string]Set
	same    []Set

	spelling *spelling // nil: names are compared byte by byte

	// implied has, for every scope that implies others or has several names, all
	// of those at whatever depth, and the scope itself, by all their names.
	implied map[string]Set
	// broader is the same seen from below: for every scope that others imply or
	// that has several names, what else suffices for it, by all names.
	broader map[string]Set
	// first has, for every scope with several names, the one of them that stands
	// for it where scopes are counted. Like the maps above it is indexed by
	// [spelling.key].
	first map[string]string
}

// NewHierarchy returns the hierarchy in which each key implies the scopes of
// its value, and whatever these imply in turn, and in which the names in each of
// the sets same mean one scope. The closure is computed here, once. It is an
// error if a key is not a valid scope, or if a scope implies itself, directly or
// through others.
func NewHierarchy(implies map[string]Set, same ...Set) (*Hierarchy, error) {
	return (*Hierarchy)(nil).Extend(implies, same...)
}

// Extend returns a hierarchy that knows what h knows and what is given, which is
// as for [NewHierarchy]: for services whose own, such as [Entra], lacks some.
func (h *Hierarchy) Extend(implies map[string]Set, same ...Set) (*Hierarchy, error) {
	e := &Hierarchy{implies: make(map[string]Set), same: slices.Clone(same)}
	if h != nil {
		e.spelling = h.spelling
		e.same = slices.Concat(h.same, same)
		maps.Copy(e.implies, h.implies)
	}
	for name, below := range implies {
		if err := checkDeclared(name); err != nil {
			return nil, fmt.Errorf("%w, in the hierarchy", err)
		}
		e.implies[name] = e.implies[name].Union(below)
	}
	if err := e.close(); err != nil {
		return nil, err
	}
	return e, nil
}

// close computes the closure of what was declared.
func (h *Hierarchy) close() error {
	h.first = h.firstNames()
	names := make(map[string]Set) // of each scope
	below := make(map[string]Set) // each scope, those that it implies directly
	meet := func(name string) string {
		scope := h.scope(name)
		names[scope] = names[scope].Union(Set{name})
		return scope
	}
	for _, set := range h.same {
		for name := range set.All() {
			meet(name)
		}
	}
	for name, lower := range h.implies {
		upper := meet(name)
		for name := range lower.All() {
			below[upper] = below[upper].Union(Set{meet(name)})
		}
	}

	suffice := make(map[string][]string) // for each scope, by all names
	h.implied, h.broader = make(map[string]Set), make(map[string]Set)
	closed, loop := closures(slices.Sorted(maps.Keys(names)), below) // sorted: the same error every time
	if loop != "" {
		name, _ := cut(names[loop].text)
		return fmt.Errorf("scopes: in the hierarchy, %s implies itself", name)
	}
	for scope, all := range closed {
		var implied []string
		for lower := range all.All() {
			implied = slices.AppendSeq(implied, names[lower].All())
			suffice[lower] = slices.AppendSeq(suffice[lower], names[scope].All())
		}
		expanded := setOf(implied)
		for name := range names[scope].All() {
			h.implied[h.spelling.key(name)] = expanded
		}
	}
	for scope, all := range suffice {
		for name := range names[scope].All() {
			key := h.spelling.key(name)
			h.broader[key] = setOf(slices.DeleteFunc(slices.Clone(all), func(other string) bool {
				return h.spelling.key(other) == key
			}))
		}
	}
	return nil
}

// closures returns for each scope those that it implies at whatever depth, and
// itself, given those that it implies directly; or a scope that implies itself.
func closures(scopes []string, below map[string]Set) (closed map[string]Set, loop string) {
	closed = make(map[string]Set)
	open := make(map[string]bool) // on the way down from the scope in hand
	var visit func(scope string) bool
	visit = func(scope string) bool {
		if _, done := closed[scope]; done {
			return true
		}
		if open[scope] {
			loop = scope
			return false
		}
		open[scope] = true
		all := Set{scope}
		for lower := range below[scope].All() {
			if !visit(lower) {
				return false
			}
			all = all.Union(closed[lower])
		}
		closed[scope] = all
		return true
	}
	for _, scope := range scopes {
		if !visit(scope) {
			return nil, loop
		}
	}
	return closed, ""
}

// firstNames chooses the first names. Sets that share a name are one.
func (h *Hierarchy) firstNames() map[string]string {
	first := make(map[string]string)
	for _, set := range h.same {
		var one string
		for name := range set.All() {
			key := h.spelling.key(name)
			was, met := first[key]
			switch {
			case one == "" && met:
				one = was
			case one == "":
				one = key
			}
			first[key] = one
			for other, its := range first {
				if met && its == was {
					first[other] = one
				}
			}
		}
	}
	return first
}

// scope returns what stands for the scope that is called name.
func (h *Hierarchy) scope(name string) string {
	key := h.spelling.key(name)
	if first, ok := h.first[key]; ok {
		return first
	}
	return key
}

// Knows reports whether h was told of a scope that is called name, or written like it
// as far as h takes that for the same: a name out of a server's answer that a program
// knows is its own word.
func (h *Hierarchy) Knows(name string) bool {
	return h != nil && !h.find(h.implied, name).IsEmpty()
}

// Expand returns held with everything that it implies, by all names that were
// declared. To expand again adds nothing.
func (h *Hierarchy) Expand(held Set) Set {
	if h == nil {
		return held
	}
	all := held
	for name := range held.All() {
		all = all.Union(h.find(h.implied, name))
	}
	return all
}

// Reduce returns s without the scopes that others of it imply: what a person has
// to read to grant all of s. Of several names for one scope it keeps the one that
// comes first in s. What is left covers s.
func (h *Hierarchy) Reduce(s Set) Set {
	if h == nil {
		return s
	}
	var once strings.Builder
	seen := make(map[string]bool)
	for name := range s.All() {
		if scope := h.scope(name); !seen[scope] {
			seen[scope] = true
			appendName(&once, name)
		}
	}
	s = Set{once.String()}
	var b strings.Builder
	for name := range s.All() {
		if !h.hasOther(s, name) {
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

// Missing returns the scopes to add to held so that need is satisfied, as need
// names them: none if it is. Scopes that held implies are not missing. Of
// alternatives it takes the narrowest, which is the one that adds fewest scopes
// to what held implies already, or the first of several such. For a nil need it
// returns the empty set, although nothing covers that.
func (h *Hierarchy) Missing(held Set, need Requirement) Set {
	missing, _ := h.least(held, need, func(Set) bool { return true })
	return missing
}

// Narrowest returns what [Hierarchy.Missing] would, out of those alternatives
// alone for which nothing has to be asked for that limit does not cover. It
// reports whether there is one; if need is satisfied already, there is, and
// nothing is to be asked for. A scope that limit has by another name is returned
// by that one: the need may be a server's, and the limit is the program's. To
// know the narrowest however far it goes, give [Ceiling] of the need as the
// limit.
func (h *Hierarchy) Narrowest(held Set, need Requirement, limit Set) (Set, bool) {
	least, found := h.least(held, need, func(missing Set) bool { return h.coversSet(limit, missing) })
	return h.named(least, limit), found
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
		if n := h.count(h.Expand(held.Union(missing))); !found || n < size {
			least, size, found = missing, n, true
		}
	}
	return least, found
}

// count returns how many scopes s has, whatever their names.
func (h *Hierarchy) count(s Set) int {
	if h == nil {
		return s.Len()
	}
	scopes := make(map[string]bool)
	for name := range s.All() {
		scopes[h.scope(name)] = true
	}
	return len(scopes)
}

// named returns s, with each scope by the name that it has in like, if it has one.
func (h *Hierarchy) named(s, like Set) Set {
	if h == nil || like.Covers(s) {
		return s
	}
	var all Set
	for name := range s.All() {
		all = all.Union(Set{h.nameIn(like, name)})
	}
	return all
}

func (h *Hierarchy) nameIn(like Set, name string) string {
	if like.Covers(Set{name}) {
		return name
	}
	for other := range like.All() {
		if h.scope(other) == h.scope(name) {
			return other
		}
	}
	for other := range h.Expand(like).All() { // as it was declared to be implied
		if h.spelling.key(other) == h.spelling.key(name) {
			return other
		}
	}
	return name
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

// has reports whether held has or implies the scope that is called name.
func (h *Hierarchy) has(held Set, name string) bool {
	if held.Covers(Set{name}) {
		return true
	}
	return h != nil && (h.spelling.in(held, name) || h.hasOther(held, name))
}

// hasOther reports whether held has anything else that suffices for name.
func (h *Hierarchy) hasOther(held Set, name string) bool {
	for rest := h.find(h.broader, name).text; rest != ""; {
		var other string
		other, rest = cut(rest)
		if held.Covers(Set{other}) || h.spelling.in(held, other) {
			return true
		}
	}
	return false
}

// find returns what m has for name. It does not allocate.
func (h *Hierarchy) find(m map[string]Set, name string) Set {
	if h.spelling == nil {
		return m[name]
	}
	var buf [maxName]byte
	return m[string(h.spelling.appendKey(buf[:0], name))]
}
