package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

func TestLogout_Revokes(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: kept, Account: lazyauth.AccountFromArgument("text")}})
		h := w.Host(era, world.Accepts)
		for _, account := range []string{"work", "home"} {
			call := h.Call(t.Context(), "create_note", world.Note{Text: account})
			w.Approves()
			(<-call).Succeeds(t, account)
		}
		work, home := lazyauth.Principal{Account: "work"}, lazyauth.Principal{Account: "home"}
		if all, err := w.Auth.Accounts(t.Context()); err != nil || len(all) != 2 || all[0] != home || all[1] != work {
			t.Errorf("accounts: %v, %v", all, err)
		}
		if err := w.Auth.Revoke(t.Context(), work); err != nil {
			t.Fatal(err)
		}
		if n := w.AS.Count(fakeas.Revocation, ""); n != 2 {
			t.Errorf("%d revocations, want 2: the refresh token and the access token", n)
		}
		if s, err := w.Auth.Status(t.Context(), work); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("after the logout: %+v, %v", s, err)
		}
		if s, err := w.Auth.Status(t.Context(), home); err != nil || s == nil || !s.Scopes.Covers(scopes.Of("notes:write")) || !s.Renewable || s.Expires.IsZero() {
			t.Errorf("the other account: %+v, %v", s, err)
		}
		if keys, err := kept.Keys(t.Context()); err != nil || len(keys) != 1 {
			t.Errorf("the store has %d grants, %v", len(keys), err)
		}
		h.Gets("create_note", world.Note{Text: "home"}, "home")
		h.WantPrompts(2)
		call := h.Call(t.Context(), "create_note", world.Note{Text: "work"})
		w.Approves()
		(<-call).Succeeds(t, "work")
		h.WantPrompts(3)
		if p := h.Shown()[2]; !strings.Contains(p.Message, `Notes (account "work")`) {
			t.Errorf("the prompt does not name the account: %s", p.Message)
		}
		if err := w.Auth.Revoke(t.Context(), lazyauth.Principal{Account: "nobody"}); err != nil {
			t.Errorf("logging out nobody: %v", err)
		}
	})
}

// Somebody logs out while a call is in the middle of its work: the token in its hand is
// dead, and what it needs next, the person is asked for.
func TestLogout_DuringACall(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "twice"}, scopes.Of("profile"), world.Counted(w, "twice",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					if _, _, err := w.Get(ctx, "/me"); err != nil {
						return nil, world.Answer{}, err
					}
					if err := w.Auth.Revoke(ctx, lazyauth.LocalUser); err != nil {
						return nil, world.Answer{}, err
					}
					return w.Get(ctx, "/me")
				}))
		}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "twice", nil)
		w.Approves()
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
		if n := w.Starts("twice"); n != 1 {
			t.Errorf("the handler ran %d times", n)
		}
	})
}

// Who logs out while the sign-in is being finished is logged out.
func TestLogout_BeforeTheEndOfASignIn(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		for _, withStore := range []bool{false, true} {
			var kept store.Store
			if withStore {
				kept = store.Memory()
			}
			hold := make(chan struct{})
			w := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept, Identify: func(context.Context, *oauth2.Token) (lazyauth.Identity, error) {
				<-hold
				return lazyauth.Identity{Name: "ada"}, nil
			}}})
			h := w.Host(era, world.Accepts)
			c := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			world.Later(8 * time.Second)
			if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
				t.Fatal(err)
			}
			close(hold)
			synctest.Wait()
			if s, err := w.Auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
				t.Errorf("store %t: after the logout: %+v, %v", withStore, s, err)
			}
			r := <-c
			r.Fails(t, lazyauth.ReasonDenied)
			if !strings.Contains(r.Text(), "was logged out of") {
				t.Errorf("store %t: the text is not of what happened: %s", withStore, r.Text())
			}
		}
	})
}

// gateStore lets a story stop what happens in a store.
type gateStore struct {
	store.Store
	mu                      sync.Mutex
	afterLoad, beforeUpdate chan struct{}
}

func (s *gateStore) set(l, u chan struct{}) {
	s.mu.Lock()
	s.afterLoad, s.beforeUpdate = l, u
	s.mu.Unlock()
}

func (s *gateStore) Load(ctx context.Context, key string) ([]byte, error) {
	r, err := s.Store.Load(ctx, key)
	s.mu.Lock()
	c := s.afterLoad
	s.mu.Unlock()
	if c != nil {
		<-c
	}
	return r, err
}

