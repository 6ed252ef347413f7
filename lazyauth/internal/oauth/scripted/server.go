// Package scripted is an authorization server that answers what a test tells it to, byte
// for byte and fault for fault, and what the tests of a client of it have in common. Where
// a server that behaves is wanted, there is conformance/fakeas.
package scripted

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// A Reply is what a scripted server does with one request.
type Reply func(*http.Request) (*http.Response, error)

// A Server is an authorization server that follows a script: a queue of replies a
// path, of which the last is repeated. It is a RoundTripper, needs no socket and
// works inside a synctest bubble. Its zero value knows no page.
type Server struct {
	mu     sync.Mutex // guards all fields
	script map[string][]Reply
	bodies []*Body

	// Requests are those that were answered. It may be read when there are none under way.
	Requests []Request
}

// A Request is one that the server has received.
type Request struct {
	Method, URL, Body  string
	Header             http.Header
	Received, Answered time.Time
}

// On adds replies to the queue of a path, and returns the server.
func (s *Server) On(path string, replies ...Reply) *Server {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.script == nil {
		s.script = map[string][]Reply{}
	}
	s.script[path] = append(s.script[path], replies...)
	return s
}

// Has reports whether there is a script for a path.
func (s *Server) Has(path string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.script[path]) > 0
}

// RoundTrip implements [http.RoundTripper].
func (s *Server) RoundTrip(req *http.Request) (*http.Response, error) {
	got := Request{Method: req.Method, URL: req.URL.String(), Header: req.Header.Clone(), Received: time.Now()}
	if req.Body != nil {
		text, err := io.ReadAll(req.Body)
		if err != nil {
			return nil, err
		}
		got.Body = string(text)
		req.Body.Close()
	}
	s.mu.Lock()
	queue := s.script[req.URL.Path]
	if len(queue) > 1 {
		s.script[req.URL.Path] = queue[1:]
	}
	s.mu.Unlock()
	if len(queue) == 0 {
		queue = []Reply{Answer(404, "text/html", "<html>no such page</html>")}
	}
	resp, err := queue[0](req)
	got.Answered = time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Requests = append(s.Requests, got)
	if resp != nil {
		s.bodies = append(s.bodies, resp.Body.(*Body))
	}
	return resp, err
}

// To returns the requests to one path.
func (s *Server) To(path string) []Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	var list []Request
	for _, r := range s.Requests {
		if strings.HasSuffix(r.URL, path) {
			list = append(list, r)
		}
	}
	return list
}

// CheckClosed fails the test if a response body was left open.
func (s *Server) CheckClosed(t testing.TB) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, b := range s.bodies {
		if !b.closed {
			t.Errorf("the body of answer %d was not closed", i)
		}
	}
}

// A Body is that of a reply.
type Body struct {
	io.Reader
	closed bool
}

// Close implements [io.Closer].
func (b *Body) Close() error {
	b.closed = true
	return nil
}

// Answer replies with a status and a body, and headers in pairs.
func Answer(status int, contentType, text string, headers ...string) Reply {
	return func(req *http.Request) (*http.Response, error) {
		h := http.Header{}
		if contentType != "" {
			h.Set("Content-Type", contentType)
		}
		for i := 0; i < len(headers); i += 2 {
			h.Set(headers[i], headers[i+1])
		}
		return &http.Response{
			Status: fmt.Sprint(status), StatusCode: status, Header: h,
			Body: &Body{Reader: strings.NewReader(text)}, Request: req,
		}, nil
	}
}

// OK replies with JSON.
func OK(text string) Reply { return Answer(200, "application/json", text) }

// OAuthError is an error answer as RFC 6749 §5.2 wants it.
func OAuthError(code string) Reply {
	return Answer(400, "application/json", fmt.Sprintf(`{"error":%q}`, code))
}

// Broken is a failed connection.
func Broken(err error) Reply {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// Stall never answers; it ends with the request's context.
func Stall(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// Slowly answers after a time, unless the request's context ends first.
func Slowly(d time.Duration, then Reply) Reply {
	return func(req *http.Request) (*http.Response, error) {
		select {
		case <-time.After(d):
			return then(req)
		case <-req.Context().Done():
			return nil, req.Context().Err()
		}
	}
}

// CutOff sends part of a body and breaks.
func CutOff(req *http.Request) (*http.Response, error) {
	resp, err := OK("")(req)
	resp.Body = &Body{Reader: io.MultiReader(strings.NewReader(`{"access_`), failing{})}
	return resp, err
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
