package lazyauth_test

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
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
