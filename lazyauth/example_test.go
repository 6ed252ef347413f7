package lazyauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type Note struct {
	Text string `json:"text" jsonschema:"what the note says"`
}

// A whole server over stdio. Nothing happens at start-up; the first call of
// create_note prompts, and goes on when the person has approved.
func Example() {
	auth, err := lazyauth.New(lazyauth.Service{
		Name:       "Notes",
		Issuer:     "https://auth.example.com",
		ClientID:   "notes-mcp",
		Scopes:     scopes.Of("profile"),
		APIOrigins: []string{"https://api.example.com"},
		// A browser on this machine, where there is one; else a code for any browser.
		Flows:       []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice},
		RedirectURI: "http://127.0.0.1/callback",
	}, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()

	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{
		Name:        "create_note",
		Description: "Creates a note.",
	}, scopes.Of("notes:write"), createNote)

	if err := server.Run(context.Background(), &mcp.StdioTransport{}); err != nil {
		log.Print(err)
	}
}

func createNote(ctx context.Context, _ *mcp.CallToolRequest, in Note) (*mcp.CallToolResult, Note, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, Note{}, err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://api.example.com/notes", bytes.NewReader(body))
	if err != nil {
		return nil, Note{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	res, err := lazyauth.Client(ctx).Do(req) // adds the token, for this API only
	if err != nil {
		return nil, Note{}, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusCreated {
		return nil, Note{}, fmt.Errorf("the API answered %s", res.Status)
	}
	return nil, in, nil
}
