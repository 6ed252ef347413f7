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

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// signedIn returns a host whose person has signed in for whoami.
func (w *world) signedIn(era string) *host {
	w.t.Helper()
	h := w.host(era, accepts)
	call := h.call(w.t.Context(), "whoami", nil)
	w.approves()
	(<-call).succeeds(w.t, "Ada")
	return h
}

// A grant in use is refreshed before it ends, in the background: no call waits for it.
func TestRefreshedAhead(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}})
		h := w.signedIn(era)
		w.as.Script(fakeas.Refresh, fakeas.Pass().After(20*time.Second).Times(-1))
		for began := time.Now(); time.Since(began) < 3*time.Hour; later(time.Minute) {
			before := time.Now()
			h.gets("whoami", nil, "Ada")
			if took := time.Since(before); took != 0 {
				t.Errorf("a call waited %v for a refresh", took)
			}
		}
		if n := w.as.Count(fakeas.Refresh, ""); n < 3 || n > 4 {
			t.Errorf("%d refreshes in three hours of tokens that live one", n)
		}
		// Nobody uses it: nobody refreshes it.
		before := w.as.Count(fakeas.Refresh, "")
		later(24 * time.Hour)
		if n := w.as.Count(fakeas.Refresh, ""); n != before {
			t.Errorf("%d refreshes of a grant that nobody used", n-before)
		}
		h.gets("whoami", nil, "Ada")
		h.wantPrompts(1)
	})
}

// The authorization server is away for an hour. What still works goes on, the rest fails
// and says why, and nobody has to sign in when it is back.
func TestRefreshFailsForAnHour(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true})
		var away atomic.Bool
		var tries atomic.Int64
		w := newWorld(t, setup{shared: as, options: lazyauth.Options{Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
			if away.Load() && strings.HasPrefix(req.URL.String(), as.Issuer()) {
				tries.Add(1)
				return nil, errors.New("connection refused")
			}
			return as.Transport().RoundTrip(req)
		})}})
		h := w.signedIn(era)
		later(54*time.Minute + 30*time.Second)
		away.Store(true)
		for range 5 { // it is due, and has not ended
			later(time.Minute)
			h.gets("whoami", nil, "Ada")
		}
		if n := tries.Load(); n < 2 || n > 8 {
			t.Errorf("it was tried %d times ahead of the end", n)
		}
		later(time.Minute)
		for range 10 {
			later(5 * time.Minute)
			(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonUnavailable)
		}
		away.Store(false)
		h.gets("whoami", nil, "Ada")
		h.wantPrompts(1)
		w.wantAuthorizations(1)
	})
}

// The answer to a refresh is lost on its way, and the server has rotated the token: only
// the person can help, and is asked once.
func TestRotatedTokenLost(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true}})
		w.tolerated = append(w.tolerated, fakeas.RefreshTokenReused)
		h := w.signedIn(era)
		later(2 * time.Minute)
		w.as.Script(fakeas.Refresh, fakeas.Lose())
		(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonUnavailable)
		var calls []<-chan reply
		for range 10 {
			calls = append(calls, h.call(t.Context(), "whoami", nil))
		}
		w.approves()
		for _, call := range calls {
			(<-call).succeeds(t, "Ada")
		}
		h.wantPrompts(2)
	})
}

// What real servers send in place of invalid_grant leads to the prompt as well, once.
func TestEmptyRefusal(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.signedIn(era)
		later(2 * time.Minute)
		w.as.Script(fakeas.Refresh, fakeas.Raw(http.StatusBadRequest, nil, ""))
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(2)
		if n := w.as.Count(fakeas.Refresh, ""); n != 1 {
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
			inBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}, options: lazyauth.Options{Store: kept}})
				h := w.signedIn(era)
				later(2 * time.Minute)
				w.as.Script(fakeas.Refresh, answer)
				(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonUnavailable)
				h.gets("whoami", nil, "Ada")
				h.wantPrompts(1)
				w.wantAuthorizations(1)
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
			inBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}, options: lazyauth.Options{Store: kept}})
				h := w.signedIn(era)
				later(2 * time.Minute)
				w.as.Script(fakeas.Refresh, answers...)
				for range len(answers) - 1 {
					(<-h.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonUnavailable)
				}
				call := h.call(t.Context(), "whoami", nil)
				w.denies()
				(<-call).fails(t, lazyauth.ReasonDenied)
				h.wantPrompts(2)

				two := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: kept}})
				other := two.host(era, accepts)
				other.gets("whoami", nil, "Ada")
				other.wantPrompts(0)
			})
		})
	}
}

