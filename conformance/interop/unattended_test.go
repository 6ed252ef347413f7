package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// serviceAccount registers a client that has a token of its own.
func (p *provider) serviceAccount(t *testing.T) (client oidcClient) {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"client_name": "Notes, nightly", "grant_types": []string{"client_credentials"}, "response_types": []string{}, "redirect_uris": []string{},
		"token_endpoint_auth_method": "client_secret_basic",
	})
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, p.Registration, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if err := decode(req, http.StatusCreated, &client); err != nil {
		t.Fatal(err)
	}
	return client
}

// A service account's calls have a token of its own from oidc-provider, for what the tool needs;
// nobody is asked. A client that may not have one is told so.
func TestUnattended_ClientCredentials(t *testing.T) {
	p := world.as
	account := p.serviceAccount(t)
	call := func(client oidcClient) (*mcp.CallToolResult, *lazyauth.Counters) {
		var counters lazyauth.Counters
		access, err := lazyauth.New(lazyauth.Service{
			Name: "Notes", Issuer: p.Issuer, ClientID: "no client of this provider's", APIOrigins: []string{p.api.URL},
		}, &lazyauth.Options{Trace: counters.Trace(), Unattended: []lazyauth.Unattended{{
			Credentials: &lazyauth.ClientCredentials{Callers: []lazyauth.Principal{lazyauth.LocalUser}, ClientID: client.ID, ClientSecret: client.Secret},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := access.Close(); err != nil {
				t.Error(err)
			}
		})
		server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
		lazyauth.AddTool(server, access, &mcp.Tool{Name: "token"}, scopes.Of("notes:read"),
			func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
				token, err := lazyauth.TokenSource(ctx).Token()
				if err != nil {
					return nil, nil, err
				}
				form := url.Values{"token": {token.AccessToken}}
				req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.Introspection, strings.NewReader(form.Encode()))
				if err != nil {
					return nil, nil, err
				}
				req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
				req.SetBasicAuth(url.QueryEscape(apiClient.ID), url.QueryEscape(apiClient.Secret))
				var is struct {
					Active   bool
					ClientID string `json:"client_id"`
					Scope    string
				}
				if err := decode(req, http.StatusOK, &is); err != nil {
					return nil, nil, err
				}
				return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: fmt.Sprint(is.Active, " ", is.ClientID, " ", is.Scope)}}}, nil, nil
			})
		here, there := mcp.NewInMemoryTransports()
		if _, err := server.Connect(context.WithoutCancel(t.Context()), there, nil); err != nil {
			t.Fatal(err)
		}
		session, err := mcp.NewClient(&mcp.Implementation{Name: "job", Version: "1"}, nil).Connect(context.WithoutCancel(t.Context()), here, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { session.Close() })
		result, err := session.CallTool(t.Context(), &mcp.CallToolParams{Name: "token"})
		if err != nil {
			t.Fatal(err)
		}
		return result, &counters
	}
	result, counters := call(account)
	text, _ := result.Content[0].(*mcp.TextContent)
	if want := fmt.Sprint("true ", account.ID, " notes:read"); result.IsError || text.Text != want {
		t.Errorf("the token is %q, want %q", text.Text, want)
	}
	if all := counters.All(); all["unattended.credentials"] != 1 || all["prompted.text"] != 0 {
		t.Errorf("counted: %v", all)
	}
	result, counters = call(p.register(t, basicClient))
	if all := counters.All(); !result.IsError || all["unattended.refused"] != 1 || result.Meta[lazyauth.MetaReason] != string(lazyauth.ReasonUnavailable) {
		t.Errorf("a client of another grant: %v, %v", result.Content, all)
	}
}
