package lazyauth

import (
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"sync"
)

// origins are the origins a token may be sent to.
type origins map[origin]struct{}

// An origin is a scheme, a host and a port (RFC 6454 §4), in lower case and with
// the port spelled out.
type origin struct{ scheme, host, port string }

func parseOrigins(list []string) (origins, error) {
	out := make(origins, len(list))
	for n, text := range list {
		u, err := url.Parse(text)
		switch {
		case err != nil || u.Host == "" || u.Hostname() == "":
			return nil, fmt.Errorf("lazyauth: Service.APIOrigins[%d] %q is not an origin such as https://api.example.com", n, text)
		case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("lazyauth: Service.APIOrigins[%d] %q must be an origin: scheme, host and port alone", n, u.Redacted())
		case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
			return nil, fmt.Errorf("lazyauth: Service.APIOrigins[%d] %q must be https, or http to a loopback address", n, text)
		}
		o, ok := originOf(u)
		if !ok {
			return nil, fmt.Errorf("lazyauth: Service.APIOrigins[%d] %q must name its host by an IP address or by ASCII letters, digits, dots, dashes and underscores; write another name in its ASCII form (xn--…), and list each host by itself", n, text)
		}
		out[o] = struct{}{}
	}
	return out, nil
}

func (o origins) allow(u *url.URL) bool {
	at, ok := originOf(u)
	if !ok {
		return false
	}
	_, ok = o[at]
	return ok
}

// maxStrangers is how many origins that are not in the list are reported.
const maxStrangers = 64

// strangers are origins that requests went to without the token.
type strangers struct {
	mu    sync.Mutex
	known map[string]struct{}
}

// isNew reports whether this origin has yet to be reported.
func (s *strangers) isNew(origin string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, known := s.known[origin]; known || len(s.known) == maxStrangers {
		return false
	}
	if s.known == nil {
		s.known = make(map[string]struct{})
	}
	s.known[origin] = struct{}{}
	return true
}

// warnOfStranger tells, once an origin, of a request that goes out without the token. Of its
// URL nothing else is told: path and query may hold secrets.
func (t transport) warnOfStranger(u *url.URL) {
	c, auth := t.call, t.call.gate.auth
	origin := u.Scheme + "://" + u.Host
	if len(origin) > maxForeignText {
		origin = origin[:maxForeignText]
	}
	if auth.observer.trace.Warned == nil || !auth.strangers.isNew(origin) {
		return
	}
	emit(c.Context, auth.observer.trace.Warned, WarnedInfo{
		About: auth.observer.about(c.person.Who(), c.gate.tool),
		Err:   fmt.Errorf("lazyauth: a request to %+q went out without the token: Service.APIOrigins does not list that origin, which it must if the API is there", origin),
	})
}

// originOf returns the origin of u. It reports false for a host that is spelled in any
// way but plain ASCII: net/http dials such a name in another form (RFC 5891), and
// Unicode has letters whose lower case is an ASCII one, so that a name which only looks
// like one of ours would be taken for it.
func originOf(u *url.URL) (origin, bool) {
	o := origin{lowerASCII(u.Scheme), lowerASCII(u.Hostname()), u.Port()}
	switch {
	case o.port != "":
	case o.scheme == "https":
		o.port = "443"
	case o.scheme == "http":
		o.port = "80"
	}
	return o, plainHost(o.host)
}

// plainHost reports whether host is an IP address without a zone, or a name of ASCII
// letters, digits, dots, dashes and underscores.
func plainHost(host string) bool {
	if strings.Contains(host, ":") {
		address, err := netip.ParseAddr(host)
		return err == nil && address.Zone() == ""
	}
	for i := range len(host) {
		switch c := host[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '.', c == '-', c == '_':
		default:
			return false
		}
	}
	return host != ""
}

// lowerASCII returns text with its ASCII letters in lower case, and nothing else changed.
func lowerASCII(text string) string {
	return strings.Map(func(r rune) rune {
		if r >= 'A' && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, text)
}
