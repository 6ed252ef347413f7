package lazyauth_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An endpoint is a stateless one of a world's server, behind a verifier that takes bearer
// tokens for user names. It is spoken to without a listener, so that it works in virtual
// time, and without a client library, so that a test decides what each request says.
type endpoint struct {
	w       *world
	handler http.Handler
}

func (w *world) endpoint() *endpoint {
	verify := func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{UserID: token, Expiration: time.Now().Add(time.Hour)}, nil
	}
	return &endpoint{w, auth.RequireBearerToken(verify, nil)(mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return w.server },
		&mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true}))}
}

// A round is one request for a tool call of revision 2026-07-28.
type round struct {
	user  string // empty: ada
	tool  string // empty: whoami
	caps  string // JSON of the elicitation capability; empty: none declared
	token string // for progress, if any
	text  string // the one argument; empty: none

	state  string // of a round before it
	action string // what the host answers its prompt; empty: nothing
	sure   string // what it answers the tool's own; empty: nothing
}

// Elicitation capabilities.
const (
	urlAndForm = `{"url":{},"form":{}}`
	urlAlone   = `{"url":{}}`
	formAlone  = `{"form":{}}`
)

// send makes a request and returns where its reply will be: closed without one if ctx
// ends first.
func (e *endpoint) send(ctx context.Context, r round) <-chan reply {
	if r.user == "" {
		r.user = "ada"
	}
	if r.tool == "" {
		r.tool = "whoami"
	}
	capabilities := map[string]any{}
	if r.caps != "" {
		capabilities["elicitation"] = json.RawMessage(r.caps)
	}
	meta := map[string]any{mcp.MetaKeyProtocolVersion: modern, mcp.MetaKeyClientCapabilities: capabilities}
	if r.token != "" {
		meta["progressToken"] = r.token
	}
	arguments := map[string]any{}
	if r.text != "" {
		arguments["text"] = r.text
	}
	params := map[string]any{"name": r.tool, "arguments": arguments, "_meta": meta}
	if r.state != "" {
		params["requestState"] = r.state
	}
	responses := map[string]any{}
	if r.action != "" {
		responses[responseKey] = map[string]any{"action": r.action}
	}
	if r.sure != "" {
		responses["sure"] = map[string]any{"action": r.sure}
	}
	if len(responses) > 0 {
		params["inputResponses"] = responses
	}
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params})
	if err != nil {
		panic(err)
	}
	req := httptest.NewRequestWithContext(ctx, http.MethodPost, "http://127.0.0.1/", bytes.NewReader(body))
	for name, value := range map[string]string{
		"Authorization": "Bearer " + r.user, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": modern, "Mcp-Method": "tools/call", "Mcp-Name": r.tool,
	} {
		req.Header.Set(name, value)
	}
	out := make(chan reply, 1)
	go func() {
		defer close(out)
		answer := httptest.NewRecorder()
		e.handler.ServeHTTP(answer, req)
		if ctx.Err() != nil {
			return
		}
		out <- e.read(answer)
	}()
	return out
}

// read finds the response in what the endpoint sent, as JSON or as a stream of events.
func (e *endpoint) read(answer *httptest.ResponseRecorder) reply {
	var found *reply
	for line := range strings.Lines(answer.Body.String()) {
		text := strings.TrimPrefix(strings.TrimSpace(line), "data: ")
		var m struct {
			ID     any                 `json:"id"`
			Result *mcp.CallToolResult `json:"result"`
			Error  *jsonrpc.Error      `json:"error"`
		}
		if json.Unmarshal([]byte(text), &m) != nil {
			continue
		}
		_, _ = e.w.wire.Write([]byte("write: " + text))
		switch {
		case m.ID == nil:
		case m.Error != nil:
			found = &reply{nil, m.Error}
		default:
			found = &reply{m.Result, nil}
		}
	}
	if found == nil {
		return reply{nil, fmt.Errorf("no response, with status %d: %s", answer.Code, answer.Body)}
	}
	return *found
}
