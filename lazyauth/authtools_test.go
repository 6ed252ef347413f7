package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
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

// withAuthTools adds the tools of the examples and the auth tools.
func withAuthTools(o *lazyauth.AuthTools) func(*world.World) {
	return func(w *world.World) {
		w.AddTools()
		lazyauth.AddAuthTools(w.Server, w.Auth, o)
	}
}

// tellsWho has the service tell who signed in.
func tellsWho(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/me" }

// wants are the arguments of auth tools, with the account that whose tools name one by.
type wants struct {
	Scopes  []string `json:"scopes,omitempty"`
	Account string   `json:"account,omitempty"`
}

// content reads the structured content of a reply that succeeded.
func content(t *testing.T, r world.Reply) map[string]any {
	t.Helper()
	r.Succeeds(t, "")
	text, err := json.Marshal(r.Result.StructuredContent)
	out := make(map[string]any)
	if err == nil {
		err = json.Unmarshal(text, &out)
	}
	if err != nil {
		t.Error(err)
	}
	return out
}

// signsIn has a host sign in by auth_login.
func signsIn(w *world.World, h *world.Host, args any) world.Reply {
	login := h.Call(w.T.Context(), "auth_login", args)
	w.Approves()
	return <-login
}

// The person is signed in before anything needs it, and named; is asked for more; and logs
// out, at which the authorization server ends the tokens.
func TestAuthTools_InTurn(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}, Service: tellsWho, Tools: withAuthTools(nil)})
		h := w.Host(era, world.Accepts)
		h.Gets("auth_status", nil, "Not signed in to Notes. Call auth_login to ask the user, or a tool that needs it.")
		h.Gets("auth_logout", nil, "Not signed in to Notes: there was nothing to do.")
		w.WantAuthorizations(0)

		login := h.Call(t.Context(), "auth_login", nil)
		world.Later(time.Second)
		r := <-h.Call(t.Context(), "auth_status", nil)
		r.Succeeds(t, "Not signed in to Notes. The user was asked, and has not finished yet: call auth_login to wait for that.")
		if got := content(t, r); got["pending"] != true || got["signed_in"] != false {
			t.Errorf("pending: %v", got)
		}
		w.Approves()
		r = <-login
		r.Succeeds(t, `Signed in to Notes as "Ada Example". Granted: profile. Tools that need more ask the user when they are called.`)
		if got := content(t, r); got["signed_in"] != true || got["as"] != "Ada Example" || got["renewable"] != true || r.Result.Meta[lazyauth.MetaAccount] != "Ada Example" {
			t.Errorf("%v %v", got, r.Result.Meta)
		}
		h.Gets("auth_login", nil, `Already signed in to Notes as "Ada Example".`)
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)

		more := h.Call(t.Context(), "auth_upgrade_scope", wants{Scopes: []string{"notes:read"}})
		w.Approves()
		r = <-more
		r.Succeeds(t, "Granted: notes:read, profile.")
		if got := content(t, r); fmt.Sprint(got["required_scopes"], got["held_scopes"]) != "[notes:read] [notes:read profile]" {
			t.Errorf("%v", got)
		}
		h.Gets("list_notes", nil, "")
		h.WantPrompts(2)
		h.Gets("auth_status", nil, `Signed in to Notes as "Ada Example". Granted: notes:read, profile. It is renewed without asking.`)

		r = <-h.Call(t.Context(), "auth_logout", nil)
		r.Succeeds(t, `Logged out of Notes as "Ada Example". What the user had granted was forgotten here, and its authorization server has ended it.`)
		if got := content(t, r); got["revoked"] != true || got["was_signed_in"] != true {
			t.Errorf("%v", got)
		}
		if n := w.AS.Count(fakeas.Revocation, fakeas.OK); n != 2 {
			t.Errorf("%d revocations, want 2", n)
		}
		h.Gets("auth_status", nil, "Not signed in to Notes.")
		h.WantPrompts(2)
	})
}

