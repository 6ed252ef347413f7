package redirect_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

var secret = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

// What a browser is sent to the server with, byte for byte but for the secrets.
func TestRequest(t *testing.T) {
	everyKind(t, func(t *testing.T, s setup) {
		s.request.LoginHint, s.request.Prompt = "ada@example.com", "select_account"
		w := newWorld(t, s)
		b := w.browser()
		var got url.Values
		personal := true
		switch w.auth.Kind() {
		case redirect.Start:
			p := b.get(w.auth.Link())
			got = parameters(t, p.location)
			if !strings.HasPrefix(p.location, endpoint+"&") {
				t.Errorf("the endpoint's own query is lost: %s", p.location)
			}
			got.Del("tenant")
		case redirect.Pushed:
			got = w.server.pushes[0]
			if want := endpoint + "&client_id=notes-client&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A1"; w.auth.Link() != want {
				t.Errorf("link %s, want %s", w.auth.Link(), want)
			}
		case redirect.Plain:
			got = parameters(t, w.auth.Link())
			got.Del("tenant")
			personal = false
		}
		state, sum := got.Get("state"), got.Get("code_challenge")
		if !secret.MatchString(state) || !secret.MatchString(sum) || state == sum {
			t.Errorf("state %q, challenge %q", state, sum)
		}
		want := url.Values{
			"response_type": {"code"}, "client_id": {"notes-client"}, "redirect_uri": {w.auth.RedirectURI()},
			"scope": {"notes:read profile"}, "resource": {"https://api.example/"}, "code_challenge_method": {"S256"},
			"state": {state}, "code_challenge": {sum},
		}
		if personal {
			want.Set("login_hint", "ada@example.com")
			want.Set("prompt", "select_account")
		}
		if got.Encode() != want.Encode() {
			t.Errorf("request\n%s\nwant\n%s", got.Encode(), want.Encode())
		}
		if !regexp.MustCompile(`^http://127\.0\.0\.1:40001/callback/[A-Za-z0-9_-]{16}$`).MatchString(w.auth.RedirectURI()) {
			t.Errorf("redirect URI %s", w.auth.RedirectURI())
		}
		w.back(b, "code", "good", "state", state)
		w.token()
		verifier := w.server.exchanges[0].verifier
		if digest := sha256.Sum256([]byte(verifier)); !secret.MatchString(verifier) || base64.RawURLEncoding.EncodeToString(digest[:]) != sum {
			t.Errorf("the verifier %q is not that of the challenge", verifier)
		}
	})
}

// Nothing of the person stands in what a host is given to show.
func TestLink_TellsNothingOfThePerson(t *testing.T) {
	everyKind(t, func(t *testing.T, s setup) {
		s.request.LoginHint, s.request.Prompt = "ada@example.com", "login"
		w := newWorld(t, s)
		for _, text := range []string{w.auth.Link(), fmt.Sprint(w.auth), fmt.Sprintf("%+v %#v", w.auth, w.auth)} {
			if strings.Contains(text, "ada") || strings.Contains(text, "login_hint") || strings.Contains(text, "prompt=") {
				t.Errorf("the person is in %s", text)
			}
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
			if text := fmt.Sprintf(verb, w.auth); strings.Contains(text, w.auth.Link()) || strings.Contains(text, "state") {
				t.Errorf("%s shows the link: %s", verb, text)
			}
		}
		if w.auth.Kind() == redirect.Pushed && strings.Contains(w.auth.Link(), "state") {
			t.Errorf("the state is in a pushed link: %s", w.auth.Link())
		}
	})
}

// A server that wants requests pushed gets them so, from the start page, too.
func TestPushed_Required(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened, LoginHint: "ada"}, server: pushesOnlyForAMinute})
		b := w.browser()
		if len(w.server.pushes) != 0 {
			t.Error("pushed before anybody came")
		}
		p := b.get(w.auth.Link())
		if want := endpoint + "&client_id=notes-client&request_uri=urn%3Aietf%3Aparams%3Aoauth%3Arequest_uri%3A1"; p.location != want {
			t.Errorf("sent to %s", p.location)
		}
		pushed := w.server.pushes[0]
		if pushed.Get("login_hint") != "ada" {
			t.Errorf("pushed %v", pushed)
		}
		w.back(b, "code", "good", "state", pushed.Get("state"))
		w.token()
	})
}

