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

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// A grant that ends while the person thinks about a step-up is refreshed once, for all.
func TestRefreshedOnceDuringAStepUp(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true, Latency: 100 * time.Millisecond}})
		h := w.SignedIn(era)
		world.Later(40 * time.Second)
		more := h.Call(t.Context(), "list_notes", nil) // waits for the person
		code := w.Person().UserCode
		world.Later(20 * time.Second)
		var calls []<-chan world.Reply
		for range 5 {
			calls = append(calls, h.Call(t.Context(), "whoami", nil))
		}
		for _, c := range calls {
			(<-c).Succeeds(t, "Ada")
		}
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes, want 1", n)
		}
		if err := w.AS.Approve(code); err != nil {
			t.Fatal(err)
		}
		(<-more).Succeeds(t, "[]")
	})
}

// A refresh whose answer is on its way when the server ends is written down, or the next
// start would use the token that was replaced.
func TestCloseDuringARefresh(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		as := fakeas.New(&fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true})
		slow := &slowAnswer{next: as.Transport(), as: as}
		w := world.New(t, world.Setup{Shared: as, Options: lazyauth.Options{Store: kept, Transport: slow}})
		h := w.SignedIn(era)
		world.Later(59*time.Minute + 30*time.Second)
		slow.on.Store(true)
		h.Gets("whoami", nil, "Ada")
		world.Later(500 * time.Millisecond)
		if err := w.Auth.Close(); err != nil {
			t.Error(err)
		}
		world.Later(time.Hour)
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		g := two.Host(era, world.Accepts)
		c := g.Call(t.Context(), "whoami", nil)
		world.Later(10 * time.Second)
		two.Answers(c, "Ada")
	})
}

// Who logs out while the sign-in is being finished is logged out.
func TestLogoutBeforeTheEndOfASignIn(t *testing.T) {
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

// A restore that was under way at the logout brings nothing back.
func TestLogoutDuringARestore(t *testing.T) {
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
func TestLogoutBeforeARefresh(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		gs := &gateStore{Store: store.Memory()}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Service: func(s *lazyauth.Service) {
			issuer := s.Issuer
			_ = issuer
		}, Options: lazyauth.Options{Store: gs}})
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
func TestLogoutInAnotherProcess(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: kept}})
		h := w.SignedIn(era)
		cmd := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		w.AS.Script(fakeas.Revocation, fakeas.Unavailable(503, 0).Times(-1))
		_ = cmd.Auth.Revoke(t.Context(), lazyauth.LocalUser)
		world.Later(59 * time.Minute)
		h.Gets("whoami", nil, "Ada")
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
			world.InBothEras(t, func(t *testing.T, era string) {
				broken := &lateBroken{brokenStore: &brokenStore{Store: store.Memory()}}
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, DetectReuse: true}, Options: lazyauth.Options{Store: broken}})
				h := w.SignedIn(era)
				broken.full.Store(true)
				for range 4 {
					if ahead {
						world.Later(9*time.Minute + 45*time.Second)
						h.Gets("whoami", nil, "Ada")
						world.Later(3 * time.Second)
					} else {
						world.Later(20 * time.Minute)
						c := h.Call(t.Context(), "whoami", nil)
						world.Later(20 * time.Second)
						w.Answers(c, "Ada")
					}
				}
				h.WantPrompts(1)
			})
		})
	}
}

// Records of later versions are left alone, and what cannot be read is not said to be
// revoked.
func TestRecordOfALaterVersion(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		const later2 = `{"v":2,"grant":"x"}`
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute}, Options: lazyauth.Options{Store: kept}})
		plant(t, w, kept, later2)
		h := w.SignedIn(era)
		key := localKey(w)
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the sign-in the record is %.20q", got)
		}
		plant(t, w, kept, later2)
		world.Later(20 * time.Minute)
		h.Gets("whoami", nil, "Ada")
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the refresh the record is %.20q", got)
		}
		plant(t, w, kept, later2)
		w.AS.RevokeRefreshTokens()
		world.Later(20 * time.Minute)
		c := h.Call(t.Context(), "whoami", nil)
		w.Person()
		synctest.Wait()
		if got, _ := kept.Load(t.Context(), key); string(got) != later2 {
			t.Errorf("after the refused refresh the record is %.20q", got)
		}
		w.Auth.Close()
		<-c
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		plant(t, two, kept, later2)
		if err := two.Auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil {
			t.Error("Revoke of what cannot be read says that all went well")
		}
	})
}

