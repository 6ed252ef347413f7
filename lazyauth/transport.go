package lazyauth

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Client returns an HTTP client for the call that ctx belongs to. It adds the
// bearer token to requests towards the origins in [Service.APIOrigins], and to those
// alone: anything else, redirects included, goes out without it. A request may
// first wait for a refresh or for the person, for as long as its own context
// allows; if that fails, its error wraps an [*Error].
//
// If the API refuses the token, or asks for more scopes (RFC 6750 §3), the
// client refreshes, or asks the person, and sends that one request again. It can
// do so if the request has no body, or has GetBody, or a body of at most 64 KiB
// that was sent to its end; otherwise the error says so and nobody is asked.
// What a handler did before stays done, and is not done again.
//
// Outside of a call every request of the client fails.
func Client(ctx context.Context) *http.Client {
	return &http.Client{Transport: transport{callFrom(ctx)}}
}

// A transport adds the token of a call.
type transport struct{ call *call }

var errNoAPI = errors.New("lazyauth: Service.API names no origin, so there is nowhere to send the token")

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	refuse := func(err error) (*http.Response, error) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	if t.call == nil {
		return refuse(errNoCall)
	}
	auth := t.call.gate.auth
	if len(auth.origins) == 0 {
		return refuse(errNoAPI)
	}
	if !auth.origins.allow(req.URL) {
		return auth.options.Transport.RoundTrip(req)
	}
	body := newReplay(req)
	for {
		g, err := t.call.current(req.Context())
		if err != nil {
			return refuse(err)
		}
		clone := req.WithContext(req.Context())
		clone.Header = maps.Clone(req.Header)
		if clone.Header == nil {
			clone.Header = make(http.Header, 1)
		}
		clone.Header["Authorization"] = g.Header()
		if body != nil {
			if clone.Body, err = body.next(); err != nil {
				return nil, err
			}
		}
		res, err := auth.options.Transport.RoundTrip(clone)
		if err != nil || res.StatusCode < http.StatusBadRequest {
			return res, err
		}
		again, err := t.call.challenged(req.Context(), g, res, body)
		if err == nil && !again {
			return res, nil
		}
		res.Body.Close() // unread: it is not worth waiting for, for the connection's sake
		if err != nil {
			return nil, err
		}
	}
}

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
			return nil, fmt.Errorf("lazyauth: Service.API[%d] %q is not an origin such as https://api.example.com", n, text)
		case u.User != nil || strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
			return nil, fmt.Errorf("lazyauth: Service.API[%d] %q must be an origin: scheme, host and port alone", n, u.Redacted())
		case u.Scheme != "https" && (u.Scheme != "http" || !loopback(u.Hostname())):
			return nil, fmt.Errorf("lazyauth: Service.API[%d] %q must be https, or http to a loopback address", n, text)
		}
		o, ok := originOf(u)
		if !ok {
			return nil, fmt.Errorf("lazyauth: Service.API[%d] %q must name its host by an IP address or by ASCII letters, digits, dots, dashes and underscores; write another name in its ASCII form (xn--…), and list each host by itself", n, text)
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
