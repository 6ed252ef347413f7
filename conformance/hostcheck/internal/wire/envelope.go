package wire

import (
	"maps"
	"net/http"
	"slices"
	"strings"
)

// An Envelope is what HTTP has around a message: the request line, or the status, and
// the headers.
type Envelope struct {
	Method string      // of a request
	Path   string      // of a request, with its query; what is secret of the server's is left out
	Status int         // of a response
	Header http.Header // as it was sent; what is secret is not in it, and what is long is cut
}

// What of a request line and of headers is kept.
const (
	maxPath    = 512 // bytes
	maxValue   = 512 // bytes of one value
	maxHeaders = 64  // values
)

// secret are the headers that are kept without their values.
var secret = []string{"Authorization", "Proxy-Authorization", "Cookie", "Set-Cookie"}

// redacted stands for a value that is not kept.
const redacted = "[redacted]"

// request is the envelope of a request to the endpoints.
func (e *Endpoints) request(r *http.Request) *Envelope {
	path := strings.NewReplacer(e.token, "…", e.control, "…").Replace(r.URL.RequestURI())
	return &Envelope{Method: Excerpt([]byte(r.Method), 32), Path: Excerpt([]byte(path), maxPath), Header: kept(r.Header)}
}

// response is the envelope of a response with this status and these headers.
func response(status int, h http.Header) *Envelope { return &Envelope{Status: status, Header: kept(h)} }

// kept is a copy of headers without what is secret, and bounded.
func kept(h http.Header) http.Header {
	out := make(http.Header, len(h))
	n := 0
	for _, name := range slices.Sorted(maps.Keys(h)) {
		for _, value := range h[name] {
			if n++; n > maxHeaders {
				return out
			}
			if slices.Contains(secret, http.CanonicalHeaderKey(name)) {
				value = redacted
			}
			name := Excerpt([]byte(name), 128)
			out[name] = append(out[name], Excerpt([]byte(value), maxValue))
		}
	}
	return out
}