// A sign-in by auth_login is that of every call: one prompt, and those that wait go on.
func TestAuthTools_OneFlight(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: withAuthTools(nil)})
		h := w.Host(era, world.Accepts)
		lazy := h.Call(t.Context(), "whoami", nil)
		login, again := h.Call(t.Context(), "auth_login", nil), h.Call(t.Context(), "auth_login", nil)
		w.Approves()
		(<-lazy).Succeeds(t, "Ada")
		(<-login).Succeeds(t, "igned in to Notes.")
		(<-again).Succeeds(t, "igned in to Notes.")
		h.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// A person who declined is left alone, whatever a model calls; unless the author knows that
// each call is theirs.
func TestAuthTools_AfterADecline(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		t.Run(fmt.Sprintf("InsecureAskAfterDecline %t", insecure), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Tools: withAuthTools(&lazyauth.AuthTools{InsecureAskAfterDecline: insecure})})
				h := w.Host(era, world.Says("decline", 2*time.Second))
				(<-h.Call(t.Context(), "auth_login", nil)).Fails(t, lazyauth.ReasonDeclined)
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
				h.WantPrompts(1)
				(<-h.Call(t.Context(), "auth_login", nil)).Fails(t, lazyauth.ReasonDeclined)
				want := 1
				if insecure {
					want = 2
				}
				h.WantPrompts(want)
				world.Later(61 * time.Second)
				(<-h.Call(t.Context(), "auth_login", nil)).Fails(t, lazyauth.ReasonDeclined)
				h.WantPrompts(want + 1)
			})
		})
	}
}

// What no tool of the server needs no caller can ask for, and the model reads what it can.
func TestAuthTools_ScopesBeyondTheLimit(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxScopes: scopes.Of("notes:share"), ExperimentalDenials: true}, Tools: withAuthTools(nil)})
		h := w.Host(era, world.Accepts)
		for _, tool := range []string{"auth_login", "auth_upgrade_scope"} {
			r := <-h.Call(t.Context(), tool, wants{Scopes: []string{"notes:read", "admin:org"}})
			r.Fails(t, lazyauth.ReasonExceeded)
			if want := "This server has no use for one of these scopes of Notes, and nobody was asked. It can ask for: notes:read, notes:share, notes:write, profile."; r.Text() != want {
				t.Errorf("%s: %q, want %q", tool, r.Text(), want)
			}
			if r.Result.Meta[lazyauth.MetaDenial] == nil {
				t.Errorf("%s did nothing, and does not say so to programs: %v", tool, r.Result.Meta)
			}
			for _, bad := range []any{wants{Scopes: []string{"notes:read profile"}}, wants{Scopes: []string{""}}, wants{Scopes: slices.Repeat([]string{"profile"}, 101)}, map[string]any{"scopes": "profile"}, map[string]any{"scope": []string{"profile"}}} {
				if r := <-h.Call(t.Context(), tool, bad); r.Err != nil || !r.Result.IsError {
					t.Errorf("%s with %v: %q, %v", tool, bad, r.Text(), r.Err)
				}
			}
		}
		if r := <-h.Call(t.Context(), "auth_upgrade_scope", map[string]any{"scopes": []string{}}); !r.Result.IsError || !strings.Contains(r.Text(), "name the scopes") {
			t.Error(r.Text())
		}
		w.WantAuthorizations(0)
	})
}

