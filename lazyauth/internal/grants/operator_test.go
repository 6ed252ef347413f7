package grants_test

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// A source has tokens in turn, to the last; or an error.
type source struct {
	mu     sync.Mutex
	tokens []*oauth2.Token
	err    error
	asked  int
}

func (s *source) Token() (*oauth2.Token, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.err != nil || len(s.tokens) == 0 {
		return nil, s.err
	}
	token := s.tokens[0]
	if len(s.tokens) > 1 {
		s.tokens = s.tokens[1:]
	}
	return token, nil
}

func operatedBy(s *source) func(*world, *grants.Config) {
	return func(_ *world, c *grants.Config) { c.Token = s }
}

// The operator's token is the local user's, whatever the account, and nobody is asked;
// everybody else signs in.
func TestOperator(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{tokens: []*oauth2.Token{{AccessToken: "theirs"}}}
		w := newWorld(t, setup{keeper: operatedBy(s)})
		for _, account := range []string{"", "work"} {
			o := <-w.asksAs(t.Context(), w.keeper.Owner(grants.Principal{Account: account}), scopes.Of("whatever"), caller{may: func(bool) error { return errors.New("asked") }})
			if o.err != nil || o.grant.Token().AccessToken != "theirs" || !o.grant.Operators() || o.grant.Renewable() {
				t.Errorf("%v, %v", o.grant, o.err)
			}
		}
		for range 3 {
			if g, err := w.me.Look(t.Context()); err != nil || g != w.me.Grant() {
				t.Errorf("%v, %v", g, err)
			}
		}
		if s.asked != 2 {
			t.Errorf("the source was asked %d times", s.asked)
		}
		ada := w.keeper.Owner(grants.Principal{Issuer: "i", Subject: "ada"})
		c := w.asksAs(t.Context(), ada, profile, caller{})
		w.approves()
		if g := (<-c).holds(profile); g.Operators() {
			t.Error("somebody else has the operator's token")
		}
		// It is forgotten, and not ended: it is not ours.
		if err := w.me.Forget(t.Context()); err != nil || w.me.Grant() != nil {
			t.Error(err)
		}
		w.wants(fakeas.Revocation, 0)
	})
}

// One that cannot be had is told, and asked for again by the next who needs it.
func TestOperator_NotToBeHad(t *testing.T) {
	sealed := errors.New("the vault is sealed")
	for name, test := range map[string]struct {
		source *source
		want   error
	}{
		"an error": {&source{err: sealed}, sealed},
		"nothing":  {&source{}, nil},
		"empty":    {&source{tokens: []*oauth2.Token{{}}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{keeper: operatedBy(test.source)})
				for range 2 {
					o := <-w.asks(profile)
					o.fails(grants.ErrOperatorToken)
					if test.want != nil && grants.Cause(o.err) != test.want {
						t.Errorf("the cause is %v", grants.Cause(o.err))
					}
				}
				if g, err := w.me.Look(t.Context()); g != nil || !errors.Is(err, grants.ErrOperatorToken) {
					t.Errorf("%v, %v", g, err)
				}
				if n := len(w.told("token failed")); n != 3 {
					t.Errorf("told %d times", n)
				}
				test.source.err, test.source.tokens = nil, []*oauth2.Token{{AccessToken: "theirs"}}
				if o := <-w.asks(profile); o.err != nil {
					t.Error(o.err)
				}
			})
		})
	}
}

// Who can wait no longer for it is not told that it is the store.
func TestOperator_NotAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: store.Memory(), keeper: func(_ *world, c *grants.Config) { c.Token = slowSource{} }})
		o := <-w.asksAs(t.Context(), w.me, profile, caller{left: 5 * time.Second})
		o.fails(grants.ErrNotAnswered)
		if errors.Is(o.err, grants.ErrStoreNotAnswered) {
			t.Error(o.err)
		}
	})
}

type slowSource struct{}

func (slowSource) Token() (*oauth2.Token, error) {
	time.Sleep(7 * time.Second)
	return &oauth2.Token{AccessToken: "theirs"}, nil
}

// One that has expired is taken again; what has expired by then is no token.
func TestOperator_Expires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		expired := &oauth2.Token{AccessToken: "third", Expiry: time.Now()}
		s := &source{tokens: []*oauth2.Token{{AccessToken: "first", Expiry: time.Now().Add(time.Hour)}, {AccessToken: "second", Expiry: time.Now().Add(3 * time.Hour)}, expired}}
		w := newWorld(t, setup{keeper: operatedBy(s)})
		for _, want := range []string{"first", "second"} {
			if o := <-w.asks(profile); o.err != nil || o.grant.Token().AccessToken != want {
				t.Errorf("%v, %v", o.grant, o.err)
			}
			later(2 * time.Hour)
		}
		(<-w.asks(profile)).fails(grants.ErrOperatorToken)
		w.wants(fakeas.DeviceAuthorization, 0)
	})
}

// One that the API refuses is taken again, and used if it is another; otherwise, and if that
// is refused too, it stays, and is not taken again for a minute.
func TestOperator_Rejected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{tokens: []*oauth2.Token{{AccessToken: "first"}, {AccessToken: "second"}}}
		w := newWorld(t, setup{keeper: operatedBy(s)})
		<-w.asks(profile)
		w.rejects(grants.Refusal{SignIn: true}, true)
		if now := w.me.Grant().Token().AccessToken; now != "second" {
			t.Errorf("the token is the %s", now)
		}
		w.rejects(grants.Refusal{SignIn: true, Again: true}, false)
		w.rejects(grants.Refusal{By: 1, SignIn: true}, false)
		if s.asked != 2 {
			t.Errorf("the source was asked %d times", s.asked)
		}
		later(time.Minute)
		w.rejects(grants.Refusal{By: 1, SignIn: true}, false) // it is the same
		w.rejects(grants.Refusal{By: 2, SignIn: true}, false)
		if s.asked != 3 {
			t.Errorf("the source was asked %d times", s.asked)
		}
		if o := <-w.asks(profile); o.err != nil || o.grant.Token().AccessToken != "second" {
			t.Errorf("%v, %v", o.grant, o.err)
		}
	})
}