// A refresh ahead of time that is refused does not take away what still works.
func TestRefusedAhead(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		h := w.signedIn(era)
		later(59 * time.Minute)
		w.as.RevokeRefreshTokens()
		for range 3 {
			h.gets("whoami", nil, "Ada")
			later(5 * time.Second)
		}
		h.wantPrompts(1)
		later(time.Minute)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(2)
	})
}

// The server is started anew, and finds the grant where the last one left it.
func TestRestart(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		first := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, options: lazyauth.Options{Store: kept}})
		first.signedIn(era)
		if err := first.auth.Close(); err != nil {
			t.Fatal(err)
		}
		second := newWorld(t, setup{shared: first.as, options: lazyauth.Options{Store: kept}})
		h := second.host(era, accepts)
		h.gets("whoami", nil, "Ada")
		later(2 * time.Hour)
		h.gets("whoami", nil, "Ada") // refreshed
		call := h.call(t.Context(), "list_notes", nil)
		second.approves() // more, beside what was restored
		(<-call).succeeds(t, "[]")
		h.wantPrompts(1)
		third := newWorld(t, setup{shared: first.as, options: lazyauth.Options{Store: kept}})
		g := third.host(era, accepts)
		g.gets("list_notes", nil, "[]")
		g.gets("whoami", nil, "Ada")
		g.wantPrompts(0)
		// Another client of the same store has another key.
		if s, err := first.clientNamed("other", kept).Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("another client finds %+v, %v", s, err)
		}
	})
}

// clientNamed returns an interceptor of another client at the same server.
func (w *world) clientNamed(id string, kept store.Store) *lazyauth.Interceptor {
	auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: w.as.Issuer(), ClientID: id},
		&lazyauth.Options{Transport: w.as.Transport(), Store: kept})
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { auth.Close() })
	return auth
}

// Two processes with one store: one refresh for both, and no login lost though the
// server takes every second use of a refresh token for theft.
func TestTwoProcesses(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		one := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true, Latency: 100 * time.Millisecond}, options: lazyauth.Options{Store: kept}})
		a := one.signedIn(era)
		two := newWorld(t, setup{shared: one.as, options: lazyauth.Options{Store: kept}})
		b := two.host(era, accepts)
		b.gets("whoami", nil, "Ada")
		for round := 1; round <= 20; round++ {
			later(15 * time.Minute)
			first, second := a.call(t.Context(), "whoami", nil), b.call(t.Context(), "whoami", nil)
			(<-first).succeeds(t, "Ada")
			(<-second).succeeds(t, "Ada")
			if n := one.as.Count(fakeas.Refresh, ""); n != round {
				t.Fatalf("%d refreshes after %d expiries", n, round)
			}
		}
		// One signs in for more; the other finds it, and nobody is asked twice.
		call := a.call(t.Context(), "list_notes", nil)
		one.approves()
		(<-call).succeeds(t, "[]")
		b.gets("list_notes", nil, "[]")
		a.wantPrompts(2)
		b.wantPrompts(0)
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
	inBothEras(t, func(t *testing.T, era string) {
		broken := &brokenStore{Store: store.Memory(), load: errors.New("no disk"), update: errors.New("disk full")}
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, options: lazyauth.Options{Store: broken}})
		h := w.signedIn(era)
		if n := w.trace.count("storefailed"); n != 2 {
			t.Errorf("the failures were said %d times, want 2", n)
		}
		later(20 * time.Minute)
		h.gets("whoami", nil, "Ada")
		h.wantPrompts(1)
		if n := w.trace.count("storefailed"); n != 4 { // read again, and not written
			t.Errorf("the failures were said %d times, want 4", n)
		}
		synctest.Wait()
		if log := w.log.String(); !strings.Contains(log, "disk full") || !strings.Contains(log, "the store of grants failed") {
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
				w := newWorld(t, setup{options: lazyauth.Options{Store: kept}})
				if len(text) < 1<<16 {
					plant(t, w, kept, text)
				} else {
					w.auth.Close()
					w = newWorld(t, setup{options: lazyauth.Options{Store: fixed(text)}})
				}
				h := w.host(legacy, accepts)
				call := h.call(t.Context(), "whoami", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				if w.trace.count("storefailed") == 0 {
					t.Error("nothing was said about it")
				}
			})
		})
	}
}

