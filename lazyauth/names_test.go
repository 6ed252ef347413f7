package lazyauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Accounts can be named in any script. In a prompt such a name stays between its quotation
// marks and changes nothing around it; after a restart it is found again.
func TestNames_OfAccounts(t *testing.T) {
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

func TestNames_OfAccountsThatAreNone(t *testing.T) {
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
func TestNames_ChosenByAModel(t *testing.T) {
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

// One claim that cannot be shown, or is of another type, costs none of the others.
func TestNames_OfPeople(t *testing.T) {
	for claims, want := range map[string]lazyauth.Identity{
		`{"sub":"u1","preferred_username":"अदा","name":"x"}`:                         {Subject: "u1", Name: "अदा"},
		`{"sub":4711,"login":"ada"}`:                                                 {Subject: "4711", Name: "ada"},
		`{"id":12345678901234567890,"login":"ada"}`:                                  {Subject: "12345678901234567890", Name: "ada"},
		`{"sub":"u1","preferred_username":"a\u202eb","email":"ada@example.com"}`:     {Subject: "u1", Name: "ada@example.com"},
		`{"sub":"u\n1","name":"Ada\u3000Lovelace"}`:                                  {Name: "Ada\u3000Lovelace"},
		`{"sub":"u1","preferred_username":["a"],"email":false,"name":{"first":"x"}}`: {Subject: "u1", Name: "u1"},
		`{"sub":"u1","name":"` + strings.Repeat("x", 300) + `"}`:                     {Subject: "u1", Name: "u1"},
		`{"id":"u-17","login":"ada"}`:                                                {Subject: "u-17", Name: "ada"},
		`{"sub":"u1","name":"עדה"}`:                                                  {Subject: "u1", Name: "עדה"},
	} {
		t.Run(claims[:min(len(claims), 40)], func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				as := fakeas.New(nil)
				w := world.New(t, world.Setup{Shared: as, Service: func(s *lazyauth.Service) { s.UserInfo = s.APIOrigins[0] + "/user" }, Options: lazyauth.Options{
					Transport: roundTripper(func(req *http.Request) (*http.Response, error) {
						if req.URL.Path == "/user" {
							return respond(req, claims), nil
						}
						return as.Transport().RoundTrip(req)
					}),
				}})
				h := w.SignedIn(era)
				s, err := w.Auth.Status(t.Context(), lazyauth.LocalUser)
				if err != nil || s.Identity != want {
					t.Errorf("%+v, %v; want %+v", s, err, want)
				}
				r := <-h.Call(t.Context(), "whoami", nil)
				if name, _ := r.Result.Meta[lazyauth.MetaAccount].(string); strings.Trim(name, "\u2068\u2069") != want.Name || strings.Contains(name, "עדה") != strings.HasPrefix(name, "\u2068") {
					t.Errorf("the result names %q", name)
				}
			})
		})
	}
}

func respond(req *http.Request, body string) *http.Response {
	return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(body)), Request: req}
}
