package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
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
		out := g.run(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
			result, err := handler(ctx, req)
			if c := callFrom(ctx); err == nil && result != nil && c != nil {
				result = named(c.person, result)
			}
			return outcome{result: result, err: err}
		})
		return out.raw(req)
	}
}

// Intercept gates the tools of an existing server by policy, without touching
// their registration, by middleware that it adds to the server. A listed tool
// runs once there is a grant for it; its arguments are held against its input
// schema first, so that nobody is asked because of a typo. A tool that is not listed runs at once, and what it may use, if anything,
// is asked for when it first uses [Client], [TokenSource] or [Require]; if the
// policy allows it nothing, or its caller is not known, these refuse. A tool that is
// listed with a nil requirement may use nothing: it runs, and these refuse. Tools that
// were registered with [AddTool] or [Interceptor.Handler] and are not listed are
// left alone; one that is listed with nil is not called.
//
// Call it after other middleware was added: what comes before it, as what is
// added later does, sees prompts among the results.
func (i *Interceptor) Intercept(server *mcp.Server, policy scopes.Policy) {
	i.install(server)
	gates := make(map[string]*gate, len(policy.Tools))
	for tool, need := range policy.Tools {
		if need == nil { // it may use nothing, whatever unlisted tools may
			gates[tool] = &gate{auth: i, tool: tool, onUse: true, listed: true}
			continue
		}
		gates[tool] = i.newGate(tool, need)
	}
	if policy.Unlisted != nil {
		i.newGate("", policy.Unlisted) // counts for the limit of challenges
	}
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		intercepted := func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			req, ok := r.(*mcp.CallToolRequest)
			if !ok || method != "tools/call" {
				result, err := next(ctx, method, r)
				if list, ok := result.(*mcp.ListToolsResult); ok && err == nil {
					tellScopes(list, gates)
				}
				return result, err
			}
			g := gates[req.Params.Name]
			_, own := i.tools.Load(req.Params.Name)
			if g == nil && (own || callFrom(ctx) != nil) {
				return next(ctx, method, r) // has a call of its own, or is behind another gate
			}
			switch {
			case g == nil:
				g = &gate{auth: i, tool: req.Params.Name, Gate: grants.Gate{Need: policy.Unlisted}, onUse: true}
			case g.Need == nil && own: // its own gate would let it
				return errorResult(req, g.mayUseNothing()), nil
			case g.Need != nil:
				if refused, err := g.malformed(ctx, next, req); refused != nil || err != nil {
					return refused, err
				}
			}
			out := g.run(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
				result, err := next(ctx, method, req)
				if called, ok := result.(*mcp.CallToolResult); ok {
					if c := callFrom(ctx); err == nil && called != nil && c != nil && !c.gate.onUse {
						called = named(c.person, called)
					}
					return outcome{result: called, err: err}
				}
				return outcome{output: result, err: err} // some other middleware's
			})
			if other, ok := out.output.(mcp.Result); ok && out.err == nil {
				return other, nil
			}
			result, err := out.raw(req)
			if result == nil {
				return nil, err
			}
			markReason(result)
			return result, err
		}
		return func(ctx context.Context, method string, r mcp.Request) (result mcp.Result, err error) {
			returned := false
			defer i.recovers(ctx, &returned, &err)
			result, err = intercepted(ctx, method, r)
			returned = true
			return result, err
		}
	})
}

// tellScopes adds to the listed tools what their calls need.
func tellScopes(list *mcp.ListToolsResult, gates map[string]*gate) {
	for n, tool := range list.Tools {
		if g := gates[tool.Name]; g != nil && g.Need != nil {
			list.Tools[n] = withScopes(tool, g.Need)
		}
	}
}

// raw returns the outcome as a raw handler does, for which an error is one of
// the protocol.
func (o outcome) raw(req *mcp.CallToolRequest) (*mcp.CallToolResult, error) {
	if _, ok := errors.AsType[*Error](o.err); ok {
		return errorResult(req, o.err), nil
	}
	return o.result, o.err
}

// malformed returns why the call is refused before the person is asked: its tool does
// not exist, or its arguments do not satisfy the input schema. It is refused here,
// and not left to the server: raw handlers do not validate, and lists may leave
// tools out.
func (g *gate) malformed(ctx context.Context, next mcp.MethodHandler, req *mcp.CallToolRequest) (mcp.Result, error) {
	p, err := g.auth.person(ctx, req)
	if err != nil {
		return errorResult(req, err), nil
	}
	if p.Authorizes(&g.Gate) {
		return nil, nil
	}
	params := &mcp.ListToolsParams{}
	for range 100 { // pages
		result, err := next(ctx, "tools/list", &mcp.ListToolsRequest{Session: req.Session, Params: params, Extra: req.Extra})
		if err != nil {
			return nil, err
		}
		list, ok := result.(*mcp.ListToolsResult)
		if !ok {
			return nil, nil
		}
		for _, tool := range list.Tools {
			if tool.Name != req.Params.Name {
				continue
			}
			warnOfArgument(g.auth, tool.Name, tool.InputSchema)
			if err := satisfies(req.Params.Arguments, tool.InputSchema); err != nil {
				return errorResult(req, fmt.Errorf("the arguments do not satisfy the input schema of %s: %w", req.Params.Name, err)), nil
			}
			return nil, nil
		}
		if list.NextCursor == "" {
			return nil, &jsonrpc.Error{Code: jsonrpc.CodeInvalidParams, Message: fmt.Sprintf("unknown tool %q", req.Params.Name)}
		}
		params = &mcp.ListToolsParams{Cursor: list.NextCursor}
	}
	return nil, nil
}

// satisfies returns what keeps the arguments from satisfying the schema, if anything. A
// schema that cannot be read refuses nothing: it is the author's, and not the caller's fault.
func satisfies(arguments json.RawMessage, inputSchema any) error {
	resolved := resolve(inputSchema)
	if resolved == nil {
		return nil
	}
	values := make(map[string]any)
	if len(arguments) > 0 && !isNull(arguments) && json.Unmarshal(arguments, &values) != nil {
		return errors.New("they are no JSON object")
	}
	if err := resolved.ApplyDefaults(&values); err != nil {
		return err
	}
	return resolved.Validate(values)
}

// resolve returns the schema ready for use; nil if it cannot be read.
func resolve(inputSchema any) *jsonschema.Resolved {
	var schema jsonschema.Schema
	raw, err := json.Marshal(inputSchema)
	if err != nil || json.Unmarshal(raw, &schema) != nil {
		return nil
	}
	resolved, err := schema.Resolve(&jsonschema.ResolveOptions{ValidateDefaults: false})
	if err != nil {
		return nil
	}
	return resolved
}
