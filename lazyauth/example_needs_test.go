package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"path"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A tool writes notes, and what it writes below "shared/" others can read, which takes a scope
// more. A call is asked for what its own path needs, in one prompt, before anything runs; a
// path that leads elsewhere asks nobody.
func ExampleAddToolWithNeeds() {
	ctx := context.Background()
	as := fakeas.New(&fakeas.Options{Interval: time.Second})
	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
	}, &lazyauth.Options{Transport: as.Transport()})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1"}, nil)

	type args struct {
		Path string `json:"path"`
	}
	write, share := scopes.Of("notes:write"), scopes.Of("notes:read", "notes:write")
	lazyauth.AddToolWithNeeds(server, auth, &mcp.Tool{Name: "write_note"}, scopes.Needs[args]{
		Possible: []scopes.Requirement{write, share},
		Of: func(in args) (scopes.Requirement, error) {
			switch clean := path.Clean(in.Path); {
			case clean == ".." || path.IsAbs(clean) || strings.HasPrefix(clean, "../"):
				return nil, errors.New("name a path below the notes")
			case strings.HasPrefix(clean, "shared/"):
				return share, nil
			}
			return write, nil
		},
	}, func(_ context.Context, _ *mcp.CallToolRequest, in args) (*mcp.CallToolResult, any, error) {
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "wrote " + path.Clean(in.Path)}}}, nil, nil
	})

	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(ctx, there, nil); err != nil {
		log.Fatal(err)
	}
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		Capabilities: &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		ElicitationHandler: func(ctx context.Context, _ *mcp.ElicitRequest) (*mcp.ElicitResult, error) {
			issued, err := as.WaitForRequest(ctx)
			if err != nil {
				return nil, err
			}
			fmt.Println("  the person is asked for", strings.Join(issued.Scopes, " "))
			return &mcp.ElicitResult{Action: "accept"}, as.Approve(issued.UserCode)
		},
	})
	session, err := client.Connect(ctx, here, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer session.Close()
	for _, name := range []string{"../etc/passwd", "plan", "drafts/../shared/plan", "shared/more"} {
		fmt.Println(name)
		result, err := session.CallTool(ctx, &mcp.CallToolParams{Name: "write_note", Arguments: args{name}})
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(" ", result.Content[0].(*mcp.TextContent).Text)
	}

	// Output:
	// ../etc/passwd
	//   What this call needs of Notes cannot be told from its arguments, and nothing was done: name a path below the notes
	// plan
	//   the person is asked for notes:write
	//   wrote plan
	// drafts/../shared/plan
	//   the person is asked for notes:read notes:write
	//   wrote shared/plan
	// shared/more
	//   wrote shared/more
}
