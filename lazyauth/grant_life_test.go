package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// A grant that ends while the person thinks about a step-up is refreshed once, for all.
func TestRefreshedOnceDuringAStepUp(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true, Latency: 100 * time.Millisecond}})
		h := w.signedIn(era)
		later(40 * time.Second)
		more := h.call(t.Context(), "list_notes", nil) // waits for the person
		code := w.person().UserCode
		later(20 * time.Second)
		var calls []<-chan reply
		for range 5 {
			calls = append(calls, h.call(t.Context(), "whoami", nil))
		}
		for _, c := range calls {
			(<-c).succeeds(t, "Ada")
		}
		if n := w.as.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
		if err := w.as.Approve(code); err != nil {
			t.Fatal(err)
		}
		(<-more).succeeds(t, "[]")
	})
}

// A refresh whose answer is on its way when the server ends is written down, or the next
// start would use the token that was replaced.
func TestCloseDuringARefresh(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true})
		slow := &slowAnswer{next: as.Transport(), as: as}
		w := newWorld(t, setup{shared: as, options: lazyauth.Options{Store: kept, Transport: slow}})
		h := w.signedIn(era)
		later(59*time.Minute + 30*time.Second)
		slow.on.Store(true)
		h.gets("whoami", nil, "Ada")
		later(500 * time.Millisecond)
		if err := w.auth.Close(); err != nil {
			t.Error(err)
		}
		later(time.Hour)
		two := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: kept}})
		g := two.host(era, accepts)
		c := g.call(t.Context(), "whoami", nil)
		later(10 * time.Second)
		two.answers(c, "Ada")
	})
}

// Who logs out while the sign-in is being finished is logged out.
func TestLogoutBeforeTheEndOfASignIn(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		for _, withStore := range []bool{false, true} {
			var kept store.Store
			if withStore {
				kept = store.Memory()
			}
			hold := make(chan struct{})
			w := newWorld(t, setup{options: lazyauth.Options{Store: kept, Identify: func(context.Context, *oauth2.Token) (lazyauth.Identity, error) {
				<-hold
				return lazyauth.Identity{Name: "ada"}, nil
			}}})
			h := w.host(era, accepts)
			c := h.call(t.Context(), "whoami", nil)
			w.approves()
			later(8 * time.Second)
			if err := w.auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
				t.Fatal(err)
			}
			close(hold)
			synctest.Wait()
			if s, err := w.auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
				t.Errorf("store %t: after the logout: %+v, %v", withStore, s, err)
			}
			r := <-c
			r.fails(t, lazyauth.ReasonDenied)
			if !strings.Contains(r.text(), "was logged out of") {
				t.Errorf("store %t: the text is not of what happened: %s", withStore, r.text())
			}
		}
	})
}

// A restore that was under way at the logout brings nothing back.
func TestLogoutDuringARestore(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		gs := &gateStore{Store: store.Memory()}
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, options: lazyauth.Options{Store: gs}})
		w.signedIn(era)
		two := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: gs}})
		hold := make(chan struct{})
		gs.set(hold, nil)
		h := two.host(era, accepts)
		c := h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		w.as.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1)) // or a server that has no such endpoint
		if err := two.auth.Revoke(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNotRevoked) {
			t.Fatal(err)
		}
		gs.set(nil, nil)
		close(hold)
		later(time.Second)
		if s, err := two.auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("after the logout: %+v, %v", s, err)
		}
		two.ends(c)
	})
}

// Neither does a refresh that waited for the store.
func TestLogoutBeforeARefresh(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		gs := &gateStore{Store: store.Memory()}
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, service: func(s *lazyauth.Service) {
			issuer := s.Issuer
			_ = issuer
		}, options: lazyauth.Options{Store: gs}})
		h := w.signedIn(era)
		later(59 * time.Minute)
		hold := make(chan struct{})
		gs.set(nil, hold)
		h.gets("whoami", nil, "Ada") // starts a refresh ahead, which waits for the store
		synctest.Wait()
		w.as.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1)) // or a server that has no such endpoint
		if err := w.auth.Revoke(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNotRevoked) {
			t.Fatal(err)
		}
		close(hold)
		synctest.Wait()
		if keys, _ := gs.Keys(t.Context()); len(keys) != 0 {
			t.Errorf("the logged-out grant is in the store again")
		}
		if s, err := w.auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("after the logout: %+v, %v", s, err)
		}
	})
}

