package lazyauth_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What a person has granted by one application is nothing to another one of theirs, whatever that calls itself; and
// a token that does not say whose it is gets nothing.
func TestAccountFromClient(t *testing.T) {
	long := "https://agent.example/" + strings.Repeat("a", 100)
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Account: lazyauth.AccountFromClient(), VerifyUser: world.Anybody}})
		endpoint := w.EndpointBehind(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
			info := &auth.TokenInfo{UserID: "ada", Extra: map[string]any{"iss": "https://idp.example"}, Expiration: time.Now().Add(time.Hour)}
			if claim, id, ok := strings.Cut(token, "="); ok {
				info.Extra[claim] = id
			}
			return info, nil
		})
		call := func(token string) world.Reply {
			return <-endpoint.Send(t.Context(), world.Request{User: token, Caps: world.URLAlone})
		}
		names := make(map[string]bool)
		for n, token := range []string{"client_id=editor", "azp=agent", "client_id=" + long + "1", "client_id=" + long + "2", "client_id=#x"} {
			asked := call(token)
			state := asked.State(t) // nobody else's grant is used
			retry := endpoint.Send(t.Context(), world.Request{User: token, Caps: world.URLAlone, State: state, Action: "accept"})
			w.Approves()
			(<-retry).Succeeds(t, "Ada")
			call(token).Succeeds(t, "Ada")
			all, err := w.Auth.GrantsOf(t.Context(), lazyauth.Principal{Issuer: "https://idp.example", Subject: "ada"})
			if err != nil || len(all) != n+1 {
				t.Fatalf("after %d sign-ins there are %d grants, %v", n+1, len(all), err)
			}
			for _, s := range all {
				names[s.Principal.Account] = true
			}
		}
		if !names["editor"] || !names["agent"] || names["#x"] {
			t.Errorf("the accounts are called %v", names)
		}
		call("nobody").Fails(t, lazyauth.ReasonAnonymous)
		w.WantAuthorizations(5)
	})
}

// The local user has no bearer token, and one account.
func TestAccountFromClient_Local(t *testing.T) {
	account, err := lazyauth.AccountFromClient()(t.Context(), &mcp.CallToolRequest{})
	if account != "" || err != nil {
		t.Errorf("%q, %v", account, err)
	}
}
