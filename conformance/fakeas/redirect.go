package fakeas

import (
	"net/url"
	"slices"
	"strings"
)

// maxRedirectURI bounds a redirect URI, in bytes.
const maxRedirectURI = 2048

// isRedirectURI reports whether a client may register a redirect URI: it is
// absolute and has no fragment (RFC 6749 §3.1.2), https, http to this machine
// (RFC 8252 §7.3), or of a scheme with a dot in it (RFC 8252 §7.1).
func isRedirectURI(uri string) bool {
	u, err := url.Parse(uri)
	if err != nil || len(uri) > maxRedirectURI || u.User != nil || strings.Contains(uri, "#") || !isPrintable(uri) {
		return false
	}
	switch u.Scheme {
	case "https":
		return isHost(u)
	case "http":
		name := u.Hostname()
		return isHost(u) && (name == "localhost" || name == "127.0.0.1" || name == "::1")
	}
	return strings.Contains(u.Scheme, ".") && u.Host == ""
}

// isHost reports whether a URL's host is written in letters, digits and what
// separates them: it goes into the policy of a page.
func isHost(u *url.URL) bool {
	return u.Hostname() != "" && !strings.ContainsFunc(u.Host, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("-.:[]", r)
	})
}

func isPrintable(text string) bool {
	return !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// mayRedirect reports whether a browser may be sent back to uri.
func (c *Client) mayRedirect(uri string, o *settings) bool {
	if !isRedirectURI(uri) {
		return false
	}
	var anyPort []string
	if !o.ExactPorts {
		anyPort = append(anyPort, "http://127.0.0.1", "http://[::1]")
	}
	if o.LocalhostPorts {
		anyPort = append(anyPort, "http://localhost")
	}
	return slices.ContainsFunc(c.RedirectURIs, func(registered string) bool {
		if registered == uri {
			return true
		}
		registered, asked := withoutPort(registered, anyPort), withoutPort(uri, anyPort)
		return registered == asked || c.RedirectBelow && isBelow(registered, asked)
	})
}

// withoutPort cuts the port out of a URI at one of these origins.
func withoutPort(uri string, origins []string) string {
	for _, origin := range origins {
		rest, ok := strings.CutPrefix(uri, origin+":")
		if !ok {
			continue
		}
		end := strings.IndexFunc(rest, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(rest)
		}
		return origin + rest[end:]
	}
	return uri
}

// isBelow reports whether the path of a URI is below another one's, and they
// are the same apart from that.
func isBelow(registered, asked string) bool {
	rest, ok := strings.CutPrefix(asked, strings.TrimSuffix(registered, "/")+"/")
	if !ok || strings.ContainsAny(rest, "?\\%") {
		return false
	}
	return !slices.ContainsFunc(strings.Split(rest, "/"), func(segment string) bool {
		return segment == "" || segment == "." || segment == ".."
	})
}

// isLoopback reports whether a redirect URI leads to this machine.
func isLoopback(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Scheme == "http"
}

// formTarget is what a page's policy must name, so that the answer to its form
// may lead to a redirect URI: browsers hold form-action against redirects too.
func formTarget(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return ""
	case u.Host == "" || strings.HasPrefix(u.Host, "["): // no policy can name an IPv6 address
		return u.Scheme + ":"
	}
	return u.Scheme + "://" + u.Host
}
