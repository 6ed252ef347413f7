package redirect_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// localhost is both families at one port, or nothing.
func TestLocalhost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}, config: func(c *redirect.Config) { c.RedirectURI = "http://localhost:8085/cb" }})
		if w.machine.Listening() != 2 {
			t.Fatalf("%d listeners", w.machine.Listening())
		}
		b := w.browser()
		if !strings.HasPrefix(w.auth.Link(), "http://localhost:8085/start/") {
			t.Errorf("link %s", w.auth.Link())
		}
		w.back(b, "code", "good", "state", w.state(b))
		w.token()
	})
	synctest.Test(t, func(t *testing.T) {
		m := new(pipenet.Machine)
		m.Take("[::1]:8085", true)
		flow, err := redirect.New(config(func(c *redirect.Config) { c.RedirectURI, c.Listen = "http://localhost:8085/cb", m.Listen }))
		if err != nil {
			t.Fatal(err)
		}
		_, err = flow.Begin(t.Context(), redirect.Request{}, nothingMore)
		if p, ok := errors.AsType[*redirect.PortError](err); !ok || p.Address != "[::1]:8085" || m.Listening() != 0 {
			t.Errorf("error %v, %d listeners", err, m.Listening())
		}
	})
	// Any port: one that is free in both.
	synctest.Test(t, func(t *testing.T) {
		m := new(pipenet.Machine)
		m.Take("[::1]:40001", true)
		flow, err := redirect.New(config(func(c *redirect.Config) { c.RedirectURI, c.Listen = "http://localhost", m.Listen }))
		if err != nil {
			t.Fatal(err)
		}
		auth, err := flow.Begin(t.Context(), redirect.Request{}, nothingMore)
		if err != nil {
			t.Fatal(err)
		}
		if auth.RedirectURI() != "http://localhost:40002" || m.Listening() != 2 {
			t.Errorf("redirect URI %s, %d listeners", auth.RedirectURI(), m.Listening())
		}
		auth.Finish(canceled(), redirect.Outcome{})
		if m.Listening() != 0 {
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
		last := w.done(b, p)
		for last.header.Get("Refresh") != "" { // it is not known yet, after four seconds of a busy machine
			last = b.get(p.location)
		}
		last.wants(t, 200, "signed-in")
		cancel()
		<-finished
		if stillListens(originOf(auth.RedirectURI())) {
			t.Errorf("%s: it still listens", auth.RedirectURI())
		}
	}
}

// stillListens reports whether a page of ours is there. Others may be, who were given the port since.
func stillListens(origin string) bool {
	resp, err := (&http.Client{Timeout: time.Minute, Transport: &http.Transport{DisableKeepAlives: true}}).Get(origin + "/nothing")
	if err != nil {
		return false
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	return err == nil && dataPage.Match(text)
}

func originOf(uri string) string {
	u, _ := url.Parse(uri)
	return "http://" + u.Host
}
