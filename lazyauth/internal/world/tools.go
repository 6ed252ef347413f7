package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// NoArgs are the arguments of a tool that takes none.
type NoArgs struct{}

// A Note is what create_note takes.
type Note struct {
	Text string `json:"text"`
}

// An Answer is what the tools return: what the API answered.
type Answer struct {
	Text string `json:"text"`
}

// AddTools adds ping, which is for everybody, and whoami, list_notes and create_note, which
// each need one scope.
func (w *World) AddTools() {
	mcp.AddTool(w.Server, &mcp.Tool{Name: "ping"}, func(context.Context, *mcp.CallToolRequest, NoArgs) (*mcp.CallToolResult, Answer, error) {
		return nil, Answer{"pong"}, nil
	})
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"), Counted(w, "whoami",
		func(ctx context.Context, _ *mcp.CallToolRequest, _ NoArgs) (*mcp.CallToolResult, Answer, error) {
			return w.Get(ctx, "/me")
		}))
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "list_notes"}, scopes.Of("notes:read"), Counted(w, "list_notes",
		func(ctx context.Context, _ *mcp.CallToolRequest, _ NoArgs) (*mcp.CallToolResult, Answer, error) {
			return w.Get(ctx, "/notes")
		}))
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "create_note"}, scopes.Of("notes:write"), Counted(w, "create_note",
		func(ctx context.Context, _ *mcp.CallToolRequest, in Note) (*mcp.CallToolResult, Answer, error) {
			return w.Post(ctx, in)
		}))
}

// Counted counts the starts and ends of a handler.
func Counted[In, Out any](w *World, tool string, h mcp.ToolHandlerFor[In, Out]) mcp.ToolHandlerFor[In, Out] {
	return func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		defer w.Begins(tool)()
		result, out, err := h(ctx, req, in)
		if err != nil {
			w.SawError(err)
		}
		return result, out, err
	}
}

// Begins counts a start of a handler, and returns what counts its end.
func (w *World) Begins(tool string) (ends func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.started[tool]++
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.ended[tool]++
	}
}

// SawError notes an error that a program saw, for the canary.
func (w *World) SawError(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.errs = append(w.errs, fmt.Sprintf("%v %+v %#v", err, err, err))
}

// Get asks the API, as a handler with the grant of its call.
func (w *World) Get(ctx context.Context, path string) (*mcp.CallToolResult, Answer, error) {
	req, err := http.NewRequestWithContext(ctx, "GET", w.AS.API()+path, nil)
	if err != nil {
		return nil, Answer{}, err
	}
	return ReadAnswer(lazyauth.Client(ctx).Do(req))
}

// ReadAnswer makes of a response what a handler returns.
func ReadAnswer(res *http.Response, err error) (*mcp.CallToolResult, Answer, error) {
	if err != nil {
		return nil, Answer{}, fmt.Errorf("asking the API: %w", err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, Answer{}, err
	}
	if res.StatusCode/100 != 2 {
		return nil, Answer{}, fmt.Errorf("the API answered %s", res.Status)
	}
	return nil, Answer{string(body)}, nil
}

// Starts returns how often the handler of a tool was started.
func (w *World) Starts(tool string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.started[tool]
}

// Stops returns how often it has ended.
func (w *World) Stops(tool string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ended[tool]
}

// WithDigest adds a tool that declares too little: it creates a note, and then
// lists them all, which the API answers with a challenge.
func WithDigest(w *World) {
	w.AddTools()
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "digest"}, scopes.Of("notes:write"), Counted(w, "digest",
		func(ctx context.Context, _ *mcp.CallToolRequest, in Note) (*mcp.CallToolResult, Answer, error) {
			if _, _, err := w.Post(ctx, in); err != nil {
				return nil, Answer{}, err
			}
			return w.Get(ctx, "/notes")
		}))
}

// Post creates a note, as a handler with the grant of its call.
func (w *World) Post(ctx context.Context, in Note) (*mcp.CallToolResult, Answer, error) {
	body, err := json.Marshal(in)
	if err != nil {
		return nil, Answer{}, err
	}
	req, err := http.NewRequestWithContext(ctx, "POST", w.AS.API()+"/notes", bytes.NewReader(body))
	if err != nil {
		return nil, Answer{}, err
	}
	req.Header.Set("Content-Type", "application/json")
	return ReadAnswer(lazyauth.Client(ctx).Do(req))
}

// WantDigest demands that so many notes were created, by so many runs of digest.
func (w *World) WantDigest(notes, starts int) {
	w.T.Helper()
	w.wantNotes("digest", notes, starts)
}

func (w *World) wantNotes(tool string, notes, starts int) {
	w.T.Helper()
	if n := w.AS.Count(fakeas.CreateNote, fakeas.OK); n != notes {
		w.T.Errorf("%d notes were created, want %d", n, notes)
	}
	if n := w.Starts(tool); n != starts {
		w.T.Errorf("the handler started %d times, want %d", n, starts)
	}
}

// WithSaga adds a tool that has a side effect, and only then finds out that it
// needs more.
func WithSaga(w *World) {
	w.AddTools()
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "saga"}, scopes.Of("notes:write"), Counted(w, "saga",
		func(ctx context.Context, _ *mcp.CallToolRequest, in Note) (*mcp.CallToolResult, Answer, error) {
			if _, _, err := w.Post(ctx, in); err != nil {
				return nil, Answer{}, err
			}
			if err := lazyauth.Require(ctx, scopes.Of("notes:read", "notes:write")); err != nil {
				return nil, Answer{}, err
			}
			return w.Get(ctx, "/notes")
		}))
}

// WantSaga demands that so many notes were created, by so many runs of saga.
func (w *World) WantSaga(notes, starts int) {
	w.T.Helper()
	w.wantNotes("saga", notes, starts)
}

// WithConfirm adds a tool whose handler has a round of its own.
func WithConfirm(w *World) {
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "confirm"}, scopes.Of("profile"), Counted(w, "confirm",
		func(_ context.Context, req *mcp.CallToolRequest, _ NoArgs) (*mcp.CallToolResult, Answer, error) {
			if sure, ok := req.Params.InputResponses["sure"].(*mcp.ElicitResult); ok {
				return nil, Answer{sure.Action + " " + req.Params.RequestState}, nil
			}
			if len(req.Params.InputResponses) != 0 || req.Params.RequestState != "" {
				w.T.Errorf("the handler sees what is not its own: %+v", req.Params)
			}
			return &mcp.CallToolResult{
				InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}},
				RequestState:  "step-2",
			}, Answer{}, nil
		}))
}
