package httplimit_test

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
)

// listens accepts on loopback behind a limiter, and returns where.
func listens(t *testing.T, limits *httplimit.Limits) (address string, accepted <-chan net.Conn) {
	t.Helper()
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := httplimit.New(limits).Listener(inner)
	t.Cleanup(func() { l.Close() })
	conns := make(chan net.Conn, 10)
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conns <- conn
		}
	}()
	return inner.Addr().String(), conns
}

// dials connects, and reports whether it is let in; otherwise the connection has ended.
func dials(t *testing.T, address string, accepted <-chan net.Conn) (net.Conn, bool) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	ended := make(chan error, 1)
	go func() {
		_, err := conn.Read(make([]byte, 1))
		ended <- err
	}()
	select {
	case theirs := <-accepted:
		t.Cleanup(func() { theirs.Close() })
		return theirs, true
	case err := <-ended:
		if err == nil {
			t.Error("it says something")
		}
		return nil, false
	case <-time.After(time.Minute):
		t.Fatal("it is neither let in nor turned away")
		return nil, false
	}
}

// Connections of an address, and of all, are bounded; one that ends, however often it is closed,
// leaves its place to another.
func TestListener(t *testing.T) {
	for name, limits := range map[string]*httplimit.Limits{
		"of an address":    {Connections: 5, ConnectionsPerAddress: 2},
		"in all":           {Connections: 2, ConnectionsPerAddress: 5},
		"in all, by proxy": {Connections: 2, ConnectionsPerAddress: 1, Address: httplimit.BehindProxies()},
	} {
		t.Run(name, func(t *testing.T) {
			address, accepted := listens(t, limits)
			first, ok := dials(t, address, accepted)
			if _, second := dials(t, address, accepted); !ok || !second {
				t.Fatal("they are turned away")
			}
			if _, third := dials(t, address, accepted); third {
				t.Error("a third one is let in")
			}
			first.Close()
			first.Close()
			if _, again := dials(t, address, accepted); !again {
				t.Error("there is no room after one has ended")
			}
			if _, more := dials(t, address, accepted); more {
				t.Error("one that was closed twice has left two places")
			}
		})
	}
}

// net/http serves by such a listener, and closes it.
func TestListener_Serves(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	limiter := httplimit.New(nil)
	web := &http.Server{Handler: limiter.ByAddress(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "served")
	})), ReadHeaderTimeout: time.Minute}
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(limiter.Listener(inner)) }()
	res, err := http.Get("http://" + inner.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(res.Body); err != nil || string(text) != "served" {
		t.Errorf("%q, %v", text, err)
	}
	res.Body.Close()
	if err := web.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	<-ended
}
