package redirect_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// A person signs in, whatever the link is, and the last page names them.
func TestSignIn(t *testing.T) {
	everyKind(t, func(t *testing.T, s setup) {
		w := newWorld(t, s)
		b := w.browser()
		if w.auth.Reached() && w.auth.Kind() != redirect.Start {
			t.Error("reached before anybody came")
		}
		state := w.state(b)
		p := w.back(b, "code", "good", "state", state)
		if got := w.token(); got.Access != "access-good" || got.Scopes.String() != "notes:read profile" {
			t.Errorf("token %+v", got)
		}
		if !w.auth.Reached() {
			t.Error("not reached")
		}
		go w.auth.Finish(t.Context(), redirect.Outcome{Account: `Ada <b>"L"`})
		last := w.done(b, p).wants(t, 200, "signed-in")
		if !strings.Contains(last.body, "<h1>You signed in as Ada &lt;b&gt;&#34;L&#34;</h1>") || !strings.Contains(last.body, "Not your account?") {
			t.Errorf("the last page does not name the account:\n%s", last.body)
		}
		if e := w.server.exchanges; len(e) != 1 || e[0].code != "good" || e[0].uri != w.auth.RedirectURI() || e[0].scope != "notes:read profile" {
			t.Errorf("exchanges %+v", e)
		}
		for i, what := range []authcode.What{authcode.Came, authcode.Granted} {
			if j := len(w.events) - 2 + i; w.events[j].What != what {
				t.Errorf("event %+v, want %s", w.events[j], what)
			}
		}
	})
}

// Many browsers at once, and the end in the middle of it: everybody is answered, and nothing is
// left.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}})
		var storm sync.WaitGroup
		for n := range 60 {
			storm.Go(func() {
				b := w.browser()
				for range 5 {
					p := b.get(w.auth.Link())
					state := "none"
					if p.status == http.StatusSeeOther {
						state = parameters(t, p.location).Get("state")
					}
					if p = w.back(b, "code", fmt.Sprint("bad", n), "state", state); p.status == http.StatusSeeOther {
						p = b.get(p.location)
					}
					if p.name() == "" {
						t.Errorf("no page: %d", p.status)
					}
				}
			})
		}
		if r := <-w.result; r.err == nil {
			t.Error("signed in by bad codes")
		}
		storm.Wait()
		if sent := w.server.sent(); len(sent) > 5 {
			t.Errorf("%d codes were sent", len(sent))
		}
		w.auth.Finish(t.Context(), redirect.Outcome{Failed: true})
		if w.machine.Listening() != 0 {
			t.Error("it still listens")
		}
	})
}
