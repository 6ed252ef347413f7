package lazyauth_test

import (
	"context"
	"fmt"
	"io"
	"log"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// whoami asks the API with the token of whoever calls.
func whoami(api string) mcp.ToolHandlerFor[struct{}, any] {
	return func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		res, err := lazyauth.Client(ctx).Get(api + "/me")
		if err != nil {
			return nil, nil, err // a *lazyauth.Error becomes the call's result
		}
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(body)}}}, nil, err
	}
}

// One call of a tool, with everybody who takes part: the first call prompts, waits for the
// person, and is answered with what the tool returns. (It takes a second: polls of a device
// authorization are no closer.)
func ExampleAddTool() {
	ctx := context.Background()
	as := fakeas.New(&fakeas.Options{Interval: time.Second}) // an authorization server, and an API behind it

	// The server.
	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
	}, &lazyauth.Options{Transport: as.Transport()})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"), whoami(as.API()))
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(ctx, there, nil); err != nil {
		log.Fatal(err)
	}

	// The host, whose person opens the link and approves.
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(ctx context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			fmt.Println("prompt:", req.Params.Mode, "at", req.Params.URL)
			issued, err := as.WaitForRequest(ctx)
			if err != nil {
				return nil, err
			}
			return &mcp.ElicitResult{Action: "accept"}, as.Approve(issued.UserCode)
		},
	})
	session, err := client.Connect(ctx, here, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()

	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println("result:", result.Content[0].(*mcp.TextContent).Text)

	// Output:
	// prompt: url at https://as.example.test/device
	// result: {"name":"Ada Example","sub":"ada"}
}
