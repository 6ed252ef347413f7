package lazyauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// A grant in use is refreshed before it ends, in the background: no call waits for it.
func TestRefreshedAhead(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}})
		h := w.SignedIn(era)
		w.AS.Script(fakeas.Refresh, fakeas.Pass().After(20*time.Second).Times(-1))
		for began := time.Now(); time.Since(began) < 3*time.Hour; world.Later(time.Minute) {
			before := time.Now()
			h.Gets("whoami", nil, "Ada")
			if took := time.Since(before); took != 0 {
				t.Errorf("a call waited %v for a refresh", took)
			}
		}
		if n := w.AS.Count(fakeas.Refresh, ""); n < 3 || n > 4 {
			t.Errorf("%d refreshes in three hours of tokens that live one", n)
		}
		// Nobody uses it: nobody refreshes it.
		before := w.AS.Count(fakeas.Refresh, "")
		world.Later(24 * time.Hour)
		if n := w.AS.Count(fakeas.Refresh, ""); n != before {
			t.Errorf("%d refreshes of a grant that nobody used", n-before)
		}
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
	})
}

// The authorization server is away for an hour. What still works goes on, the rest fails
// and says why, and nobody has to sign in when it is back.
func TestRefreshFailsForAnHour(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true})
		var away atomic.Bool
		var tries atomic.Int64
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if away.Load() && strings.HasPrefix(req.URL.String(), as.Issuer()) {
				tries.Add(1)
				return nil, errors.New("connection refused")
			}
			return as.Transport().RoundTrip(req)
		})}})
		h := w.SignedIn(era)
		world.Later(54*time.Minute + 30*time.Second)
		away.Store(true)
		for range 5 { // it is due, and has not ended
			world.Later(time.Minute)
			h.Gets("whoami", nil, "Ada")
		}
		if n := tries.Load(); n < 2 || n > 8 {
			t.Errorf("it was tried %d times ahead of the end", n)
		}
		world.Later(time.Minute)
		for range 10 {
			world.Later(5 * time.Minute)
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		}
		away.Store(false)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// The answer to a refresh is lost on its way, and the server has rotated the token: only
// the person can help, and is asked once.
func TestRotatedTokenLost(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true}})
		w.Tolerated = append(w.Tolerated, fakeas.RefreshTokenReused)
		h := w.SignedIn(era)
		world.Later(2 * time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Lose())
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		var calls []<-chan world.Reply
		for range 10 {
			calls = append(calls, h.Call(t.Context(), "whoami", nil))
		}
		w.Approves()
		for _, call := range calls {
			(<-call).Succeeds(t, "Ada")
		}
		h.WantPrompts(2)
	})
}

// What real servers send in place of invalid_grant leads to the prompt as well, once.
func TestEmptyRefusal(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.SignedIn(era)
		world.Later(2 * time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Raw(http.StatusBadRequest, nil, ""))
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes", n)
		}
	})
}

// Only the server's own word ends a grant. Whatever else answers a refresh, the call is
// refused for now, and the next one refreshes with the same token; nobody is asked.
func TestRefresh_AnythingInBetweenKeepsTheGrant(t *testing.T) {
	text := func(kind string) http.Header { return http.Header{"Content-Type": {kind}} }
	for name, answer := range map[string]fakeas.Behaviour{
		"200 {}":             fakeas.Raw(200, text("application/json"), `{}`),
		"200 maintenance":    fakeas.Raw(200, text("application/json"), `{"status":"maintenance"}`),
		"200 gzip":           fakeas.Raw(200, text("application/json"), "\x1f\x8b\x08\x00\x00"),
		"200 too large":      fakeas.Raw(200, text("application/json"), strings.Repeat(" ", 65<<10)+"{}"),
		"400 page":           fakeas.Raw(400, text("text/html"), "<html>error=invalid_grant</html>"),
		"401 page":           fakeas.Raw(401, text("text/html"), "<html>"),
		"400 a sentence":     fakeas.Raw(400, text("application/json"), `{"message":"invalid_grant"}`),
		"401 a sentence":     fakeas.Raw(401, text("application/json"), `{"message":"Unauthorized"}`),
		"empty 401":          fakeas.Raw(401, nil, ""),
		"429 limit":          fakeas.Raw(429, http.Header{"Retry-After": {"7"}}, `{"error":"too_many_requests"}`),
		"429 with a verdict": fakeas.Raw(429, nil, `{"error":"invalid_grant"}`),
		"500 unheard of":     fakeas.Raw(500, nil, `{"error":"boom"}`),
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Store: kept}})
				h := w.SignedIn(era)
				world.Later(2 * time.Minute)
				w.AS.Script(fakeas.Refresh, answer)
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				h.Gets("whoami", nil, "Ada")
				h.WantPrompts(1)
				w.WantAuthorizations(1)
			})
		})
	}
}

