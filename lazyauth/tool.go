package lazyauth

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// AddTool registers a tool that needs a grant which covers need, as
// [mcp.AddTool] registers one that needs none; it panics where that does, and if
// need is nil. An empty need still asks for a grant, of whatever scopes [Service]
// names.
//
// Arguments are validated before the person is asked. The handler runs once a
// grant is there, on the context of its call, from which [Client] and
// [TokenSource] read the grant. From protocol revision 2026-07-28 that context
// outlives the request: it ends when the call is given up. A handler that
// returns an [*Error], wrapped or not, passes that on as the call's result. On hosts that
// can show the prompt in no other way, the result of a handler that failed after one has
// link and code in it whatever the handler made of the error.
//
// A handler may make round trips of its own, by returning InputRequests; its
// RequestState travels inside a sealed one.
func AddTool[In, Out any](server *mcp.Server, auth *Interceptor, tool *mcp.Tool, need scopes.Requirement, handler mcp.ToolHandlerFor[In, Out]) {
	if need == nil {
		panic(fmt.Sprintf("lazyauth.AddTool: tool %q has a nil requirement; an empty scopes.Set stands for any grant", tool.Name))
	}
	g := auth.newGate(tool.Name, need)
	register(server, auth, withScopes(tool, need), func(context.Context, *mcp.CallToolRequest, In) (*gate, error) { return g, nil }, handler)
}

// register registers a tool that says already what it needs, and whose calls pass the gate
// that gateOf returns.
func register[In, Out any](server *mcp.Server, auth *Interceptor, tool *mcp.Tool, gateOf func(context.Context, *mcp.CallToolRequest, In) (*gate, error), handler mcp.ToolHandlerFor[In, Out]) {
	auth.install(server)
	auth.tools.Store(tool.Name, struct{}{})
	if auth.argument != "" {
		warnOfArgument(auth, tool.Name, inputSchema[In](tool))
	}
	mcp.AddTool(server, tool, func(ctx context.Context, req *mcp.CallToolRequest, in In) (*mcp.CallToolResult, Out, error) {
		g, err := gateOf(ctx, req, in)
		if err != nil {
			var none Out
			return nil, none, err
		}
		if asking.Modern(req.Params.Meta) {
			out := g.serve(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
				result, output, err := handler(ctx, req, in)
				if c := callFrom(ctx); err == nil && c != nil {
					result = named(c.holder(), result)
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
			result = named(c.holder(), result)
		}
		result, err = c.lost().into(result, err)
		return result, output, err
	})
}

// inputSchema returns the schema of the tool's input, inferred from its type as the SDK does
// if there is none; nil if that fails, of which the SDK will tell.
func inputSchema[In any](tool *mcp.Tool) any {
	if tool.InputSchema != nil {
		return tool.InputSchema
	}
	schema, err := jsonschema.For[In](nil)
	if err != nil {
		return nil
	}
	return schema
}

// MetaSecuritySchemes is the key in a tool's _meta that tells hosts which scopes
// its calls may ask for, in the shape that SEP-1488 proposes for
// securitySchemes: one entry for each alternative. Experimental: it follows that
// proposal.
const MetaSecuritySchemes = "securitySchemes"

// withScopes returns a copy of tool that says what it needs, or what its calls can.
func withScopes(tool *mcp.Tool, needs ...scopes.Requirement) *mcp.Tool {
	copied := *tool
	copied.Meta = maps.Clone(tool.Meta)
	if copied.Meta == nil {
		copied.Meta = make(mcp.Meta)
	}
	if _, set := copied.Meta[MetaSecuritySchemes]; !set {
		var schemes []any
		told := make(map[scopes.Set]bool)
		for _, need := range needs {
			for set := range need.Alternatives() {
				if told[set] {
					continue
				}
				told[set] = true
				names := slices.AppendSeq([]string{}, set.All())
				schemes = append(schemes, map[string]any{"type": "oauth2", "scopes": names})
			}
		}
		copied.Meta[MetaSecuritySchemes] = schemes
	}
	return &copied
}
