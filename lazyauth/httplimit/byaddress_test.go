package httplimit_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
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

// Behind proxies the address is the last one that is none of theirs, and nobody else's word.
func TestBehindProxies(t *testing.T) {
	address := httplimit.BehindProxies(netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("::1/128"))
	many := strings.Repeat("10.0.0.9, ", 50)
	for name, c := range map[string]struct {
		remote    string
		forwarded []string
		want      string
	}{
		"a stranger's own connection":  {"192.0.2.1:80", nil, "192.0.2.1"},
		"a stranger who says they are": {"192.0.2.1:80", []string{"198.51.100.1"}, "192.0.2.1"},
		"by a proxy":                   {"10.0.0.1:80", []string{"198.51.100.1"}, "198.51.100.1"},
		"who said they are another":    {"10.0.0.1:80", []string{"203.0.113.7, 198.51.100.1"}, "198.51.100.1"},
		"by two proxies":               {"10.0.0.1:80", []string{"203.0.113.7, 198.51.100.1,10.0.0.2"}, "198.51.100.1"},
		"in two fields":                {"10.0.0.1:80", []string{"203.0.113.7, 198.51.100.1", "10.0.0.2"}, "198.51.100.1"},
		"of a network":                 {"[::1]:80", []string{"2001:db8::1:2:3:4"}, "2001:db8::/64"},
		"with a port":                  {"[::1]:80", []string{"[2001:db8::1]:4711"}, "2001:db8::/64"},
		"in IPv6's clothes":            {"[::ffff:10.0.0.1]:80", []string{"::ffff:198.51.100.1"}, "198.51.100.1"},
		"a proxy's own":                {"10.0.0.1:80", nil, "10.0.0.1"},
		"proxies alone":                {"10.0.0.1:80", []string{"10.0.0.3, 10.0.0.2"}, "10.0.0.3"},
		"nonsense":                     {"10.0.0.1:80", []string{"198.51.100.1, unknown"}, "10.0.0.1"},
		"nothing":                      {"10.0.0.1:80", []string{"", ","}, "10.0.0.1"},
		"a long list":                  {"10.0.0.1:80", []string{"198.51.100.1, " + many + "10.0.0.9"}, "10.0.0.9"},
		"by a Unix socket":             {"@", []string{"203.0.113.7, 198.51.100.1"}, "198.51.100.1"},
		"at a Unix socket":             {"@", nil, "@"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = c.remote
		r.Header["X-Forwarded-For"] = c.forwarded
		if got := address(r); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// Whatever stands in the field: no panic, and an address of bounded length.
func FuzzBehindProxies(f *testing.F) {
	address := httplimit.BehindProxies(netip.MustParsePrefix("10.0.0.0/8"))
	for _, seed := range []string{"198.51.100.1", "10.0.0.2,,", "[::1", "]:", "1.2.3.4:5:6", "fe80::1%eth0", "\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, forwarded string) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.RemoteAddr = "10.0.0.1:80"
		r.Header["X-Forwarded-For"] = []string{forwarded}
		got := address(r)
		if _, err := netip.ParsePrefix(got); err != nil {
			if _, err := netip.ParseAddr(got); err != nil {
				t.Errorf("%q: %q", forwarded, got)
			}
		}
	})
}