// A record that has expired is no grant, and keeps none from being stored.
func TestExpiredRecord(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 10 * time.Minute, NoRefresh: true}, Options: lazyauth.Options{Store: kept}})
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
			t.Fatal(err)
		}
		world.Later(time.Hour)
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		h := two.Host(era, world.Accepts)
		c := h.Call(t.Context(), "whoami", nil)
		two.Approves("profile")
		(<-c).Succeeds(t, "Ada")
		for _, e := range two.AS.Journal() {
			if e.Status == 401 {
				t.Errorf("an expired token was sent: %+v", e)
			}
		}
		three := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
		g := three.Host(era, world.Accepts)
		c = g.Call(t.Context(), "whoami", nil)
		world.Later(20 * time.Second)
		three.Answers(c, "Ada")
	})
}

// A step-up that came to nothing leaves in the store what was there.
func TestStepUpForNothing(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Service: func(s *lazyauth.Service) { s.Scopes = scopes.Set{} }, Options: lazyauth.Options{Store: kept}})
		h := w.Host(era, world.Accepts)
		c := h.Call(t.Context(), "list_notes", nil)
		w.Approves()
		(<-c).Succeeds(t, "[]")
		done := make(chan error)
		go func() {
			done <- w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("notes:read", "notes:write", "profile"), nil)
		}()
		w.Approves("profile")
		t.Log(<-done)
		synctest.Wait()
		h.Gets("list_notes", nil, "[]")
		world.Later(59 * time.Minute)
		h.Gets("list_notes", nil, "[]")
		world.Later(time.Minute)
		c = h.Call(t.Context(), "list_notes", nil)
		world.Later(20 * time.Second)
		w.Answers(c, "[]")
	})
}

// The operator's token is the local user's, whatever the account.
func TestConfiguredTokenForAllAccounts(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), approving(w)); err != nil {
			t.Fatal(err)
		}
		ci := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Account: lazyauth.AccountFromHost(),
			Token: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.Secrets.Last()})}})
		h := ci.Host(era, world.Accepts)
		c := h.Call(t.Context(), "whoami", nil)
		world.Later(20 * time.Second)
		ci.Answers(c, "Ada")
	})
}

// A source that has another token by now is asked again when the API refuses the first.
func TestConfiguredTokenIsReplaced(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}})
		issue := func() *string {
			if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), approving(w)); err != nil {
				t.Fatal(err)
			}
			s := w.Secrets.Last()
			return &s
		}
		r := new(rotating)
		r.current.Store(issue())
		ci := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Token: r}})
		w.Tolerated = append(w.Tolerated, fakeas.RevokedTokenUsed)
		ci.Tolerated = w.Tolerated
		h := ci.Host(era, world.Accepts)
		h.Gets("whoami", nil, "Ada")
		world.Later(2 * time.Hour)
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
			t.Fatal(err)
		}
		r.current.Store(issue())
		<-h.Call(t.Context(), "whoami", nil) // one failure might be all right
		h.Gets("whoami", nil, "Ada")
	})
}

// One user with many accounts locks nobody out.
func TestAccountsShareTheTable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxCalls: 32, Principal: world.ByClientName, VerifyUser: world.Anybody, Account: lazyauth.AccountFromArgument("text")}})
		mallory := w.HostWith(world.Modern, world.Manners{Name: "mallory", URL: true, Form: true, React: world.Never})
		for n := range 40 {
			mallory.Call(t.Context(), "create_note", world.Note{Text: fmt.Sprint("a", n)})
			synctest.Wait()
			world.Later(time.Second)
		}
		ada := w.HostWith(world.Modern, world.Manners{Name: "ada", URL: true, Form: true, React: world.Accepts})
		c := ada.Call(t.Context(), "create_note", world.Note{Text: "mine"})
		world.Later(time.Second)
		select {
		case r := <-c:
			t.Errorf("ada is turned away: %s %v", r.Text(), r.Result.Meta[lazyauth.MetaReason])
		default:
		}
		w.Auth.Close()
	})
}

