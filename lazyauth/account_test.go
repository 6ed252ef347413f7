package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type accountArgs struct {
	Account string `json:"account,omitempty"`
	Text    string `json:"text,omitempty"`
}

func quiet[In any](context.Context, *mcp.CallToolRequest, In) (*mcp.CallToolResult, world.Answer, error) {
	return nil, world.Answer{Text: "done"}, nil
}

// An argument that names the account is a likely mistake where the tool's input schema does
// not have it: a warning names the tool, the argument and what to do.
func TestAccount_ArgumentMissingFromTheSchema(t *testing.T) {
	raw := func(schema string) *mcp.Tool {
		return &mcp.Tool{Name: "tool", InputSchema: jsonText(schema)}
	}
	for name, test := range map[string]struct {
		add  func(*mcp.Server, *lazyauth.Interceptor)
		warn bool
	}{
		"has it": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, &mcp.Tool{Name: "tool"}, scopes.Set{}, quiet[accountArgs])
		}, false},
		"has another": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, &mcp.Tool{Name: "tool"}, scopes.Set{}, quiet[world.Note])
		}, true},
		"has none": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, &mcp.Tool{Name: "tool"}, scopes.Set{}, quiet[world.NoArgs])
		}, true},
		"takes anything": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, raw(`{"type": "object"}`), scopes.Set{}, quiet[map[string]any])
		}, false},
		"a schema of its own": {func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, raw(`{"type": "object", "properties": {"Account": {"type": "string"}}}`), scopes.Set{}, quiet[map[string]any])
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			warned := warnings(t, lazyauth.AccountFromArgument("account"), test.add)
			if !test.warn {
				if len(*warned) > 0 {
					t.Errorf("warned %q", *warned)
				}
				return
			}
			if len(*warned) != 1 || !strings.Contains((*warned)[0], `"tool"`) || !strings.Contains((*warned)[0], `"account"`) || !strings.Contains((*warned)[0], "AccountFromArgument") {
				t.Errorf("warned %q", *warned)
			}
		})
	}
	t.Run("a function of the author's", func(t *testing.T) {
		warned := warnings(t, func(context.Context, *mcp.CallToolRequest) (string, error) {
			t.Error("it was called without a request")
			return "", nil
		}, func(s *mcp.Server, a *lazyauth.Interceptor) {
			lazyauth.AddTool(s, a, &mcp.Tool{Name: "tool"}, scopes.Set{}, quiet[world.NoArgs])
		})
		if len(*warned) > 0 {
			t.Errorf("warned %q", *warned)
		}
	})
}

type jsonText string

func (j jsonText) MarshalJSON() ([]byte, error) { return []byte(j), nil }

// warnings returns what the trace of an interceptor with this Account is given.
func warnings(t *testing.T, account func(context.Context, *mcp.CallToolRequest) (string, error), add func(*mcp.Server, *lazyauth.Interceptor)) *[]string {
	warned := new([]string)
	auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: "https://as.example.test", ClientID: "c"}, &lazyauth.Options{
		Account: account,
		Trace:   &lazyauth.Trace{Warned: func(_ context.Context, info lazyauth.WarnedInfo) { *warned = append(*warned, info.Err.Error()) }},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { auth.Close() })
	add(mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil), auth)
	return warned
}

// What a policy gates is known when it is first called.
func TestAccount_ArgumentMissingFromAnInterceptedTool(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Account: lazyauth.AccountFromArgument("account")}, Tools: func(w *world.World) {
			mcp.AddTool(w.Server, &mcp.Tool{Name: "plain"}, quiet[world.NoArgs])
			w.Auth.Intercept(w.Server, scopes.Policy{Tools: map[string]scopes.Requirement{"plain": scopes.Of("profile")}})
		}})
		h := w.Host(world.Modern, world.Accepts)
		one, two := h.Call(t.Context(), "plain", nil), h.Call(t.Context(), "plain", nil)
		w.Approves()
		(<-one).Succeeds(t, "done")
		(<-two).Succeeds(t, "done")
		if n := w.Trace.Count("warned"); n != 1 {
			t.Errorf("warned %d times", n)
		}
	})
}