// What another process took out of the store does not come back.
func TestLogoutInAnotherProcess(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, options: lazyauth.Options{Store: kept}})
		h := w.signedIn(era)
		cmd := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: kept}})
		w.as.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1))
		_ = cmd.auth.Revoke(t.Context(), lazyauth.LocalUser)
		later(59 * time.Minute)
		h.gets("whoami", nil, "Ada")
		synctest.Wait()
		if keys, _ := kept.Keys(t.Context()); len(keys) != 0 {
			t.Errorf("the grant that was logged out of is in the store again")
		}
	})
}

// A full disk costs no login: what was not replaced in the store is not used.
func TestStoreThatCannotBeWritten(t *testing.T) {
	for _, ahead := range []bool{false, true} {
		t.Run(fmt.Sprint("ahead=", ahead), func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				broken := &lateBroken{brokenStore: &brokenStore{Store: store.Memory()}}
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, options: lazyauth.Options{Store: broken}})
				h := w.signedIn(era)
				broken.full.Store(true)
				for range 4 {
					if ahead {
						later(9*time.Minute + 45*time.Second)
						h.gets("whoami", nil, "Ada")
						later(3 * time.Second)
					} else {
						later(20 * time.Minute)
						c := h.call(t.Context(), "whoami", nil)
						later(20 * time.Second)
						w.answers(c, "Ada")
					}
				}
				h.wantPrompts(1)
			})
		})
	}
}

// Records of later versions are left alone, and what cannot be read is not said to be
// revoked.
func TestRecordOfALaterVersion(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		const later2 = `{"v":2,"grant":"x"}`
		kept := store.Memory()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute}, options: lazyauth.Options{Store: kept}})
		plant(t, w, kept, later2)
		h := w.signedIn(era)
		key := localKey(w)
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the sign-in the record is %.20q", got)
		}
		plant(t, w, kept, later2)
		later(20 * time.Minute)
		h.gets("whoami", nil, "Ada")
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the refresh the record is %.20q", got)
		}
		plant(t, w, kept, later2)
		w.as.RevokeRefreshTokens()
		later(20 * time.Minute)
		c := h.call(t.Context(), "whoami", nil)
		w.person()
		synctest.Wait()
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the refused refresh the record is %.20q", got)
		}
		w.auth.Close()
		<-c
		two := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: kept}})
		plant(t, two, kept, later2)
		if err := two.auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil {
			t.Error("Revoke of what cannot be read says that all went well")
		}
	})
}

// A record that has expired is no grant, and keeps none from being stored.
func TestExpiredRecord(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: 10 * time.Minute, NoRefresh: true}, options: lazyauth.Options{Store: kept}})
		if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
			t.Fatal(err)
		}
		later(time.Hour)
		two := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: kept}})
		h := two.host(era, accepts)
		c := h.call(t.Context(), "whoami", nil)
		two.approves("profile")
		(<-c).succeeds(t, "Ada")
		for _, e := range two.as.Journal() {
			if e.Status == 401 {
				t.Errorf("an expired token was sent: %+v", e)
			}
		}
		three := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: kept}})
		g := three.host(era, accepts)
		c = g.call(t.Context(), "whoami", nil)
		later(20 * time.Second)
		three.answers(c, "Ada")
	})
}