// A result that a handler hands to everybody names to each their own account.
func TestSharedResultNamesNobodyElse(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		shared := &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}
		var names sync.Map
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: func(_ context.Context, who lazyauth.Principal, tok *oauth2.Token) error {
			names.Store(tok.AccessToken, who.Subject)
			return nil
		}, Identify: func(_ context.Context, tok *oauth2.Token) (lazyauth.Identity, error) {
			n, _ := names.Load(tok.AccessToken)
			return lazyauth.Identity{Name: n.(string)}, nil
		}}, Tools: func(w *world.World) {
			w.Server.AddTool(&mcp.Tool{Name: "ok", InputSchema: json.RawMessage(`{"type":"object"}`)}, w.Auth.Handler("ok", scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
				return shared, nil
			}))
		}})
		for _, name := range []string{"ada", "eve"} {
			h := w.HostWith(era, world.Manners{Name: name, URL: true, React: world.Accepts})
			c := h.Call(t.Context(), "ok", nil)
			w.Approves()
			r := <-c
			r.Succeeds(t, "ok")
			if got := r.Result.Meta[lazyauth.MetaAccount]; got != name {
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
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, DetectReuse: true}, Options: lazyauth.Options{Store: store.Memory()}})
				h := w.SignedIn(era)
				world.Later(2 * time.Minute)
				w.AS.Script(fakeas.Refresh, b)
				c := h.Call(t.Context(), "whoami", nil)
				world.Later(20 * time.Second)
				select {
				case r := <-c:
					r.Fails(t, lazyauth.ReasonUnavailable)
				default:
					t.Error("the person is asked, and the grant is gone")
					w.Approves()
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
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: lazyauth.Options{Store: kept}})
				w.SignedIn(era)
				w.AS.Script(fakeas.Refresh, fakeas.Error(403, code).Times(-1))
				for range 3 {
					world.Later(24 * time.Hour)
					two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: kept}})
					h := two.Host(era, world.Accepts)
					c := h.Call(t.Context(), "whoami", nil)
					world.Later(20 * time.Second)
					select {
					case r := <-c:
						t.Errorf("nobody is asked: %s", r.Text())
					default:
						two.Approves()
						(<-c).Succeeds(t, "Ada")
						return
					}
				}
			})
		})
	}
}

// A store that does not answer is done without.
func TestStoreThatHangs(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: hungStore{store.Memory()}}})
		h := w.Host(era, world.Accepts)
		ctx, cancel := context.WithTimeout(t.Context(), 24*time.Hour)
		defer cancel()
		began := time.Now()
		c := h.Call(ctx, "whoami", nil)
		select {
		case <-c:
		case <-time.After(10 * time.Minute):
			t.Error("the call still waits")
		}
		t.Log(time.Since(began))
		w.Auth.Close()
	})
}

// A damaged record is written anew by whoever finds it, before another one refreshes.
func TestDamagedRecordOfTwoProcesses(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		d := &damagedOnce{Store: store.Memory()}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour, DetectReuse: true}, Options: lazyauth.Options{Store: d}})
		a := w.SignedIn(era)
		two := world.New(t, world.Setup{Shared: w.AS, Options: lazyauth.Options{Store: d}})
		b := two.Host(era, world.Accepts)
		b.Gets("whoami", nil, "Ada")
		world.Later(59*time.Minute + 40*time.Second)
		d.damaged.Store(true)
		a.Gets("whoami", nil, "Ada") // refreshed ahead
		world.Later(time.Second)
		b.Gets("whoami", nil, "Ada")
		world.Later(2 * time.Hour)
		c := b.Call(t.Context(), "whoami", nil)
		world.Later(20 * time.Second)
		two.Answers(c, "Ada")
	})
}

// Two services of one client, told apart by their resource (RFC 8707), share nothing.
func TestTwoResources(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		kept := store.Memory()
		w := world.New(t, world.Setup{Service: func(s *lazyauth.Service) {
			s.Name = "Mail"
			s.Params = map[string][]string{"resource": {"https://mail.example"}}
		}, Options: lazyauth.Options{Store: kept}})
		w.Tolerated = append(w.Tolerated, "unexpected-parameter")
		w.SignedIn(world.Legacy)
		two := world.New(t, world.Setup{Shared: w.AS, Service: func(s *lazyauth.Service) {
			s.Name = "Calendar"
			s.APIOrigins = []string{"https://calendar.example"}
			s.Params = map[string][]string{"resource": {"https://calendar.example"}}
		}, Options: lazyauth.Options{Store: kept}})
		if s, err := two.Auth.Status(t.Context(), lazyauth.LocalUser); !errors.Is(err, lazyauth.ErrNoGrant) {
			t.Errorf("the calendar finds the mail's grant: %+v, %v", s, err)
		}
	})
}

