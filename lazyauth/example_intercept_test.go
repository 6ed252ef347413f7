package lazyauth_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A server that exists already, whose tools used a token from the environment until now:
// its registrations stay as they are, and its handlers take the client of their call.
func ExampleInterceptor_Intercept() {
	as := fakeas.New(&fakeas.Options{Interval: time.Second}) // in place of a real authorization server, and of its API

	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	mcp.AddTool(server, &mcp.Tool{Name: "whoami"}, func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, struct{}, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, as.API()+"/me", nil)
		if err != nil {
			return nil, struct{}{}, err
		}
		res, err := lazyauth.Client(ctx).Do(req) // was: http.DefaultClient, and a header from os.Getenv
		if err != nil {
			return nil, struct{}{}, err
		}
		defer res.Body.Close()
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "the API answered " + res.Status}}}, struct{}{}, nil
	})

	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
	}, &lazyauth.Options{Transport: as.Transport()})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	auth.Intercept(server, scopes.Policy{Tools: map[string]scopes.Requirement{"whoami": scopes.Of("profile")}})

	// A host without dialogs: its model passes the link and the code on, and calls again.
	here, there := mcp.NewInMemoryTransports()
	ctx := context.Background()
	if _, err := server.Connect(ctx, there, nil); err != nil {
		log.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "host"}, nil).Connect(ctx, here, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	first, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(first.Meta[lazyauth.MetaReason])

	person, err := as.WaitForRequest(ctx)
	if err != nil {
		log.Fatal(err)
	}
	if err := as.Approve(person.UserCode); err != nil {
		log.Fatal(err)
	}
	// Others who wait for the same sign-in learn when it is over.
	if err := auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("profile"), nil); err != nil {
		log.Fatal(err)
	}
	second, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "whoami"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(second.Content[0].(*mcp.TextContent).Text)
	// Output:
	// pending
	// the API answered 200 OK
}