// The schema that the model is given names what can be asked for, tools that were added later
// included, unless that is anything.
func TestAuthTools_Schemas(t *testing.T) {
	for _, insecure := range []bool{false, true} {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{AS: fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write", "admin:org"}}, Tools: func(w *world.World) {
				lazyauth.AddAuthTools(w.Server, w.Auth, &lazyauth.AuthTools{InsecureAnyScopes: insecure})
				w.AddTools()
			}})
			h := w.Host(era, world.Accepts)
			list, err := h.Session.ListTools(t.Context(), nil)
			if err != nil {
				t.Fatal(err)
			}
			found := 0
			for _, tool := range list.Tools {
				if !strings.HasPrefix(tool.Name, "auth_") {
					continue
				}
				found++
				text, _ := json.Marshal(tool.InputSchema)
				if tool.OutputSchema == nil || tool.Title == "" || tool.Annotations == nil || tool.Annotations.ReadOnlyHint != (tool.Name == "auth_status") ||
					!tool.Annotations.ReadOnlyHint && *tool.Annotations.DestructiveHint != (tool.Name == "auth_logout") {
					t.Errorf("%s: %+v", tool.Name, tool)
				}
				has := strings.Contains(string(text), `"enum":["notes:read","notes:write","profile"]`)
				if want := !insecure && (tool.Name == "auth_login" || tool.Name == "auth_upgrade_scope"); has != want {
					t.Errorf("%s: %s", tool.Name, text)
				}
			}
			if found != 4 {
				t.Errorf("%d auth tools", found)
			}
			if insecure {
				call := h.Call(t.Context(), "auth_login", wants{Scopes: []string{"admin:org"}})
				w.Approves()
				(<-call).Succeeds(t, "Granted: admin:org, profile.")
			}
		})
	}
}

// What is asked for at a login is what the author says, beside the service's own.
func TestAuthTools_LoginScopes(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: withAuthTools(&lazyauth.AuthTools{Scopes: scopes.Of("notes:read", "notes:write")})})
		h := w.Host(era, world.Accepts)
		signsIn(w, h, nil).Succeeds(t, "Granted: notes:read, notes:write, profile.")
		h.Gets("create_note", world.Note{Text: "milk"}, "milk")
		h.WantPrompts(1)
	})
}

// Less was granted than was asked for: the model reads what is missing, and programs what was
// needed and what is held (SEP-2059 §8.1).
func TestAuthTools_Narrowed(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{Withhold: []string{"notes:write"}}, Tools: withAuthTools(nil)})
		h := w.Host(era, world.Accepts)
		signsIn(w, h, nil).Succeeds(t, "")
		more := h.Call(t.Context(), "auth_upgrade_scope", wants{Scopes: []string{"notes:write"}})
		w.Approves()
		r := <-more
		r.Fails(t, lazyauth.ReasonNarrowed)
		if r.Result.Meta[lazyauth.MetaRequired] != "notes:write" || r.Result.Meta[lazyauth.MetaHeld] != "profile" || !strings.Contains(r.Text(), "missing: notes:write") {
			t.Errorf("%q %v", r.Text(), r.Result.Meta)
		}
	})
}

// Each of several accounts is signed in and out by itself, and status names all.
func TestAuthTools_Accounts(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Account: lazyauth.AccountFromArgument("account")}, Tools: withAuthTools(nil)})
		h := w.Host(era, world.Accepts)
		signsIn(w, h, wants{Account: "work"}).Succeeds(t, `Signed in to Notes, account "work".`)
		signsIn(w, h, wants{Account: "home"}).Succeeds(t, `Signed in to Notes, account "home".`)
		r := <-h.Call(t.Context(), "auth_status", nil)
		r.Succeeds(t, `Not signed in to Notes. Call auth_login to ask the user, or a tool that needs it. Another account: Signed in to Notes, account "home". Granted: profile.`)
		if all := content(t, r)["accounts"].([]any); len(all) != 2 {
			t.Errorf("%v", all)
		}
		h.Gets("auth_logout", wants{Account: "work"}, `Logged out of Notes, account "work".`)
		h.Gets("auth_status", wants{Account: "work"}, `Not signed in to Notes, account "work".`)
		h.Gets("auth_status", wants{Account: "home"}, `Signed in to Notes, account "home".`)
		if r := <-h.Call(t.Context(), "auth_status", wants{Account: "a b"}); r.Result == nil || !r.Result.IsError {
			t.Error("an account of any name")
		}
	})
}