// A step-up that came to nothing leaves in the store what was there.
func TestStepUpForNothing(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, service: func(s *lazyauth.Service) { s.Scopes = scopes.Set{} }, options: lazyauth.Options{Store: kept}})
		h := w.host(era, accepts)
		c := h.call(t.Context(), "list_notes", nil)
		w.approves()
		(<-c).succeeds(t, "[]")
		done := make(chan error)
		go func() {
			done <- w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:read", "notes:write", "profile"), nil)
		}()
		w.approves("profile")
		t.Log(<-done)
		synctest.Wait()
		h.gets("list_notes", nil, "[]")
		later(59 * time.Minute)
		h.gets("list_notes", nil, "[]")
		later(time.Minute)
		c = h.call(t.Context(), "list_notes", nil)
		later(20 * time.Second)
		w.answers(c, "[]")
	})
}

// The operator's token is the local user's, whatever the account.
func TestConfiguredTokenForAllAccounts(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), approving(w)); err != nil {
			t.Fatal(err)
		}
		ci := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Account: lazyauth.AccountFromHost(),
			Token: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.secrets.last()})}})
		h := ci.host(era, accepts)
		c := h.call(t.Context(), "whoami", nil)
		later(20 * time.Second)
		ci.answers(c, "Ada")
	})
}

// A source that has another token by now is asked again when the API refuses the first.
func TestConfiguredTokenIsReplaced(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		issue := func() *string {
			if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), approving(w)); err != nil {
				t.Fatal(err)
			}
			s := w.secrets.last()
			return &s
		}
		r := new(rotating)
		r.current.Store(issue())
		ci := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Token: r}})
		w.tolerated = append(w.tolerated, fakeas.RevokedTokenUsed)
		ci.tolerated = w.tolerated
		h := ci.host(era, accepts)
		h.gets("whoami", nil, "Ada")
		later(2 * time.Hour)
		if err := w.auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
			t.Fatal(err)
		}
		r.current.Store(issue())
		<-h.call(t.Context(), "whoami", nil) // one failure might be all right
		h.gets("whoami", nil, "Ada")
	})
}

// One user with many accounts locks nobody out.
func TestAccountsShareTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxCalls: 32, Principal: byClientName, VerifyUser: anybody, Account: lazyauth.AccountFromArgument("text")}})
		mallory := w.hostWith(modern, manners{name: "mallory", url: true, form: true, react: never})
		for n := range 40 {
			mallory.call(t.Context(), "create_note", noteArgs{fmt.Sprint("a", n)})
			synctest.Wait()
			later(time.Second)
		}
		ada := w.hostWith(modern, manners{name: "ada", url: true, form: true, react: accepts})
		c := ada.call(t.Context(), "create_note", noteArgs{"mine"})
		later(time.Second)
		select {
		case r := <-c:
			t.Errorf("ada is turned away: %s %v", r.text(), r.result.Meta[lazyauth.MetaReason])
		default:
		}
		w.auth.Close()
	})
}

// A result that a handler hands to everybody names to each their own account.
func TestSharedResultNamesNobodyElse(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		shared := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}
		var names sync.Map
		w := newWorld(t, setup{options: lazyauth.Options{Principal: byClientName, VerifyUser: func(_ context.Context, who lazyauth.Principal, tok *oauth2.Token) error {
			names.Store(tok.AccessToken, who.Subject)
			return nil
		}, Identify: func(_ context.Context, tok *oauth2.Token) (lazyauth.Identity, error) {
			n, _ := names.Load(tok.AccessToken)
			return lazyauth.Identity{Name: n.(string)}, nil
		}}, tools: func(w *world) {
			w.server.AddTool(&mcp.Tool{Name: "ok", InputSchema: json.RawMessage(`{"type":"object"}`)}, w.auth.Handler("ok", scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return shared, nil
			}))
		}})
		for _, name := range []string{"ada", "eve"} {
			h := w.hostWith(era, manners{name: name, url: true, react: accepts})
			c := h.call(t.Context(), "ok", nil)
			w.approves()
			r := <-c
			r.succeeds(t, "ok")
			if got := r.result.Meta[lazyauth.MetaAccount]; got != name {
				t.Errorf("%s is told %v", name, got)
			}
		}
	})
}

