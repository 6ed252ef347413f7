package grants_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// A logout forgets the grant here and in the store, ends both tokens, the access token
// first, and leaves other accounts alone. To forget nothing costs nothing.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent forms
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory(), wire: sent.wire})
		work := w.keeper.Owner(grants.Principal{Account: "work"})
		c := w.asksAs(t.Context(), work, profile, caller{})
		w.approves()
		(<-c).holds(profile)
		g := w.signsIn(profile)
		if err := w.me.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		if kinds := append(sent.of("token_type_hint", "access_token", "token_type_hint"), sent.of("token_type_hint", "refresh_token", "token_type_hint")...); !slices.Equal(kinds, []string{"access_token", "refresh_token"}) {
			t.Errorf("revoked: %q", kinds)
		}
		if _, good := w.as.Introspect(g.Token().AccessToken); good || w.me.Grant() != nil || w.stored() != "" {
			t.Errorf("the token is good: %t; the grant is %v", good, w.me.Grant())
		}
		if g, err := w.me.Look(t.Context()); g != nil || err != nil {
			t.Errorf("it looks like %v, %v", g, err)
		}
		if g, err := w.another().keeper.Owner(work.Who()).Look(t.Context()); err != nil || g == nil || !g.Covers(profile) {
			t.Errorf("of the other account there is %v, %v", g, err)
		}
		if err := w.me.Forget(t.Context()); err != nil {
			t.Error(err)
		}
		w.wants(fakeas.Revocation, 2)
		w.signsIn(profile)
		w.wants(fakeas.DeviceAuthorization, 3)
	})
}

// What is stored may be another grant than what is at hand: the tokens of both are ended.
func TestForget_WhatIsStoredToo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{store: store.Memory()})
		one := w.signsIn(profile)
		two := w.another()
		c := two.asks(read)
		two.approves()
		other := (<-c).holds(read)
		if err := w.me.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, g := range []*grants.Grant{one, other} {
			if _, good := w.as.Introspect(g.Token().AccessToken); good {
				t.Error("a token is still good")
			}
		}
		w.wants(fakeas.Revocation, 4)
	})
}

// The deviations that servers have with revocation, and what they come to: whatever the
// server says, here the grant is gone.
func TestForget_RevocationDeviations(t *testing.T) {
	for name, test := range map[string]struct {
		behaviour fakeas.Behaviour
		fails     bool
	}{
		"as specified":  {fakeas.Pass(), false},
		"with a body":   {fakeas.Raw(http.StatusOK, nil, "OK"), false},
		"unknown token": {fakeas.Error(http.StatusBadRequest, "invalid_request"), true}, // better-auth says so
		"empty 400":     {fakeas.Raw(http.StatusBadRequest, nil, ""), true},
		"conflict":      {fakeas.Raw(http.StatusConflict, nil, ""), true},
		"wrong type":    {fakeas.Raw(http.StatusUnsupportedMediaType, nil, `{"message":"Unsupported Media Type"}`), true},
		"unprocessable": {fakeas.Raw(http.StatusUnprocessableEntity, nil, "<html>"), true},
		"200 error":     {fakeas.Raw(http.StatusOK, nil, `{"status":"error"}`), true},
		"200 page":      {fakeas.Raw(http.StatusOK, nil, "<html>sign in to the hotel's network</html>"), true},
		"out of reach":  {fakeas.Error(http.StatusServiceUnavailable, "temporarily_unavailable"), true},
		"put off":       {fakeas.Error(http.StatusTooManyRequests, "too_many_requests"), true},
		"no such page":  {fakeas.Raw(http.StatusNotFound, nil, "<html>"), true},
		"not for us":    {fakeas.Error(http.StatusUnauthorized, "invalid_client"), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{})
				w.signsIn(profile)
				w.as.Script(fakeas.Revocation, test.behaviour.Times(2))
				if err := w.me.Forget(t.Context()); errors.Is(err, grants.ErrNotRevoked) != test.fails || (err != nil) != test.fails {
					t.Errorf("forgotten: %v", err)
				}
				w.wants(fakeas.Revocation, 2)
				w.signsIn(profile)
			})
		})
	}
}

