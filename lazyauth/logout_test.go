package lazyauth_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
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
		synctest.Wait() // the records of sign-ins go once their calls go on
		if keys, err := kept.Keys(t.Context()); err != nil || len(keys) != 1 {
			t.Errorf("the store has %q, %v", keys, err)
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
		hold := make(chan struct{})
		w := world.New(t, world.Setup{Options: lazyauth.Options{Identify: func(context.Context, *oauth2.Token) (lazyauth.Identity, error) {
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
			t.Errorf("after the logout: %+v, %v", s, err)
		}
		r := <-c
		r.Fails(t, lazyauth.ReasonDenied)
		if !strings.Contains(r.Text(), "was logged out of") {
			t.Errorf("the text is not of what happened: %s", r.Text())
		}
	})
}

// Whether the tokens were ended is said; here the grant is gone in any case.
func TestLogout_NotRevoked(t *testing.T) {
	for name, test := range map[string]struct {
		behaviour fakeas.Behaviour
		fails     bool
	}{
		"as specified":  {fakeas.Pass(), false},
		"unknown token": {fakeas.Error(http.StatusBadRequest, "invalid_request"), true}, // better-auth says so
		"out of reach":  {fakeas.Error(http.StatusServiceUnavailable, "temporarily_unavailable"), true},
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
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				h.WantPrompts(2)
			})
		})
	}
}
