package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var (
	listNotesTool = &mcp.Tool{
		Name:        "list_notes",
		Description: "Lists the user's notes.",
		Annotations: &mcp.ToolAnnotations{Title: "List notes", ReadOnlyHint: true, OpenWorldHint: new(true)},
	}
	ensureNoteTool = &mcp.Tool{
		Name:        "ensure_note",
		Description: "Makes sure that a note is there: looks, and writes it if not.",
		Annotations: &mcp.ToolAnnotations{Title: "Ensure note", DestructiveHint: new(false), IdempotentHint: true, OpenWorldHint: new(true)},
	}
	startsTool = &mcp.Tool{
		Name:        "starts",
		Description: "Counts the starts of ensure_note. Needs no sign-in.",
		Annotations: &mcp.ToolAnnotations{Title: "Starts", ReadOnlyHint: true, OpenWorldHint: new(false)},
	}
)

// maxAnswer bounds how much of an answer is read, in bytes.
const maxAnswer = 1 << 20

// A notesAPI is the API that the tools are made of.
type notesAPI struct {
	base   string
	starts atomic.Int64 // of ensure
}

type nothing struct{}

type note struct {
	ID   int    `json:"id" jsonschema:"the note's identifier"`
	Text string `json:"text" jsonschema:"what the note says"`
}

type noteList struct {
	Notes []note `json:"notes" jsonschema:"the notes, oldest first"`
}

func (n *notesAPI) list(ctx context.Context, _ *mcp.CallToolRequest, _ nothing) (*mcp.CallToolResult, noteList, error) {
	list := noteList{Notes: []note{}} // an empty list is [], not null
	err := n.do(ctx, http.MethodGet, nil, &list)
	return nil, list, err
}

type wanted struct {
	Text string `json:"text" jsonschema:"what the note says"`
}

type ensured struct {
	note

	Created bool `json:"created" jsonschema:"whether the note had to be written"`
}

// ensure is registered with notes:read alone. Where it writes, the API may
// answer that this needs notes:write: the client in its context then asks the
// user for that, and sends the same request again. The handler notices a long
// wait and nothing else; it is not run again, so what it did before is done
// once.
func (n *notesAPI) ensure(ctx context.Context, _ *mcp.CallToolRequest, in wanted) (*mcp.CallToolResult, ensured, error) {
	n.starts.Add(1)
	if strings.TrimSpace(in.Text) == "" {
		return nil, ensured{}, errors.New("text is empty: say what the note should say")
	}
	var list noteList
	if err := n.do(ctx, http.MethodGet, nil, &list); err != nil {
		return nil, ensured{}, err
	}
	for _, there := range list.Notes {
		if there.Text == in.Text {
			return nil, ensured{note: there}, nil
		}
	}
	out := ensured{Created: true}
	err := n.do(ctx, http.MethodPost, in, &out.note)
	return nil, out, err
}

type starts struct {
	EnsureNote int64 `json:"ensure_note" jsonschema:"how often the tool's handler was started"`
}

func (n *notesAPI) countStarts(context.Context, *mcp.CallToolRequest, nothing) (*mcp.CallToolResult, starts, error) {
	return nil, starts{n.starts.Load()}, nil
}

// do sends in, if not nil, as JSON to /notes and decodes the answer into out.
// examples/stdio tells more about what can go wrong here.
func (n *notesAPI) do(ctx context.Context, method string, in, out any) error {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return err
		}
		body = bytes.NewReader(text) // net/http can read it a second time
	}
	req, err := http.NewRequestWithContext(ctx, method, n.base+"/notes", body)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	resp, err := lazyauth.Client(ctx).Do(req)
	if err != nil {
		if e, ok := errors.AsType[*lazyauth.Error](err); ok {
			return e
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