func (s *gateStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	s.mu.Lock()
	c := s.beforeUpdate
	s.beforeUpdate = nil
	s.mu.Unlock()
	if c != nil {
		<-c
	}
	return s.Store.Update(ctx, key, change)
}

// A restore that was under way at the logout brings nothing back.
func TestLogout_DuringARestore(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		gs := &gateStore{Store: store.Memory()}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: gs}})
		w.SignedIn(era)
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: gs}})
		hold := make(chan struct{})
		gs.set(hold, nil)
		h := two.Host(era, world.Accepts)
		c := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.AS.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1)) // or a server that has no such endpoint
		if err := two.Auth.Revoke(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNotRevoked) {
			t.Fatal(err)
		}
		gs.set(nil, nil)
		close(hold)
		world.Later(time.Second)
		if s, err := two.Auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("after the logout: %+v, %v", s, err)
		}
		two.Ends(c)
	})
}

// Neither does a refresh that waited for the store.
func TestLogout_BeforeARefresh(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		gs := &gateStore{Store: store.Memory()}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: gs}})
		h := w.SignedIn(era)
		world.Later(59 * time.Minute)
		hold := make(chan struct{})
		gs.set(nil, hold)
		h.Gets("whoami", nil, "Ada") // starts a refresh ahead, which waits for the store
		synctest.Wait()
		w.AS.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1)) // or a server that has no such endpoint
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNotRevoked) {
			t.Fatal(err)
		}
		close(hold)
		synctest.Wait()
		if keys, _ := gs.Keys(t.Context()); len(keys) != 0 {
			t.Errorf("the logged-out grant is in the store again")
		}
		if s, err := w.Auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("after the logout: %+v, %v", s, err)
		}
	})
}

// What another process took out of the store does not come back.
func TestLogout_InAnotherProcess(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: kept}})
		h := w.SignedIn(era)
		cmd := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		w.AS.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1))
		if err := cmd.Auth.Revoke(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNotRevoked) {
			t.Errorf("Revoke: %v", err)
		}
		world.Later(59 * time.Minute)
		h.Gets("whoami", nil, "Ada")
		synctest.Wait()
		if keys, _ := kept.Keys(t.Context()); len(keys) != 0 {
			t.Errorf("the grant that was logged out of is in the store again")
		}
	})
}

// A store that fails at the logout does not log in again.
func TestLogout_WithABrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &brokenStore{Store: store.Memory()}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: b}})
		h := w.SignedIn(world.Legacy)
		b.update = errors.New("disk full")
		w.AS.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1))
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil {
			t.Fatal("no error")
		}
		c := h.Call(t.Context(), "whoami", nil)
		world.Later(20 * time.Second)
		select {
		case r := <-c:
			t.Errorf("logged in again: %s", r.Text())
		default:
			w.Approves()
			<-c
		}
	})
}

// Logging out where the store can be read and not written ends the tokens all the same, and
// what is left in the store is not used any more.
func TestLogout_WhereNothingCanBeWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		first := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		first.SignedIn(world.Legacy)
		readOnly := &brokenStore{Store: kept, update: fmt.Errorf("the disk %w", store.ErrUnwritable)}
		w := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: readOnly}})
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil || !strings.Contains(err.Error(), "cannot be written") {
			t.Errorf("the error is %v", err)
		}
		if n := w.AS.Count(fakeas.Revocation, fakeas.OK); n != 2 {
			t.Errorf("%d tokens were revoked, want 2", n)
		}
		h := w.SignedIn(world.Legacy)
		h.WantPrompts(1)
	})
}

// The deviations that servers have with revocation, and what they come to.
func TestLogout_RevocationDeviations(t *testing.T) {
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
		"no such page":  {fakeas.Raw(http.StatusNotFound, nil, "<html>"), true},
		"not for us":    {fakeas.Error(http.StatusUnauthorized, "invalid_client"), true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{})
				h := w.SignedIn(world.Legacy)
				w.AS.Script(fakeas.Revocation, test.behaviour, test.behaviour)
				err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser)
				if errors.Is(err, lazyauth.ErrNotRevoked) != test.fails || (err != nil) != test.fails {
					t.Errorf("revoked: %v", err)
				}
				// Whatever the server says: here it is gone.
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				h.WantPrompts(2)
			})
		})
	}
}

// A revocation that was put off is not done.
func TestLogout_RevocationPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.SignedIn(world.Legacy)
		w.AS.Script(fakeas.Revocation, fakeas.Error(429, "too_many_requests").Times(-1))
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil {
			t.Error("a revocation that was put off counts as done")
		}
	})
}
