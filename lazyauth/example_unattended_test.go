package lazyauth_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A server whose callers come with tokens of the API's own authorization server has them
// exchanged, and asks nobody.
func ExampleTokenExchange() {
	as := fakeas.New(&fakeas.Options{
		Clients:    []fakeas.Client{{ID: "mcp-notes", Secret: "s3cret"}},
		Unattended: fakeas.Unattended{Exchange: true},
	})
	access, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer(), ClientID: "mcp-notes", ClientSecret: "s3cret", APIOrigins: []string{as.API()},
	}, &lazyauth.Options{
		Transport: as.Transport(),
		Unattended: []lazyauth.Unattended{{
			Callers:  func(c lazyauth.Caller) bool { return c.Bearer != "" },
			Exchange: &lazyauth.TokenExchange{Audience: []string{as.API()}},
		}},
	})
	if err != nil {
		panic(err)
	}
	defer access.Close()

	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	lazyauth.AddTool(server, access, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			res, err := lazyauth.Client(ctx).Get(as.API() + "/me")
			if err != nil {
				return nil, nil, err
			}
			defer res.Body.Close()
			text, err := io.ReadAll(res.Body)
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(text)}}}, nil, err
		})
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		a, ok := as.Introspect(token) // and take none but those with this server's audience
		if !ok || len(a.Audience) != 1 || a.Audience[0] != "https://mcp.example.test" {
			return nil, auth.ErrInvalidToken
		}
		return &auth.TokenInfo{UserID: a.Subject, Expiration: a.Expires, Extra: map[string]any{"iss": as.Issuer()}}, nil
	}
	endpoint := httptest.NewServer(auth.RequireBearerToken(verify, nil)(
		mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{Stateless: true})))
	defer endpoint.Close()

	// A host that its person has signed in to the server with.
	bearer := as.Issue(fakeas.Access{
		Subject: "ada", ClientID: "a host", Scopes: []string{"profile"}, Expires: time.Now().Add(time.Hour), Audience: []string{"https://mcp.example.test"},
	})
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, nil)
	session, err := client.Connect(context.Background(), &mcp.StreamableClientTransport{
		Endpoint: endpoint.URL, HTTPClient: &http.Client{Transport: world.AsUser(bearer)},
	}, nil)
	if err != nil {
		panic(err)
	}
	defer session.Close()
	result, err := session.CallTool(context.Background(), &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		panic(err)
	}
	fmt.Println(result.Content[0].(*mcp.TextContent).Text)
	fmt.Println(as.Count(fakeas.TokenExchange, fakeas.OK), "exchange,", as.Count(fakeas.DeviceAuthorization, ""), "prompts")
	// Output:
	// {"name":"Ada Example","sub":"ada"}
	// 1 exchange, 0 prompts
}
