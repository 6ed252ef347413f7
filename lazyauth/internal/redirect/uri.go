package redirect

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

const (
	callbackPrefix = "/callback/"
	startPrefix    = "/start/"
	donePath       = "/done"
)

// A target is where a browser comes back to: a redirect URI, of which the port may be left
// to be found (RFC 8252 §7.3).
type target struct {
	host string // as it stands in the URI: 127.0.0.1, [::1] or localhost
	port int    // 0 if any will do
	path string // escaped, as it is sent and compared
}

// parseTarget reads a redirect URI that an author has named. It must be http on this machine's
// loopback. Its path is compared byte by byte, and so it must be one that browsers send
// as it is written.
func parseTarget(raw string) (target, error) {
	u, why := oauth.CheckURL(raw, true)
	switch {
	case why == "is not https": // which it need not be here
		return target{}, errors.New("the redirect URI is not http on 127.0.0.1, [::1] or localhost")
	case why != "":
		return target{}, errors.New("the redirect URI " + why)
	case u.Scheme != "http":
		return target{}, errors.New("the redirect URI is not http: a listener on loopback has no certificate (RFC 8252 section 7.3)")
	case u.RawQuery != "" || u.ForceQuery:
		return target{}, errors.New("the redirect URI has a query")
	}
	t := target{host: strings.ToLower(u.Host), path: u.EscapedPath()}
	if text := u.Port(); text != "" {
		port, err := strconv.ParseUint(text, 10, 16)
		if err != nil || port == 0 || text != strconv.FormatUint(port, 10) {
			return target{}, errors.New("the redirect URI has no port that one can listen on")
		}
		t.port, t.host = int(port), strings.TrimSuffix(t.host, ":"+text)
	}
	switch {
	case strings.HasSuffix(t.host, ":"):
		return target{}, errors.New("the redirect URI has an empty port")
	case t.host == "localhost":
	default:
		if addr, err := netip.ParseAddr(strings.Trim(t.host, "[]")); err != nil || addr.String() != strings.Trim(t.host, "[]") || addr.Is4In6() || !addr.IsLoopback() {
			return target{}, errors.New("the redirect URI is not on 127.0.0.1, [::1] or localhost")
		}
	}
	if t.path == "" {
		t.path = "/" // as browsers send it; the URI itself is sent as it is named
	}
	if !isPath(t.path) {
		return target{}, errors.New("the path of the redirect URI is not one of letters, digits and -._~/")
	}
	if t.path == donePath || strings.HasPrefix(t.path, startPrefix) {
		return target{}, errors.New("the path of the redirect URI is one of the sign-in's own, " + donePath + " and " + startPrefix)
	}
	return t, nil
}

// isPath reports whether a path reaches the listener as it is written: no browser escapes any of
// it, and no part of it is resolved.
func isPath(path string) bool {
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "." || part == ".." {
			return false
		}
	}
	for i := range len(path) {
		if c := path[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && strings.IndexByte("-._~/", c) < 0 {
			return false
		}
	}
	return path[0] == '/'
}

// at returns the URI once the port is known. A named one is returned as it was named.
func (t target) at(port int, named string) string {
	if t.port != 0 {
		return named
	}
	path := t.path
	if path == "/" && named != "" && !strings.HasSuffix(named, "/") {
		path = ""
	}
	return t.origin(port) + path
}

// origin returns where everything is that is listened for at this port.
func (t target) origin(port int) string { return "http://" + t.host + ":" + strconv.Itoa(port) }

// addresses returns what has to be listened on: of localhost both families, since a browser
// may take either, and somebody else may listen on the one that is left.
func (t target) addresses() []string {
	if t.host == "localhost" {
		return []string{"127.0.0.1", "::1"}
	}
	return []string{strings.Trim(t.host, "[]")}
}

// callbackPath returns the path for an issuer and a client.
func callbackPath(issuer, client string) string {
	return callbackPrefix + authcode.PathOf(issuer, client)
}

// isHost reports whether a Host field names the host and port that were listened on. Anything
// else comes from a page whose name was made to resolve to this machine (DNS rebinding), or
// from no browser.
func isHost(field, host string, port int) bool {
	if port == 80 && strings.EqualFold(field, host) {
		return true
	}
	return strings.EqualFold(field, host+":"+strconv.Itoa(port))
}

// portOf returns the port of a listener, which must be on loopback.
func portOf(l net.Listener) (int, error) {
	addr, err := netip.ParseAddrPort(l.Addr().String())
	if err != nil || !addr.Addr().Unmap().IsLoopback() {
		return 0, errors.New("redirect: the listener is not on loopback")
	}
	return int(addr.Port()), nil
}

// URIOf returns the redirect URI of an issuer and a client as it is to be registered (RFC
// 7591 §2, or by hand): without a port, which is another one each time (RFC 8252 §7.3).
// named is [Config.RedirectURI], which is returned if there is one.
func URIOf(issuer, client, named string) string {
	if named != "" {
		return named
	}
	u := url.URL{Scheme: "http", Host: "127.0.0.1", Path: callbackPath(issuer, client)}
	return u.String()
}
