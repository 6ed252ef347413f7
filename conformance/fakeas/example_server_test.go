package fakeas_test

import (
	"context"
	"fmt"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// How to test an MCP server that uses lazyauth: give its interceptor the
// transport of a fakeas, connect a host in memory, and play the person. In a
// testing/synctest bubble it takes no time at all.
func Example() {
	ctx := context.Background()
	as := fakeas.New(&fakeas.Options{Interval: time.Second})

	// The server under test.
	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
	}, &lazyauth.Options{Transport: as.Transport()})
	if err != nil {
		panic(err)
	}
	defer auth.Close()
	server := mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
			res, err := lazyauth.Client(ctx).Get(as.URL(fakeas.Me))
			if err != nil {
				return nil, nil, err
			}
			defer res.Body.Close()
			return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: res.Status}}}, nil, nil
		})

	// The host, whose person reads the prompt and approves.
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(ctx, there, nil); err != nil {
		panic(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "host"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(_ context.Context, req *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			fmt.Println("prompted:", req.Params.URL)
			return &mcp.ElicitResult{Action: "accept"}, as.Approve(as.Waiting()[0].UserCode)
		},
	})
	session, err := client.Connect(ctx, here, nil)
	if err != nil {
		panic(err)
	}
	defer session.Close()

	result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	fmt.Println("answer:", result.Content[0].(*mcp.TextContent).Text, err)
	fmt.Println("violations:", as.Violations())

	// Output:
	// prompted: https://as.example.test/device
	// answer: 200 OK <nil>
	// violations: []
}