// A page of something in between is no verdict on a grant.
func TestPageInPlaceOfARefresh(t *testing.T) {
	for name, b := range map[string]fakeas.Behaviour{
		"404 page": fakeas.Raw(404, http.Header{"Content-Type": {"text/html"}}, "<html>no route</html>"),
		"403 page": fakeas.Raw(403, http.Header{"Content-Type": {"text/html"}}, "<html>blocked</html>"),
		"302":      fakeas.Raw(302, http.Header{"Location": {"https://portal.example/"}}, ""),
		"200 page": fakeas.Raw(200, http.Header{"Content-Type": {"text/html"}}, "<html>maintenance</html>"),
	} {
		t.Run(name, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true}, options: lazyauth.Options{Store: store.Memory()}})
				h := w.signedIn(era)
				later(2 * time.Minute)
				w.as.Script(fakeas.Refresh, b)
				c := h.call(t.Context(), "whoami", nil)
				later(20 * time.Second)
				select {
				case r := <-c:
					r.fails(t, lazyauth.ReasonUnavailable)
				default:
					t.Error("the person is asked, and the grant is gone")
					w.approves()
					<-c
				}
			})
		})
	}
}

// A refresh token that is refused for whatever reason leads to the person, in the end.
func TestRefusedForAnotherReason(t *testing.T) {
	for _, code := range []string{"unauthorized_client", "access_denied", "invalid_request", "invalid_refresh_token"} {
		t.Run(code, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}, options: lazyauth.Options{Store: kept}})
				w.signedIn(era)
				w.as.Script(fakeas.Refresh, fakeas.Error(403, code).Times(-1))
				for range 3 {
					later(24 * time.Hour)
					two := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: kept}})
					h := two.host(era, accepts)
					c := h.call(t.Context(), "whoami", nil)
					later(20 * time.Second)
					select {
					case r := <-c:
						t.Errorf("nobody is asked: %s", r.text())
					default:
						two.approves()
						(<-c).succeeds(t, "Ada")
						return
					}
				}
			})
		})
	}
}

// A store that does not answer is done without.
func TestStoreThatHangs(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Store: hungStore{store.Memory()}}})
		h := w.host(era, accepts)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		began := time.Now()
		c := h.call(ctx, "whoami", nil)
		select {
		case <-c:
		case <-time.After(10 * time.Minute):
			t.Error("the call still waits")
		}
		t.Log(time.Since(began))
		w.auth.Close()
	})
}

// A damaged record is written anew by whoever finds it, before another one refreshes.
func TestDamagedRecordOfTwoProcesses(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		d := &damagedOnce{Store: store.Memory()}
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, options: lazyauth.Options{Store: d}})
		a := w.signedIn(era)
		two := newWorld(t, setup{shared: w.as, options: lazyauth.Options{Store: d}})
		b := two.host(era, accepts)
		b.gets("whoami", nil, "Ada")
		later(59*time.Minute + 40*time.Second)
		d.damaged.Store(true)
		a.gets("whoami", nil, "Ada") // refreshed ahead
		later(time.Second)
		b.gets("whoami", nil, "Ada")
		later(2 * time.Hour)
		c := b.call(t.Context(), "whoami", nil)
		later(20 * time.Second)
		two.answers(c, "Ada")
	})
}

// Two services of one client, told apart by their resource (RFC 8707), share nothing.
func TestTwoResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		w := newWorld(t, setup{service: func(s *lazyauth.Service) {
			s.Name = "Mail"
			s.Params = map[string][]string{"resource": {"https://mail.example"}}
		}, options: lazyauth.Options{Store: kept}})
		w.tolerated = append(w.tolerated, "unexpected-parameter")
		w.signedIn(legacy)
		two := newWorld(t, setup{shared: w.as, service: func(s *lazyauth.Service) {
			s.Name = "Calendar"
			s.APIOrigins = []string{"https://calendar.example"}
			s.Params = map[string][]string{"resource": {"https://calendar.example"}}
		}, options: lazyauth.Options{Store: kept}})
		if s, err := two.auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("the calendar finds the mail's grant: %+v, %v", s, err)
		}
	})
}

