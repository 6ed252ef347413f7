package fakeas

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"syscall"
)

// Transport returns a RoundTripper that serves requests to the issuer and to
// the API in the calling goroutine, without a socket. It honours the
// request's context while it waits. A dropped connection is io.EOF, a reset
// one an error that is syscall.ECONNRESET. A request to any other origin is
// judged, and then fails as if the name did not resolve.
func (s *Server) Transport() http.RoundTripper { return transport{s} }

type transport struct{ server *Server }

// RoundTrip implements http.RoundTripper.
func (t transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Body != nil {
		defer r.Body.Close()
	}
	if err := context.Cause(r.Context()); err != nil {
		return nil, err
	}
	s := t.server
	at := site{issuer: sameOrigin(r, s.issuer), api: sameOrigin(r, s.api), inProcess: true}
	if !at.issuer && !at.api {
		s.exchange(r, at, s.opts.Issuer)
		name := &net.DNSError{Err: "no such host", Name: r.URL.Hostname(), IsNotFound: true}
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: name}
	}

	out := s.exchange(r, at, s.opts.Issuer)
	switch out.ending {
	case gone:
		return nil, context.Cause(r.Context())
	case dropped:
		return nil, io.EOF
	case wasReset:
		return nil, &net.OpError{Op: "read", Net: "tcp", Err: syscall.ECONNRESET}
	}
	return out.response(r), nil
}

// response turns a reply into what a client reads off a connection.
func (out *reply) response(r *http.Request) *http.Response {
	header := out.header
	if header == nil {
		header = make(http.Header)
	}
	if header.Get("Content-Length") == "" {
		header.Set("Content-Length", strconv.Itoa(len(out.body)))
	}
	var body io.Reader = bytes.NewReader(out.body)
	if out.ending == cutOff {
		body = io.MultiReader(bytes.NewReader(out.body[:len(out.body)/2]), brokenOff{})
	}
	if r.Method == http.MethodHead {
		body = http.NoBody
	}
	return &http.Response{
		Status:        fmt.Sprintf("%03d %s", out.status, http.StatusText(out.status)),
		StatusCode:    out.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          io.NopCloser(body),
		ContentLength: int64(len(out.body)),
		Request:       r,
	}
}

// brokenOff is the rest of a body that never comes.
type brokenOff struct{}

func (brokenOff) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// sameOrigin compares scheme, host and port (RFC 6454 §5).
func sameOrigin(r *http.Request, base *url.URL) bool {
	return r.URL.Scheme == base.Scheme && strings.EqualFold(r.URL.Hostname(), base.Hostname()) &&
		port(r.URL) == port(base)
}

// port returns the port of a URL, the default one if it names none.
func port(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "https" {
		return "443"
	}
	return "80"
}
