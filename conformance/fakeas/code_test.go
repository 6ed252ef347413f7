package fakeas_test

import (
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// RFC 6749 §4.1.2: a code that is used twice takes with it what it gave.
func TestCode_Reused(t *testing.T) {
	p := newPeer(t, nil)
	code := p.code()
	token := p.exchange(code)
	if a := p.exchange(code); a.status != http.StatusBadRequest || outcome(a) != "invalid_grant" {
		t.Errorf("second use: %d %s", a.status, a.body)
	}
	if a := p.call(fakeas.Me, token.text("access_token")); a.status != http.StatusUnauthorized {
		t.Errorf("the token lives on: %d", a.status)
	}
	if a := p.refresh(token.text("refresh_token")); outcome(a) != "invalid_grant" {
		t.Errorf("the refresh token lives on: %s", a.body)
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.CodeReused}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
}

// The client cannot know that an answer was lost, so that trying again is no
// violation; it is refused all the same.
func TestCode_AfterALostAnswer(t *testing.T) {
	p := newPeer(t, nil)
	p.as.Script(fakeas.Exchange, fakeas.Drop(), fakeas.Lose())
	code := p.code()
	for range 2 {
		if _, err := p.do(p.exchangeRequest(code)); err == nil {
			t.Error("answered")
		}
	}
	if a := p.exchange(code); outcome(a) != "invalid_grant" {
		t.Errorf("after a lost answer: %s", a.body)
	}
	p.flawless()
}

func TestCode_Expires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil)
		code := p.code()
		time.Sleep(time.Minute - 1)
		if a := p.exchange(code); outcome(a) != "ok" {
			t.Errorf("in time: %s", a.body)
		}
		code = p.code()
		time.Sleep(time.Minute)
		if a := p.exchange(code); outcome(a) != "invalid_grant" {
			t.Errorf("late: %s", a.body)
		}
		p.flawless()

		code = p.code()
		p.as.Restart()
		if a := p.exchange(code); outcome(a) != "invalid_grant" {
			t.Errorf("after a restart: %s", a.body)
		}
	})
}

// A code that somebody else got, put in the client's way, is refused, is not
// used up by that, and is no violation: the client's verifier does not fit.
func TestCode_Injected(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Clients: []fakeas.Client{{ID: fakeas.DefaultClientID}, {ID: "other"}}})
	theirs := p.code("code_challenge", challengeOf(otherVerifier))
	for name, pairs := range map[string][]string{
		"of another flight":             nil,
		"of another flight and port":    {"redirect_uri", "http://127.0.0.1:50000/callback/x"},
		"of another client":             {"client_id", "other"},
		"of another client, never seen": {"client_id", "other", "code", "ac_unknown"},
	} {
		if a := p.exchange(theirs, pairs...); outcome(a) != "invalid_grant" {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	p.flawless()
	if a := p.exchange(theirs, "code_verifier", otherVerifier); outcome(a) != "ok" {
		t.Errorf("its own client: %s", a.body)
	}
}

// Of many who present a code at the same time one gets a token, and since there
// were others it is good for nothing.
func TestCode_AtTheSameTime(t *testing.T) {
	p := newPeer(t, nil)
	code := p.code()
	request := make(chan *http.Request, 20)
	for range cap(request) {
		request <- p.exchangeRequest(code)
	}
	close(request)
	var mu sync.Mutex
	var tokens []string
	var clients sync.WaitGroup
	for req := range request {
		clients.Go(func() {
			a, err := p.do(req)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			if token := a.text("access_token"); token != "" {
				tokens = append(tokens, token)
			}
		})
	}
	clients.Wait()
	if len(tokens) != 1 {
		t.Fatalf("%d tokens", len(tokens))
	}
	if a := p.call(fakeas.Me, tokens[0]); a.status != http.StatusUnauthorized {
		t.Errorf("GET /me: %d", a.status)
	}
	if n := len(p.as.Violations()); n != cap(request)-1 {
		t.Errorf("%d violations", n)
	}
}

// Some servers use a code up by an attempt that does not fit.
func TestCode_Burnt(t *testing.T) {
	for burn, want := range map[bool]string{false: "ok", true: "invalid_grant"} {
		p := newPeer(t, &fakeas.Options{BurnCodes: burn})
		code := p.code()
		if a := p.exchange(code, "code_verifier", otherVerifier); outcome(a) != "invalid_grant" {
			t.Errorf("another verifier: %s", a.body)
		}
		if a := p.exchange(code); outcome(a) != want {
			t.Errorf("burn %v: %s", burn, a.body)
		}
		p.flawless()
	}
}
