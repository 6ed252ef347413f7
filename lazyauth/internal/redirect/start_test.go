package redirect_test

import (
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// The start page begins anew each time, and the last attempt counts.
func TestStart_Again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}})
		b := w.browser()
		first, second := w.state(b), w.state(b)
		if first == second {
			t.Fatal("the state is used twice")
		}
		w.back(b, "code", "good", "state", first).wants(t, 410, "newer")
		w.back(w.browser(), "code", "good", "state", first).wants(t, 403, "foreign")
		w.waits()
		w.back(b, "code", "good", "state", second)
		w.token()
		b.get(w.auth.Link()).wants(t, 410, "already")
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}})
		b := w.browser()
		for range 50 {
			w.state(b)
		}
		b.get(w.auth.Link()).wants(t, 429, "too-often")
		b.get(w.auth.Link()+"x").wants(t, 404, "nothing")
		w.waits()
	})
}

// The start page and the last one are on this machine, however the redirect URI is written.
func TestStart_Spelling(t *testing.T) {
	for uri, origin := range map[string]string{
		"HTTP://127.0.0.1:8085/cb": "http://127.0.0.1:8085", "hTtp://localhost:8085": "http://localhost:8085", "http://[::1]": "http://[::1]:40001",
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}, config: func(c *redirect.Config) { c.RedirectURI = uri }})
			if !strings.HasPrefix(w.auth.Link(), origin+"/start/") {
				t.Fatalf("%s: the link is %s", uri, w.auth.Link())
			}
			b := w.browser()
			if p := w.back(b, "code", "good", "state", w.state(b)); p.location != origin+"/done" {
				t.Errorf("%s: sent on to %s", uri, p.location)
			}
			w.token()
		})
	}
}

// The cookie of the start page is the browser's alone, and other servers of this machine see it
// only if the browser asks them for the callback.
func TestStart_Cookie(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}})
		p := w.browser().get(w.auth.Link())
		at, _ := url.Parse(w.auth.RedirectURI())
		set := p.header.Values("Set-Cookie")
		if len(set) != 1 || !regexp.MustCompile(`^lazyauth-[A-Za-z0-9_-]{11}=[A-Za-z0-9_-]{43}; Path=`+at.Path+`; Max-Age=600; HttpOnly; SameSite=Lax$`).MatchString(set[0]) {
			t.Errorf("cookies %q", set)
		}
		other := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}})
		name, _, _ := strings.Cut(set[0], "=")
		if strings.Contains(other.browser().get(other.auth.Link()).header.Get("Set-Cookie"), name) {
			t.Error("two sign-ins have a cookie of one name")
		}
	})
}

// The start page is refused to the same, without an effect.
func TestStart_Refuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}})
		b := w.browser()
		link := w.auth.Link()
		for name, p := range map[string]page{
			"HEAD": b.do("HEAD", link, nil), "POST": b.do("POST", link, nil),
			"a rebound name": b.get(link, "Host", "evil.example:40001"),
			"an image":       b.get(link, "Sec-Fetch-Dest", "image"),
			"a prefetch":     b.get(link, "Sec-Purpose", "prefetch"),
			"another nonce":  b.get(link[:len(link)-1] + "*"),
			"no nonce":       b.get("http://127.0.0.1:40001/start/"),
			"below it":       b.get(link + "/"),
		} {
			if p.status < 400 || p.header.Get("Set-Cookie") != "" || p.location != "" {
				t.Errorf("%s: %d, cookie %q", name, p.status, p.header.Get("Set-Cookie"))
			}
		}
		if w.auth.Reached() {
			t.Error("reached")
		}
	})
}
