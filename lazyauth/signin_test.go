package lazyauth_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// signInPrompts registers the prompts of services with these names on one server, and
// returns their names as a host sees them, in the order of the services.
func signInPrompts(t *testing.T, services ...string) []string {
	t.Helper()
	w := world.New(t, world.Setup{})
	for _, name := range services {
		auth, err := lazyauth.New(lazyauth.Service{Name: name, Issuer: w.AS.Issuer(), ClientID: "c"}, &lazyauth.Options{Transport: w.AS.Transport()})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { auth.Close() })
		lazyauth.AddSignInPrompt(w.Server, auth)
	}
	h := w.Host(world.Modern, world.Accepts)
	list, err := h.Session.ListPrompts(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	names := make([]string, len(services))
	for _, p := range list.Prompts {
		n := slices.IndexFunc(services, func(name string) bool { return p.Title == "Sign in to "+name })
		if n < 0 {
			t.Fatalf("a prompt with the title %q", p.Title)
		}
		names[n] = p.Name
		if _, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: p.Name}); err != nil {
			t.Errorf("the prompt %s: %v", p.Name, err)
		}
	}
	return names
}

func TestSignInPrompt_NamesAreStable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		want := map[string]string{
			"Notes":                          "sign-in-notes",
			"GitHub Enterprise 3":            "sign-in-github-enterprise-3",
			"Acme (EU)":                      "sign-in-acme-eu-2ab5fb2f",
			"Caf\u00e9":                      "sign-in-caf-73473dcc",
			"\u041f\u043e\u0447\u0442\u0430": "sign-in-abd894bf",
		}
		var services []string
		for name := range want {
			services = append(services, name)
		}
		for n, got := range signInPrompts(t, services...) {
			if got != want[services[n]] {
				t.Errorf("the prompt of %q is %q, want %q", services[n], got, want[services[n]])
			}
		}
	})
}

// Names without a single ASCII letter used to come to nothing but hyphens, and the prompt
// of one service took the place of the other's.
func TestSignInPrompt_EachServiceHasItsOwn(t *testing.T) {
	for _, services := range [][]string{
		{"\u30ce\u30fc\u30c8", "\u30e1\u30fc\u30eb"},                                  // two words of three katakana each
		{"\u041f\u043e\u0447\u0442\u0430", "\u041a\u043d\u0438\u0433\u0430", "Books"}, // Cyrillic beside ASCII
		{"\u0645\u0644\u0627\u062d\u0638\u0627\u062a", "\u0628\u0631\u064a\u062f"},    // Arabic
		{"Caf\u00e9", "Cafe\u0301", "Caf", "Cafe"},                                    // composed and not
		{"A+B", "A-B", "A B", "AB"},
	} {
		t.Run(strings.Join(services, " "), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				seen := make(map[string]string)
				for n, name := range signInPrompts(t, services...) {
					for _, r := range name {
						if r != '-' && (r < 'a' || r > 'z') && (r < '0' || r > '9') {
							t.Errorf("the prompt's name %q has %q", name, r)
						}
					}
					if other, taken := seen[name]; taken || name == "" {
						t.Errorf("%q and %q share the prompt %q", services[n], other, name)
					}
					seen[name] = services[n]
				}
			})
		})
	}
}

// Whoever wants to be asked again names no account: all are meant.
func TestSignInPrompt_ForAllAccounts(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Account: lazyauth.AccountFromArgument("text")}, Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddSignInPrompt(w.Server, w.Auth)
		}})
		h := w.Host(era, world.InTurn(world.Says("decline", 3*time.Second), world.Accepts))
		(<-h.Call(t.Context(), "create_note", world.Note{Text: "work"})).Fails(t, lazyauth.ReasonDeclined)
		w.Denies() // the code that nobody polls for any more
		if _, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
			t.Fatal(err)
		}
		call := h.Call(t.Context(), "create_note", world.Note{Text: "work"})
		w.Approves()
		(<-call).Succeeds(t, "work")
	})
}

// Two services on one server have a prompt each.
func TestSignInPrompt_OfTwoServices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddSignInPrompt(w.Server, w.Auth)
			other, err := lazyauth.New(lazyauth.Service{Name: "Mail", Issuer: w.AS.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{w.AS.API()}}, &lazyauth.Options{Transport: w.AS.Transport()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { other.Close() })
			lazyauth.AddSignInPrompt(w.Server, other)
		}})
		h := w.Host(world.Legacy, world.InTurn(world.Says("decline", 3*time.Second), world.Accepts))
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		if !strings.Contains(r.Text(), `"sign-in-notes"`) {
			t.Fatal(r.Text())
		}
		w.Denies()
		if _, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
			t.Fatal(err)
		}
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
}

func TestSignInPrompt_OfAStranger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddSignInPrompt(w.Server, w.Auth)
		}})
		first, second := w.Host(world.Legacy, world.Says("decline", 3*time.Second)), w.Host(world.Legacy, world.Accepts)
		(<-first.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		if _, err := second.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err == nil {
			t.Error("a second session may end the cool-down of the first")
		}
		(<-first.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		first.WantPrompts(1)
		w.Auth.ForgetDecline(lazyauth.LocalUser)
		(<-first.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		first.WantPrompts(2)
	})
}

// Whoever wants to be asked again is asked again, and nobody else.
func TestSignInPrompt_OverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddSignInPrompt(w.Server, w.Auth)
		}})
		web := world.ServeHTTP(t, w, true, true)
		ada := web.HostAs("ada", world.Manners{URL: true, React: world.Says("decline", 3*time.Second)})
		eve := web.HostAs("eve", world.Manners{URL: true, React: world.Accepts})
		(<-ada.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		ask := func(h *world.Host) {
			if _, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
				t.Error(err)
			}
		}
		ask(eve)
		(<-ada.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		ada.WantPrompts(1)
		ask(ada)
		(<-ada.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
		ada.WantPrompts(2)
	})
}
