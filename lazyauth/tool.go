package lazyauth

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// AddTool registers a tool that needs a grant which covers need, as
// [mcp.AddTool] registers one that needs none; it panics where that does, and if
// need is nil. An empty need still asks for a grant, of whatever scopes [Service]
// names.
//
// Arguments are validated before anybody is asked. The handler runs once a
// grant is there, on the context of its call, from which [Client] and
// [TokenSource] read the grant. From protocol revision 2026-07-28 that context
// outlives the request: it ends when the call is given up. A handler that
// returns an [*Error], wrapped or not, passes that on as the call's result.
//
// A handler may make round trips of its own, by returning InputRequests; its
// RequestState travels inside a sealed one.
func AddTool[In, Out any](server *mcp.Server, auth *Interceptor, tool *mcp.Tool, need scopes.Requirement, handler mcp.ToolHandlerFor[In, Out]) {
	if need == nil {
		panic(fmt.Sprintf("lazyauth.AddTool: tool %q has a nil requirement; an empty scopes.Set stands for any grant", tool.Name))
	}
	auth.install(server)
	auth.tools.Store(tool.Name, struct{}{})
	tool = withScopes(tool, need)
	g := auth.newGate(tool.Name, need)
	mcp.AddTool(server, tool, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		if elicit.Modern(req.Params.Meta) {
			out := g.serve(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
				result, output, err := handler(ctx, req, in)
				if c := callFrom(ctx); err == nil && c != nil {
					result = c.named(result)
				}
				return outcome{result: result, output: output, err: err}
			})
			output, _ := out.output.(Out)
			return out.result, output, out.err
		}
		c, err := g.admit(ctx, req)
		if err != nil {
			var none Out
			return nil, none, err
		}
		result, output, err := handler(c, req, in)
		if err == nil {
			result = c.named(result)
		}
		return result, output, err
	})
}

// MetaSecuritySchemes is the key in a tool's _meta that tells hosts which scopes
// its calls may ask for, in the shape that SEP-1488 proposes for
// securitySchemes: one entry for each alternative. Experimental: it follows that
// proposal.
const MetaSecuritySchemes = "securitySchemes"

// withScopes returns a copy of tool that says what it needs.
func withScopes(tool *mcp.Tool, need scopes.Requirement) *mcp.Tool {
	copied := *tool
	copied.Meta = maps.Clone(tool.Meta)
	if copied.Meta == nil {
		copied.Meta = make(mcp.Meta)
	}
	if _, set := copied.Meta[MetaSecuritySchemes]; !set {
		var schemes []any
		for set := range need.Alternatives() {
			names := slices.AppendSeq([]string{}, set.All())
			schemes = append(schemes, map[string]any{"type": "oauth2", "scopes": names})
		}
		copied.Meta[MetaSecuritySchemes] = schemes
	}
	return &copied
}

// A gate is what a gated tool's calls have in common.
type gate struct {
	auth *Interceptor
	tool string
	need scopes.Requirement
	bit  uint64 // of grant.open; zero for all but the first needs: see gateBits
	late bool   // nobody is asked before the handler uses the grant

	listed bool // in a policy; of a gate without a need, it says why there is none
}

// mayUseNothing is the error of a handler that asks for a grant although its tool may
// have none.
func (g *gate) mayUseNothing() *Error {
	if g.listed {
		return g.auth.fail(Exceeded, errMayUseNothing)
	}
	return g.auth.fail(Exceeded, errUnlisted)
}

// owner returns the resource owner of a call. Where nobody is asked before the
// handler, an unknown caller is refused only when a grant is used.
func (g *gate) owner(ctx context.Context, req *mcp.CallToolRequest) (*person, error) {
	o, err := g.auth.owner(ctx, req)
	if err != nil && g.late {
		return &person{owner: &owner{auth: g.auth.keeper, refusal: err}}, nil
	}
	return o, err
}

// newGate also notes what the tool declares, as part of the limit of what
// challenges may ask for. Tools with the same need share a bit.
func (i *Interceptor) newGate(tool string, need scopes.Requirement) *gate {
	i.gates.Lock()
	defer i.gates.Unlock()
	i.limit = i.limit.Union(scopes.Ceiling(need))
	bit, known := i.bits[need]
	if !known && len(i.bits) < gateBits {
		bit = 1 << len(i.bits)
		i.bits[need] = bit
	}
	return &gate{auth: i, tool: tool, need: need, bit: bit}
}

// ceiling returns what challenges may raise a grant to.
func (i *Interceptor) ceiling() scopes.Set {
	i.gates.Lock()
	defer i.gates.Unlock()
	return i.limit
}

// An outcome is what a handler returned. One that is kept is handed out in
// copies, since the SDK completes what it gets.
type outcome struct {
	result   *mcp.CallToolResult
	output   any
	err      error
	panicked *panicked
}

// panicked is how a handler ended that did not return.
type panicked struct {
	value any
	told  bool // to one request
}
