package httplimit_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
)

// A pipe is a listener with one connection, in memory, so that time is virtual.
type pipe struct {
	conns  chan net.Conn
	closed chan struct{}
}

func (p *pipe) Accept() (net.Conn, error) {
	select {
	case conn := <-p.conns:
		return conn, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipe) Close() error   { close(p.closed); return nil }
func (p *pipe) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// piped serves a handler behind limits with an end for every time-out but the server's own, and
// returns a caller's end of the connection.
func piped(t *testing.T, handler http.HandlerFunc) net.Conn {
	t.Helper()
	ours, theirs := net.Pipe()
	p := &pipe{conns: make(chan net.Conn, 1), closed: make(chan struct{})}
	p.conns <- theirs
	web := &http.Server{Handler: httplimit.New(nil).ByAddress(handler)}
	ended := make(chan struct{})
	go func() { defer close(ended); _ = web.Serve(p) }()
	t.Cleanup(func() {
		_ = ours.Close()
		_ = web.Close()
		<-ended
		time.Sleep(time.Minute) // in which net/http lets a refused client read what it was told, and the caller awakes
	})
	return ours
}

// Whoever sends a body byte by byte, each in time, is given up all the same; whoever is slow, and
// steady, is not.
func TestByAddress_SlowBody(t *testing.T) {
	for name, c := range map[string]struct {
		every time.Duration
		bytes int
		want  bool
	}{
		"a byte each 29 s": {29 * time.Second, 1, false},
		"100 B a second":   {time.Second, 100, false},
		"2 KiB a second":   {time.Second, 2 << 10, true},
		"40 KiB each 29 s": {29 * time.Second, 40 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				type reading struct {
					n    int64
					err  error
					took time.Duration
				}
				read := make(chan reading, 1)
				conn := piped(t, func(_ http.ResponseWriter, r *http.Request) {
					began := time.Now()
					n, err := io.Copy(io.Discard, r.Body)
					read <- reading{n, err, time.Since(began)}
				})
				go func() {
					fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 400<<10)
					for sent := 0; sent < 400<<10; sent += c.bytes {
						if _, err := io.WriteString(conn, strings.Repeat("x", min(c.bytes, 400<<10-sent))); err != nil {
							return
						}
						time.Sleep(c.every)
					}
				}()
				go func() { _, _ = io.Copy(io.Discard, conn) }()
				got := <-read
				if (got.err == nil) != c.want {
					t.Errorf("%d bytes were read in %v: %v", got.n, got.took, got.err)
				}
				if !c.want && got.took > 40*time.Second {
					t.Errorf("it held its place for %v", got.took)
				}
			})
		})
	}
}

// The same of who reads; and a stream that says little now and then goes on for ever.
func TestByAddress_SlowReader(t *testing.T) {
	for name, c := range map[string]struct {
		every time.Duration
		bytes int
		want  bool
	}{
		"100 B a second":  {time.Second, 100, false},
		"16 KiB each 29s": {29 * time.Second, 16 << 10, false},
		"2 KiB a second":  {time.Second, 2 << 10, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ended := make(chan error, 1)
				conn := piped(t, func(w http.ResponseWriter, _ *http.Request) {
					var err error
					for n := 0; n < 400 && err == nil; n++ {
						_, err = io.WriteString(w, strings.Repeat("x", 1<<10))
					}
					ended <- err
				})
				go func() {
					_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
					for {
						if _, err := io.ReadFull(conn, make([]byte, c.bytes)); err != nil {
							return
						}
						time.Sleep(c.every)
					}
				}()
				if err := <-ended; (err == nil) != c.want {
					t.Errorf("the handler is told %v", err)
				}
			})
		})
	}
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		conn := piped(t, func(w http.ResponseWriter, _ *http.Request) {
			var err error
			for range 100 {
				if _, err = io.WriteString(w, "ping\n"); err == nil {
					err = http.NewResponseController(w).Flush()
				}
				time.Sleep(time.Hour)
			}
			ended <- err
		})
		go func() {
			_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
			_, _ = io.Copy(io.Discard, conn)
		}()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A connection that is used again after a while has none of the limits of the request before.
func TestByAddress_ConnectionUsedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := piped(t, func(w http.ResponseWriter, r *http.Request) {
			text, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			_, _ = w.Write(text)
		})
		lines := bufio.NewReader(conn)
		for range 3 {
			go func() {
				_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
			}()
			if line, err := lines.ReadString('\n'); err != nil || line != "HTTP/1.1 100 Continue\r\n" {
				t.Fatalf("%q, %v", line, err)
			}
			_, _ = lines.ReadString('\n')
			go func() { _, _ = io.WriteString(conn, "word") }()
			res, err := http.ReadResponse(lines, nil)
			if err != nil {
				t.Fatal(err)
			}
			if text, err := io.ReadAll(res.Body); err != nil || string(text) != "word" {
				t.Errorf("%q, %v", text, err)
			}
			_ = res.Body.Close()
			time.Sleep(time.Hour)
		}
	})
}
