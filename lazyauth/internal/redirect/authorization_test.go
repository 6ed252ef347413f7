package redirect_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

var secret = regexp.MustCompile(`^[A-Za-z0-9_-]{43}$`)

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
		for i, what := range []redirect.What{redirect.Came, redirect.Granted} {
			if j := len(w.events) - 2 + i; w.events[j].What != what {
				t.Errorf("event %+v, want %s", w.events[j], what)
			}
		}
	})
}

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

// A push that fails is an end where it is required, and a page at the start page; elsewhere the plain link will do.
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
		if len(w.events) != 1 || w.events[0].What != redirect.PushFailed || !strings.Contains(w.events[0].Detail, "503") {
			t.Errorf("events %+v", w.events)
		}
		if _, err := w.flow.Begin(canceled(), redirect.Request{}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("begun with an ended context: %v", err)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{server: pushesOnly})
		w.server.pushFails = &oauth.Error{Op: "push", Kind: oauth.ErrRefused, Code: "invalid_scope"}
		before := w.machine.open()
		if _, err := w.flow.Begin(t.Context(), redirect.Request{}, nothingMore); !errors.Is(err, oauth.ErrRefused) {
			t.Errorf("begun without a pushed request: %v", err)
		}
		if w.machine.open() != before {
			t.Error("a listener is left")
		}
	})
}

// A pushed request that ends before a person has read the prompt is not shown, unless it must be; then the
// prompt says when it ends, and who has opened it in time may take a moment longer.
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
		w.fails(redirect.ErrExpired)
		if took := time.Since(began); took != 3*time.Minute {
			t.Errorf("took %v", took)
		}
	})
}

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

// The start page begins anew each time, and the last attempt counts.
func TestStart_Again(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{request: redirect.Request{Link: redirect.Opened}})
		b := w.browser()
		first, second := w.state(b), w.state(b)
		if first == second {
			t.Fatal("the state is used twice")
		}
		w.back(b, "code", "good", "state", first).wants(t, 403, "foreign") // its cookie is gone
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

// A code that was refused ends nothing, and the page offers to start again; the fifth ends it.
func TestCode_Refused(t *testing.T) {
	everyKind(t, func(t *testing.T, s setup) {
		w := newWorld(t, s)
		b := w.browser()
		last := w.done(b, w.back(b, "code", "bad", "state", w.state(b))).wants(t, 200, "again")
		again := regexp.MustCompile(`href="(/start/[^"]+)"`).FindStringSubmatch(last.body)
		if again == nil {
			t.Fatalf("no way to start again:\n%s", last.body)
		}
		w.waits()
		at, _ := url.Parse(w.auth.RedirectURI())
		p := b.get("http://" + at.Host + again[1])
		w.back(b, "code", "good", "state", parameters(t, p.location).Get("state"))
		w.token()
		if sent := w.server.sent(); !slices.Equal(sent, []string{"bad", "good"}) {
			t.Errorf("sent %v", sent)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		for n := range 4 {
			w.done(b, w.back(b, "code", fmt.Sprint("bad", n), "state", w.state(b))).wants(t, 200, "again")
			w.waits()
		}
		p := w.back(b, "code", "bad4", "state", w.state(b))
		err := w.fails(oauth.ErrCode)
		if e, _ := errors.AsType[*oauth.Error](err); e == nil || e.Code != "invalid_grant" {
			t.Errorf("error %v", err)
		}
		w.done(b, p).wants(t, 200, "unfinished")
		w.back(b, "code", "good", "state", w.state(b)).wants(t, 410, "ended")
		if sent := w.server.sent(); len(sent) != 5 {
			t.Errorf("sent %v", sent)
		}
	})
}

// A code is sent once: not when the browser comes twice with it, and not when the answer was lost.
func TestCode_Once(t *testing.T) {
	everyKind(t, func(t *testing.T, s setup) {
		w := newWorld(t, s)
		slow := make(chan struct{})
		w.server.answers = append(w.server.answers, func(context.Context) (*oauth.Token, error) {
			<-slow
			return &oauth.Token{Access: "a", Type: "Bearer"}, nil
		})
		b := w.browser()
		state := w.state(b)
		first, second := w.back(b, "code", "good", "state", state), w.back(b, "code", "good", "state", state)
		w.waits()
		close(slow)
		w.token()
		third := w.back(b, "code", "good", "state", state)
		go w.auth.Finish(t.Context(), redirect.Outcome{})
		for _, p := range []page{first, second, third} {
			w.done(b, p).wants(t, 200, "signed-in")
		}
		w.back(b, "code", "another", "state", state).wants(t, 410, "already")
		if sent := w.server.sent(); len(sent) != 1 {
			t.Errorf("sent %v", sent)
		}
	})
	for _, failure := range []error{
		&oauth.Error{Op: "code", Kind: oauth.ErrUnavailable},
		&oauth.Error{Op: "code", Kind: oauth.ErrUnavailable, Status: 502},
		&oauth.Error{Op: "code", Kind: oauth.ErrUnreadable, Status: 200},
	} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.server.answers = append(w.server.answers, func(context.Context) (*oauth.Token, error) { return nil, failure })
			b := w.browser()
			state := w.state(b)
			w.done(b, w.back(b, "code", "good", "state", state)).wants(t, 200, "again")
			w.done(b, w.back(b, "code", "good", "state", state)).wants(t, 200, "again")
			w.waits()
			if sent := w.server.sent(); len(sent) != 1 {
				t.Errorf("sent %v", sent)
			}
			if last := w.events[len(w.events)-1]; !slices.ContainsFunc(w.events, func(e redirect.Event) bool { return e.What == redirect.AnswerLost }) || last.What == redirect.Failed {
				t.Errorf("events %+v", w.events)
			}
			w.server.good["fresh"] = true
			w.back(b, "code", "fresh", "state", state)
			w.token()
		})
	}
}

