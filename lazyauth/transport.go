package lazyauth

import (
	"context"
	"errors"
	"maps"
	"net/http"
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