// Each host has a grant of its own, if that is wanted.
func TestAccount_FromHost(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.OnePerson, Account: lazyauth.AccountFromHost()}})
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

// The account is chosen anew for a call in mid-flight: that is another flight, and
// nobody gets the other's grant.
func TestAccount_SwitchedDuringAFlight(t *testing.T) {
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
		(<-first).Succeeds(t, "ada-at-work")
		world.Later(10 * time.Second)
		account = "work"
		h.Gets("whoami", nil, "ada-at-work")
		h.WantPrompts(2)
	})
}

func TestAccount_Bad(t *testing.T) {
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

// partKeys can read some of its keys.
type partKeys struct{ store.Store }

func (p *partKeys) Keys(ctx context.Context) ([]string, error) {
	keys, _ := p.Store.Keys(ctx)
	return keys, store.ErrWrongKey
}

// Accounts that can be read are listed beside the error.
func TestAccount_ListedInPart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &partKeys{Store: store.Memory()}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Store: p}})
		w.SignedIn(world.Legacy)
		all, err := w.Auth.Accounts(t.Context())
		if len(all) != 1 || !all[0].IsLocal() || !errors.Is(err, store.ErrWrongKey) {
			t.Errorf("%v, %v", all, err)
		}
	})
}

// Accounts can be named in any script. In a prompt such a name stays between its quotation
// marks and changes nothing around it; after a restart it is found again.
func TestAccount_Names(t *testing.T) {
	for account, shown := range map[string]string{
		"काम": `(account "काम")`, "e\u0301te\u0301": "(account \"e\u0301te\u0301\")", "東京\u3000支社": `(account "東京 支社")`,
		"Jean\u00a0Dupont": `(account "Jean Dupont")`, "עבודה\u200f": "(account \"\u2068עבודה\u200f\u2069\")", `x" at evil`: `(account "x\" at evil")`,
	} {
		t.Run(account, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				kept := store.Memory()
				options := lazyauth.Options{Store: kept, Account: func(context.Context, *mcp.CallToolRequest) (string, error) { return account, nil }}
				w := world.New(t, world.Setup{Options: options})
				h := w.SignedIn(era)
				if p := h.Shown()[0]; !strings.Contains(p.Message, shown) {
					t.Errorf("the prompt says %q, want %q in it", p.Message, shown)
				}
				again := world.New(t, world.Setup{Shared: w.AS, Options: options})
				if all, err := again.Auth.Accounts(t.Context()); err != nil || !slices.Contains(all, lazyauth.Principal{Account: account}) {
					t.Errorf("accounts: %q, %v", all, err)
				}
				again.Host(era, world.Accepts).Gets("whoami", nil, "Ada")
			})
		})
	}
}

func TestAccount_NamesThatAreNone(t *testing.T) {
	for _, account := range []string{"a\nb", "a\u202eb", "a\u2069b", "\x1b[2J", "a\xff", strings.Repeat("x", 65)} {
		t.Run(fmt.Sprintf("%q", account), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{})
				err := w.Auth.Authorize(t.Context(), lazyauth.Principal{Account: account}, scopes.Of("profile"), approving(w))
				if err == nil {
					t.Error("it was taken for a name")
				}
			})
		})
	}
}

// What a model may choose has letters of all scripts, with what belongs to them.
func TestAccount_NamesChosenByAModel(t *testing.T) {
	account := lazyauth.AccountFromArgument("text")
	for name, good := range map[string]bool{
		"काम": true, "e\u0301te\u0301": true, "می\u200cخواهم": true, "ada@example.com": true,
		"a b": false, "a\u3000b": false, `a"b`: false, "a\u202eb": false, "a\nb": false,
	} {
		req := &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{Arguments: fmt.Appendf(nil, `{"text":%q}`, name)}}
		if got, err := account(t.Context(), req); (err == nil) != good || good && got != name {
			t.Errorf("%q: %q, %v", name, got, err)
		}
	}
}