// Two browsers at once: the first code that is accepted wins, and the other is not sent.
func TestCode_TwoBrowsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		slow := make(chan struct{})
		w.server.answers = append(w.server.answers, func(context.Context) (*oauth.Token, error) {
			<-slow
			return &oauth.Token{Access: "a", Type: "Bearer"}, nil
		})
		one, two := w.browser(), w.browser()
		first := w.back(one, "code", "good", "state", w.state(nil))
		second := w.back(two, "code", "other", "state", w.state(nil))
		close(slow)
		w.token()
		go w.auth.Finish(t.Context(), redirect.Outcome{Account: "ada"})
		w.done(one, first).wants(t, 200, "signed-in")
		if p := w.done(two, second).wants(t, 200, "already"); strings.Contains(p.body, "ada") {
			t.Error("the account is told to another browser")
		}
		if sent := w.server.sent(); len(sent) != 1 {
			t.Errorf("sent %v", sent)
		}
	})
}

// The exchange ends the sign-in where starting again would not help.
func TestExchange_Ends(t *testing.T) {
	for code, kind := range map[string]error{"invalid_client": oauth.ErrRefused, "unauthorized_client": oauth.ErrRefused, "": oauth.ErrTokenType} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{})
			w.server.answers = append(w.server.answers, func(context.Context) (*oauth.Token, error) {
				return nil, &oauth.Error{Op: "code", Kind: kind, Code: code}
			})
			b := w.browser()
			p := w.back(b, "code", "good", "state", w.state(b))
			w.fails(kind)
			w.done(b, p).wants(t, 200, "unfinished")
		})
	}
}

// The link ends, and a browser that comes later is told.
func TestExpired(t *testing.T) {
	everyKind(t, func(t *testing.T, s setup) {
		began := time.Now()
		w := newWorld(t, s)
		b := w.browser()
		state := w.state(b)
		if life := w.auth.Expires().Sub(began); life != 10*time.Minute {
			t.Errorf("good for %v", life)
		}
		err := w.fails(redirect.ErrExpired)
		if took := time.Since(began); took != 10*time.Minute {
			t.Errorf("took %v: %v", took, err)
		}
		w.server.good["late"] = true
		if p := w.back(b, "code", "late", "state", state); p.name() != "ended" {
			t.Errorf("got %q", p.name())
		}
		if sent := w.server.sent(); sent != nil {
			t.Errorf("sent %v", sent)
		}
	})
	// What was wrong before is said with it.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		w.back(b, "code", "bad", "state", w.state(b))
		err := w.fails(redirect.ErrExpired)
		if e, _ := errors.AsType[*oauth.Error](err); e == nil || e.Code != "invalid_grant" {
			t.Errorf("error %v", err)
		}
	})
	// A code that came in time is exchanged.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{config: func(c *redirect.Config) { c.Life = time.Minute }})
		w.server.answers = append(w.server.answers, func(context.Context) (*oauth.Token, error) {
			time.Sleep(20 * time.Second)
			return &oauth.Token{Access: "a", Type: "Bearer"}, nil
		})
		time.Sleep(50 * time.Second)
		w.back(w.browser(), "code", "good", "state", w.state(nil))
		w.token()
	})
}

// A sign-in that is given up ends at once, with its cause, also while a code is exchanged; a token that came is kept.
func TestAbandoned(t *testing.T) {
	cause := errors.New("nobody waits")
	for _, during := range []string{"waiting", "exchange", "token"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{})
			<-canceled().Done()
			auth, err := w.flow.Begin(t.Context(), redirect.Request{}, nothingMore)
			if err != nil {
				t.Fatal(err)
			}
			ctx, abandon := context.WithCancelCause(t.Context())
			w.wait(ctx, auth)
			b := w.browser()
			if during != "waiting" {
				w.server.answers = append(w.server.answers, func(ctx context.Context) (*oauth.Token, error) {
					<-ctx.Done()
					if during == "token" {
						return &oauth.Token{Access: "a", Type: "Bearer"}, nil
					}
					return nil, ctx.Err()
				})
				w.back(b, "code", "good", "state", w.state(b))
			}
			w.waits()
			abandon(cause)
			if during == "token" {
				w.token()
				return
			}
			w.fails(cause)
			w.back(b, "code", "later", "state", w.state(b)).wants(t, 410, "ended")
		})
	}
}

