package interop_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A way is how the tools of an author come behind an interceptor.
type way string

const (
	byAddTool   way = "AddTool"
	byHandler   way = "Handler"
	byIntercept way = "Intercept"
)

var ways = []way{byAddTool, byHandler, byIntercept}

// An outcome is what a call comes to. A server of newOutcomes has a tool for each, of the
// same name, with an account of its own, so that what one comes to changes nothing for the
// others.
type outcome string

const (
	approved    outcome = "approved"
	denied      outcome = "denied"
	declined    outcome = "declined"
	expired     outcome = "expired"
	narrowed    outcome = "narrowed"
	pending     outcome = "pending"
	unavailable outcome = "unavailable"
	malformed   outcome = "malformed" // its arguments are
	missing     outcome = "missing"   // the policy knows it, and the server does not
)

// outcomes are those with a tool, each with what it needs.
var outcomes = map[outcome]scopes.Set{
	approved:    scopes.Of("profile"),
	denied:      scopes.Of("profile"),
	declined:    scopes.Of("profile"),
	expired:     scopes.Of("profile"),
	narrowed:    scopes.Of("profile", "notes:read"),
	pending:     scopes.Of("profile"),
	unavailable: scopes.Of("profile"),
	malformed:   scopes.Of("profile"),
}

// waysMaxWait is how long calls of newOutcomes wait: longer than an approval takes that
// is found by the second poll, or a code of briefLife.
const waysMaxWait = 15 * time.Second

type said struct {
	Text string `json:"text"`
}

type heard struct {
	Name string `json:"name"` // of who signed in
	Text string `json:"text"` // as it arrived
}

// newOutcomes returns a server that came behind an interceptor in this way. The caller must
// close the interceptor.
func newOutcomes(w way, service lazyauth.Service, o *lazyauth.Options) (*mcp.Server, *lazyauth.Interceptor, error) {
	service.Scopes = scopes.Set{} // what they need, and nothing else
	o.MaxWait = waysMaxWait
	o.Account = func(_ context.Context, req *mcp.CallToolRequest) (string, error) { return req.Params.Name, nil }
	auth, err := lazyauth.New(service, o)
	if err != nil {
		return nil, nil, err
	}
	me := service.APIOrigins[0] + "/me"
	typed := func(ctx context.Context, _ *mcp.CallToolRequest, in said) (_ *mcp.CallToolResult, out heard, err error) {
		err = fetch(ctx, http.MethodGet, me, nil, &out)
		out.Text = in.Text
		return nil, out, err
	}
	server := mcp.NewServer(&mcp.Implementation{Name: "outcomes", Version: "1.0.0"}, nil)
	policy := scopes.Policy{Tools: map[string]scopes.Requirement{string(missing): scopes.Of("profile")}}
	for name, need := range outcomes {
		tool := &mcp.Tool{Name: string(name)}
		switch w {
		case byAddTool:
			lazyauth.AddTool(server, auth, tool, need, typed)
		case byHandler:
			tool.InputSchema = json.RawMessage(`{"type":"object","properties":{"text":{"type":"string"}},"required":["text"]}`)
			tool.OutputSchema = json.RawMessage(`{"type":"object","properties":{"name":{"type":"string"},"text":{"type":"string"}},"required":["name","text"]}`)
			server.AddTool(tool, auth.Handler(tool.Name, need, raw(typed)))
		case byIntercept:
			mcp.AddTool(server, tool, typed)
			policy.Tools[tool.Name] = need
		default:
			return nil, nil, fmt.Errorf("there is no way %q", w)
		}
	}
	if w == byIntercept {
		auth.Intercept(server, policy)
	}
	return server, auth, nil
}

// raw returns the handler as authors write it without the SDK's help: it reads the
// arguments by itself, and what it cannot read is an error of the protocol.
func raw(typed mcp.ToolHandlerFor[said, heard]) mcp.ToolHandler {
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		var in said
		if err := json.Unmarshal(req.Params.Arguments, &in); err != nil {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: unreadable}
		}
		_, out, err := typed(ctx, req, in)
		if err != nil {
			return nil, err
		}
		text, err := json.Marshal(out)
		if err != nil {
			return nil, err
		}
		return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: string(text)}}, StructuredContent: out}, nil
	}
}

// unreadable is what a raw handler says of arguments that it cannot read.
const unreadable = "the text is no text"
