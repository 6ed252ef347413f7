package world

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An Endpoint is a stateless one of a world's server, behind a verifier that takes bearer
// tokens for user names. It is spoken to without a listener, so that it works in virtual
// time, and without a client library, so that a test decides what each request says.
type Endpoint struct {
	w       *World
	handler http.Handler
}

// Endpoint returns a new one.
func (w *World) Endpoint() *Endpoint {
	return w.EndpointBehind(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{UserID: token, Expiration: time.Now().Add(time.Hour)}, nil
	})
}

// Introspecting returns a verifier that takes bearer tokens of the world's authorization server,
// under the name that it has for its issuer.
func (w *World) Introspecting(issuer string) auth.TokenVerifier {
	return func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
		access, ok := w.AS.Introspect(token)
		if !ok {
			return nil, auth.ErrInvalidToken
		}
		expires := access.Expires
		if expires.IsZero() {
			expires = time.Now().Add(time.Hour)
		}
		return &auth.TokenInfo{UserID: access.Subject, Expiration: expires, Scopes: access.Scopes, Extra: map[string]any{"iss": issuer}}, nil
	}
}

// EndpointBehind returns a new one behind a verifier.
func (w *World) EndpointBehind(verify auth.TokenVerifier) *Endpoint {
	return &Endpoint{w, auth.RequireBearerToken(verify, nil)(mcp.NewStreamableHTTPHandler(
		func(*http.Request) *mcp.Server { return w.Server },
		&mcp.StreamableHTTPOptions{Stateless: true, PropagateRequestCancellation: true}))}
}

// Behind has another handler stand before the endpoint's.
func (e *Endpoint) Behind(wrap func(http.Handler) http.Handler) { e.handler = wrap(e.handler) }

// ServeHTTP implements [http.Handler], for requests that the test has not sent itself.
func (e *Endpoint) ServeHTTP(w http.ResponseWriter, r *http.Request) { e.handler.ServeHTTP(w, r) }

// A Request is one request for a tool call of revision 2026-07-28.
type Request struct {
	User  string // whose name is the bearer token, or that itself; empty: ada
	Tool  string // empty: whoami
	Caps  string // JSON of the elicitation capability; empty: none declared
	Token string // for progress, if any
	Text  string // the one argument; empty: none

	State  string // of a round before it
	Action string // what the host answers its prompt; empty: nothing
	Sure   string // what it answers the tool's own; empty: nothing
}

// Elicitation capabilities.
const (
	URLAndForm = `{"url":{},"form":{}}`
	URLAlone   = `{"url":{}}`
	FormAlone  = `{"form":{}}`
)

// Send makes a request and returns where its reply will be: closed without one if ctx
// ends first.
func (e *Endpoint) Send(ctx context.Context, r Request) <-chan Reply {
	if r.User == "" {
		r.User = "ada"
	}
	if r.Tool == "" {
		r.Tool = "whoami"
	}
	capabilities := map[string]any{}
	if r.Caps != "" {
		capabilities["elicitation"] = json.RawMessage(r.Caps)
	}
	meta := map[string]any{mcp.MetaKeyProtocolVersion: Modern, mcp.MetaKeyClientCapabilities: capabilities}
	if r.Token != "" {
		meta["progressToken"] = r.Token
	}
	arguments := map[string]any{}
	if r.Text != "" {
		arguments["text"] = r.Text
	}
	params := map[string]any{"name": r.Tool, "arguments": arguments, "_meta": meta}
	if r.State != "" {
		params["requestState"] = r.State
	}
	responses := map[string]any{}
	if r.Action != "" {
		responses[ResponseKey] = map[string]any{"action": r.Action}
	}
	if r.Sure != "" {
		responses["sure"] = map[string]any{"action": r.Sure}
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
		"Authorization": "Bearer " + r.User, "Content-Type": "application/json", "Accept": "application/json, text/event-stream",
		"MCP-Protocol-Version": Modern, "Mcp-Method": "tools/call", "Mcp-Name": r.Tool,
	} {
		req.Header.Set(name, value)
	}
	out := make(chan Reply, 1)
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
func (e *Endpoint) read(answer *httptest.ResponseRecorder) Reply {
	var found *Reply
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
		_, _ = e.w.Wire.Write([]byte("write: " + text))
		switch {
		case m.ID == nil:
		case m.Error != nil:
			found = &Reply{nil, m.Error}
		default:
			found = &Reply{m.Result, nil}
		}
	}
	if found == nil {
		return Reply{nil, fmt.Errorf("no response, with status %d: %s", answer.Code, answer.Body)}
	}
	return *found
}

// Asks sends requests one after the other, and lets each come to rest.
func (e *Endpoint) Asks(t *testing.T, r Request) <-chan Reply {
	t.Helper()
	out := e.Send(t.Context(), r)
	synctest.Wait()
	return out
}