// The listener goes away under the sign-in.
func TestListenerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.waits()
		w.machine.mu.Lock()
		var l *pipes
		for _, l = range w.machine.listeners {
			break
		}
		w.machine.mu.Unlock()
		l.Close()
		w.fails(oauth.ErrUnavailable)
	})
}

// The last page waits for the outcome for a moment; then it says that it goes on.
func TestDone_Waits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		p := w.back(b, "code", "good", "state", w.state(b))
		w.token()
		began := time.Now()
		last := w.done(b, p).wants(t, 200, "working")
		if took := time.Since(began); took != 4*time.Second || last.header.Get("Refresh") != "1" {
			t.Errorf("after %v, Refresh %q", took, last.header.Get("Refresh"))
		}
		go func() {
			time.Sleep(2 * time.Second)
			w.auth.Finish(t.Context(), redirect.Outcome{Account: "ada"})
		}()
		last = w.done(b, p).wants(t, 200, "signed-in")
		if took := time.Since(began); took != 6*time.Second || last.header.Get("Refresh") != "" {
			t.Errorf("after %v, Refresh %q", took, last.header.Get("Refresh"))
		}
	})
}

// The last page can be had for some seconds, by the browser that brought the code alone; then all is gone.
func TestDone_Lingers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		p := w.back(b, "code", "good", "state", w.state(b))
		w.token()
		began := time.Now()
		finished := make(chan time.Duration, 1)
		go func() {
			w.auth.Finish(t.Context(), redirect.Outcome{Account: "ada"})
			finished <- time.Since(began)
		}()
		time.Sleep(4 * time.Second)
		w.done(b, p).wants(t, 200, "signed-in")
		w.browser().get(p.location).wants(t, 404, "nothing")
		if took := <-finished; took != 5*time.Second {
			t.Errorf("closed after %v", took)
		}
		if w.machine.open() != 0 {
			t.Error("it still listens")
		}
		w.auth.Finish(t.Context(), redirect.Outcome{}) // again: nothing to do
	})
	// Where nobody came, nobody waits for the page.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.fails(redirect.ErrExpired)
		began := time.Now()
		w.auth.Finish(t.Context(), redirect.Outcome{})
		if took := time.Since(began); took != 0 || w.machine.open() != 0 {
			t.Errorf("took %v", took)
		}
	})
	// A program that ends at once still sends the page that is waited for.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		p := w.back(b, "code", "good", "state", w.state(b))
		w.token()
		shown := make(chan page)
		go func() { shown <- w.done(b, p) }()
		synctest.Wait()
		w.auth.Finish(canceled(), redirect.Outcome{Account: "ada"})
		(<-shown).wants(t, 200, "signed-in")
	})
	// The token is there, and it is not the right person's.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		p := w.back(b, "code", "good", "state", w.state(b))
		w.token()
		go w.auth.Finish(t.Context(), redirect.Outcome{Account: "ada", Failed: true})
		if last := w.done(b, p).wants(t, 200, "unfinished"); strings.Contains(last.body, "ada") {
			t.Error("the account is named")
		}
	})
}

// A sign-in that has come to its end by another flow is told as finished to a browser that comes late; one that
// was given up is not.
func TestDone_ByAnotherFlow(t *testing.T) {
	for failed, want := range map[bool]string{false: "already", true: "ended"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{})
			auth, err := w.flow.Begin(t.Context(), redirect.Request{Link: redirect.Opened}, nothingMore)
			if err != nil {
				t.Fatal(err)
			}
			ctx, abandon := context.WithCancel(t.Context())
			w.wait(ctx, auth)
			b := w.browser()
			state := w.state(b)
			abandon()
			w.fails(context.Canceled)
			go auth.Finish(t.Context(), redirect.Outcome{Account: "ada", Failed: failed})
			synctest.Wait()
			for _, p := range []page{b.get(auth.Link()), w.back(b, "code", "good", "state", state)} {
				if p.wants(t, 410, want); strings.Contains(p.body, "ada") {
					t.Error("the account is named")
				}
			}
		})
	}
}

// Many browsers at once, and the end in the middle of it: everybody is answered, and nothing is left.
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
		if w.machine.open() != 0 {
			t.Error("it still listens")
		}
	})
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

// The issuer of the answer is compared before anything of it is used (RFC 9207 §2.4, MCP basic/authorization).
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
					if e := w.events[len(w.events)-1]; e.What != redirect.Refused {
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

func checkHeaders(t *testing.T, p page) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": redirect.Policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if p.status == http.StatusMethodNotAllowed && p.header.Get("Allow") != "GET" {
		t.Errorf("Allow: %q", p.header.Get("Allow"))
	}
}
