package device

import (
	"net/url"
	"strings"
)

// resolve returns the URL that a server wrote, without blanks around it, and relative to
// its endpoint if it is relative (RFC 3986 §5). A reference that begins like the name of
// a host has lost its scheme, and is left as it is, to be refused.
func resolve(endpoint *url.URL, text string) string {
	text = strings.TrimSpace(text)
	reference, err := url.Parse(text)
	if text == "" || err != nil || reference.IsAbs() || reference.Opaque != "" {
		return text
	}
	if first, _, _ := strings.Cut(reference.Path, "/"); reference.Host == "" && strings.Contains(first, ".") && strings.Trim(first, ".") != "" {
		return text
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' || r == '\\' }) {
		return text
	}
	base := *endpoint
	base.User, base.RawFragment, base.Fragment = nil, "", ""
	return base.ResolveReference(reference).String()
}

// withoutCode reports whether a URL carries the user code, and returns it without, if
// that is certain: the code is the whole value of a query parameter, and nowhere else.
func withoutCode(u *url.URL, userCode string) (plain string, has bool) {
	code := compact(userCode)
	is := func(text string) bool {
		if decoded, err := url.QueryUnescape(text); err == nil {
			text = decoded
		}
		text = compact(text)
		// A longer one is recognised within other text, too.
		return text == code || len(code) >= 6 && strings.Contains(text, code)
	}
	for part := range strings.SplitSeq(u.EscapedPath(), "/") {
		if is(part) {
			return "", true
		}
	}
	var kept []string
	for parameter := range strings.SplitSeq(u.RawQuery, "&") {
		name, value, _ := strings.Cut(parameter, "=")
		decoded, err := url.QueryUnescape(value)
		switch {
		case is(name), is(value) && (err != nil || compact(decoded) != code):
			return "", true
		case is(value):
			has = true
		default:
			kept = append(kept, parameter)
		}
	}
	if !has {
		return "", false
	}
	without := *u
	without.RawQuery = strings.Join(kept, "&")
	return without.String(), true
}

// compact returns a code as people may write it: in small letters, without what
// separates its parts.
func compact(code string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case strings.ContainsRune("- ._", r):
			return -1
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return r
	}, code)
}
