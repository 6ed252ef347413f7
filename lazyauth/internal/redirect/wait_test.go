package redirect_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

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
			if last := w.events[len(w.events)-1]; !slices.ContainsFunc(w.events, func(e authcode.Event) bool { return e.What == authcode.AnswerLost }) || last.What == authcode.Failed {
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
		err := w.fails(authcode.ErrExpired)
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
		err := w.fails(authcode.ErrExpired)
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

// A code that came in time is exchanged, though another one was being looked at when the link expired; one
// that comes later is not.
func TestExpired_WhileExchanging(t *testing.T) {
	for range 20 { // of two things that are ready a select takes any
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{config: func(c *redirect.Config) { c.Life = time.Minute }})
			w.server.answers = append(w.server.answers, func(context.Context) (*oauth.Token, error) {
				time.Sleep(20 * time.Second)
				return nil, &oauth.Error{Op: "code", Kind: oauth.ErrCode, Code: "invalid_grant"}
			})
			time.Sleep(50 * time.Second)
			w.back(w.browser(), "code", "bad", "state", w.state(nil))
			w.back(w.browser(), "code", "good", "state", w.state(nil))
			time.Sleep(15 * time.Second)
			w.token()
		})
	}
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{config: func(c *redirect.Config) { c.Life = time.Minute }})
		w.server.answers = append(w.server.answers, func(context.Context) (*oauth.Token, error) {
			time.Sleep(20 * time.Second)
			return nil, &oauth.Error{Op: "code", Kind: oauth.ErrCode, Code: "invalid_grant"}
		})
		time.Sleep(50 * time.Second)
		b := w.browser()
		p := w.back(b, "code", "bad", "state", w.state(nil))
		w.fails(authcode.ErrExpired)
		if last := w.done(b, p).wants(t, 200, "again"); strings.Contains(last.body, "/start/") {
			t.Error("the page offers to start again what is over")
		}
	})
}

// A sign-in that is given up ends at once, with its cause, also while a code is exchanged; a
// token that came is kept.
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

// A sign-in that is finished is waited for no more, whatever its context says.
func TestWait_Finished(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		synctest.Wait()
		began := time.Now()
		w.auth.Finish(t.Context(), redirect.Outcome{Failed: true})
		w.fails(authcode.ErrExpired)
		if took := time.Since(began); took != 0 {
			t.Errorf("it waited for %v more", took)
		}
	})
}

// The listener goes away under the sign-in.
func TestListenerGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.waits()
		w.machine.EndListeners()
		w.fails(oauth.ErrUnavailable)
	})
}