// localKey is the key of the local user's grant.
func localKey(w *world) string {
	return fmt.Sprintf("%q %q %q %q %q %q", w.as.Issuer(), fakeas.DefaultClientID, "", "", "", "")
}

// plant puts a record in the place of the local user's.
func plant(t *testing.T, w *world, kept store.Store, text string) {
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
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, options: lazyauth.Options{Store: kept, Account: lazyauth.AccountFromArgument("text")}})
		h := w.host(era, accepts)
		for _, account := range []string{"work", "home"} {
			call := h.call(t.Context(), "create_note", noteArgs{account})
			w.approves()
			(<-call).succeeds(t, account)
		}
		work, home := lazyauth.Principal{Account: "work"}, lazyauth.Principal{Account: "home"}
		if all, err := w.auth.Accounts(t.Context()); err != nil || len(all) != 2 || all[0] != home || all[1] != work {
			t.Errorf("accounts: %v, %v", all, err)
		}
		if err := w.auth.Revoke(t.Context(), work); err != nil {
			t.Fatal(err)
		}
		if n := w.as.Count(fakeas.Revocation, ""); n != 2 {
			t.Errorf("%d revocations, want 2: the refresh token and the access token", n)
		}
		if s, err := w.auth.Status(t.Context(), work); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("after the logout: %+v, %v", s, err)
		}
		if s, err := w.auth.Status(t.Context(), home); err != nil || s == nil || !s.Scopes.Covers(scopes.Of("notes:write")) || !s.Renewable || s.Expires.IsZero() {
			t.Errorf("the other account: %+v, %v", s, err)
		}
		if keys, err := kept.Keys(t.Context()); err != nil || len(keys) != 1 {
			t.Errorf("the store has %d grants, %v", len(keys), err)
		}
		h.gets("create_note", noteArgs{"home"}, "home")
		h.wantPrompts(2)
		call := h.call(t.Context(), "create_note", noteArgs{"work"})
		w.approves()
		(<-call).succeeds(t, "work")
		h.wantPrompts(3)
		if p := h.shown()[2]; !strings.Contains(p.Message, `Notes (account "work")`) {
			t.Errorf("the prompt does not name the account: %s", p.Message)
		}
		if err := w.auth.Revoke(t.Context(), lazyauth.Principal{Account: "nobody"}); err != nil {
			t.Errorf("logging out nobody: %v", err)
		}
	})
}

// Somebody logs out while a call is in the middle of its work: the token in its hand is
// dead, and what it needs next, the person is asked for.
func TestLogoutDuringACall(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "twice"}, scopes.Of("profile"), counted(w, "twice",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					if _, _, err := w.get(ctx, "/me"); err != nil {
						return nil, answer{}, err
					}
					if err := w.auth.Revoke(ctx, lazyauth.LocalUser); err != nil {
						return nil, answer{}, err
					}
					return w.get(ctx, "/me")
				}))
		}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "twice", nil)
		w.approves()
		w.approves()
		(<-call).succeeds(t, "Ada")
		h.wantPrompts(2)
		if n := w.starts("twice"); n != 1 {
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
				w := newWorld(t, setup{})
				h := w.signedIn(legacy)
				w.as.Script(fakeas.Revocation, test.behaviour, test.behaviour)
				err := w.auth.Revoke(t.Context(), lazyauth.LocalUser)
				if errors.Is(err, lazyauth.ErrNotRevoked) != test.fails || (err != nil) != test.fails {
					t.Errorf("revoked: %v", err)
				}
				// Whatever the server says: here it is gone.
				call := h.call(t.Context(), "whoami", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				h.wantPrompts(2)
			})
		})
	}
}

