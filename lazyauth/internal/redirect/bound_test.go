package redirect_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// Who holds connections and says nothing, or not all, is thrown out, and the person's browser
// gets in.
func TestConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		var held []net.Conn
		for n := range 32 {
			conn, err := w.machine.Dial(t.Context(), "tcp", "127.0.0.1:40001")
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
			conn, err := w.machine.Dial(t.Context(), "tcp", "127.0.0.1:40001")
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
		if conn, err := w.machine.Dial(ctx, "tcp", "127.0.0.1:40001"); err != nil {
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
		conn, err := w.machine.Dial(t.Context(), "tcp", "127.0.0.1:40001")
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

// hold opens so many connections to the listener, one after the other, and says these words on each, if
// there are any. What they are answered is thrown away. They are closed at the end.
func (w *world) hold(n int, words ...string) {
	w.Helper()
	ctx, cancel := context.WithCancel(w.Context())
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			conn, err := w.machine.Dial(ctx, "tcp", "127.0.0.1:40001")
			if err != nil {
				return
			}
			defer conn.Close()
			all.Go(func() { _, _ = io.Copy(io.Discard, conn) }) // ends with the connection
			for _, word := range words {
				if _, err := io.WriteString(conn, word); err != nil {
					return
				}
				select {
				case <-time.After(10 * time.Millisecond):
				case <-ctx.Done():
					return
				}
			}
			<-ctx.Done()
		})
		synctest.Wait() // they are pending in this order
	}
	w.Cleanup(func() {
		cancel()
		all.Wait()
	})
}

// A user of this machine who has very many connections pending keeps the person's browser out for a moment,
// and not for as long as they all last: also one who says something all the time, without an end, or asks
// for something that has to be waited for.
func TestBound_ManyPending(t *testing.T) {
	for name, words := range map[string][]string{
		"silent":   nil,
		"dribbles": strings.Split("GET /callback HTTP/1.1\r\nHost: 127.0.0.1:40001\r\nX: "+strings.Repeat("x", 2000), ""),
		"a body":   {"GET / HTTP/1.1\r\nHost: 127.0.0.1:40001\r\nContent-Length: 100\r\n\r\n"},
		"too long": {"GET / HTTP/1.1\r\nHost: 127.0.0.1:40001\r\nContent-Length: 1000000000\r\n\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.hold(1024, words...)
				began := time.Now()
				w.back(w.browser(), "code", "good", "state", w.state(nil))
				if took := time.Since(began); took > 2*time.Second {
					t.Errorf("got in after %v", took)
				}
				w.token()
			})
		})
	}
}

// A browser that waits for the last page, or for the start page to push a request, makes room for nobody.
func TestBound_KeepsWhatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		p := w.back(b, "code", "good", "state", w.state(nil))
		w.token()
		last := make(chan page)
		go func() { last <- w.done(b, p) }()
		synctest.Wait()
		w.hold(500)
		time.Sleep(3 * time.Second)
		go w.auth.Finish(t.Context(), redirect.Outcome{Account: "ada"})
		(<-last).wants(t, 200, "signed-in")
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}, server: pushesOnly})
		w.server.pushTakes = 30 * time.Second
		b := w.browser()
		first := make(chan page)
		go func() { first <- b.get(w.auth.Link()) }()
		synctest.Wait()
		w.hold(500)
		if p := <-first; p.status != http.StatusSeeOther {
			t.Errorf("the start page answers %d", p.status)
		}
	})
}

// As long as there is room nobody is put out.
func TestBound_RoomForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		conn, err := w.machine.Dial(t.Context(), "tcp", "127.0.0.1:40001")
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		w.hold(30)
		time.Sleep(4 * time.Second)
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: 127.0.0.1:40001\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(bufio.NewReader(conn), nil); err != nil || resp.StatusCode != http.StatusNotFound {
			t.Errorf("got %v, %v", resp, err)
		}
	})
}
