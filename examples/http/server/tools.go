package server

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What hosts are told about the tools. They reach beyond this process.
var (
	whoamiTool = &mcp.Tool{
		Name:        "whoami",
		Description: "Tells who is signed in to Notes.",
		Annotations: &mcp.ToolAnnotations{Title: "Who am I", ReadOnlyHint: true, OpenWorldHint: new(true)},
	}
	listNotesTool = &mcp.Tool{
		Name:        "list_notes",
		Description: "Lists the notes of the user who is signed in to Notes.",
		Annotations: &mcp.ToolAnnotations{Title: "List notes", ReadOnlyHint: true, OpenWorldHint: new(true)},
	}
	createNoteTool = &mcp.Tool{
		Name:        "create_note",
		Description: "Adds a note for the user who is signed in to Notes.",
		Annotations: &mcp.ToolAnnotations{Title: "Create note", DestructiveHint: new(false), OpenWorldHint: new(true)},
	}
)

type nothing struct{}

type person struct {
	Subject string `json:"sub" jsonschema:"the user's stable identifier"`
	Name    string `json:"name,omitempty" jsonschema:"the user's name"`
}

type note struct {
	ID   int    `json:"id" jsonschema:"the note's identifier"`
	Text string `json:"text" jsonschema:"what the note says"`
}

type noteList struct {
	Notes []note `json:"notes" jsonschema:"the notes, oldest first"`
}

type newNote struct {
	Text string `json:"text" jsonschema:"what the note says"`
}

// A notesAPI is the API that the tools are made of. Nothing in it is about
// people: the context's client carries the token of the person who calls.
type notesAPI struct{ base string }

func (n notesAPI) whoami(ctx context.Context, _ *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, person, error) {
	var who person
	err := n.do(ctx, http.MethodGet, "/me", nil, &who)
	return nil, who, err
}

func (n notesAPI) list(ctx context.Context, _ *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, noteList, error) {
	list := noteList{Notes: []note{}} // an empty list is [], not null
	err := n.do(ctx, http.MethodGet, "/notes", nil, &list)
	return nil, list, err
}

func (n notesAPI) create(ctx context.Context, _ *mcp.CallToolRequest, in newNote) (*mcp.CallToolResult, note, error) {
	if strings.TrimSpace(in.Text) == "" {
		return nil, note{}, errors.New("text is empty: say what the note should say")
	}
	var created note
	err := n.do(ctx, http.MethodPost, "/notes", in, &created)
	return nil, created, err
}

// maxAnswer bounds how much of an answer is read, in bytes.
const maxAnswer = 1 << 20

// do sends in, if not nil, as JSON and decodes the answer into out. It may wait
// for the person, as long as the call may. Its errors are for a model to read and
// repeat nothing that the API wrote, which may be meant to instruct.
func (n notesAPI) do(ctx context.Context, method, path string, in, out any) error {
	body := io.Reader(http.NoBody)
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text)
	}
	req, err := http.NewRequestWithContext(ctx, method, n.base+path, body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	resp, err := lazyauth.Client(ctx).Do(req)
	if err != nil {
		if e, ok := errors.AsType[*lazyauth.Error](err); ok {
			return e // it says what to do, and carries a reason for programs
		}
		return errors.New("the notes service cannot be reached: try again later")
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return fmt.Errorf("the notes service refused the request (HTTP %d)", resp.StatusCode)
	}
	if err := json.NewDecoder(io.LimitReader(resp.Body, maxAnswer)).Decode(out); err != nil {
		return errors.New("the notes service sent an answer that is not understood")
	}
	return nil
}
