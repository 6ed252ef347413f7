package hostcheck

import "slices"

// The tools of the server. Which one is called matters to no scenario but those
// that mix them.
const (
	toolSearch = "notes_search"
	toolAdd    = "notes_add"
)

var toolList = []any{tool(toolSearch, "Searches the notebook."), tool(toolAdd, "Adds to the notebook.")}

func tool(name, description string) any {
	return map[string]any{
		"name": name, "description": description,
		"inputSchema": map[string]any{
			"type": "object",
			"properties": map[string]any{
				"call": map[string]any{"type": "string", "description": "What the checklist calls this call."},
				"text": map[string]any{"type": "string"},
			},
			"required": []string{"call"},
		},
		// Hosts ask before they call a tool that may change something, and some
		// refuse where nobody can be asked.
		"annotations": map[string]any{"readOnlyHint": true, "idempotentHint": true, "openWorldHint": false},
	}
}

// tools is the list of tools. The one that refers to the canary is called by nobody.
func (s *session) tools() []any {
	switch {
	case s.scenario.mirrors:
		return append(slices.Clip(toolList), s.mirroring()...)
	case !s.scenario.refers:
		return toolList
	}
	return append(slices.Clip(toolList), s.referring())
}

// hasTool says whether the list of tools has a name.
func (s *session) hasTool(name string) bool {
	return slices.ContainsFunc(s.tools(), func(t any) bool {
		described, _ := t.(map[string]any)
		return described["name"] == name
	})
}
