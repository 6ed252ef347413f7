package world

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A Reply is what a call came to.
type Reply struct {
	Result *mcp.CallToolResult
	Err    error
}

// Text returns what the model reads.
func (r Reply) Text() string {
	if r.Result == nil {
		return ""
	}
	var b strings.Builder
	for _, c := range r.Result.Content {
		if t, ok := c.(*mcp.TextContent); ok {
			b.WriteString(t.Text)
		}
	}
	return b.String()
}

// Succeeds demands a result with want in its text.
func (r Reply) Succeeds(t *testing.T, want string) {
	t.Helper()
	switch {
	case r.Err != nil:
		t.Errorf("the call failed: %v", r.Err)
	case r.Result.IsError:
		t.Errorf("the call failed: %s (%v)", r.Text(), r.Result.Meta[lazyauth.MetaReason])
	case !strings.Contains(r.Text(), want):
		t.Errorf("the call returned %q, want %q in it", r.Text(), want)
	}
}

// Fails demands a failed call with this reason.
func (r Reply) Fails(t *testing.T, want lazyauth.Reason) {
	t.Helper()
	switch {
	case r.Err != nil:
		t.Errorf("the call failed with a protocol error: %v", r.Err)
	case !r.Result.IsError || r.Result.Meta[lazyauth.MetaReason] != string(want):
		t.Errorf("the call returned %q (error: %t, reason %v), want reason %s", r.Text(), r.Result.IsError, r.Result.Meta[lazyauth.MetaReason], want)
	case r.Result.StructuredContent != nil:
		t.Errorf("a failed call has structured content: %v", r.Result.StructuredContent)
	}
}

// Form returns the form of a reply, and demands that a person can sign in with what it
// says, that it has no link (MCP client/elicitation, "Safe URL handling"), and that it asks
// for nothing but consent.
func (r Reply) Form(t *testing.T, w *World) *mcp.ElicitParams {
	t.Helper()
	r.State(t)
	p, ok := r.Result.InputRequests[ResponseKey].(*mcp.ElicitParams)
	if !ok || p.Mode != "form" || p.URL != "" || p.ElicitationID != "" {
		t.Fatalf("not a form: %+v", r.Result.InputRequests)
	}
	schema, _ := json.Marshal(p.RequestedSchema)
	if string(schema) != `{"properties":{},"type":"object"}` && string(schema) != `{"type":"object","properties":{}}` {
		t.Errorf("the schema is %s", schema)
	}
	for _, want := range []string{"Notes", "as.example.test/device", w.Person().UserCode, "Leave this open until you have approved there, then accept"} {
		if !strings.Contains(p.Message, want) {
			t.Errorf("the form says %q, without %q", p.Message, want)
		}
	}
	if strings.Contains(p.Message, "://") {
		t.Errorf("the form has a link: %q", p.Message)
	}
	return p
}

// State returns the state of a reply that asks for input.
func (r Reply) State(t *testing.T) string {
	t.Helper()
	if r.Err != nil || !r.Result.NeedsInput() || r.Result.RequestState == "" {
		t.Fatalf("the reply asks for no input: %q, %v", r.Text(), r.Err)
	}
	return r.Result.RequestState
}

// RefusesState demands that the state of the request was refused.
func (r Reply) RefusesState(t *testing.T) {
	t.Helper()
	if e, ok := errors.AsType[*jsonrpc.Error](r.Err); !ok || e.Code != jsonrpc.CodeInvalidParams {
		t.Errorf("a state that is not good got %q, %v; want error %d", r.Text(), r.Err, jsonrpc.CodeInvalidParams)
	}
}

// WantNoCode demands that the model of this reply is not told the code.
func (r Reply) WantNoCode(t *testing.T) {
	t.Helper()
	if UserCode.MatchString(r.Text()) {
		t.Errorf("the model of a host that shows prompts is told %q", r.Text())
	}
}