// At Close only when asked, and no longer than allowed.
func TestRevokeOnClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.signedIn(legacy)
		w.auth.Close()
		if n := w.as.Count(fakeas.Revocation, ""); n != 0 {
			t.Errorf("%d revocations at Close that nobody asked for", n)
		}
		w = newWorld(t, setup{options: lazyauth.Options{RevokeOnClose: 3 * time.Second}})
		w.signedIn(legacy)
		if err := w.auth.Close(); err != nil {
			t.Error(err)
		}
		if n := w.as.Count(fakeas.Revocation, ""); n == 0 {
			t.Error("no revocation at Close")
		}
		w = newWorld(t, setup{options: lazyauth.Options{RevokeOnClose: 3 * time.Second}})
		w.signedIn(legacy)
		w.as.Script(fakeas.Revocation, fakeas.Stall(), fakeas.Stall())
		began := time.Now()
		if err := w.auth.Close(); !errors.Is(err, lazyauth.ErrNotRevoked) {
			t.Errorf("Close: %v", err)
		}
		if took := time.Since(began); took > 4*time.Second {
			t.Errorf("Close took %v", took)
		}
	})
}

// Each host has a grant of its own, if that is wanted.
func TestAccountOfHost(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson, Account: lazyauth.AccountFromHost()}})
		for _, name := range []string{"first", "second"} {
			h := w.hostWith(era, manners{name: name, url: true, react: accepts})
			call := h.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			h.gets("whoami", nil, "Ada")
			h.wantPrompts(1)
		}
		w.wantAuthorizations(2)
	})
}

// The person notices whose access was used.
func TestIdentity(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		userInfo := func(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/me" }
		w := newWorld(t, setup{service: userInfo, options: lazyauth.Options{Store: kept}})
		h := w.host(era, accepts)
		call := h.call(t.Context(), "whoami", nil)
		if err := w.as.ApproveAs("eve", w.person().UserCode); err != nil {
			t.Fatal(err)
		}
		r := <-call
		r.succeeds(t, "eve")
		name, _ := r.result.Meta[lazyauth.MetaAccount].(string)
		if name == "" || !strings.Contains(strings.ToLower(name), "eve") {
			t.Errorf("the result names %q", name)
		}
		again := newWorld(t, setup{shared: w.as, service: userInfo, options: lazyauth.Options{Store: kept}})
		r = <-again.host(era, accepts).call(t.Context(), "whoami", nil)
		if r.result == nil || r.result.Meta[lazyauth.MetaAccount] != name {
			t.Errorf("after a restart the result names nobody: %+v", r.result)
		}
		if s, err := again.auth.Status(t.Context(), lazyauth.LocalUser); err != nil || s == nil || s.Identity.Name != name {
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
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{options: lazyauth.Options{Identify: identify}})
				h := w.signedIn(era)
				r := <-h.call(t.Context(), "whoami", nil)
				r.succeeds(t, "Ada")
				if name, ok := r.result.Meta[lazyauth.MetaAccount]; ok {
					t.Errorf("the result names %q", name)
				}
				if n := w.trace.count("unidentified"); n != 1 {
					t.Errorf("said %d times", n)
				}
			})
		})
	}
}

