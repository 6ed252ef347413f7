package lazyauth

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Handler wraps a raw tool handler, for [mcp.Server.AddTool], as [AddTool] wraps
// a typed one: it runs once there is a grant that covers need. What the handler
// returns is passed on as it is, but for an error that is, or wraps, an [*Error],
// which becomes the call's result.
//
// A raw handler validates its arguments itself, and so only after the person
// was asked. Prefer [AddTool], which asks nobody because of a typo.
func (i *Interceptor) Handler(tool string, need scopes.Requirement, handler mcp.ToolHandler) mcp.ToolHandler {
	i.tools.Store(tool, struct{}{})
	g := i.newGate(tool, need)
	return func(ctx context.Context, req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
		out := g.around(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
			result, err := handler(ctx, req)
			return outcome{result: result, err: err}
		})
		return out.raw()
	}
}

// Intercept returns a receiving middleware for [mcp.Server.AddReceivingMiddleware]
// that gates the tools of an existing server by policy, without touching their
// registration. A listed tool runs once there is a grant for it; its arguments
// are held against its input schema first, so that nobody is asked because of a
// typo. A tool that is not listed runs at once, and what it may use, if anything,
// is asked for when it first uses [Client], [TokenSource] or [Require]; if the
// policy allows it nothing, or its caller is not known, these refuse. Tools registered with
// [AddTool] or [Interceptor.Handler] are left alone.
//
// Put it first: middleware that comes before it sees results that are neither
// complete nor failed, but prompts.
func (i *Interceptor) Intercept(policy scopes.Policy) mcp.Middleware {
	gates := make(map[string]*gate, len(policy.Tools))
	for tool := range policy.Tools {
		if need, listed := policy.Need(tool); listed {
			gates[tool] = i.newGate(tool, need)
		}
	}
	if policy.Unlisted != nil {
		i.newGate("", policy.Unlisted) // counts for the limit of challenges
	}
	return func(next mcp.MethodHandler) mcp.MethodHandler {
		return func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			req, ok := r.(*mcp.CallToolRequest)
			if !ok || method != "tools/call" {
				return next(ctx, method, r)
			}
			if _, own := i.tools.Load(req.Params.Name); own {
				return next(ctx, method, r)
			}
			g := gates[req.Params.Name]
			if g == nil {
				g = &gate{auth: i, tool: req.Params.Name, need: policy.Unlisted, open: true}
			} else if !g.wellFormed(ctx, next, req) {
				return next(ctx, method, r) // where it is refused
			}
			out := g.around(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
				result, err := next(ctx, method, req)
				called, _ := result.(*mcp.CallToolResult)
				return outcome{result: called, err: err}
			})
			result, err := out.raw()
			if result == nil {
				return nil, err
			}
			if err == nil {
				markReason(result)
			}
			return result, err
		}
	}
}

// around runs a raw handler behind the gate, in the manner of req's era.
func (g *gate) around(ctx context.Context, req *mcp.CallToolRequest, run handler) outcome {
	if elicit.Modern(req.Params.Meta) {
		return g.serve(ctx, req, run)
	}
	c, err := g.admit(ctx, req)
	if err != nil {
		return outcome{err: err}
	}
	return run(c, req)
}

// raw returns the outcome as a raw handler does, for which an error is one of
// the protocol.
func (o outcome) raw() (*mcp.CallToolResult, error) {
	if _, ok := errors.AsType[*Error](o.err); ok {
		return errorResult(o.err), nil
	}
	return o.result, o.err
}

// wellFormed reports whether the tool of req exists and its arguments satisfy its
// input schema; a server that cannot say so is taken at its word. It is asked
// only when somebody would have to be prompted.
func (g *gate) wellFormed(ctx context.Context, next mcp.MethodHandler, req *mcp.CallToolRequest) bool {
	if o, err := g.auth.owner(ctx, req); err != nil || o.grant.Load().opens(g) {
		return true
	}
	params := &mcp.ListToolsParams{}
	for range 100 { // pages
		result, err := next(ctx, "tools/list", &mcp.ListToolsRequest{Session: req.Session, Params: params, Extra: req.Extra})
		list, ok := result.(*mcp.ListToolsResult)
		if err != nil || !ok {
			return true
		}
		for _, tool := range list.Tools {
			if tool.Name == req.Params.Name {
				return satisfies(req.Params.Arguments, tool.InputSchema)
			}
		}
		if list.NextCursor == "" {
			return false
		}
		params = &mcp.ListToolsParams{Cursor: list.NextCursor}
	}
	return true
}

func satisfies(arguments json.RawMessage, inputSchema any) bool {
	raw, err := json.Marshal(inputSchema)
	if err != nil {
		return true
	}
	var schema jsonschema.Schema
	if json.Unmarshal(raw, &schema) != nil {
		return true
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: false})
	if err != nil {
		return true
	}
	values := make(map[string]any)
	if len(arguments) > 0 && json.Unmarshal(arguments, &values) != nil {
		return false
	}
	return resolved.ApplyDefaults(&values) == nil && resolved.Validate(values) == nil
}
