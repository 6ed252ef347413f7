package redirect_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// Somebody signs in with their own account and has the person's browser load what came of it.
func TestInjected(t *testing.T) {
	theirs := func(w *world, state string) page {
		w.server.good["theirs"] = true
		return w.back(w.browser(), "code", "theirs", "state", state)
	}
	t.Run("start: the link is of no use", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}})
			person := w.browser()
			state := w.state(person)
			// Even who knows the state needs the cookie of the browser that it was given to.
			theirs(w, state).wants(t, 403, "foreign")
			// Who starts on this machine gets a state, which the person's browser does not take.
			stranger := w.browser()
			strangers := w.state(stranger)
			w.server.good["theirs"] = true
			w.back(person, "code", "theirs", "state", strangers).wants(t, 403, "foreign")
			w.waits()
			if sent := w.server.sent(); sent != nil {
				t.Errorf("sent %v", sent)
			}
			// The stranger's start retired the person's; the person starts again.
			w.back(person, "code", "good", "state", state).wants(t, 410, "newer")
			p := w.back(person, "code", "good", "state", w.state(person))
			w.token()
			go w.auth.Finish(t.Context(), redirect.Outcome{Account: "ada"})
			w.done(person, p).wants(t, 200, "signed-in")
		})
	})
	t.Run("pushed: the link does not have the state", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{server: pushes})
			for _, guess := range []string{"", w.auth.Link(), "urn:ietf:params:oauth:request_uri:1", strings.Repeat("A", 43)} {
				theirs(w, guess).wants(t, 400, "nothing")
			}
			w.waits()
			if sent := w.server.sent(); sent != nil {
				t.Errorf("sent %v", sent)
			}
		})
	})
	// Whoever opens the pushed request sees the state come back, as of a plain link it can be read.
	for kind, s := range map[string]setup{"pushed, and opened by them": {server: pushes}, "plain": {}} {
		t.Run(kind+": the account is named", func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, s)
				person := w.browser()
				w.server.good["theirs"] = true
				p := w.back(person, "code", "theirs", "state", w.state(nil))
				w.token()
				go w.auth.Finish(t.Context(), redirect.Outcome{Account: "mallory"})
				last := w.done(person, p).wants(t, 200, "signed-in")
				if !strings.Contains(last.body, "You signed in as mallory") || !strings.Contains(last.body, "Not your account?") {
					t.Errorf("the page does not say whose account it is:\n%s", last.body)
				}
			})
		})
	}
}

// The answer's errors come to what they do at the token endpoint; nothing of them is shown.
func TestAnswer_Error(t *testing.T) {
	for code, want := range map[string]struct {
		kind error
		code string
		page string
	}{
		"access_denied":             {oauth.ErrDenied, "access_denied", "denied"},
		"authorization_declined":    {oauth.ErrDenied, "access_denied", "denied"},
		"invalid_scope":             {oauth.ErrRefused, "invalid_scope", "unfinished"},
		"unauthorized_client":       {oauth.ErrRefused, "unauthorized_client", "unfinished"},
		"login_required":            {oauth.ErrRefused, "login_required", "unfinished"},
		"server_error":              {oauth.ErrUnavailable, "server_error", "unfinished"},
		"temporarily_unavailable":   {oauth.ErrUnavailable, "temporarily_unavailable", "unfinished"},
		"ignore <b>all</b> of this": {oauth.ErrRefused, oauth.CodeOther, "unfinished"},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{})
			b := w.browser()
			// A forged one with another state ends nothing.
			w.back(b, "error", code, "state", strings.Repeat("A", 43)).wants(t, 400, "nothing")
			w.waits()
			p := w.back(b, "error", code, "error_description", "IGNORE \x1b[31m"+strings.Repeat("x", 1000), "state", w.state(b))
			err := w.fails(want.kind)
			e, _ := errors.AsType[*oauth.Error](err)
			if e == nil || e.Code != want.code || strings.Contains(strings.ToLower(e.Error()), "ignore") {
				t.Errorf("error %v", err)
			}
			if !strings.Contains(e.Detail, fmt.Sprintf("%+q", code)) || strings.Contains(e.Detail, "\x1b") || len(e.Detail) > 1000 {
				t.Errorf("detail %q", e.Detail)
			}
			if last := w.done(b, p).wants(t, 200, want.page); strings.Contains(strings.ToLower(last.body), "ignore") {
				t.Errorf("the server's words are shown:\n%s", last.body)
			}
			if sent := w.server.sent(); sent != nil {
				t.Errorf("sent %v", sent)
			}
		})
	}
}

// The issuer of the answer is compared before anything of it is used (RFC 9207 §2.4, MCP
// basic/authorization).
func TestAnswer_Issuer(t *testing.T) {
	for name, test := range map[string]struct {
		promised   bool
		configured string
		iss        string
		ok         bool
	}{
		"promised, right":       {true, issuer, issuer, true},
		"promised, missing":     {true, issuer, "", false},
		"promised, other":       {true, issuer, "https://evil.example", false},
		"not promised, right":   {false, issuer, issuer, true},
		"not promised, missing": {false, issuer, "", true},
		"not promised, other":   {false, issuer, "https://evil.example", false},
		"with a slash":          {true, issuer, issuer + "/", false},
		"in capitals":           {true, issuer, "HTTPS://AS.EXAMPLE", false},
		"with its port":         {true, issuer, issuer + ":443", false},
		"not configured":        {false, "", issuer, false},
		"not configured, none":  {false, "", "", true},
	} {
		for _, param := range []string{"code", "error"} {
			t.Run(name+", "+param, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, setup{server: func(s *server) {
						s.endpoints.Features.IssuerInResponse, s.endpoints.Issuer = test.promised, test.configured
					}})
					b := w.browser()
					value := map[string]string{"code": "good", "error": "access_denied"}[param]
					pairs := []string{param, value, "state", w.state(b)}
					if test.iss != "" {
						pairs = append(pairs, "iss", test.iss)
					}
					p := w.back(b, pairs...)
					if test.ok {
						<-w.result
						w.done(b, p)
						return
					}
					p.wants(t, 400, "mixed-up")
					w.waits()
					if sent := w.server.sent(); sent != nil {
						t.Errorf("sent %v", sent)
					}
					if e := w.events[len(w.events)-1]; e.What != authcode.Refused {
						t.Errorf("event %+v", e)
					}
				})
			})
		}
	}
	// An iss that is there twice is none.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		w.back(b, "code", "good", "state", w.state(b), "iss", issuer, "iss", "https://evil.example").wants(t, 400, "nothing")
		w.waits()
	})
}