// Accounts that can be read are listed beside the error.
func TestAccountsPartly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &partKeys{Store: store.Memory()}
		w := newWorld(t, setup{options: lazyauth.Options{Store: p}})
		w.signedIn(legacy)
		all, err := w.auth.Accounts(t.Context())
		if len(all) != 1 {
			t.Errorf("%v, %v", all, err)
		}
	})
}

// A token source that gives up its goroutine ends the errand.
func TestSourceThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{Token: exits{}}})
		h := w.host(legacy, accepts)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := h.call(ctx, "whoami", nil)
		<-c
		w.auth.Close()
	})
}

// A revocation that was put off is not done.
func TestRevocationPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.signedIn(legacy)
		w.as.Script(fakeas.Revocation, fakeas.Error(429, "too_many_requests").Times(-1))
		if err := w.auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil {
			t.Error("a revocation that was put off counts as done")
		}
	})
}

// A store that fails at the logout does not log in again.
func TestLogoutWithABrokenStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &brokenStore{Store: store.Memory()}
		w := newWorld(t, setup{options: lazyauth.Options{Store: b}})
		h := w.signedIn(legacy)
		b.update = errors.New("disk full")
		w.as.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1))
		if err := w.auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil {
			t.Fatal("no error")
		}
		c := h.call(t.Context(), "whoami", nil)
		later(20 * time.Second)
		select {
		case r := <-c:
			t.Errorf("logged in again: %s", r.text())
		default:
			w.approves()
			<-c
		}
	})
}

// A grant that is due while the store is read is refreshed ahead by a later call.
func TestDueDuringAnErrand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := &gateStore{Store: store.Memory()}
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, options: lazyauth.Options{Store: gs}})
		h := w.signedIn(legacy)
		later(58 * time.Minute)
		hold := make(chan struct{})
		gs.set(hold, nil)
		c := h.call(t.Context(), "list_notes", nil) // restoring
		synctest.Wait()
		h.gets("whoami", nil, "Ada") // due, and not refreshed
		gs.set(nil, nil)
		close(hold)
		code := w.person().UserCode
		for range 5 {
			later(5 * time.Second)
			h.gets("whoami", nil, "Ada")
		}
		if n := w.as.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes", n)
		}
		w.as.Approve(code)
		<-c
	})
}

// answers demands that a call was answered like this by now, and nobody was asked.
func (w *world) answers(c <-chan reply, want string) {
	w.t.Helper()
	select {
	case r := <-c:
		r.succeeds(w.t, want)
	default:
		w.t.Error("the person is asked")
		w.approves()
		<-c
	}
}

// ends lets a call end, however it does.
func (w *world) ends(c <-chan reply) {
	w.t.Helper()
	select {
	case <-c:
	default:
		w.approves()
		<-c
	}
}

// slowAnswer delays the answers to refreshes: the server has done its work.
type slowAnswer struct {
	next http.RoundTripper
	as   *fakeas.Server
	on   atomic.Bool
}

func (s *slowAnswer) RoundTrip(req *http.Request) (*http.Response, error) {
	if !s.on.Load() || req.URL.String() != s.as.URL(fakeas.Refresh) {
		return s.next.RoundTrip(req)
	}
	res, err := s.next.RoundTrip(req.WithContext(context.WithoutCancel(req.Context())))
	select {
	case <-time.After(time.Second):
		return res, err
	case <-req.Context().Done():
		return nil, req.Context().Err()
	}
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

// lateBroken is a store whose disk becomes full: change runs, the write fails.
type lateBroken struct {
	*brokenStore
	full atomic.Bool
}

func (s *lateBroken) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	return s.Store.Update(ctx, key, func(old []byte) ([]byte, error) {
		r, err := change(old)
		if err == nil && s.full.Load() {
			err = errors.New("disk full")
		}
		return r, err
	})
}

