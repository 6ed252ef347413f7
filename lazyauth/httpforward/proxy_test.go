package httpforward_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/iotest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward"
)

// forwards returns a handler that forwards the requests of one call, and answers others with 418.
func forwards(t *testing.T, address string, transport http.RoundTripper, failed func(error)) http.Handler {
	t.Helper()
	forwarder, err := httpforward.New(beside(t, address), httpforward.Options{Address: "http://this", Key: key, Transport: transport, Failed: failed})
	if err != nil {
		t.Fatal(err)
	}
	return forwarder.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTeapot) }))
}

const ofCall = `{"method":"tools/call","params":{"requestState":"CALL.AAAA"}}`

func requestOfCall(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, "https://public.example/mcp", strings.NewReader(ofCall))
	r.Header.Set("Content-Type", "application/json")
	return r
}

// The other replica is told what this one was told by its proxy, and whom this one was asked by.
func TestForward_TellsWhoAsked(t *testing.T) {
	for from, want := range map[string]string{"192.0.2.1:4711": "203.0.113.9, 198.51.100.2, 192.0.2.1", "@": "203.0.113.9, 198.51.100.2"} {
		var out *http.Request
		handler := forwards(t, "http://other", roundTrip(func(r *http.Request) (*http.Response, error) {
			out = r
			return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
		}), nil)
		r := requestOfCall(t.Context())
		r.RemoteAddr, r.TLS = from, nil
		for name, value := range map[string]string{
			"X-Forwarded-For": "203.0.113.9, 198.51.100.2", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "public.example", "Forwarded": "for=203.0.113.9",
		} {
			r.Header.Set(name, value)
		}
		handler.ServeHTTP(httptest.NewRecorder(), r)
		got := strings.Join(out.Header.Values("X-Forwarded-For"), ", ")
		if proto := out.Header.Get("X-Forwarded-Proto"); got != want || proto != "https" || out.Header.Get("Forwarded") != "for=203.0.113.9" {
			t.Errorf("asked by %s: X-Forwarded-For %q, want %q; %s; %q", from, got, want, proto, out.Header)
		}
	}
}

// A connection that the other replica had kept open, and closes just now, says nothing about that one.
func TestForward_ConnectionHasEnded(t *testing.T) {
	var met atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != ofCall || r.Header.Get("Idempotency-Key") != "" {
			t.Errorf("it is sent %q, %v", body, err)
		}
		if met.Add(1) == 2 {
			panic(http.ErrAbortHandler)
		}
	}))
	defer other.Close()
	handler := forwards(t, other.URL, nil, func(err error) { t.Error(err) })
	for range 2 {
		w := httptest.NewRecorder()
		if handler.ServeHTTP(w, requestOfCall(t.Context())); w.Code != http.StatusOK {
			t.Errorf("the answer has status %d", w.Code)
		}
	}
	if n := met.Load(); n != 3 {
		t.Errorf("the other replica met %d requests, want 3", n)
	}
}

// Of a form no more is kept than one of the connect page has, and of what is no form and no call nothing:
// anybody may send it there.
func TestForward_KeepsLittleOfWhatIsNoCall(t *testing.T) {
	for kind, most := range map[string]int{"application/x-www-form-urlencoded": 4<<10 + 1, "text/plain": 0, "": 0} {
		body := &counting{Reader: strings.NewReader(strings.Repeat("x", 1<<20))}
		forwarder, err := httpforward.New(beside(t, "http://other"), httpforward.Options{Address: "http://this", Key: key})
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "https://public.example/connect", body)
		r.Header.Set("Content-Type", kind)
		forwarder.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			if body.n > most {
				t.Errorf("%q: %d bytes were read, at most %d are needed", kind, body.n, most)
			}
			if all, err := io.ReadAll(r.Body); err != nil || len(all) != 1<<20 {
				t.Errorf("%q: the next handler reads %d bytes, %v", kind, len(all), err)
			}
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
}

// A counting reader counts what was read.
type counting struct {
	io.Reader
	n int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n += n
	return n, err
}

// Who is told that a request's time is over is not told that all went well.
func TestForward_TimeIsOver(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	handler := forwards(t, "http://other", roundTrip(func(*http.Request) (*http.Response, error) {
		cancel()
		return nil, ctx.Err()
	}), func(err error) { t.Error(err) })
	w := httptest.NewRecorder()
	if handler.ServeHTTP(w, requestOfCall(ctx)); w.Code != http.StatusGatewayTimeout {
		t.Errorf("the answer has status %d", w.Code)
	}
}

// An answer that breaks off breaks off here, and is told of where other failures are.
func TestForward_AnswerBreaksOff(t *testing.T) {
	told := make(chan error, 4)
	broken := errors.New("connection reset")
	handler := forwards(t, "http://other", roundTrip(func(r *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(iotest.ErrReader(broken)), Request: r}, nil
	}), func(err error) { told <- err })
	server := httptest.NewServer(handler)
	defer server.Close()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, server.URL+"/mcp", strings.NewReader(ofCall))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := http.DefaultClient.Do(req)
	if err == nil {
		_, err = io.ReadAll(res.Body)
		res.Body.Close()
	}
	if err == nil {
		t.Error("the caller takes what it has for the whole answer")
	}
	if got := (<-told).Error(); !strings.HasPrefix(got, "httpforward: ") || !strings.Contains(got, "connection reset") {
		t.Errorf("told %q", got)
	}
}
