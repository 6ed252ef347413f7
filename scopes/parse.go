package scopes

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

// The longest name of one scope, in bytes. It is several times what any service
// in use needs.
const maxName = 256

// What Parse accepts: several times what challenges need, and so little that a
// hostile one costs nothing.
const (
	maxText  = 4096 // bytes, separators included
	maxNames = 128  // different scopes
)

// What ParseGranted reads. Entra grants all that was ever consented to (150
// names in 4.2 KB were seen), Google URLs.
const (
	maxGrantedText  = 64 << 10
	maxGrantedNames = 1024
)

// ErrInvalid is what every error of [Parse] and [Set.UnmarshalText] wraps. The
// message says what is wrong and where, and repeats nothing of the text itself.
var ErrInvalid = errors.New("scopes: invalid")

// Parse reads a list of scopes as APIs send it: separated by spaces (RFC 6749
// §3.3) or by commas (GitHub among others), or both; superfluous separators and
// repeated scopes are dropped. An empty text is the empty set. For what an
// authorization server granted there is [ParseGranted].
//
// A scope consists of visible ASCII characters other than the double quote, the
// backslash (RFC 6749 §3.3) and, because it separates, the comma. Parse accepts
// at most 4096 bytes in all, 256 bytes a scope and 128 different scopes; beyond
// that, or on any other character, it returns an error that wraps [ErrInvalid].
func Parse(text string) (Set, error) {
	if len(text) > maxText {
		return Set{}, fmt.Errorf("%w: %d bytes of text, at most %d allowed", ErrInvalid, len(text), maxText)
	}
	set, err := parse(text)
	if err != nil {
		return Set{}, err
	}
	if n := set.Len(); n > maxNames {
		return Set{}, fmt.Errorf("%w: %d scopes, at most %d allowed", ErrInvalid, n, maxNames)
	}
	return set, nil
}

// parse is Parse without limits on the whole.
func parse(text string) (Set, error) {
	var names []string
	for start, name := range split(text, " ,") {
		if err := checkName(name); err != nil {
			return Set{}, fmt.Errorf("%w, in the scope at byte %d", err, start)
		}
		names = append(names, name)
	}
	return setOf(names), nil
}

// ParseGranted reads the scopes that an authorization server granted (RFC 6749
// §5.1). It never fails, for what is granted beyond the need must not cost the
// grant: a name that is no scope by the rules of [Parse] is left out and counted
// in dropped, and so is every name after the first 64 KiB of text, and every
// further one after 1024 different scopes. Tabs and line ends separate, too.
func ParseGranted(text string) (granted Set, dropped int) {
	seen := make(map[string]bool)
	var names []string
	for start, name := range split(text, " ,\t\r\n") {
		switch {
		case seen[name]: // nothing is lost
		case start+len(name) > maxGrantedText, len(names) == maxGrantedNames, checkName(name) != nil:
			dropped++
		default:
			seen[name] = true
			names = append(names, name)
		}
	}
	return setOf(names), dropped
}

// split yields what stands between separators in text, and where.
func split(text, separators string) iter.Seq2[int, string] {
	return func(yield func(int, string) bool) {
		for i := 0; i < len(text); {
			n := strings.IndexAny(text[i:], separators)
			if n < 0 {
				n = len(text) - i
			}
			if n > 0 && !yield(i, text[i:i+n]) {
				return
			}
			i += n + 1
		}
	}
}

// setOf returns the set of names that were checked. It sorts them in place.
func setOf(names []string) Set {
	slices.Sort(names)
	return Set{strings.Join(slices.Compact(names), " ")}
}

// checkDeclared says whether name, which stands in a program, is one scope. Unlike
// a server's, such a name is repeated, with what to do about it.
func checkDeclared(name string) error {
	err := checkName(name)
	switch {
	case err == nil:
		return nil
	case strings.ContainsAny(strings.TrimSpace(name), " ,\t\r\n"):
		return fmt.Errorf("%w: %+q is not one scope: write each as an argument of its own", ErrInvalid, name)
	case name != strings.TrimSpace(name):
		return fmt.Errorf("%w: %+q begins or ends with a blank: remove it", ErrInvalid, name)
	default:
		return fmt.Errorf("%w: %+q", err, name)
	}
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
