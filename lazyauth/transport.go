package lazyauth

import (
	"context"
	"errors"
	"io"
	"maps"
	"net/http"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
)

// Client returns an HTTP client for the call that ctx belongs to. It adds the
// bearer token to requests towards the origins in [Service.APIOrigins], and to those
// alone: anything else, redirects included, goes out without it, which [Trace.Warned]
// is told once an origin. Towards those origins the token takes the place of an
// Authorization header that the handler has set; elsewhere that is left alone. Responses
// do not show it. A request may first wait for a refresh or for the person, for as long as its own context
// allows; if that fails, its error wraps an [*Error].
//
// If the API refuses the token, or asks for more scopes (RFC 6750 §3), the
// client refreshes, or asks the person, and sends that one request again. It can
// do so if the request has no body, or has GetBody, or a body of at most 64 KiB
// that was sent to its end; otherwise the error says so and nobody is asked.
// What a handler did before stays done, and is not done again.
//
// Outside of a call every request of the client fails, and so it does in a call that has the
// grants of several services: see [Also] and [Interceptor.Client].
func Client(ctx context.Context) *http.Client {
	return clientOf(theCall(ctx))
}

// clientOf returns the client of a call.
func clientOf(c *call, err error) *http.Client { return &http.Client{Transport: transport{c, err}} }

// A transport adds the token of a call.
type transport struct {
	call *call
	err  error // why there is none
}

var errNoAPI = errors.New("lazyauth: Service.APIOrigins names no origin, so there is nowhere to send the token")

// RoundTrip implements [http.RoundTripper].
func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	refuse := func(err error) (*http.Response, error) {
		if req.Body != nil {
			req.Body.Close()
		}
		return nil, err
	}
	if t.err != nil {
		return refuse(t.err)
	}
	auth := t.call.gate.auth
	if len(auth.origins) == 0 {
		return refuse(errNoAPI)
	}
	if !auth.origins.allow(req.URL) {
		t.warnOfStranger(req.URL)
		return auth.options.Transport.RoundTrip(req)
	}
	body := newReplay(req)
	var last sequel
	for n := 1; ; n++ {
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
		if err != nil {
			return res, err
		}
		res.Request = req // without the token, which no handler needs
		if t.call.answered.Load() != g {
			t.call.answered.Store(g)
		}
		if res.StatusCode < http.StatusBadRequest {
			t.call.holder().Accepted(g, t.call.arrived)
			return res, nil
		}
		r := &refusal{call: t.call, grant: g, res: res, body: body, before: last}
		if n == maxAttempts {
			return res, r.unmet(errRepeated)
		}
		last, err = r.meet(req.Context())
		if err == nil && !last.again {
			return res, nil
		}
		discard(res, auth.keeper)
		if err != nil {
			return nil, err
		}
	}
}

// maxAttempts is how often a request is sent, whatever the API says: once, with a refreshed
// token, with that of another sign-in, with more scopes, and once more should another call
// have had the grant replaced meanwhile.
const maxAttempts = 5

const (
	maxDrain  = 4 << 10     // how much of a refused response is read so that its connection can be used again …
	drainWait = time.Second // … and for how long
)

// discard closes the body of a response that no caller gets. What is left of a short one is
// read beside the call, which it cannot hold up, on a goroutine that keeper waits for.
func discard(res *http.Response, keeper *grants.Keeper) {
	body := res.Body
	res.Body = http.NoBody
	if body == http.NoBody || !keeper.Spawn("the end of a response", func() {
		timer := time.AfterFunc(drainWait, func() { body.Close() })
		defer timer.Stop()
		_, _ = io.CopyN(io.Discard, body, maxDrain) // its error means that it cannot be used again
		body.Close()
	}) {
		body.Close()
	}
}
