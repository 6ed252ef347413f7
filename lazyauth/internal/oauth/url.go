package oauth

import (
	"net/netip"
	"net/url"
	"strings"
)

const maxURL = 2048 // bytes

// CheckURL parses an absolute URL that a token may be sent to or a person may be
// sent to. It must be https; http will do on a loopback host if that is allowed.
// User info ("https://good.example@evil.example/"), fragments, and everything that
// is not a plain URL character are refused: such text can be shown to look like
// something else, and browsers and Go do not agree on what it means. If the URL is
// refused, the second result says why, without repeating any of it.
func CheckURL(raw string, loopbackAllowed bool) (*url.URL, string) {
	switch {
	case raw == "":
		return nil, "is missing"
	case len(raw) > maxURL:
		return nil, "is too long"
	}
	for i := range len(raw) {
		if c := raw[i]; c <= ' ' || c > '~' || strings.IndexByte("\"<>\\^`{|}", c) >= 0 {
			return nil, "has a character that does not belong in a URL"
		}
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return nil, "is not a URL"
	case u.Scheme != "https" && u.Scheme != "http":
		return nil, "is not https"
	case u.Opaque != "" || u.Hostname() == "":
		return nil, "has no host"
	case u.User != nil:
		return nil, "has user info"
	case strings.Contains(raw, "#"):
		return nil, "has a fragment"
	case !isHost(u.Hostname()):
		return nil, "has a host name that is not plain"
	case u.Scheme == "http" && (!loopbackAllowed || !IsLoopback(u)):
		return nil, "is not https"
	}
	return u, ""
}

// isHost reports whether host is an IP address without a zone, or a name of
// letters, digits, dots, dashes and underscores. Other names have to be sent in
// their ASCII form (RFC 3987 §3.1), because one that is decoded from percent signs
// can look like any other.
func isHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	for i := range len(host) {
		if c := host[i]; !isAlphanumeric(c) && c != '.' && c != '-' && c != '_' {
			return false
		}
	}
	return len(host) <= 253
}

// IsLoopback reports whether the URL's host is this machine by its very name: an
// address of 127.0.0.0/8, [::1] or localhost. Nothing is looked up.
func IsLoopback(u *url.URL) bool {
	host := u.Hostname()
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.IsLoopback()
	}
	return strings.EqualFold(host, "localhost")
}

// SameOrigin compares scheme, host and port (RFC 6454 §4).
func SameOrigin(a, b *url.URL) bool {
	return a.Scheme == b.Scheme && strings.EqualFold(a.Hostname(), b.Hostname()) && port(a) == port(b)
}

func port(u *url.URL) string {
	switch {
	case u.Port() != "":
		return u.Port()
	case u.Scheme == "https":
		return "443"
	}
	return "80"
}
