package scopes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// What Parse accepts. The RFCs set no limits; these are several times what the
// longest scope lists in use need, and small enough that a hostile server or
// challenge costs nothing.
const (
	maxText  = 4096 // bytes, separators included
	maxName  = 256  // bytes of one scope
	maxNames = 128  // different scopes
)

// ErrInvalid is what every error of [Parse] and [Set.UnmarshalText] wraps. The
// message says what is wrong and where, and repeats nothing of the text itself.
var ErrInvalid = errors.New("scopes: invalid")

// Parse reads a list of scopes as servers send it: separated by spaces (RFC 6749
// §3.3) or by commas (GitHub among others), or both; superfluous separators and
// repeated scopes are dropped. An empty text is the empty set.
//
// A scope consists of visible ASCII characters other than the double quote, the
// backslash (RFC 6749 §3.3) and, because it separates, the comma. Parse accepts
// at most 4096 bytes in all, 256 bytes a scope and 128 different scopes; beyond
// that, or on any other character, it returns an error that wraps [ErrInvalid].
func Parse(text string) (Set, error) {
	if len(text) > maxText {
		return Set{}, fmt.Errorf("%w: %d bytes of text, at most %d allowed", ErrInvalid, len(text), maxText)
	}
	var names []string
	for i := 0; i < len(text); {
		if isSeparator(text[i]) {
			i++
			continue
		}
		start := i
		for i < len(text) && !isSeparator(text[i]) {
			i++
		}
		name := text[start:i]
		if err := checkName(name); err != nil {
			return Set{}, fmt.Errorf("%w, in the scope at byte %d", err, start)
		}
		names = append(names, name)
	}
	slices.Sort(names)
	names = slices.Compact(names)
	if len(names) > maxNames {
		return Set{}, fmt.Errorf("%w: %d scopes, at most %d allowed", ErrInvalid, len(names), maxNames)
	}
	return Set{strings.Join(names, " ")}, nil
}

// checkName says whether name is one scope, by the rules of Parse.
func checkName(name string) error {
	switch {
	case name == "":
		return fmt.Errorf("%w: empty scope", ErrInvalid)
	case len(name) > maxName:
		return fmt.Errorf("%w: scope of %d bytes, at most %d allowed", ErrInvalid, len(name), maxName)
	}
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' || c == ',' {
			return fmt.Errorf("%w: character %#02x not allowed", ErrInvalid, c)
		}
	}
	return nil
}

func isSeparator(c byte) bool { return c == ' ' || c == ',' }
