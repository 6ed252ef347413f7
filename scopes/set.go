package scopes

import (
	"iter"
	"slices"
	"strings"
)

// A Set is a set of scopes. It is immutable, safe for concurrent use, and two
// sets are equal exactly when == says so; the zero value is the empty set.
//
// Scopes are compared byte by byte (RFC 6749 §3.3: they are case-sensitive, and
// their order does not matter). A Set knows nothing about one scope implying
// another.
type Set struct {
	// text is the canonical form: the scopes in ascending byte order, each once,
	// one space between. One string, rather than a slice, makes sets comparable
	// and costs no allocation when one is read, copied or sent.
	text string
}

// Of returns the set of the given scopes, however many. It is meant for names
// written in a program: it panics if one of them is no scope by the rules of
// [Parse]. A name with a blank or a comma in it is refused as well, because on the
// way back Parse would read two.
func Of(names ...string) Set {
	for _, name := range names {
		if err := checkDeclared(name); err != nil {
			panic(err)
		}
	}
	return setOf(slices.Clone(names))
}

// Union returns the set of everything that is in s, in other, or in both. It
// always succeeds: a union may be larger than what [Parse] accepts.
func (s Set) Union(other Set) Set {
	switch {
	case s.Covers(other):
		return s
	case other.Covers(s):
		return other
	}
	var b strings.Builder
	b.Grow(len(s.text) + 1 + len(other.text))
	left, right := s.text, other.text
	for left != "" || right != "" {
		l, afterL := cut(left)
		r, afterR := cut(right)
		switch {
		case r == "" || l != "" && l < r:
			appendName(&b, l)
			left = afterL
		case l == "" || r < l:
			appendName(&b, r)
			right = afterR
		default:
			appendName(&b, l)
			left, right = afterL, afterR
		}
	}
	return Set{b.String()}
}

// Minus returns the set of everything in s that is not in other: what is still
// missing, when s is needed and other is held.
func (s Set) Minus(other Set) Set {
	switch {
	case s.text == "" || other.text == "":
		return s
	case other.Covers(s):
		return Set{}
	}
	var b strings.Builder
	b.Grow(len(s.text))
	right := other.text
	for left := s.text; left != ""; {
		var name string
		name, left = cut(left)
		r, after := cut(right)
		for right != "" && r < name {
			right = after
			r, after = cut(right)
		}
		if right == "" || r != name {
			appendName(&b, name)
		}
	}
	return Set{b.String()}
}

// Covers reports whether everything in other is in s as well. Every set covers
// the empty set and itself. It does not allocate: it runs on every call of a
// gated tool.
func (s Set) Covers(other Set) bool {
	switch {
	case other.text == "" || s.text == other.text:
		return true
	case len(other.text) >= len(s.text):
		// A proper subset has a shorter text.
		return false
	}
	held := s.text
	for need := other.text; need != ""; {
		var name string
		name, need = cut(need)
		for {
			if held == "" {
				return false
			}
			var have string
			have, held = cut(held)
			if have == name {
				break
			}
			if have > name {
				return false // sorted: name cannot come any more
			}
		}
	}
	return true
}

// Len returns how many scopes the set holds.
func (s Set) Len() int {
	if s.text == "" {
		return 0
	}
	return 1 + strings.Count(s.text, " ")
}

// IsEmpty reports whether the set holds nothing.
func (s Set) IsEmpty() bool { return s.text == "" }

// All yields the scopes in ascending byte order.
func (s Set) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		for rest := s.text; rest != ""; {
			var name string
			name, rest = cut(rest)
			if !yield(name) {
				return
			}
		}
	}
}

// String returns the scopes in ascending byte order with one space between: the
// form of the scope parameter on the wire (RFC 6749 §3.3). The empty set is "".
func (s Set) String() string { return s.text }

// MarshalText returns the form of [Set.String], so that a set is one string in
// JSON. It never fails, and [Set.UnmarshalText] reads it back.
func (s Set) MarshalText() ([]byte, error) { return []byte(s.text), nil }

// UnmarshalText reads what MarshalText wrote of any set. It is [Parse] without
// limits on the whole: it is meant for what this program stored, and leaves the
// size to who reads that. On error the set is left as it was.
func (s *Set) UnmarshalText(text []byte) error {
	set, err := parse(string(text))
	if err != nil {
		return err
	}
	*s = set
	return nil
}

// cut splits the first scope off a canonical text. Of an empty text it returns
// two empty strings.
func cut(text string) (name, rest string) {
	name, rest, _ = strings.Cut(text, " ")
	return name, rest
}

func appendName(b *strings.Builder, name string) {
	if b.Len() > 0 {
		b.WriteByte(' ')
	}
	b.WriteString(name)
}