// A server that ends nothing but refresh tokens has done what it can; one whose word on the
// access token alone is amiss has not.
func TestForget_AccessTokenNotRevoked(t *testing.T) {
	for name, test := range map[string]struct {
		as     fakeas.Options
		script []fakeas.Behaviour
		fails  bool
	}{
		"of a type that is not revoked":                     {fakeas.Options{}, []fakeas.Behaviour{fakeas.Error(400, "unsupported_token_type")}, false},
		"of a type that is not revoked, and the only token": {fakeas.Options{NoRefresh: true}, []fakeas.Behaviour{fakeas.Error(400, "unsupported_token_type")}, true},
		"refused":                   {fakeas.Options{}, []fakeas.Behaviour{fakeas.Error(400, "invalid_request")}, true},
		"the refresh token refused": {fakeas.Options{}, []fakeas.Behaviour{fakeas.Pass(), fakeas.Error(400, "unsupported_token_type")}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: test.as})
				w.signsIn(profile)
				w.as.Script(fakeas.Revocation, test.script...)
				if err := w.me.Forget(t.Context()); errors.Is(err, grants.ErrNotRevoked) != test.fails || (err != nil) != test.fails {
					t.Errorf("forgotten: %v", err)
				}
			})
		})
	}
}

// Who logs out while the sign-in is being finished is logged out, and the new tokens end.
func TestForget_BeforeTheEndOfASignIn(t *testing.T) {
	for name, kept := range map[string]func() store.Store{"in memory": func() store.Store { return nil }, "stored": store.Memory} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				hold := make(chan struct{})
				w := newWorld(t, setup{store: kept(), keeper: func(_ *world, c *grants.Config) {
					c.Identify = func(context.Context, *oauth2.Token) (grants.Identity, error) {
						<-hold
						return grants.Identity{Name: "ada"}, nil
					}
				}})
				c := w.asks(profile)
				w.approves()
				later(8 * time.Second)
				if err := w.me.Forget(t.Context()); err != nil {
					t.Fatal(err)
				}
				close(hold)
				(<-c).fails(grants.ErrLoggedOut)
				synctest.Wait()
				if g, err := w.me.Look(t.Context()); g != nil || err != nil {
					t.Errorf("after the logout there is %v, %v", g, err)
				}
				if _, good := w.as.Introspect(w.last()); good {
					t.Error("the token is still good")
				}
				w.wants(fakeas.Revocation, 2)
			})
		})
	}
}

// A logout while the person still reads the prompt changes nothing: it was for what there was.
func TestForget_BeforeTheApproval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		c := w.asks(profile)
		w.person()
		if err := w.me.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.approves()
		(<-c).holds(profile)
	})
}

// Neither a restore nor a refresh that was under way brings anything back.
func TestForget_DuringARenewal(t *testing.T) {
	for _, kind := range []string{"restore", "refresh"} {
		t.Run(kind, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := newMeddled()
				first := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: kept})
				first.signsIn(profile)
				w, hold := first.another(), make(chan struct{})
				if kind == "refresh" {
					w.has(profile)
					later(2 * time.Hour)
					kept.updates(func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
						<-hold
						return kept.Store.Update(ctx, key, change)
					})
				} else {
					kept.loads(func(ctx context.Context, key string) ([]byte, error) {
						text, err := kept.Store.Load(ctx, key)
						<-hold
						return text, err
					})
				}
				c := w.asks(profile)
				synctest.Wait()
				kept.updates(nil)
				w.as.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1)) // or a server that has no such endpoint
				if err := w.me.Forget(t.Context()); !errors.Is(err, grants.ErrNotRevoked) {
					t.Fatal(err)
				}
				kept.loads(nil)
				close(hold)
				w.person() // is asked
				if w.stored() != "" || w.me.Grant() != nil {
					t.Errorf("after the logout there is %v", w.me.Grant())
				}
				w.approves()
				(<-c).holds(profile)
				w.wants(fakeas.Refresh, 0)
			})
		})
	}
}