// Where another try will not help, the person is asked, and the grant stays until they
// have signed in: a process that comes later finds it.
func TestRefresh_AskedAndKept(t *testing.T) {
	dpop := fakeas.Raw(200, nil, `{"access_token":"bound-to-a-key","token_type":"DPoP"}`)
	for name, answers := range map[string][]fakeas.Behaviour{
		"a success without a token, twice": {fakeas.Raw(200, nil, `{}`), fakeas.Raw(200, nil, `{}`)},
		"a token that cannot be used":      {dpop},
		"a token that is none":             {fakeas.Raw(200, nil, `{"access_token":"not a token"}`)},
		"an empty 400":                     {fakeas.Raw(400, nil, "")},
		"a disabled client":                {fakeas.Error(403, "unauthorized_client")},
		"a word of its own":                {fakeas.Error(400, "invalid_refresh_token")},
		"wants the person":                 {fakeas.Error(400, "interaction_required")},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Store: kept}})
				h := w.SignedIn(era)
				world.Later(2 * time.Minute)
				w.AS.Script(fakeas.Refresh, answers...)
				for range len(answers) - 1 {
					(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				}
				call := h.Call(t.Context(), "whoami", nil)
				w.Denies()
				(<-call).Fails(t, lazyauth.ReasonDenied)
				h.WantPrompts(2)

				two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
				other := two.Host(era, world.Accepts)
				other.Gets("whoami", nil, "Ada")
				other.WantPrompts(0)
			})
		})
	}
}

// A refresh ahead of time that is refused does not take away what still works.
func TestRefusedAhead(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}})
		h := w.SignedIn(era)
		world.Later(59 * time.Minute)
		w.AS.RevokeRefreshTokens()
		for range 3 {
			h.Gets("whoami", nil, "Ada")
			world.Later(5 * time.Second)
		}
		h.WantPrompts(1)
		world.Later(time.Minute)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
	})
}

// The server is started anew, and finds the grant where the last one left it.
func TestRestart(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		first := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Options: lazyauth.Options{Store: kept}})
		first.SignedIn(era)
		if err := first.Auth.Close(); err != nil {
			t.Fatal(err)
		}
		second := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: kept}})
		h := second.Host(era, world.Accepts)
		h.Gets("whoami", nil, "Ada")
		world.Later(2 * time.Hour)
		h.Gets("whoami", nil, "Ada") // refreshed
		call := h.Call(t.Context(), "list_notes", nil)
		second.Approves() // more, beside what was restored
		(<-call).Succeeds(t, "[]")
		h.WantPrompts(1)
		third := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: kept}})
		g := third.Host(era, world.Accepts)
		g.Gets("list_notes", nil, "[]")
		g.Gets("whoami", nil, "Ada")
		g.WantPrompts(0)
		// Another client of the same store has another key.
		if s, err := first.ClientNamed("other", kept).Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("another client finds %+v, %v", s, err)
		}
	})
}

// Two processes with one store: one refresh for both, and no login lost though the
// server takes every second use of a refresh token for theft.
func TestTwoProcesses(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		one := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 100 * time.Millisecond}, Options: lazyauth.Options{Store: kept}})
		a := one.SignedIn(era)
		two := world.New(t, world.Setup{Shared: one.AS, Options: lazyauth.Options{Store: kept}})
		b := two.Host(era, world.Accepts)
		b.Gets("whoami", nil, "Ada")
		for round := 1; round <= 20; round++ {
			world.Later(15 * time.Minute)
			first, second := a.Call(t.Context(), "whoami", nil), b.Call(t.Context(), "whoami", nil)
			(<-first).Succeeds(t, "Ada")
			(<-second).Succeeds(t, "Ada")
			if n := one.AS.Count(fakeas.Refresh, ""); n != round {
				t.Fatalf("%d refreshes after %d expiries", n, round)
			}
		}
		// One signs in for more; the other finds it, and nobody is asked twice.
		call := a.Call(t.Context(), "list_notes", nil)
		one.Approves()
		(<-call).Succeeds(t, "[]")
		b.Gets("list_notes", nil, "[]")
		a.WantPrompts(2)
		b.WantPrompts(0)
	})
}

