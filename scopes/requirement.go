package scopes

import (
	"iter"
	"strings"
)

// A Requirement is what a tool, or a response, declares to be needed. A [Set]
// is one: all of its scopes. [AnyOf] makes one of several sets, and [AllOf] one of
// several requirements. There are no other kinds. Requirements are immutable, safe for concurrent use, and can be
// compared with ==; [Hierarchy] says what satisfies one and what to ask for.
//
// A nil Requirement stands for needs that nobody has told. Nothing satisfies
// it; who needs no scope says so with the empty set.
type Requirement interface {
	// Alternatives yields the sets any one of which suffices, in the order in
	// which they were declared. There is at least one.
	Alternatives() iter.Seq[Set]

	// String returns the scopes of one set as [Set.String] does, and several
	// sets as "a b, or c": for errors and for people. It is unambiguous, since
	// no scope contains a comma.
	String() string

	// coveredBy reports whether held suffices under h. It does not allocate.
	coveredBy(h *Hierarchy, held Set) bool
}

// AnyOf returns the requirement that one of the given sets be held, which one
// does not matter. Their order decides between alternatives that cost the
// person the same, so the preferred one comes first.
//
// A set that contains another one is dropped, for the smaller of the two
// suffices. If a single set is left, AnyOf returns it. It panics without any
// set: a tool behind no alternative could never run.
func AnyOf(sets ...Set) Requirement {
	if len(sets) == 0 {
		panic("scopes: AnyOf without a set")
	}
	var kept []string
	var only Set
	for n, set := range sets {
		if !redundant(sets, n) {
			kept, only = append(kept, set.text), set
		}
	}
	if len(kept) == 1 {
		return only
	}
	return anyOf{strings.Join(kept, or)}
}

// anyOne returns the requirement that one scope of s be held, which one does not
// matter.
func anyOne(s Set) Requirement {
	if s.Len() < 2 {
		return s
	}
	return anyOf{strings.ReplaceAll(s.text, " ", or)}
}

// redundant reports whether another of the sets makes the nth one superfluous.
// Of equal sets the first one stays.
func redundant(sets []Set, n int) bool {
	for other, set := range sets {
		if other != n && sets[n].Covers(set) && (set != sets[n] || other < n) {
			return true
		}
	}
	return false
}

// Ceiling returns the union of all that the given requirements could ever ask
// for: the limit that asking for them stays within. Nil ones add nothing.
func Ceiling(needs ...Requirement) Set {
	var ceiling Set
	for _, need := range needs {
		if need == nil {
			continue
		}
		for set := range need.Alternatives() {
			ceiling = ceiling.Union(set)
		}
	}
	return ceiling
}

// Alternatives yields s alone. It makes a Set a [Requirement]: all of its
// scopes are needed.
func (s Set) Alternatives() iter.Seq[Set] {
	return func(yield func(Set) bool) { yield(s) }
}

func (s Set) coveredBy(h *Hierarchy, held Set) bool { return h.coversSet(held, s) }

// or stands between the alternatives of an anyOf.
const or = ", or "

// anyOf is two or more sets, none of which is empty or covers another one.
type anyOf struct {
	// text has the sets in their order with or between them. As with Set, one
	// string makes requirements comparable.
	text string
}

func (a anyOf) Alternatives() iter.Seq[Set] {
	return func(yield func(Set) bool) {
		for rest := a.text; rest != ""; {
			var set string
			set, rest, _ = strings.Cut(rest, or)
			if !yield(Set{set}) {
				return
			}
		}
	}
}

func (a anyOf) String() string { return a.text }

// MarshalText returns the form of String, as [Set.MarshalText] does.
func (a anyOf) MarshalText() ([]byte, error) { return []byte(a.text), nil }

func (a anyOf) coveredBy(h *Hierarchy, held Set) bool {
	for rest := a.text; rest != ""; {
		var set string
		set, rest, _ = strings.Cut(rest, or)
		if h.coversSet(held, Set{set}) {
			return true
		}
	}
	return false
}
