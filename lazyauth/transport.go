package lazyauth

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// Client returns an HTTP client for the call that ctx belongs to. It adds the
// bearer token to requests towards the origins in [Service.API], and to those
// alone: anything else, redirects included, goes out without it. A request may
// first wait for a refresh or for the person, for as long as its own context
// allows; if that fails, its error wraps an [*Error].
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
	auth := t.call.owner.auth
	if len(auth.origins) == 0 {
		return refuse(errNoAPI)
	}
	if !auth.origins.allow(req.URL) {
		return auth.options.Transport.RoundTrip(req)
	}
	token, err := t.call.token(req.Context())
	if err != nil {
		return refuse(err)
	}
	clone := req.Clone(req.Context())
	token.SetAuthHeader(clone)
	return auth.options.Transport.RoundTrip(clone)
}

// origins are the origins a token may be sent to.
type origins map[string]struct{}

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
		out[originOf(u)] = struct{}{}
	}
	return out, nil
}

func (o origins) allow(u *url.URL) bool {
	_, ok := o[originOf(u)]
	return ok
}

// originOf returns the origin of u (RFC 6454 §4), with the port spelled out.
func originOf(u *url.URL) string {
	scheme, port := strings.ToLower(u.Scheme), u.Port()
	if port == "" {
		port = map[string]string{"https": "443", "http": "80"}[scheme]
	}
	return scheme + "://" + net.JoinHostPort(strings.ToLower(u.Hostname()), port)
}

func loopback(host string) bool {
	if strings.EqualFold(host, "localhost") {
		return true
	}
	address, err := netip.ParseAddr(host)
	return err == nil && address.IsLoopback()
}
