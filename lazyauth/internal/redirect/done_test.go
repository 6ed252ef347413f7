package redirect_test

import (
	"context"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

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

// The last page can be had for some seconds, by the browser that brought the code alone; then
// all is gone.
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
		if w.machine.Listening() != 0 {
			t.Error("it still listens")
		}
		w.auth.Finish(t.Context(), redirect.Outcome{}) // again: nothing to do
	})
	// Where nobody came, nobody waits for the page.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.fails(authcode.ErrExpired)
		began := time.Now()
		w.auth.Finish(t.Context(), redirect.Outcome{})
		if took := time.Since(began); took != 0 || w.machine.Listening() != 0 {
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
	// So it does where the browser was sent there, and has not come yet; but it does not wait for long.
	for after, want := range map[time.Duration]time.Duration{time.Second: time.Second, time.Minute: 2 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{})
			b := w.browser()
			p := w.back(b, "code", "good", "state", w.state(b))
			w.token()
			began := time.Now()
			shown := make(chan page, 1)
			time.AfterFunc(after, func() {
				if after < time.Minute {
					shown <- w.done(b, p)
				}
			})
			w.auth.Finish(canceled(), redirect.Outcome{Account: "ada"})
			if took := time.Since(began); took.Round(time.Second) != want { // closing looks for what is still open
				t.Errorf("closed after %v, want %v", took, want)
			}
			if after < time.Minute {
				(<-shown).wants(t, 200, "signed-in")
			}
		})
	}
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

// A sign-in that has come to its end by another flow is told as finished to a browser that
// comes late; one that was given up is not.
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

// Another flow brought its token while this one's code was exchanged, or waited for that: the person is signed in,
// and is told so once that is known; one whose sign-in was given up is not.
func TestDone_OvertakenByAnotherFlow(t *testing.T) {
	for failed, want := range map[bool]string{false: "already", true: "ended"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{})
			auth, err := w.flow.Begin(t.Context(), redirect.Request{}, nothingMore)
			if err != nil {
				t.Fatal(err)
			}
			ctx, abandon := context.WithCancel(t.Context())
			w.wait(ctx, auth)
			w.server.answers = append(w.server.answers, func(ctx context.Context) (*oauth.Token, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			})
			one, two := w.browser(), w.browser()
			first := w.back(one, "code", "good", "state", w.state(nil))
			second := w.back(two, "code", "waits", "state", w.state(nil))
			w.waits()
			abandon()
			w.fails(context.Canceled)
			time.AfterFunc(2*time.Second, func() { auth.Finish(t.Context(), redirect.Outcome{Account: "ada", Failed: failed}) })
			var others sync.WaitGroup
			defer others.Wait()
			for b, p := range map[*browser]page{one: first, two: second} {
				others.Go(func() {
					if last := w.done(b, p); last.status != 200 || last.name() != want || strings.Contains(last.body, "ada") {
						t.Errorf("failed %t: got %d %q, want %q", failed, last.status, last.name(), want)
					}
				})
			}
		})
	}
}

// A code was accepted, and the token was not needed any more: the account is not that of this window.
func TestDone_NotUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		b := w.browser()
		p := w.back(b, "code", "good", "state", w.state(b))
		w.token()
		go w.auth.Finish(t.Context(), redirect.Outcome{Account: "ada", ByAnother: true})
		if last := w.done(b, p).wants(t, 200, "already"); strings.Contains(last.body, "ada") {
			t.Error("the account is named")
		}
	})
}
