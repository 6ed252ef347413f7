package main

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What hosts are told about the tools. Many ask the user before they run a
// tool that is not marked read-only, and some refuse to run one unattended.
var (
	pingTool = &mcp.Tool{
		Name:        "ping",
		Title:       "Ping",
		Description: "Answers pong. Needs no sign-in.",
		Annotations: readOnly("Ping", inside),
	}
	whoamiTool = &mcp.Tool{
		Name:        "whoami",
		Title:       "Who am I",
		Description: "Tells who is signed in to Notes.",
		Annotations: readOnly("Who am I", outside),
	}
	listNotesTool = &mcp.Tool{
		Name:        "list_notes",
		Title:       "List notes",
		Description: "Lists the notes of the user who is signed in to Notes.",
		Annotations: readOnly("List notes", outside),
	}
	createNoteTool = &mcp.Tool{
		Name:        "create_note",
		Title:       "Create note",
		Description: "Adds a note for the user who is signed in to Notes.",
		Annotations: &mcp.ToolAnnotations{
			Title:           "Create note",
			DestructiveHint: new(false), // it only adds
			IdempotentHint:  false,      // twice makes two notes
			OpenWorldHint:   new(outside),
		},
	}
)

// Whether a tool reaches beyond this process.
const (
	inside  = false
	outside = true
)

func readOnly(title string, openWorld bool) *mcp.ToolAnnotations {
	return &mcp.ToolAnnotations{Title: title, ReadOnlyHint: true, IdempotentHint: true, OpenWorldHint: &openWorld}
}

type nothing struct{}

func ping(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, any, error) {
	return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "pong"}}}, nil, nil
}

type person struct {
	Subject string `json:"sub" jsonschema:"the user's stable identifier"`
	Name    string `json:"name,omitempty" jsonschema:"the user's name"`
}

func (n notesAPI) whoami(ctx context.Context, _ *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, person, error) {
	var who person
	err := n.do(ctx, http.MethodGet, "/me", nil, &who)
	return nil, who, err
}

type note struct {
	ID   int    `json:"id" jsonschema:"the note's identifier"`
	Text string `json:"text" jsonschema:"what the note says"`
}

type noteList struct {
	Notes []note `json:"notes" jsonschema:"the notes, oldest first"`
}

func (n notesAPI) list(ctx context.Context, _ *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, noteList, error) {
	list := noteList{Notes: []note{}} // an empty list is [], not null
	err := n.do(ctx, http.MethodGet, "/notes", nil, &list)
	return nil, list, err
}

type newNote struct {
	Text string `json:"text" jsonschema:"what the note says"`
}

func (n notesAPI) create(ctx context.Context, _ *mcp.CallToolRequest, in newNote) (*mcp.CallToolResult, note, error) {
	if strings.TrimSpace(in.Text) == "" {
		return nil, note{}, errors.New("text is empty: say what the note should say")
	}
	var created note
	err := n.do(ctx, http.MethodPost, "/notes", in, &created)
	return nil, created, err
}