// A push that fails is an end where it is required, and a page at the start page; elsewhere the
// plain link will do.
func TestPushed_Fails(t *testing.T) {
	fails := func(s *server) { s.pushFails = &oauth.Error{Op: "push", Kind: oauth.ErrUnavailable, Status: 503} }
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}, server: func(s *server) { pushesOnly(s); fails(s) }})
		b := w.browser()
		p := b.get(w.auth.Link()).wants(t, 502, "unreachable")
		again := regexp.MustCompile(`href="(/start/[^"]+)"`).FindStringSubmatch(p.body)
		if again == nil {
			t.Fatalf("no way to start again:\n%s", p.body)
		}
		w.server.pushFails = nil
		if p := b.get("http://127.0.0.1:40001" + again[1]); p.status != 303 {
			t.Errorf("started again: %d", p.status)
		}
		w.waits()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{server: func(s *server) { pushes(s); fails(s) }})
		if w.auth.Kind() != redirect.Plain {
			t.Errorf("kind %s", w.auth.Kind())
		}
		w.waits()
		if len(w.events) != 1 || w.events[0].What != authcode.PushFailed || !strings.Contains(w.events[0].Detail, "503") {
			t.Errorf("events %+v", w.events)
		}
		if _, err := w.flow.Begin(canceled(), redirect.Request{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("begun with an ended context: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{server: pushesOnly})
		w.server.pushFails = &oauth.Error{Op: "push", Kind: oauth.ErrRefused, Code: "invalid_scope"}
		before := w.machine.Listening()
		if _, err := w.flow.Begin(t.Context(), redirect.Request{}, nothingMore); !errors.Is(err, oauth.ErrRefused) {
			t.Errorf("begun without a pushed request: %v", err)
		}
		if w.machine.Listening() != before {
			t.Error("a listener is left")
		}
	})
}

// A pushed request that ends before a person has read the prompt is not shown, unless it must
// be; then the prompt says when it ends, and who has opened it in time may take a moment
// longer.
func TestPushed_EndsSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{server: pushesForAMinute})
		if w.auth.Kind() != redirect.Plain || time.Until(w.auth.Expires()) != 10*time.Minute {
			t.Errorf("kind %s, for %v", w.auth.Kind(), time.Until(w.auth.Expires()))
		}
		if pushed := w.server.pushes[0].Get("state"); strings.Contains(w.auth.Link(), pushed) {
			t.Error("the plain link has the state of the pushed request")
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{server: pushesOnlyForAMinute})
		if w.auth.Kind() != redirect.Pushed || time.Until(w.auth.Expires()) != time.Minute {
			t.Errorf("kind %s, for %v", w.auth.Kind(), time.Until(w.auth.Expires()))
		}
		time.Sleep(2 * time.Minute)
		w.back(w.browser(), "code", "good", "state", w.state(nil))
		w.token()
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{server: pushesOnlyForAMinute})
		began := time.Now()
		w.fails(authcode.ErrExpired)
		if took := time.Since(began); took != 3*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

// A pushed request that has ended when its link is shown, or nearly so, leads nowhere: where it has to be
// pushed nobody is asked by it; otherwise the plain link will do.
func TestPushed_DeadOnArrival(t *testing.T) {
	for _, life := range []time.Duration{time.Millisecond, 4 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{server: pushesOnly})
			before := w.machine.Listening()
			w.server.pushLife = life
			_, err := w.flow.Begin(t.Context(), redirect.Request{}, nothingMore)
			if e, _ := errors.AsType[*oauth.Error](err); !errors.Is(err, oauth.ErrInvalid) || !strings.Contains(e.Reason, "ends too soon") {
				t.Errorf("begun with %v: %v", life, err)
			}
			if w.machine.Listening() != before {
				t.Error("a listener is left")
			}
		})
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{server: func(s *server) { pushes(s); s.pushLife = life }})
			if w.auth.Kind() != redirect.Plain {
				t.Errorf("%v: kind %s", life, w.auth.Kind())
			}
		})
	}
	// The start page sends the browser on at once.
	for life, status := range map[time.Duration]int{time.Second: 303, 0: 502} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}, server: func(s *server) { pushesOnly(s); s.pushLife = life }})
			if p := w.browser().get(w.auth.Link()); p.status != status {
				t.Errorf("%v: %d %s", life, p.status, p.name())
			}
		})
	}
}
