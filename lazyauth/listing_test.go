package lazyauth_test

import (
	"context"
	"fmt"
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
)

// hides adds the tools of the examples, hidden until there is a grant, and the auth tools.
var hides = withAuthTools(&lazyauth.AuthTools{HideUntilSignIn: true})

const (
	before = "[auth_login auth_logout auth_status auth_upgrade_scope ping]"
	after  = "[auth_login auth_logout auth_status auth_upgrade_scope create_note list_notes ping whoami]"
)

// lists demands what is listed for a host, and how often it was told of a change so far.
func lists(t *testing.T, h *world.Host, want string, changes int) {
	t.Helper()
	world.Later(time.Second)
	if got := h.ListChanges(); got != changes {
		t.Errorf("the host was told of %d changes, want %d", got, changes)
	}
	if got := fmt.Sprint(h.Tools()); got != want {
		t.Errorf("listed: %s, want %s", got, want)
	}
}

// listener is a host that follows its list of tools.
func listener(w *world.World, era string) *world.Host {
	return w.HostWith(era, world.Manners{URL: true, Form: true, React: world.Accepts, Lists: true})
}

// What is listed follows the grant up to 2025-11-25, and a sign-in by a call of a tool that is
// not listed is one as any other. From 2026-07-28 on it is always the same, and nothing is told.
func TestListing_FollowsTheGrant(t *testing.T) {
	for _, by := range []string{"auth_login", "whoami"} {
		t.Run(by, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Tools: hides})
				h := listener(w, era)
				without, told := before, 1
				if era == world.Modern {
					without, told = after, 0
				}
				lists(t, h, without, 0)
				call := h.Call(t.Context(), by, nil)
				w.Approves()
				r := <-call
				r.Succeeds(t, "")
				if says := strings.Contains(r.Text(), "are listed now"); says != (by == "auth_login" && era == world.Legacy) {
					t.Errorf("the model reads %q", r.Text())
				}
				synctest.Wait()
				if said := w.Wire.Messages(); era == world.Legacy && !strings.Contains(string(said[len(said)-2]), "notifications/tools/list_changed") {
					t.Errorf("not told before the result, so that the model looks too soon: %s", said[len(said)-2:])
				}
				lists(t, h, after, told)
				h.Gets("whoami", nil, "Ada")
				h.Gets("auth_logout", nil, "Logged out")
				lists(t, h, without, 2*told)
				signsIn(w, h, nil).Succeeds(t, "")
				lists(t, h, after, 3*told)
			})
		})
	}
}

// A sign-in that comes to nothing changes nothing; and who declined, and is asked by a call of
// a hidden tool, reads the same as ever.
func TestListing_SignInInVain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: hides})
		h := listener(w, world.Legacy)
		lists(t, h, before, 0)
		call := h.Call(t.Context(), "whoami", nil)
		w.Denies()
		(<-call).Fails(t, lazyauth.ReasonDenied)
		lists(t, h, before, 0)
	})
}

// A grant that ends without a refresh token is gone when it ends; one with a refresh token when
// the authorization server does not take that any more, which shows when it is next needed.
func TestListing_TheGrantIsLost(t *testing.T) {
	for name, test := range map[string]struct {
		as    fakeas.Options
		lost  func(*world.World)
		after time.Duration
		needs bool // it shows when it is needed
	}{
		"it ends":            {as: fakeas.Options{TokenLifetime: time.Hour, NoRefresh: true}, after: 2 * time.Hour},
		"it is renewed":      {as: fakeas.Options{TokenLifetime: time.Hour}, after: 2 * time.Hour, lost: func(*world.World) {}},
		"refresh refused":    {as: fakeas.Options{TokenLifetime: time.Hour}, after: 2 * time.Hour, lost: func(w *world.World) { w.AS.RevokeRefreshTokens() }, needs: true},
		"revoked at the API": {as: fakeas.Options{NoRefresh: true}, lost: func(w *world.World) { w.AS.ExpireAccessTokens() }, after: 2 * time.Minute, needs: true},
		"by the program":     {lost: func(w *world.World) { _ = w.Auth.Revoke(w.T.Context(), lazyauth.LocalUser) }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{AS: test.as, Tools: hides})
				h := listener(w, world.Legacy)
				lists(t, h, before, 0)
				signsIn(w, h, nil).Succeeds(t, "")
				h.Gets("whoami", nil, "Ada")
				lists(t, h, after, 1)
				if test.lost != nil {
					test.lost(w)
				}
				world.Later(test.after)
				switch {
				case name == "it is renewed":
					h.Gets("whoami", nil, "Ada")
					lists(t, h, after, 1)
				case test.needs:
					lists(t, h, after, 1)
					call := h.Call(t.Context(), "whoami", nil)
					w.Person() // is asked
					lists(t, h, before, 2)
					w.Approves()
					(<-call).Succeeds(t, "Ada")
					lists(t, h, after, 3)
				default:
					lists(t, h, before, 2)
				}
			})
		})
	}
}