// The operator's token: nobody is asked, whatever happens to it.
func TestConfiguredToken(t *testing.T) {
	operated := func(source func(w *world) oauth2.TokenSource, story func(*testing.T, *world, *host)) func(*testing.T) {
		return func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{})
				if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
					t.Fatal(err)
				}
				ci := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Token: source(w)}})
				h := ci.host(era, accepts)
				story(t, ci, h)
				h.wantPrompts(0)
				ci.wantAuthorizations(1) // the one that issued the token
			})
		}
	}
	good := func(w *world) oauth2.TokenSource {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.secrets.last()})
	}
	wrong := func(*world) oauth2.TokenSource {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "wrong"})
	}
	none := func(*world) oauth2.TokenSource { return noToken{} }
	t.Run("accepted", operated(good, func(t *testing.T, w *world, h *host) {
		h.gets("whoami", nil, "Ada")
		h.gets("list_notes", nil, "[]")
		// It lacks this, and the handler sees what the API says.
		if r := <-h.call(t.Context(), "create_note", noteArgs{"x"}); r.result == nil || !r.result.IsError || !strings.Contains(r.text(), "403") {
			t.Errorf("without the scope: %q, %v", r.text(), r.err)
		}
		if s, err := w.auth.Status(t.Context(), lazyauth.LocalUser); err != nil || s == nil || !s.Configured {
			t.Errorf("status: %+v, %v", s, err)
		}
	}))
	t.Run("refused", operated(wrong, func(t *testing.T, _ *world, h *host) {
		if r := <-h.call(t.Context(), "whoami", nil); r.result == nil || !r.result.IsError || !strings.Contains(r.text(), "401") {
			t.Errorf("a wrong token: %q, %v", r.text(), r.err)
		}
	}))
	t.Run("unavailable", operated(none, func(t *testing.T, _ *world, h *host) {
		r := <-h.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonUnavailable)
		if !strings.Contains(r.text(), "operator configured") {
			t.Errorf("%q does not say who has to act", r.text())
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
	inBothEras(t, func(t *testing.T, era string) {
		account := "work"
		w := newWorld(t, setup{options: lazyauth.Options{Account: func(context.Context, *mcp.CallToolRequest) (string, error) { return account, nil }}})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		synctest.Wait()
		account = "home"
		second := h.call(t.Context(), "whoami", nil)
		later(time.Second)
		other := ""
		for _, req := range w.as.Waiting() {
			if req.UserCode != code {
				other = req.UserCode
			}
		}
		if err := w.as.ApproveAs("ada-at-home", other); err != nil {
			t.Fatal(err)
		}
		(<-second).succeeds(t, "ada-at-home")
		if err := w.as.ApproveAs("ada-at-work", code); err != nil {
			t.Fatal(err)
		}
		if era == legacy { // the modern retry is of another account by now, and refused
			(<-first).succeeds(t, "ada-at-work")
		} else {
			<-first
		}
		later(10 * time.Second)
		account = "work"
		h.gets("whoami", nil, "ada-at-work")
		h.wantPrompts(2)
	})
}

func TestBadAccounts(t *testing.T) {
	for name, account := range map[string]string{"long": strings.Repeat("x", 65), "control characters": "a\nb"} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{options: lazyauth.Options{Account: func(context.Context, *mcp.CallToolRequest) (string, error) { return account, nil }}})
				r := <-w.host(legacy, accepts).call(t.Context(), "whoami", nil)
				r.fails(t, lazyauth.ReasonAnonymous)
				if !strings.Contains(r.text(), "64 printable") {
					t.Errorf("%q does not say what is wrong", r.text())
				}
				w.wantAuthorizations(0)
			})
		})
	}
}

// approving is a show function of a person who approves.
func approving(w *world) func(context.Context, elicit.Prompt) error {
	return func(_ context.Context, p elicit.Prompt) error { return w.as.Approve(p.UserCode) }
}

// No secret is in a stored record's place where it does not belong: keys are for people.
func TestStoreKeys(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		w := newWorld(t, setup{options: lazyauth.Options{Store: kept}})
		w.signedIn(legacy)
		keys, err := kept.Keys(t.Context())
		if err != nil || len(keys) != 1 {
			t.Fatal(keys, err)
		}
		credentials, _ := w.secrets.all()
		for _, s := range credentials {
			if strings.Contains(keys[0], s) {
				t.Error("a secret is in a key")
			}
		}
		text, err := kept.Load(t.Context(), keys[0])
		if err != nil || !json.Valid(text) || !bytes.Contains(text, []byte(w.secrets.last())) {
			t.Error("the record has not the grant") // and says no more
		}
	})
}
