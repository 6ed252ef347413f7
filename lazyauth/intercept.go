package lazyauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
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
		out := g.run(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
			result, err := handler(ctx, req)
			if c := callFrom(ctx); err == nil && result != nil && c != nil {
				result = named(c.holder(), result)
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
// listed with a nil requirement may use nothing: it runs, and these refuse. What a call of a
// tool in Policy.ByArguments needs is decided as for [AddToolWithNeeds]: its arguments are
// held against the input schema first, and refused if two of an object's members have names
// that differ in case alone, since the function and the handler could take another one each. Tools that
// were registered with [AddTool] or [Interceptor.Handler] and are not listed are
// left alone; one that is listed with nil is not called. Intercept panics if there is anything
// wrong with the policy.
//
// Call it after other middleware was added: what comes before it, as what is
// added later does, sees prompts among the results.
func (i *Interceptor) Intercept(server *mcp.Server, policy scopes.Policy) {
	if err := policy.Check(); err != nil {
		panic(fmt.Sprintf("lazyauth.Interceptor.Intercept: %v", err))
	}
	i.install(server)
	intercept(i, server, policy)
}

// intercept adds the middleware that gates the tools of server by policy.
func intercept(i *Interceptor, server *mcp.Server, policy scopes.Policy) {
	fixed := make(map[string]*gate, len(policy.Tools))
	for tool, need := range policy.Tools {
		if need == nil { // it may use nothing, whatever unlisted tools may
			fixed[tool] = &gate{auth: i, tool: tool, onUse: true, listed: true}
			continue
		}
		fixed[tool] = i.newGate(tool, need)
	}
	varying := make(map[string]*gates[json.RawMessage], len(policy.ByArguments))
	for tool, needs := range policy.ByArguments {
		varying[tool] = newGates(i, tool, needs)
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
					tellScopes(list, fixed, varying)
				}
				return result, err
			}
			g, byArguments := fixed[req.Params.Name], varying[req.Params.Name]
			_, own := i.tools.Load(req.Params.Name)
			if g == nil && byArguments == nil && (own || callFrom(ctx) != nil) {
				return next(ctx, method, r) // has a call of its own, or is behind another gate
			}
			switch {
			case byArguments != nil:
				var err error
				if g, err = ofRaw(ctx, byArguments, next, req); err != nil {
					return refused(req, denialOf(i, req, err))
				}
			case g == nil:
				g = &gate{auth: i, tool: req.Params.Name, Gate: grants.Gate{Need: policy.Unlisted}, onUse: true}
			case g.Need == nil && own: // its own gate would let it
				return errorResult(req, denialOf(i, req, g.mayUseNothing())), nil
			case g.Need != nil:
				if err := g.malformed(ctx, next, req); err != nil {
					return refused(req, denialOf(i, req, err))
				}
			}
			if !g.onUse && hasJoinable(ctx, i) {
				return runJoined(ctx, g, req, func(ctx context.Context) (mcp.Result, error) { return next(ctx, method, req) })
			}
			out := g.run(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
				result, err := next(ctx, method, req)
				if called, ok := result.(*mcp.CallToolResult); ok {
					if c := callFrom(ctx); err == nil && called != nil && c != nil && !c.gate.onUse {
						called = named(c.holder(), called)
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
		return i.guarded(intercepted)
	})
}

// tellScopes adds to the listed tools what their calls need, or can need.
func tellScopes(list *mcp.ListToolsResult, fixed map[string]*gate, varying map[string]*gates[json.RawMessage]) {
	for n, tool := range list.Tools {
		if g := fixed[tool.Name]; g != nil && g.Need != nil {
			list.Tools[n] = withScopes(tool, g.Need)
		}
		if g := varying[tool.Name]; g != nil {
			list.Tools[n] = g.tell(tool)
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

// refused answers a call that is refused before its gate: an error of the arguments is for the
// model, as an [*Error] is, and any other one of the protocol.
func refused(req *mcp.CallToolRequest, err error) (mcp.Result, error) {
	_, malformed := errors.AsType[malformedError](err)
	if _, ours := errors.AsType[*Error](err); ours || malformed {
		return errorResult(req, err), nil
	}
	return nil, err
}