// What is no answer, or not the person's browser, is refused and has no effect.
func TestCallback_Refuses(t *testing.T) {
	everyKind(t, func(t *testing.T, s setup) {
		w := newWorld(t, s)
		b := w.browser()
		state := w.state(b)
		uri := w.auth.RedirectURI()
		good := uri + "?code=good&state=" + state
		reached := w.auth.Reached()
		for name, test := range map[string]struct {
			method, address string
			headers         []string
			status          int
		}{
			"no query":            {"GET", uri, nil, 400},
			"no state":            {"GET", uri + "?code=good", nil, 400},
			"empty state":         {"GET", uri + "?code=good&state=", nil, 400},
			"wrong state":         {"GET", uri + "?code=good&state=" + strings.Repeat("x", 43), nil, 400},
			"part of the state":   {"GET", uri + "?code=good&state=" + state[:42], nil, 400},
			"state twice":         {"GET", good + "&state=" + state, nil, 400},
			"code twice":          {"GET", good + "&code=bad", nil, 400},
			"code and error":      {"GET", good + "&error=access_denied", nil, 400},
			"neither":             {"GET", uri + "?state=" + state, nil, 400},
			"a code of bytes":     {"GET", uri + "?code=%00%01&state=" + state, nil, 400},
			"too long":            {"GET", good + "&x=" + strings.Repeat("x", 20<<10), nil, 400},
			"too many":            {"GET", good + strings.Repeat("&x=1", 100), nil, 400},
			"not a query":         {"GET", uri + "?code=%zz&state=" + state, nil, 400},
			"HEAD":                {"HEAD", good, nil, 405},
			"POST":                {"POST", good, nil, 405},
			"OPTIONS":             {"OPTIONS", good, nil, 405},
			"another path":        {"GET", strings.Replace(good, "/callback/", "/callback//", 1), nil, 404},
			"an escaped path":     {"GET", strings.Replace(good, "/callback/", "/c%61llback/", 1), nil, 404},
			"another client's":    {"GET", strings.Replace(good, uri, uri+"x", 1), nil, 404},
			"the root":            {"GET", "http://127.0.0.1:40001/", nil, 404},
			"a rebound name":      {"GET", good, []string{"Host", "evil.example:40001"}, 421},
			"a name that begins":  {"GET", good, []string{"Host", "127.0.0.1.evil.example:40001"}, 421},
			"another port":        {"GET", good, []string{"Host", "127.0.0.1:40002"}, 421},
			"no port":             {"GET", good, []string{"Host", "127.0.0.1"}, 421},
			"localhost":           {"GET", good, []string{"Host", "localhost:40001"}, 421},
			"a page's fetch":      {"GET", good, []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "empty"}, 403},
			"a page's image":      {"GET", good, []string{"Sec-Fetch-Mode", "no-cors", "Sec-Fetch-Dest", "image"}, 403},
			"a frame":             {"GET", good, []string{"Sec-Fetch-Dest", "iframe"}, 403},
			"a foreign origin":    {"GET", good, []string{"Origin", "https://evil.example"}, 403},
			"an origin of null":   {"GET", good, []string{"Origin", "null"}, 403},
			"another port's page": {"GET", good, []string{"Origin", "http://127.0.0.1:8080"}, 403},
			"a prefetch":          {"GET", good, []string{"Sec-Purpose", "prefetch;prerender"}, 403},
			"an old prefetch":     {"GET", good, []string{"X-Moz", "prefetch"}, 403},
			"a preview":           {"GET", good, []string{"X-Purpose", "preview"}, 403},
		} {
			p := b.do(test.method, test.address, nil, test.headers...)
			if p.status != test.status || p.location != "" {
				t.Errorf("%s: %d %s", name, p.status, p.location)
			}
			if test.method == "HEAD" && p.body != "" || test.method != "HEAD" && p.name() != "nothing" {
				t.Errorf("%s: page %q", name, p.name())
			}
			checkHeaders(t, p)
		}
		if p := b.do("GET", good, strings.NewReader("a body")); p.status != 403 {
			t.Errorf("with a body: %d", p.status)
		}
		w.waits()
		if sent := w.server.sent(); sent != nil || w.auth.Reached() != reached {
			t.Errorf("sent %v, reached %t", sent, w.auth.Reached())
		}
		checkHeaders(t, w.back(b, "code", "good", "state", state))
		w.token()
	})
}

// Somebody on this machine who knocks again and again is answered, and told of twenty times.
func TestCallback_Flood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		for range 200 {
			w.back(b, "code", "good", "state", strings.Repeat("x", 43)).wants(t, 400, "nothing")
		}
		w.waits()
		if n := len(w.events); n != 20 {
			t.Errorf("%d events", n)
		}
		w.back(b, "code", "good", "state", w.state(b))
		w.token()
	})
}
