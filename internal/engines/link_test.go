package engines_test

import (
	"io"
	"net"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
)

// An echo is a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() { io.Copy(conn, conn); conn.Close() }()
		}
	}()
	return l.Addr().String()
}

func newLink(t *testing.T) *engines.Link {
	t.Helper()
	link, err := engines.NewLink(echo(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { link.Close() })
	return link
}

// say sends a byte, and reports what comes back within the time: the byte, silence, or an end.
func say(t *testing.T, conn net.Conn, within time.Duration) string {
	t.Helper()
	conn.SetDeadline(time.Now().Add(within))
	if _, err := conn.Write([]byte("x")); err != nil {
		return "end"
	}
	got := make([]byte, 1)
	_, err := io.ReadFull(conn, got)
	if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
		return "silence"
	}
	if err != nil {
		return "end"
	}
	return string(got)
}

func dial(t *testing.T, link *engines.Link) net.Conn {
	t.Helper()
	conn, err := net.Dial("tcp", link.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

const (
	soon = time.Minute           // for what comes
	wait = 50 * time.Millisecond // for what does not
)

func TestLink(t *testing.T) {
	link := newLink(t)
	conn := dial(t, link)
	if got := say(t, conn, soon); got != "x" {
		t.Fatalf("through it comes %q", got)
	}
	link.Drop()
	if got := say(t, conn, wait); got != "silence" {
		t.Errorf("dropped: %q", got)
	}
	if got := say(t, dial(t, link), wait); got != "silence" {
		t.Errorf("dropped, a new one: %q", got)
	}
	link.Restore()
	if got := say(t, conn, soon); got != "end" {
		t.Errorf("restored, over a connection on which something was lost: %q", got)
	}
	conn = dial(t, link)
	if got := say(t, conn, soon); got != "x" {
		t.Errorf("restored: %q", got)
	}
	link.Cut()
	if got := say(t, conn, soon); got != "end" {
		t.Errorf("cut: %q", got)
	}
	if got := say(t, dial(t, link), soon); got != "end" {
		t.Errorf("cut, a new one: %q", got)
	}
	link.Restore()
	conn = dial(t, link)
	link.Delay(time.Hour)
	if got := say(t, conn, wait); got != "silence" {
		t.Errorf("delayed: %q", got)
	}
	link.Restore()
	if got := say(t, conn, soon); got != "x" {
		t.Errorf("no longer delayed: %q", got)
	}
}
