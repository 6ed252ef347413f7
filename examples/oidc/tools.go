package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var (
	whoamiTool    = &mcp.Tool{Name: "whoami", Title: "Who am I?", Description: "Tells whose notes these are."}
	listNotesTool = &mcp.Tool{Name: "list_notes", Title: "List notes", Description: "Lists the user's notes."}
)

// A notesAPI is the API that the tools call, for whoever calls them.
type notesAPI struct{ base string }

type person struct {
	Subject string `json:"sub"`
}

type notes struct {
	Notes []note `json:"notes"`
}

type note struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

func (n notesAPI) whoami(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (_ *mcp.CallToolResult, me person, err error) {
	err = n.get(ctx, "/me", &me)
	return nil, me, err
}

func (n notesAPI) list(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (_ *mcp.CallToolResult, all notes, err error) {
	err = n.get(ctx, "/notes", &all.Notes)
	return nil, all, err
}

// get gets something with the person's grant: [lazyauth.Client] waits for their sign-in if there is none.
func (n notesAPI) get(ctx context.Context, path string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, n.base+path, nil)
	if err != nil {
		return err
	}
	res, err := lazyauth.Client(ctx).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("the notes service answered with HTTP status %d", res.StatusCode)
	}
	return json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(out)
}
