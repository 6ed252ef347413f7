package enginetest

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// newStormServer returns an authorization server that takes a second use of a refresh token for theft.
func newStormServer() *fakeas.Server {
	as := fakeas.New(&fakeas.Options{
		Interval: time.Second, TokenLifetime: time.Hour, DetectReuse: true,
		Dialect: func(_ *http.Request, a *fakeas.Answer) {
			if a.Operation == fakeas.Poll && a.Members["expires_in"] != nil {
				a.Members["expires_in"] = firstLife.Seconds()
			}
		},
	})
	as.Script(fakeas.Refresh, fakeas.Pass().After(serverTakes).Times(-1))
	return as
}

// A stormWire is between all machines and the authorization server. It sees which refresh tokens are under way, and
// holds them back until every call has come, and every machine has begun an attempt at each grant, or was refused it.
type stormWire struct {
	next http.RoundTripper

	mu         sync.Mutex
	underWay   map[string]int // by refresh token
	concurrent int
	goroutines int           // at the most
	awaited    int           // calls and attempts
	broken     chan struct{} // is closed when they have come; nil: there is no storm yet
}

// holds has refresh tokens held back until so many calls and attempts have come.
func (w *stormWire) holds(awaited int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.awaited, w.broken, w.goroutines, w.concurrent = awaited, make(chan struct{}), 0, 0
}

// comes says that a call has come, or the first attempt of a machine at a grant.
func (w *stormWire) comes() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.awaited--; w.awaited == 0 && w.broken != nil {
		close(w.broken)
	}
}

// saw returns how many refresh tokens came while they were under way already, and how many goroutines there were.
func (w *stormWire) saw() (concurrent, goroutines int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.concurrent, w.goroutines
}

// RoundTrip implements [http.RoundTripper].
func (w *stormWire) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.Method != http.MethodPost {
		return w.next.RoundTrip(req)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return nil, err
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	form, err := url.ParseQuery(string(body))
	if err != nil {
		return nil, err
	}
	token := form.Get("refresh_token")
	if token == "" {
		return w.next.RoundTrip(req)
	}
	broken := w.begins(token)
	defer w.ends(token)
	if broken != nil {
		select {
		case <-broken:
		case <-req.Context().Done():
			return nil, context.Cause(req.Context())
		}
	}
	return w.next.RoundTrip(req)
}

func (w *stormWire) begins(token string) (broken <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.underWay == nil {
		w.underWay = make(map[string]int)
	}
	if w.underWay[token]++; w.underWay[token] > 1 {
		w.concurrent++
	}
	w.goroutines = max(w.goroutines, runtime.NumGoroutine())
	return w.broken
}

func (w *stormWire) ends(token string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.underWay[token]--; w.underWay[token] == 0 {
		delete(w.underWay, token)
	}
	w.goroutines = max(w.goroutines, runtime.NumGoroutine())
}
