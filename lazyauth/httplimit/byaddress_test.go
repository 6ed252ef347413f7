package httplimit_test

import (
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
)

// A crowd are requests in progress, each from an address of its own choice.
type crowd struct {
	t       *testing.T
	handler http.Handler
	leave   chan struct{}
	inside  chan struct{}
	wg      sync.WaitGroup
}

func newCrowd(t *testing.T, limits *httplimit.Limits) *crowd {
	c := &crowd{t: t, leave: make(chan struct{}), inside: make(chan struct{})}
	c.handler = httplimit.New(limits).ByAddress(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		c.inside <- struct{}{}
		<-c.leave
	}))
	return c
}

// comes makes a request that stays.
func (c *crowd) comes(address string) {
	c.wg.Go(func() {
		for w := httptest.NewRecorder(); ; w = httptest.NewRecorder() { // until who has just left has left
			if c.handler.ServeHTTP(w, request(address)); w.Code == http.StatusOK {
				return
			}
			runtime.Gosched()
		}
	})
	<-c.inside
}

// turned demands that a request is turned away with this status.
func (c *crowd) turned(address string, status int) {
	c.t.Helper()
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, request(address))
	if w.Code != status || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), "busy") {
		c.t.Errorf("%s is answered %d, %v, %q; want %d", address, w.Code, w.Header(), w.Body, status)
	}
}

func request(address string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/mcp", strings.NewReader("{}"))
	r.RemoteAddr = address
	return r
}

func TestByAddress(t *testing.T) {
	c := newCrowd(t, &httplimit.Limits{Requests: 5, PerAddress: 2})
	c.comes("192.0.2.1:1000")
	c.comes("[::ffff:192.0.2.1]:1001") // the same
	c.turned("192.0.2.1:1002", http.StatusTooManyRequests)
	c.comes("[2001:db8::1]:1000")
	c.comes("[2001:db8::ffff:2]:1000") // the same network
	c.turned("[2001:db8::3%eth0]:1000", http.StatusTooManyRequests)
	c.comes("[2001:db8:0:1::1]:1000")
	c.turned("192.0.2.9:1000", http.StatusServiceUnavailable)
	c.turned("192.0.2.1:1000", http.StatusServiceUnavailable)
	c.leave <- struct{}{}
	c.comes("192.0.2.9:1000")
	close(c.leave)
	c.wg.Wait()
}

// Behind a proxy the author says who a request is counted as.
func TestByAddress_Address(t *testing.T) {
	c := newCrowd(t, &httplimit.Limits{PerAddress: 1, Address: func(r *http.Request) string { return r.Header.Get("X-Real-IP") + r.RemoteAddr }})
	c.comes("a")
	c.turned("a", http.StatusTooManyRequests)
	c.comes("b")
	close(c.leave)
	c.wg.Wait()
}