// A server that starts with a stored grant lists everything at once, and goes on doing so when
// the grant is first used. What another process does is seen when it is.
func TestListing_StoredGrant(t *testing.T) {
	for name, account := range map[string]bool{"one account": false, "accounts by argument": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				kept := store.Memory()
				o := lazyauth.Options{Store: kept}
				var args any
				if account {
					o.Account, args = lazyauth.AccountFromArgument("account"), wants{Account: "work"}
				}
				one := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}, Options: o, Tools: hides})
				first := listener(one, world.Legacy)
				lists(t, first, before, 0)
				signsIn(one, first, args).Succeeds(t, "")
				lists(t, first, after, 1)

				two := world.New(t, world.Setup{Shared: one.AS, Options: o, Tools: hides})
				second := listener(two, world.Legacy)
				lists(t, second, after, 0)
				second.Gets("ping", nil, "pong")
				second.Gets("auth_login", args, "igned in")
				lists(t, second, after, 0)

				second.Gets("auth_logout", args, "Logged out")
				lists(t, second, before, 1)
				world.Later(2 * time.Minute) // the other finds out when it refreshes
				lists(t, first, after, 1)
				call := first.Call(t.Context(), "auth_login", args)
				one.Person()
				lists(t, first, before, 2)
				one.Approves()
				(<-call).Succeeds(t, "")
				lists(t, first, after, 3)
				lists(t, second, after, 1) // it lists, and is not told
			})
		})
	}
}

// A stored grant that cannot be renewed ends though nobody has it in hand: it was never used
// here, or not for so long that it was put away.
func TestListing_StoredGrantEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := fakeas.Options{TokenLifetime: time.Hour, NoRefresh: true}
		o := lazyauth.Options{Store: store.Memory(), VerifyUser: world.Anybody, Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.Principal{Subject: "ada"}, nil
		}}
		one := world.New(t, world.Setup{AS: as, Options: o, Tools: hides})
		first := listener(one, world.Legacy)
		lists(t, first, before, 0)
		signsIn(one, first, nil).Succeeds(t, "")
		second := listener(world.New(t, world.Setup{Shared: one.AS, Options: o, Tools: hides}), world.Legacy)
		lists(t, second, after, 0)
		world.Later(30 * time.Minute)
		first.Gets("ping", nil, "pong")
		lists(t, first, after, 1)
		world.Later(2 * time.Hour)
		lists(t, first, before, 2)
		lists(t, second, before, 1)
	})
}

// Logging out of one of several accounts hides nothing while another is signed in.
func TestListing_TwoAccounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Account: lazyauth.AccountFromArgument("account")}, Tools: hides})
		h := listener(w, world.Legacy)
		lists(t, h, before, 0)
		signsIn(w, h, wants{Account: "work"}).Succeeds(t, "")
		signsIn(w, h, wants{Account: "home"}).Succeeds(t, "")
		lists(t, h, after, 1)
		h.Gets("auth_logout", wants{Account: "work"}, "Logged out")
		lists(t, h, after, 1)
		h.Gets("auth_logout", wants{Account: "home"}, "Logged out")
		lists(t, h, before, 2)
	})
}

// Tools that a policy gates are hidden like those that were added gated, in whatever order the
// server was put together; what is not listed there is not gated, and a call of a hidden tool
// still has its arguments checked.
func TestListing_Intercept(t *testing.T) {
	for name, tools := range map[string]func(w *world.World, policy scopes.Policy){
		"policy first": func(w *world.World, policy scopes.Policy) {
			w.Auth.Intercept(w.Server, policy)
			lazyauth.AddAuthTools(w.Server, w.Auth, &lazyauth.AuthTools{HideUntilSignIn: true})
		},
		"policy last": func(w *world.World, policy scopes.Policy) {
			lazyauth.AddAuthTools(w.Server, w.Auth, &lazyauth.AuthTools{HideUntilSignIn: true})
			w.Auth.Intercept(w.Server, policy)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Tools: func(w *world.World) {
					mcp.AddTool(w.Server, &mcp.Tool{Name: "report"}, tellsMe(w))
					mcp.AddTool(w.Server, &mcp.Tool{Name: "open"}, tellsMe(w))
					tools(w, scopes.Policy{Tools: map[string]scopes.Requirement{"report": scopes.Of("profile")}})
				}})
				h := listener(w, world.Legacy)
				lists(t, h, "[auth_login auth_logout auth_status auth_upgrade_scope open]", 0)
				if r := <-h.Call(t.Context(), "report", world.Note{Text: "too much"}); r.Err != nil || !r.Result.IsError {
					t.Errorf("arguments that the schema has not: %q, %v", r.Text(), r.Err)
				}
				call := h.Call(t.Context(), "report", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				lists(t, h, "[auth_login auth_logout auth_status auth_upgrade_scope open report]", 1)
			})
		})
	}
}

