package lazyauth_test

import (
	"context"
	"io"
	"log"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Microsoft Entra issues tokens for one resource at a time, and refuses a request for the
// scopes of two: each resource is a service with grants of its own. A server may have
// several; the person signs in to each when a tool first needs it. If grants are to outlive
// the process, each of the two needs a store of its own, such as a keychain entry by another
// name: to a store they are one, since their issuer and client are the same.
func Example_twoServices() {
	const issuer, client = "https://login.microsoftonline.com/contoso.example/v2.0", "3f1c0c52-9b6f-4f0a-8f0d-6a1d7e1b2c3d"
	mail, err := lazyauth.New(lazyauth.Service{
		Name:       "Microsoft Graph",
		Issuer:     issuer,
		ClientID:   client,
		Scopes:     scopes.Of("offline_access"),
		APIOrigins: []string{"https://graph.microsoft.com"},
		Hierarchy:  scopes.Entra(),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer mail.Close()
	notes, err := lazyauth.New(lazyauth.Service{
		Name:       "Contoso Notes",
		Issuer:     issuer,
		ClientID:   client,
		Scopes:     scopes.Of("offline_access"),
		APIOrigins: []string{"https://notes.contoso.example"},
		Hierarchy:  scopes.Entra(),
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer notes.Close()

	server := mcp.NewServer(&mcp.Implementation{Name: "office", Version: "1.0.0"}, nil)
	lazyauth.AddTool(server, mail, &mcp.Tool{Name: "read_mail"}, scopes.Of("Mail.Read"), getting("https://graph.microsoft.com/v1.0/me/messages"))
	lazyauth.AddTool(server, notes, &mcp.Tool{Name: "read_notes"}, scopes.Of("api://notes/Notes.Read"), getting("https://notes.contoso.example/notes"))

	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Print(err)
	}
}

// getting returns a handler that gets what is there, with the grant of its tool's service.
func getting(address string) mcp.ToolHandlerFor[struct{}, any] {
	return func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		res, err := lazyauth.Client(ctx).Get(address)
		if err != nil {
			return nil, nil, err
		}
		defer res.Body.Close()
		text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		if err != nil {
			return nil, nil, err
		}
		return nil, map[string]string{"text": string(text)}, nil
	}
}
