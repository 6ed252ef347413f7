package hostcheck

import "github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"

// What the official conformance suite (github.com/modelcontextprotocol/conformance) tells
// the client that it starts, in SDK_INTEGRATION.md and src/runner/client.ts there. A
// client made for it finds the same here.

// A conformanceContext is what is in MCP_CONFORMANCE_CONTEXT: the scenario's name, and
// what only this scenario has. The calls are as the official scenario http-custom-headers
// has them, which clients already know to make.
type conformanceContext struct {
	Name      string         `json:"name"`
	ToolCalls []officialCall `json:"toolCalls"`
	Hostcheck struct {
		Task    Task   `json:"task"`
		Control string `json:"control"`
	} `json:"hostcheck"`
}

type officialCall struct {
	Name      string         `json:"name"`
	Arguments map[string]any `json:"arguments"`
}

// officialEnvironment is what a client made for the official suite reads.
func (l Launch) officialEnvironment() []string {
	c := conformanceContext{Name: l.Scenario, ToolCalls: []officialCall{}}
	c.Hostcheck.Task, c.Hostcheck.Control = l.Task, l.Control
	for _, step := range l.Task.Steps {
		for _, call := range step {
			c.ToolCalls = append(c.ToolCalls, officialCall{call.Tool, call.Arguments})
		}
	}
	return []string{
		"MCP_CONFORMANCE_SCENARIO=" + l.Scenario, "MCP_CONFORMANCE_PROTOCOL_VERSION=" + l.Protocol,
		"MCP_CONFORMANCE_CONTEXT=" + string(wire.Encode(c)),
	}
}
