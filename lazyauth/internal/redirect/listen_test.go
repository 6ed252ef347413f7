package redirect_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// localhost is both families at one port, or nothing.
func TestLocalhost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}, config: func(c *redirect.Config) { c.RedirectURI = "http://localhost:8085/cb" }})
		if w.machine.open() != 2 {
			t.Fatalf("%d listeners", w.machine.open())
		}
		b := w.browser()
		if !strings.HasPrefix(w.auth.Link(), "http://localhost:8085/start/") {
			t.Errorf("link %s", w.auth.Link())
		}
		w.back(b, "code", "good", "state", w.state(b))
		w.token()
	})
	synctest.Test(t, func(t *testing.T) {
		m := &machine{taken: map[string]bool{"[::1]:8085": true}}
		flow, err := redirect.New(config(func(c *redirect.Config) { c.RedirectURI, c.Listen = "http://localhost:8085/cb", m.listen }))
		if err != nil {
			t.Fatal(err)
		}
		_, err = flow.Begin(t.Context(), redirect.Request{}, nothingMore)
		if p, ok := errors.AsType[*redirect.PortError](err); !ok || p.Address != "[::1]:8085" || m.open() != 0 {
			t.Errorf("error %v, %d listeners", err, m.open())
		}
	})
	// Any port: one that is free in both.
	synctest.Test(t, func(t *testing.T) {
		m := &machine{taken: map[string]bool{"[::1]:40001": true}}
		flow, err := redirect.New(config(func(c *redirect.Config) { c.RedirectURI, c.Listen = "http://localhost", m.listen }))
		if err != nil {
			t.Fatal(err)
		}
		auth, err := flow.Begin(t.Context(), redirect.Request{}, nothingMore)
		if err != nil {
			t.Fatal(err)
		}
		if auth.RedirectURI() != "http://localhost:40002" || m.open() != 2 {
			t.Errorf("redirect URI %s, %d listeners", auth.RedirectURI(), m.open())
		}
		auth.Finish(canceled(), redirect.Outcome{})
		if m.open() != 0 {
			t.Error("it still listens")
		}
	})
}

// A listener that is not on loopback is none.
func TestListen_OnLoopbackOnly(t *testing.T) {
	closed := 0
	listen := func(context.Context, string, string) (net.Listener, error) {
		return everywhere{closed: &closed}, nil
	}
	flow, err := redirect.New(config(func(c *redirect.Config) { c.Listen = listen }))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := flow.Begin(t.Context(), redirect.Request{}, nothingMore); err == nil || closed != 1 {
		t.Errorf("error %v, closed %d", err, closed)
	}
}

type everywhere struct {
	net.Listener
	closed *int
}

func (everywhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4zero, Port: 8085} }

func (e everywhere) Close() error {
	*e.closed++
	return nil
}

// Who holds connections and says nothing, or not all, is thrown out, and the person's browser
// gets in.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var held []net.Conn
		for n := range 32 {
			conn, err := w.machine.dial(t.Context(), "tcp", "127.0.0.1:40001")
			if err != nil {
				t.Fatal(err)
			}
			if n%2 == 0 {
				io.WriteString(conn, "GET /callback HTTP/1.1\r\nHost: 127")
			}
			held = append(held, conn)
		}
		began := time.Now()
		w.back(w.browser(), "code", "good", "state", w.state(nil))
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("got in after %v", took)
		}
		w.token()
		for _, conn := range held {
			conn.Close()
		}
	})
	// Who asks again and again does not keep a connection: there is one request of each.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var others sync.WaitGroup
		var held []net.Conn
		for range 32 {
			conn, err := w.machine.dial(t.Context(), "tcp", "127.0.0.1:40001")
			if err != nil {
				t.Fatal(err)
			}
			held = append(held, conn)
			others.Go(func() {
				for answers := bufio.NewReader(conn); ; time.Sleep(4 * time.Second) {
					if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1:40001\r\n\r\n"); err != nil {
						return
					}
					resp, err := http.ReadResponse(answers, nil)
					if err != nil {
						return
					}
					_, _ = io.Copy(io.Discard, resp.Body) // the next request fails if it does
				}
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if conn, err := w.machine.dial(ctx, "tcp", "127.0.0.1:40001"); err != nil {
			t.Errorf("nobody else gets in: %v", err)
		} else {
			conn.Close()
		}
		for _, conn := range held {
			conn.Close()
		}
		others.Wait()
		w.back(w.browser(), "code", "good", "state", w.state(nil))
		w.token()
	})
	// A head without an end is refused.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		conn, err := w.machine.dial(t.Context(), "tcp", "127.0.0.1:40001")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		go io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1:40001\r\nX: "+strings.Repeat("x", 1<<20))
		line, err := bufio.NewReader(conn).ReadString('\n')
		if err != nil || !strings.Contains(line, "431") {
			t.Errorf("got %q, %v", line, err)
		}
		w.waits()
	})
}

// The same over sockets: both families, a real browser's client, all closed at the end.
func TestRealListener(t *testing.T) {
	for _, uri := range []string{"", "http://localhost/cb", "http://[::1]/cb"} {
		as := newServer()
		flow, err := redirect.New(config(func(c *redirect.Config) { c.Client, c.RedirectURI = as, uri }))
		if err != nil {
			t.Fatal(err)
		}
		auth, err := flow.Begin(t.Context(), redirect.Request{Link: redirect.Opened}, nothingMore)
		if p, ok := errors.AsType[*redirect.PortError](err); ok && strings.Contains(p.Address, "::1") {
			t.Logf("this machine has no IPv6: %v", err)
			continue
		} else if err != nil {
			t.Fatal(err)
		}
		w := &world{T: t, server: as, flow: flow}
		w.wait(t.Context(), auth)
		jar, _ := cookiejar.New(nil)
		b := &browser{t, &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
		p := w.back(b, "code", "good", "state", w.state(b))
		w.token()
		finished := make(chan struct{})
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			auth.Finish(ctx, redirect.Outcome{Account: "ada"})
			close(finished)
		}()
		w.done(b, p).wants(t, 200, "signed-in")
		cancel()
		<-finished
		if conn, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(originOf(auth.RedirectURI()), "http://"), "/")); err == nil {
			conn.Close()
			t.Errorf("%s: it still listens", auth.RedirectURI())
		}
	}
}

func originOf(uri string) string {
	u, _ := url.Parse(uri)
	return "http://" + u.Host
}
