package lazyauth_test

import (
	"context"
	"fmt"
	"log"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// The tools that need a sign-in are listed once there is one, up to revision 2025-11-25.
func ExampleAddAuthTools() {
	ctx := context.Background()
	as := fakeas.New(&fakeas.Options{Interval: time.Second}) // an authorization server, and an API behind it

	// The server.
	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID,
		APIOrigins: []string{as.API()}, UserInfo: as.API() + "/me", Scopes: scopes.Of("profile"),
	}, &lazyauth.Options{Transport: as.Transport()})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"), whoami(as.API()))
	lazyauth.AddAuthTools(server, auth, &lazyauth.AuthTools{HideUntilSignIn: true})
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(ctx, there, nil); err != nil {
		log.Fatal(err)
	}

	// The host, whose person opens the link and approves.
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(ctx context.Context, _ *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			issued, err := as.WaitForRequest(ctx)
			if err != nil {
				return nil, err
			}
			return &mcp.ElicitResult{Action: "accept"}, as.Approve(issued.UserCode)
		},
	})
	session, err := client.Connect(ctx, here, &mcp.ClientSessionOptions{ProtocolVersion: "2025-11-25"})
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	list := func() {
		tools, err := session.ListTools(ctx, nil)
		if err != nil {
			log.Fatal(err)
		}
		for _, tool := range tools.Tools {
			fmt.Println("listed:", tool.Name)
		}
	}
	list()
	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "auth_login"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(result.Content[0].(*mcp.TextContent).Text)
	list()

	// Output:
	// listed: auth_login
	// listed: auth_logout
	// listed: auth_status
	// listed: auth_upgrade_scope
	// Signed in to Notes as "Ada Example". Granted: profile. The tools that need it are listed now. Tools that need more ask the user when they are called.
	// listed: auth_login
	// listed: auth_logout
	// listed: auth_status
	// listed: auth_upgrade_scope
	// listed: whoami
}