// Accounts that can be read are listed beside the error.
func TestAccountsPartly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &partKeys{Store: store.Memory()}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: p}})
		w.SignedIn(world.Legacy)
		all, err := w.Auth.Accounts(t.Context())
		if len(all) != 1 {
			t.Errorf("%v, %v", all, err)
		}
	})
}

// A token source that gives up its goroutine ends the errand.
func TestSourceThatExits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Token: exits{}}})
		h := w.Host(world.Legacy, world.Accepts)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		c := h.Call(ctx, "whoami", nil)
		<-c
		w.Auth.Close()
	})
}

// A revocation that was put off is not done.
func TestRevocationPutOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.SignedIn(world.Legacy)
		w.AS.Script(fakeas.Revocation, fakeas.Error(429, "too_many_requests").Times(-1))
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err == nil {
			t.Error("a revocation that was put off counts as done")
		}
	})
}

// A store that fails at the logout does not log in again.
func TestLogoutWithABrokenStore(t *testing.T) {
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

// A grant that is due while the store is read is refreshed ahead by a later call.
func TestDueDuringAnErrand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		gs := &gateStore{Store: store.Memory()}
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: gs}})
		h := w.SignedIn(world.Legacy)
		world.Later(58 * time.Minute)
		hold := make(chan struct{})
		gs.set(hold, nil)
		c := h.Call(t.Context(), "list_notes", nil) // restoring
		synctest.Wait()
		h.Gets("whoami", nil, "Ada") // due, and not refreshed
		gs.set(nil, nil)
		close(hold)
		code := w.Person().UserCode
		for range 5 {
			world.Later(5 * time.Second)
			h.Gets("whoami", nil, "Ada")
		}
		if n := w.AS.Count(fakeas.Refresh, ""); n != 1 {
			t.Errorf("%d refreshes", n)
		}
		w.AS.Approve(code)
		<-c
	})
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
		w := world.New(t, world.Setup{Options: lazyauth.Options{Token: noToken{}}})
		(<-w.Host(world.Legacy, world.Accepts).Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
		if w.Trace.Count("failed") == 0 {
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
		w := world.New(t, world.Setup{Options: lazyauth.Options{Token: verbose{}}})
		r := <-w.Host(world.Legacy, world.Accepts).Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonUnavailable)
		synctest.Wait()
		if log := w.Log.String(); !strings.Contains(log, "Options.Token") || strings.Contains(log, strings.Repeat("x", 300)) || strings.Contains(r.Text(), "xxx") {
			t.Errorf("the log has %d bytes, the model gets %q", len(log), r.Text())
		}
	})
}

// Whose token the operator gave is said, too.
func TestConfiguredTokenIsNamed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), approving(w)); err != nil {
			t.Fatal(err)
		}
		ci := world.New(t, world.Setup{Shared: w.AS, Service: func(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/me" }, Options: lazyauth.Options{
			Token: oauth2.StaticTokenSource(&oauth2.Token{AccessToken: w.Secrets.Last()})}})
		h := ci.Host(world.Legacy, world.Accepts)
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Succeeds(t, "Ada")
		if r.Result.Meta[lazyauth.MetaAccount] == nil {
			t.Error("whose token it is, is not said")
		}
	})
}

// slowStore needs a minute for what others do at once.
type slowStore struct{ store.Store }

func (s slowStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	world.Later(time.Minute)
	return s.Store.Update(ctx, key, change)
}

// A store that does not answer for twenty seconds is done without, before a call's host
// has waited for it for too long.
func TestStoreThatIsSlow(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := store.Memory()
		first := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Options: lazyauth.Options{Store: kept}})
		first.SignedIn(era)
		world.Later(2 * time.Hour)
		w := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: slowStore{kept}}})
		h := w.Host(era, world.Accepts)
		began := time.Now()
		h.Gets("whoami", nil, "Ada")
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the call was held for %v", took)
		}
		h.WantPrompts(0)
		if n := w.Trace.Count("storefailed"); n != 1 {
			t.Errorf("%d failures of the store were told, want 1", n)
		}
		world.Later(time.Minute) // until the store has answered
	})
}