// A server that ends nothing, and a store that does: what is said of it, and that it is gone here.
func TestAuthTools_LogoutNotRevoked(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: withAuthTools(nil)})
		h := w.Host(era, world.Accepts)
		signsIn(w, h, nil).Succeeds(t, "")
		w.AS.Script(fakeas.Revocation, fakeas.Unavailable(404, 0).Times(2))
		r := <-h.Call(t.Context(), "auth_logout", nil)
		r.Succeeds(t, "Its authorization server did not say that it ended it, so that it may be good until it expires; the user can end it in their settings at Notes.")
		if content(t, r)["revoked"] != false {
			t.Error("it counts as revoked")
		}
		h.Gets("auth_status", nil, "Not signed in")
	})
}

func TestAuthTools_LogoutStoreFails(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		kept := &world.FailingStore{Store: store.Memory()}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: kept}, Tools: withAuthTools(nil)})
		h := w.Host(era, world.Accepts)
		signsIn(w, h, nil).Succeeds(t, "")
		kept.Fails(errors.New("/secret/place: no such disk"))
		r := <-h.Call(t.Context(), "auth_logout", nil)
		if r.Err != nil || !r.Result.IsError || !strings.Contains(r.Text(), "could not be taken out of the store") || strings.Contains(r.Text(), "/secret/place") {
			t.Errorf("%q, %v", r.Text(), r.Err)
		}
		r = <-h.Call(t.Context(), "auth_status", nil)
		if r.Err != nil || !r.Result.IsError || r.Text() != "The store that keeps this server's access to Notes cannot be read; the server's log says more." {
			t.Errorf("%q, %v", r.Text(), r.Err)
		}
	})
}

// A token of the operator's makes a sign-in unnecessary, and is not logged out of.
func TestAuthTools_OperatorToken(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		token := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: "the-operators"})
		w := world.New(t, world.Setup{Options: lazyauth.Options{Token: token}, Tools: withAuthTools(&lazyauth.AuthTools{HideUntilSignIn: true})})
		h := w.Host(era, world.Accepts)
		if got := h.Tools(); !slices.Contains(got, "whoami") {
			t.Errorf("listed: %q", got)
		}
		h.Gets("auth_login", nil, "nobody needs to sign in")
		h.Gets("auth_status", nil, "operator has configured a token for Notes")
		if r := <-h.Call(t.Context(), "auth_logout", nil); !r.Result.IsError || !strings.Contains(r.Text(), "nobody can log out of here") {
			t.Error(r.Text())
		}
		h.WantPrompts(0)
	})
}

// Two services of one server have tools of their own names, and none in the other's place.
func TestAuthTools_OfTwoServices(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var mail *lazyauth.Interceptor
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddAuthTools(w.Server, w.Auth, &lazyauth.AuthTools{HideUntilSignIn: true, UpgradeScope: "-"})
			var err error
			mail, err = lazyauth.New(lazyauth.Service{Name: "Mail", Issuer: w.AS.Issuer(), ClientID: fakeas.DefaultClientID}, &lazyauth.Options{Transport: w.AS.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { mail.Close() })
			lazyauth.AddTool(w.Server, mail, &mcp.Tool{Name: "send"}, scopes.Of("profile"), func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				return nil, world.Answer{Text: "sent"}, nil
			})
			lazyauth.AddAuthTools(w.Server, mail, &lazyauth.AuthTools{Login: "mail_login", Status: "mail_status", Logout: "-", UpgradeScope: "-", HideUntilSignIn: true})
		}})
		h := w.Host(era, world.Accepts)
		hidden := era == world.Legacy
		if got, want := h.Tools(), "[auth_login auth_logout auth_status mail_login mail_status ping]"; hidden && fmt.Sprint(got) != want {
			t.Errorf("listed: %q, want %s", got, want)
		}
		signsIn(w, h, nil).Succeeds(t, "Signed in to Notes")
		h.Gets("mail_status", nil, "Not signed in to Mail. Call mail_login")
		if got := h.Tools(); !slices.Contains(got, "whoami") || slices.Contains(got, "send") == hidden {
			t.Errorf("listed: %q", got)
		}
		call := h.Call(t.Context(), "mail_login", nil)
		w.Approves()
		(<-call).Succeeds(t, "Signed in to Mail")
		if got := h.Tools(); !slices.Contains(got, "send") {
			t.Errorf("listed: %q", got)
		}
	})
}