// A store that fails at the logout does not log in again, be it that what it has is another
// process's; and of what can be read the tokens are ended, too.
func TestForget_StoreFails(t *testing.T) {
	full := errors.New("the disk is full")
	for name, test := range map[string]struct {
		breaks func(*meddled)
		read   bool
	}{
		"at everything":         {func(m *meddled) { m.fails(full) }, false},
		"for want of an answer": {(*meddled).hangsAtUpdates, false},
		"at updates":            {func(m *meddled) { m.failsToUpdate(full) }, true},
		"it cannot be written":  {func(m *meddled) { m.failsToUpdate(fmt.Errorf("the disk %w", store.ErrUnwritable)) }, true},
		"at the writing":        {func(m *meddled) { m.failsToWrite(full) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, own := range []bool{true, !test.read} {
				synctest.Test(t, func(t *testing.T) {
					kept, revoked := newMeddled(), 2
					w := newWorld(t, setup{store: kept})
					w.signsIn(profile)
					if !own {
						c := w.another().asks(read)
						w.approves()
						(<-c).holds(read)
						revoked = 4
					}
					test.breaks(kept)
					if err := w.me.Forget(t.Context()); err == nil || errors.Is(err, grants.ErrNotRevoked) {
						t.Errorf("own record %t: %v", own, err)
					}
					w.wants(fakeas.Revocation, revoked)
					kept.recovers()
					w.signsIn(profile)
				})
			}
		})
	}
}

// When it ends a process revokes what it has, if that is wanted, and takes no longer than it
// may. The operator's token is not its to revoke.
func TestRevokeAll(t *testing.T) {
	for name, test := range map[string]struct {
		wait  time.Duration
		does  fakeas.Behaviour
		want  int
		fails bool
		took  time.Duration
	}{
		"not wanted":  {0, fakeas.Pass(), 0, false, 0},
		"wanted":      {3 * time.Second, fakeas.Pass(), 80, false, 0},
		"no answer":   {3 * time.Second, fakeas.Stall(), 16, true, 3 * time.Second},
		"not revoked": {3 * time.Second, fakeas.Unavailable(404, 0), 80, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{keeper: func(_ *world, c *grants.Config) {
					c.RevokeOnClose = test.wait
					c.Token = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "the-operators"})
				}})
				for n := range 40 {
					c := w.asksAs(t.Context(), w.keeper.Owner(grants.Principal{Issuer: "i", Subject: fmt.Sprint(n)}), profile, caller{})
					w.approves()
					(<-c).holds(profile)
				}
				if g, err := w.me.Look(t.Context()); err != nil || !g.Operators() {
					t.Fatal(g, err)
				}
				w.as.Script(fakeas.Revocation, test.does.Times(-1))
				left := w.close()
				if len(left) != 40 {
					t.Errorf("Close returned %d grants", len(left))
				}
				began := time.Now()
				err := w.keeper.RevokeAll(left)
				if errors.Is(err, grants.ErrNotRevoked) != test.fails || (err != nil) != test.fails || time.Since(began) != test.took {
					t.Errorf("after %v: %v", time.Since(began), err)
				}
				w.wants(fakeas.Revocation, test.want)
				if w.me.Grant() != nil || w.keeper.Close() != nil {
					t.Error("the grants were not forgotten")
				}
			})
		})
	}
}

// Looking at a grant asks nobody, and refreshes nothing.
func TestLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := newMeddled()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: kept})
		if g, err := w.me.Look(t.Context()); g != nil || err != nil {
			t.Errorf("%v, %v", g, err)
		}
		w.signsIn(scopes.Of("profile", "notes:read"))
		later(2 * time.Hour)
		for _, w := range []*world{w, w.another()} {
			if g, err := w.me.Look(t.Context()); err != nil || g.Alive() || g.Scopes() != scopes.Of("profile", "notes:read") || !g.Renewable() || g.Operators() {
				t.Errorf("%v, %v", g, err)
			}
		}
		failed := errors.New("no disk")
		kept.fails(failed)
		if g, err := w.another().me.Look(t.Context()); g != nil || !errors.Is(err, failed) {
			t.Errorf("%v, %v", g, err)
		}
		w.wants(fakeas.Refresh, 0)
	})
}