// rotating is a token source that has another token now and then.
type rotating struct{ current atomic.Pointer[string] }

func (r *rotating) Token() (*oauth2.Token, error) {
	return &oauth2.Token{AccessToken: *r.current.Load()}, nil
}

// hungStore does not answer.
type hungStore struct{ store.Store }

func (h hungStore) Load(ctx context.Context, _ string) ([]byte, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// damagedOnce finds its record damaged once, and sets it aside.
type damagedOnce struct {
	store.Store
	damaged atomic.Bool
}

func (d *damagedOnce) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if d.damaged.CompareAndSwap(true, false) {
		_ = d.Store.Update(ctx, key, func([]byte) ([]byte, error) { return nil, nil })
		return store.ErrDamaged
	}
	return d.Store.Update(ctx, key, change)
}

// partKeys can read some of its keys.
type partKeys struct{ store.Store }

func (p *partKeys) Keys(ctx context.Context) ([]string, error) {
	keys, _ := p.Store.Keys(ctx)
	return keys, store.ErrWrongKey
}

// exits gives up its goroutine.
type exits struct{}

func (exits) Token() (*oauth2.Token, error) { runtime.Goexit(); return nil, nil }

// The operator is told why their token could not be had.
func TestFailingSourceIsSaid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{Token: noToken{}}})
		(<-w.host(legacy, accepts).call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonUnavailable)
		if w.trace.count("failed") == 0 {
			t.Error("the operator is told nothing: the cause is in no event")
		}
	})
}

// verbose is a token source that quotes what a server wrote.
type verbose struct{}

func (verbose) Token() (*oauth2.Token, error) {
	return nil, errors.New("answer: \x1b[2J" + strings.Repeat("x", 10_000))
}

// What a source quotes reaches the log escaped and shortened, and the model not at all.
func TestVerboseSource(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{Token: verbose{}}})
		r := <-w.host(legacy, accepts).call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonUnavailable)
		synctest.Wait()
		if log := w.log.String(); !strings.Contains(log, "Options.Token") || strings.Contains(log, strings.Repeat("x", 300)) || strings.Contains(r.text(), "xxx") {
			t.Errorf("the log has %d bytes, the model gets %q", len(log), r.text())
		}
	})
}

// Whose token the operator gave is said, too.
func TestConfiguredTokenIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), approving(w)); err != nil {
			t.Fatal(err)
		}
		ci := newWorld(t, setup{shared: w.as, service: func(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/me" }, options: lazyauth.Options{
			Token: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.secrets.last()})}})
		h := ci.host(legacy, accepts)
		r := <-h.call(t.Context(), "whoami", nil)
		r.succeeds(t, "Ada")
		if r.result.Meta[lazyauth.MetaAccount] == nil {
			t.Error("whose token it is, is not said")
		}
	})
}

// slowStore needs a minute for what others do at once.
type slowStore struct{ store.Store }

func (s slowStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	later(time.Minute)
	return s.Store.Update(ctx, key, change)
}

// A store that does not answer for twenty seconds is done without, before a call's host
// has waited for it for too long.
func TestStoreThatIsSlow(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		first := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, options: lazyauth.Options{Store: kept}})
		first.signedIn(era)
		later(2 * time.Hour)
		w := newWorld(t, setup{shared: first.as, options: lazyauth.Options{Store: slowStore{kept}}})
		h := w.host(era, accepts)
		began := time.Now()
		h.gets("whoami", nil, "Ada")
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the call was held for %v", took)
		}
		h.wantPrompts(0)
		if n := w.trace.count("storefailed"); n != 1 {
			t.Errorf("%d failures of the store were told, want 1", n)
		}
		later(time.Minute) // until the store has answered
	})
}