func TestAddAuthTools_Panics(t *testing.T) {
	for name, o := range map[string][2]*lazyauth.AuthTools{
		"another service has the name": {nil, {}},
		"a name twice":                 {{Login: "a", Logout: "a"}, nil},
		"a tool has the name":          {{Login: "whoami"}, nil},
		"hidden for good":              {{Login: "-", HideUntilSignIn: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{})
				other := w.ClientNamed("other", nil)
				defer func() {
					if text, _ := recover().(string); !strings.HasPrefix(text, "lazyauth.AddAuthTools: ") {
						t.Errorf("it panics with %q", text)
					}
				}()
				lazyauth.AddAuthTools(w.Server, w.Auth, o[0])
				lazyauth.AddAuthTools(w.Server, other, o[1])
			})
		})
	}
}

// Over HTTP each person sees and changes what is theirs alone.
func TestAuthTools_OverHTTP(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: withAuthTools(nil)})
		as := world.OverHTTP(t, w, era, true)
		ada, bob, nobody := as("ada"), as("bob"), world.OverHTTP(t, w, era, false)("")
		signsIn(w, ada, nil).Succeeds(t, "Signed in")
		ada.Gets("auth_status", nil, "Signed in to Notes.")
		bob.Gets("auth_status", nil, "Not signed in to Notes.")
		bob.Gets("auth_logout", nil, "there was nothing to do")
		ada.Gets("auth_status", nil, "Signed in to Notes.")
		for _, tool := range []string{"auth_login", "auth_status", "auth_logout"} {
			(<-nobody.Call(t.Context(), tool, nil)).Fails(t, lazyauth.ReasonAnonymous)
		}
		ada.Gets("auth_logout", nil, "Logged out of Notes.")
		ada.Gets("auth_status", nil, "Not signed in to Notes.")
	})
}

// Where nobody signs in, the tools say so.
func TestAuthTools_Unattended(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Unattended: []lazyauth.Unattended{{
			Callers: func(lazyauth.Caller) bool { return true },
			Token: func(context.Context, lazyauth.Caller, scopes.Set) (*oauth2.Token, error) {
				return &oauth2.Token{AccessToken: "a-workloads"}, nil
			},
		}}}, Tools: withAuthTools(nil)})
		h := w.Host(era, world.Accepts)
		r := <-h.Call(t.Context(), "auth_status", nil)
		r.Succeeds(t, "This server gets access to Notes for its caller by itself, and nobody needs to sign in.")
		if got := content(t, r); got["signed_in"] != true || got["unattended"] != true {
			t.Errorf("%v", got)
		}
		for _, tool := range []string{"auth_login", "auth_status"} { // and so they do once it is there
			r := <-h.Call(t.Context(), tool, nil)
			r.Succeeds(t, "This server gets access to Notes for its caller by itself, and nobody needs to sign in.")
			if got := content(t, r); got["signed_in"] != true || got["unattended"] != true {
				t.Errorf("%s: %v", tool, got)
			}
		}
		if r := <-h.Call(t.Context(), "auth_logout", nil); !r.Result.IsError || !strings.Contains(r.Text(), "there is no sign-in to log out of") {
			t.Error(r.Text())
		}
		h.WantPrompts(0)
	})
}
