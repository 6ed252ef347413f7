package httpforward

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
)

// A forward is a request on its way.
type forward struct {
	address string
	body    []byte
	next    http.Handler
	from    *http.Request
}

type forwardKey struct{}

// rewrite has a request go to the other replica as it came: that one decides by the same fields as this
// one would, and is told besides whom this one was asked by.
func (f *Forwarder) rewrite(p *httputil.ProxyRequest) {
	to := p.In.Context().Value(forwardKey{}).(*forward) //nolint:forcetypeassert // Handler has put it there
	u, err := url.Parse(to.address)
	if err != nil || u.Host == "" {
		u = &url.URL{Scheme: "invalid"} // which no transport takes
	}
	p.SetURL(u)
	p.Out.Host = p.In.Host
	for _, name := range []string{"Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"} {
		if values := p.In.Header[name]; len(values) > 0 {
			p.Out.Header[name] = slices.Clone(values)
		}
	}
	if by, _, err := net.SplitHostPort(p.In.RemoteAddr); err == nil { // a Unix socket has no address
		p.Out.Header.Set("X-Forwarded-For", strings.Join(append(p.In.Header.Values("X-Forwarded-For"), by), ", "))
	}
	if p.Out.Body != nil && p.In.Method == http.MethodPost {
		p.Out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(to.body)), nil }
		if kindOf(p.In) == kindOfCalls {
			repeatable(p.Out.Header)
		}
	}
	p.Out.Header.Set(hopHeader, f.hops.sign(p.Out, to.body))
}

// repeatable has a transport send a request once more if a connection that it had kept has ended
// meanwhile, which says nothing of the replica. A call's state has it done once. See [http.Transport] for the field, which
// is not sent.
func repeatable(h http.Header) {
	const name = "Idempotency-Key"
	if len(h[name]) == 0 {
		h[name] = []string{}
	}
}

// unreachable answers a request here that the other replica could not be brought: as abandoned, since
// this one has not started its handler, and does not.
func (f *Forwarder) unreachable(w http.ResponseWriter, r *http.Request, err error) {
	if r.Context().Err() != nil { // its caller has gone, or its time is over
		w.WriteHeader(http.StatusGatewayTimeout)
		return
	}
	to := r.Context().Value(forwardKey{}).(*forward) //nolint:forcetypeassert // Handler has put it there
	f.failed(fmt.Errorf("httpforward: the replica at %s: %w", to.address, err))
	to.from.Body = io.NopCloser(bytes.NewReader(to.body))
	to.next.ServeHTTP(w, to.from)
}

// brokenOff tells of answers that broke off: it is where the proxy logs what it does not return.
type brokenOff struct{ *Forwarder }

// Write implements [io.Writer].
func (b brokenOff) Write(line []byte) (int, error) {
	b.failed(errors.New("httpforward: " + strings.TrimSpace(string(line))))
	return len(line), nil
}