// tellsMe asks the API whose grant it has.
func tellsMe(w *world.World) mcp.ToolHandlerFor[world.NoArgs, world.Answer] {
	return func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
		return w.Get(ctx, "/me")
	}
}

// Sessions that cannot be told of a change have everything listed: a server that does not
// declare that it tells, and stateless HTTP, where a session is one request.
func TestListing_WhereNothingCanBeTold(t *testing.T) {
	t.Run("not declared", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := world.New(t, world.Setup{Tools: func(w *world.World) {
				w.Server = mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, &mcp.ServerOptions{Capabilities: &mcp.ServerCapabilities{Tools: &mcp.ToolCapabilities{}}})
				hides(w)
			}})
			h := listener(w, world.Legacy)
			lists(t, h, after, 0)
			signsIn(w, h, nil).Succeeds(t, "")
			lists(t, h, after, 0)
			if n := w.Wire.Count("list_changed"); n != 0 {
				t.Errorf("%d notifications that were not declared", n)
			}
		})
	})
	t.Run("stateless", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: hides})
			web := world.ServeHTTP(t, w, true, true)
			h := w.Connect(world.Legacy, world.Manners{URL: true, React: world.Accepts}, web.As("ada"))
			if got := fmt.Sprint(h.Tools()); got != after {
				t.Errorf("listed: %s", got)
			}
		})
	})
}

// Over HTTP each person's list follows their own grant, in all their sessions, and nobody is
// told of another's. A host that listens to nothing but its calls' responses is told there.
func TestListing_OverHTTP(t *testing.T) {
	for _, deaf := range []bool{false, true} {
		t.Run(fmt.Sprintf("no stream of its own %t", deaf), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: hides})
				web := world.ServeHTTP(t, w, false, true)
				ada, too, bob := listenerAs(w, web, "ada", deaf), listenerAs(w, web, "ada", false), listenerAs(w, web, "bob", false)
				lists(t, ada, before, 0)
				lists(t, too, before, 0)
				lists(t, bob, before, 0)
				signsIn(w, ada, nil).Succeeds(t, "")
				lists(t, ada, after, 1)
				lists(t, too, after, 1)
				lists(t, bob, before, 0)
				signsIn(w, bob, nil).Succeeds(t, "")
				lists(t, bob, after, 1)
				ada.Gets("auth_logout", nil, "Logged out")
				lists(t, ada, before, 2)
				lists(t, too, before, 2)
				lists(t, bob, after, 1)
			})
		})
	}
}

// listenerAs is a host that follows its list of tools over HTTP, if it is deaf in nothing but the responses
// to its calls.
func listenerAs(w *world.World, web *world.Web, user string, deaf bool) *world.Host {
	transport := web.As(user)
	transport.DisableStandaloneSSE = deaf
	return w.Connect(world.Legacy, world.Manners{URL: true, React: world.Accepts, Lists: true}, transport)
}

// What changes while such a host makes no call cannot be told: the end of its next call tells it, whichever
// way the change went, and once.
func TestListing_ToldByTheNextCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: hides})
		web := world.ServeHTTP(t, w, false, true)
		h, other := listenerAs(w, web, "ada", true), listenerAs(w, web, "ada", false)
		lists(t, h, before, 0)
		lists(t, other, before, 0)
		told := func(want int) {
			t.Helper()
			world.Later(time.Second)
			if got := h.ListChanges(); got != want {
				t.Errorf("the host was told of %d changes, want %d", got, want)
			}
		}
		signsIn(w, other, nil).Succeeds(t, "")
		told(0)
		h.Gets("ping", nil, "pong")
		told(1)
		h.Gets("ping", nil, "pong")
		told(1)
		other.Gets("auth_logout", nil, "Logged out")
		told(1)
		h.Gets("ping", nil, "pong")
		told(2)
		h.Gets("ping", nil, "pong")
		lists(t, h, before, 2)

		signsIn(w, other, nil).Succeeds(t, "")
		lists(t, h, after, 2) // it has looked by itself
		h.Gets("ping", nil, "pong")
		told(2)
	})
}

// Whose call it is not known whose it is has the short list, and reads why when it calls.
func TestListing_OfAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: hides})
		h := world.OverHTTP(t, w, world.Legacy, false)("")
		if got := fmt.Sprint(h.Tools()); got != before {
			t.Errorf("listed: %s", got)
		}
		(<-h.Call(t.Context(), "auth_login", nil)).Fails(t, lazyauth.ReasonAnonymous)
	})
}

// A server that is started without credentials, lists its tools and ends, as hosts do when they
// look for what there is, asks nobody for anything.
func TestListing_Probe(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: hides})
		h, hangUp := w.HostThatHangsUp(era)
		h.Tools()
		hangUp()
		world.Later(time.Hour)
		w.WantAuthorizations(0)
		if n := len(w.AS.Journal()); n != 0 {
			t.Errorf("%d requests to the authorization server", n)
		}
	})
}
