package server

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"
)

// A line is a listener with one connection, in memory, so that time is virtual
// inside a testing/synctest bubble.
type line struct {
	ours, theirs net.Conn
	accepted     chan struct{}
	closed       chan struct{}
}

func (l *line) Accept() (net.Conn, error) {
	select {
	case <-l.accepted:
		return l.theirs, nil
	case <-l.closed:
		return nil, errors.New("closed")
	}
}

func (l *line) Close() error   { close(l.closed); return nil }
func (l *line) Addr() net.Addr { return l.theirs.LocalAddr() }

// overLine serves a handler the way this program does, and returns a client's
// end of a connection to it.
func overLine(t *testing.T, handler http.Handler) net.Conn {
	t.Helper()
	l := &line{accepted: make(chan struct{}, 1), closed: make(chan struct{})}
	l.ours, l.theirs = net.Pipe()
	l.accepted <- struct{}{}
	web := newWeb(handler, zap.NewNop())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = web.Serve(l) }()
	t.Cleanup(func() {
		_ = l.ours.Close()
		_ = web.Close()
		<-ended
		time.Sleep(time.Second) // in which net/http lets a refused client read what it was told
	})
	return l.ours
}

func response(t *testing.T, conn net.Conn) (status int, body string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(text)
}

func TestNoTimeOutEndsARequestThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := overLine(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			select {
			case <-time.After(time.Hour):
				_, _ = w.Write(body)
			case <-r.Context().Done():
				t.Error("the request's context ended")
			}
		}))
		go func() {
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nword")
		}()
		if status, body := response(t, conn); status != http.StatusOK || body != "word" {
			t.Errorf("status %d, %q", status, body)
		}
	})
}

func TestASlowBodyIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		conn := overLine(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if text, err := io.ReadAll(r.Body); err == nil || time.Since(began) != readTime {
				t.Errorf("%q, %v after %v", text, err, time.Since(began))
			}
			w.WriteHeader(http.StatusBadRequest)
		}))
		go func() {
			_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\n\r\nwo")
		}()
		if status, _ := response(t, conn); status != http.StatusBadRequest {
			t.Errorf("status %d", status)
		}
	})
}