// brokenStore is one that fails as told.
type brokenStore struct {
	store.Store
	load, update error
}

func (s *brokenStore) Load(ctx context.Context, key string) ([]byte, error) {
	if s.load != nil {
		return nil, s.load
	}
	return s.Store.Load(ctx, key)
}

func (s *brokenStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if s.update != nil {
		return s.update
	}
	return s.Store.Update(ctx, key, change)
}

// A store that fails is said aloud and costs no call: the grant is in memory.
func TestStoreFails(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		broken := &brokenStore{Store: store.Memory(), load: errors.New("no disk"), update: errors.New("disk full")}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, Options: lazyauth.Options{Store: broken}})
		h := w.SignedIn(era)
		if n := w.Trace.Count("storefailed"); n != 2 {
			t.Errorf("the failures were said %d times, want 2", n)
		}
		world.Later(20 * time.Minute)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if n := w.Trace.Count("storefailed"); n != 4 { // read again, and not written
			t.Errorf("the failures were said %d times, want 4", n)
		}
		synctest.Wait()
		if log := w.Log.String(); !strings.Contains(log, "disk full") || !strings.Contains(log, "the store of grants failed") {
			t.Errorf("the log does not say so: %s", log)
		}
	})
}

// What is stored and is not a grant, or one of a later version, is left alone.
func TestStoredRecordOfAnotherKind(t *testing.T) {
	for name, text := range map[string]string{
		"garbage":       "garbage",
		"later version": `{"v":2,"grant":"x"}`,
		"bad token":     `{"v":1,"access":"a b","scopes":"profile"}`,
		"bad scopes":    `{"v":1,"access":"ab","scopes":"\u0000"}`,
		"too long":      `{"v":1,"access":"` + strings.Repeat("a", 1<<17) + `"}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := store.Memory()
				w := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept}})
				if len(text) < 1<<16 {
					plant(t, w, kept, text)
				} else {
					w.Auth.Close()
					w = world.New(t, world.Setup{Options: lazyauth.Options{Store: fixed(text)}})
				}
				h := w.Host(world.Legacy, world.Accepts)
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				if w.Trace.Count("storefailed") == 0 {
					t.Error("nothing was said about it")
				}
			})
		})
	}
}

// localKey is the key of the local user's grant.
func localKey(w *world.World) string {
	return fmt.Sprintf("%q %q %q %q %q %q", w.AS.Issuer(), fakeas.DefaultClientID, "", "", "", "")
}

// plant puts a record in the place of the local user's.
func plant(t *testing.T, w *world.World, kept store.Store, text string) {
	t.Helper()
	key := localKey(w)
	if err := kept.Update(t.Context(), key, func([]byte) ([]byte, error) { return []byte(text), nil }); err != nil {
		t.Fatal(err)
	}
}

// fixed is a store that has this for everybody.
type fixed string

func (f fixed) Load(context.Context, string) ([]byte, error) { return []byte(f), nil }
func (f fixed) Update(_ context.Context, _ string, change func([]byte) ([]byte, error)) error {
	_, err := change([]byte(f))
	return err
}
func (f fixed) Keys(context.Context) ([]string, error) { return nil, nil }
func (f fixed) String() string                         { return "nowhere" }

func TestLogout(t *testing.T) {
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
func TestLogoutDuringACall(t *testing.T) {
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

// The deviations that servers have with revocation, and what they come to.
func TestRevocationDeviations(t *testing.T) {
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

// At Close only when asked, and no longer than allowed.
func TestRevokeOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.SignedIn(world.Legacy)
		w.Auth.Close()
		if n := w.AS.Count(fakeas.Revocation, ""); n != 0 {
			t.Errorf("%d revocations at Close that nobody asked for", n)
		}
		w = world.New(t, world.Setup{Options: lazyauth.Options{RevokeOnClose: 3 * time.Second}})
		w.SignedIn(world.Legacy)
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		if n := w.AS.Count(fakeas.Revocation, ""); n == 0 {
			t.Error("no revocation at Close")
		}
		w = world.New(t, world.Setup{Options: lazyauth.Options{RevokeOnClose: 3 * time.Second}})
		w.SignedIn(world.Legacy)
		w.AS.Script(fakeas.Revocation, fakeas.Stall(), fakeas.Stall())
		began := time.Now()
		if err := w.Auth.Close(); !errors.Is(err, lazyauth.ErrNotRevoked) {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// Each host has a grant of its own, if that is wanted.
func TestAccountOfHost(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: onePerson, Account: lazyauth.AccountFromHost()}})
		for _, name := range []string{"first", "second"} {
			h := w.HostWith(era, world.Manners{Name: name, URL: true, React: world.Accepts})
			call := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
			h.Gets("whoami", nil, "Ada")
			h.WantPrompts(1)
		}
		w.WantAuthorizations(2)
	})
}

// The person notices whose access was used.
func TestIdentity(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		userInfo := func(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/me" }
		w := world.New(t, world.Setup{Service: userInfo, Options: lazyauth.Options{Store: kept}})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		if err := w.AS.ApproveAs("eve", w.Person().UserCode); err != nil {
			t.Fatal(err)
		}
		r := <-call
		r.Succeeds(t, "eve")
		name, _ := r.Result.Meta[lazyauth.MetaAccount].(string)
		if name == "" || !strings.Contains(strings.ToLower(name), "eve") {
			t.Errorf("the result names %q", name)
		}
		again := world.New(t, world.Setup{Shared: w.AS, Service: userInfo, Options: lazyauth.Options{Store: kept}})
		r = <-again.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		if r.Result == nil || r.Result.Meta[lazyauth.MetaAccount] != name {
			t.Errorf("after a restart the result names nobody: %+v", r.Result)
		}
		if s, err := again.Auth.Status(t.Context(), lazyauth.LocalUser); err != nil || s == nil || s.Identity.Name != name {
			t.Errorf("status: %+v, %v", s, err)
		}
	})
}

func TestIdentityUnknown(t *testing.T) {
	for name, identify := range map[string]func(context.Context, *oauth2.Token) (lazyauth.Identity, error){
		"an error": func(context.Context, *oauth2.Token) (lazyauth.Identity, error) {
			return lazyauth.Identity{}, errors.New("x")
		},
		"a hostile name": func(context.Context, *oauth2.Token) (lazyauth.Identity, error) {
			return lazyauth.Identity{Name: "Ada\x1b[2J"}, nil
		},
		"a hung service": func(ctx context.Context, _ *oauth2.Token) (lazyauth.Identity, error) {
			<-ctx.Done()
			return lazyauth.Identity{}, ctx.Err()
		},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{Identify: identify}})
				h := w.SignedIn(era)
				r := <-h.Call(t.Context(), "whoami", nil)
				r.Succeeds(t, "Ada")
				if name, ok := r.Result.Meta[lazyauth.MetaAccount]; ok {
					t.Errorf("the result names %q", name)
				}
				if n := w.Trace.Count("unidentified"); n != 1 {
					t.Errorf("said %d times", n)
				}
			})
		})
	}
}

// The operator's token: nobody is asked, whatever happens to it.
func TestConfiguredToken(t *testing.T) {
	operated := func(source func(w *world.World) oauth2.TokenSource, story func(*testing.T, *world.World, *world.Host)) func(*testing.T) {
		return func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
					t.Fatal(err)
				}
				ci := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Token: source(w)}})
				h := ci.Host(era, world.Accepts)
				story(t, ci, h)
				h.WantPrompts(0)
				ci.WantAuthorizations(1) // the one that issued the token
			})
		}
	}
	good := func(w *world.World) oauth2.TokenSource {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.Secrets.Last()})
	}
	wrong := func(*world.World) oauth2.TokenSource {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "wrong"})
	}
	none := func(*world.World) oauth2.TokenSource { return noToken{} }
	t.Run("accepted", operated(good, func(t *testing.T, w *world.World, h *world.Host) {
		h.Gets("whoami", nil, "Ada")
		h.Gets("list_notes", nil, "[]")
		// It lacks this, and the handler sees what the API says.
		if r := <-h.Call(t.Context(), "create_note", world.Note{Text: "x"}); r.Result == nil || !r.Result.IsError || !strings.Contains(r.Text(), "403") {
			t.Errorf("without the scope: %q, %v", r.Text(), r.Err)
		}
		if s, err := w.Auth.Status(t.Context(), lazyauth.LocalUser); err != nil || s == nil || !s.Configured {
			t.Errorf("status: %+v, %v", s, err)
		}
	}))
	t.Run("refused", operated(wrong, func(t *testing.T, _ *world.World, h *world.Host) {
		if r := <-h.Call(t.Context(), "whoami", nil); r.Result == nil || !r.Result.IsError || !strings.Contains(r.Text(), "401") {
			t.Errorf("a wrong token: %q, %v", r.Text(), r.Err)
		}
	}))
	t.Run("unavailable", operated(none, func(t *testing.T, _ *world.World, h *world.Host) {
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnavailable)
		if !strings.Contains(r.Text(), "operator configured") {
			t.Errorf("%q does not say who has to act", r.Text())
		}
	}))
}

type noToken struct{}

func (noToken) Token() (*oauth2.Token, error) { return nil, errors.New("the vault is sealed") }

func TestEnvToken(t *testing.T) {
	t.Setenv("NOTES_TOKEN", "")
	if lazyauth.TokenFromEnv("NOTES_TOKEN") != nil {
		t.Error("an empty variable is a token")
	}
	t.Setenv("NOTES_TOKEN", " secret\n")
	if got, err := lazyauth.TokenFromEnv("NOTES_TOKEN").Token(); err != nil || got.AccessToken != "secret" {
		t.Errorf("%v, %v", got, err)
	}
}

// The account is chosen anew for a call in mid-flight: that is another flight, and
// nobody gets the other's grant.
func TestAccountSwitchedInMidFlight(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		account := "work"
		w := world.New(t, world.Setup{Options: lazyauth.Options{Account: func(context.Context, *mcp.CallToolRequest) (string, error) { return account, nil }}})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		account = "home"
		second := h.Call(t.Context(), "whoami", nil)
		world.Later(time.Second)
		other := ""
		for _, req := range w.AS.Waiting() {
			if req.UserCode != code {
				other = req.UserCode
			}
		}
		if err := w.AS.ApproveAs("ada-at-home", other); err != nil {
			t.Fatal(err)
		}
		(<-second).Succeeds(t, "ada-at-home")
		if err := w.AS.ApproveAs("ada-at-work", code); err != nil {
			t.Fatal(err)
		}
		if era == world.Legacy { // the modern retry is of another account by now, and refused
			(<-first).Succeeds(t, "ada-at-work")
		} else {
			<-first
		}
		world.Later(10 * time.Second)
		account = "work"
		h.Gets("whoami", nil, "ada-at-work")
		h.WantPrompts(2)
	})
}

func TestBadAccounts(t *testing.T) {
	for name, account := range map[string]string{"long": strings.Repeat("x", 65), "control characters": "a\nb"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{Account: func(context.Context, *mcp.CallToolRequest) (string, error) { return account, nil }}})
				r := <-w.Host(world.Legacy, world.Accepts).Call(t.Context(), "whoami", nil)
				r.Fails(t, lazyauth.ReasonAnonymous)
				if !strings.Contains(r.Text(), "64 printable") {
					t.Errorf("%q does not say what is wrong", r.Text())
				}
				w.WantAuthorizations(0)
			})
		})
	}
}

// approving is a show function of a person who approves.
func approving(w *world.World) func(context.Context, elicit.Prompt) error {
	return func(_ context.Context, p elicit.Prompt) error { return w.AS.Approve(p.UserCode) }
}

// No secret is in a stored record's place where it does not belong: keys are for people.
func TestStoreKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept}})
		w.SignedIn(world.Legacy)
		keys, err := kept.Keys(t.Context())
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		credentials, _ := w.Secrets.All()
		for _, s := range credentials {
			if strings.Contains(keys[0], s) {
				t.Error("a secret is in a key")
			}
		}
		text, err := kept.Load(t.Context(), keys[0])
		if err != nil || !json.Valid(text) || !bytes.Contains(text, []byte(w.Secrets.Last())) {
			t.Error("the record has not the grant") // and says no more
		}
	})
}
