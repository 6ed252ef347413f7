package lazyauth

import (
	"context"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// AddTool registers a tool that needs a grant which covers need, as
// [mcp.AddTool] registers one that needs none; it panics where that does. An
// empty need still asks for a grant, of whatever scopes [Service] names.
//
// Arguments are validated before anybody is asked. The handler runs once a
// grant is there, on the context of its call, from which [Client] and
// [TokenSource] read the grant. From protocol revision 2026-07-28 that context
// outlives the request: it ends when the call is given up. A handler that
// returns an [*Error], wrapped or not, passes that on as the call's result.
//
// A handler may make round trips of its own, by returning InputRequests; its
// RequestState travels inside a sealed one.
func AddTool[In, Out any](server *mcp.Server, auth *Interceptor, tool *mcp.Tool, need scopes.Set, handler mcp.ToolHandlerFor[In, Out]) {
	auth.install(server)
	g := auth.newGate(tool.Name, need)
	mcp.AddTool(server, tool, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		if elicit.Modern(req.Params.Meta) {
			out := g.serve(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
				result, output, err := handler(ctx, req, in)
				return outcome{result, output, plain(err)}
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
		return result, output, plain(err)
	})
}

// A gate is what a gated tool's calls have in common.
type gate struct {
	auth *Interceptor
	tool string
	need scopes.Set
	bit  uint64 // of grant.open; zero for all but the first 63 gates
}

func (i *Interceptor) newGate(tool string, need scopes.Set) *gate {
	g := &gate{auth: i, tool: tool, need: need}
	if n := i.gates.Add(1); n <= 63 {
		g.bit = 1 << (n - 1)
	}
	return g
}

// An outcome is what a handler returned. One that is kept is handed out in
// copies, since the SDK completes what it gets.
type outcome struct {
	result *mcp.CallToolResult
	output any
	err    error
}
