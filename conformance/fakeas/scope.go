package fakeas

import (
	"slices"
	"strings"
)

// The scopes of the notes API.
const (
	scopeProfile = "profile"
	scopeRead    = "notes:read"
	scopeWrite   = "notes:write"
)

// inWords are the scopes as the device page puts them.
var inWords = map[string]string{
	scopeProfile: "See your name",
	scopeRead:    "Read your notes",
	scopeWrite:   "Write new notes",
}

// isScope reports whether a name is a scope-token (RFC 6749 §3.3).
func isScope(name string) bool {
	for i := range len(name) {
		if c := name[i]; c < 0x21 || c > 0x7e || c == '"' || c == '\\' {
			return false
		}
	}
	return name != ""
}

// parseScope splits a scope parameter as strictly as RFC 6749 §3.3 writes it:
// one space between names. Repeated names are dropped.
func parseScope(text string) (names []string, ok bool) {
	if text == "" {
		return nil, true
	}
	for name := range strings.SplitSeq(text, " ") {
		if !isScope(name) {
			return nil, false
		}
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names, true
}

// scopesOr returns the scopes that were asked for, or the documented default
// (RFC 6749 §3.3).
func (s *Server) scopesOr(asked []string) []string {
	if asked == nil && len(s.opts.Scopes) > 0 {
		return s.opts.Scopes[:1]
	}
	return asked
}

// without returns the names that are not in drop.
func without(names, drop []string) []string {
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return slices.Contains(drop, name)
	})
}
