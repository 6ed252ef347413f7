package hostcheck

import (
	"fmt"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

var mirroring = Scenario{
	Name: "mirrored", Title: "Parameters that are mirrored in headers",
	Description: "A tool has parameters that are annotated with x-mcp-header. It is called with plain values, with values that no " +
		"header can carry as they are, and without some. Tools whose annotations are invalid are in the list, too: calls of these " +
		"are not to be made. Then the name of a header changes, and the call without the new one is refused.",
	Protocols: modernOnly, Transports: httpOnly,
	Checks: []string{"B41", "B42", "B43", "B44"},
	Ask:    "Make the calls. Six of the tools are missing, or should be: leave the calls of those out that your host does not have.",
	script: script{
		steps: func(string) [][]Call {
			file := func(id string, arguments map[string]any) []Call {
				arguments["call"] = id
				return []Call{{ID: id, Tool: toolFile, Arguments: arguments}}
			}
			steps := [][]Call{
				file("plain", map[string]any{"region": "north", "limit": 42, "draft": false, "place": map[string]any{"shelf": "A 7"}}),
				file("encoded", map[string]any{
					"region": "Zürich", "limit": -7, "draft": true, "place": map[string]any{"shelf": " padded "},
					"lines": "one\ntwo", "literal": "=?base64?literal?=",
				}),
				file("absent", map[string]any{"region": nil, "lines": "one"}),
			}
			for _, name := range invalidTools() {
				steps = append(steps, []Call{{ID: name, Tool: name, Arguments: map[string]any{"call": name, "word": "tea"}}})
			}
			return append(steps, file("moved", map[string]any{"region": "north"}), []Call{calling(nextCall)})
		},
		play:     playMirrored,
		optional: invalidTools(),
		mirrors:  true,
		guided:   true,
	},
}

// toolFile is the tool with annotated parameters.
const toolFile = "notes_file"

// headerMismatch is the error for headers that do not say what the body says.
const headerMismatch = -32020

func playMirrored(f *flow) {
	s := f.s
	if f.label == "moved" {
		s.guard.Lock()
		s.moved = true
		s.guard.Unlock()
		if f.now().Header.Get(paramHeader+movedHeader) == "" {
			f.rpcError(headerMismatch, "Header mismatch: "+paramHeader+movedHeader+" is missing", nil)
			return
		}
	}
	f.text(foundText)
}

// paramHeader begins the names of the headers; movedHeader is what that of the region
// is called in the end.
const (
	paramHeader = "Mcp-Param-"
	movedHeader = "Area"
)

// A mirrored parameter is one with an annotation.
type mirrored struct {
	path   []string
	header string
	kind   string
}

// annotated are the parameters of the tool. The caller holds guard.
func (s *session) annotated() []mirrored {
	region := "Region"
	if s.moved {
		region = movedHeader
	}
	return []mirrored{
		{[]string{"region"}, region, "string"},
		{[]string{"limit"}, "Limit", "integer"},
		{[]string{"draft"}, "Draft", "boolean"},
		{[]string{"place", "shelf"}, "Shelf", "string"},
		{[]string{"lines"}, "Lines", "string"},
		{[]string{"literal"}, "Literal", "string"},
	}
}

// mirroring is the tool with annotations, and those whose annotations are invalid.
func (s *session) mirroring() []any {
	s.guard.Lock()
	params := s.annotated()
	s.guard.Unlock()
	properties := map[string]any{"call": map[string]any{"type": "string"}}
	for _, p := range params {
		property := map[string]any{"type": p.kind, "x-mcp-header": p.header}
		if len(p.path) == 1 {
			properties[p.path[0]] = property
			continue
		}
		properties[p.path[0]] = map[string]any{"type": "object", "properties": map[string]any{p.path[1]: property}}
	}
	list := []any{annotatedTool(toolFile, properties)}
	for _, name := range invalidTools() {
		list = append(list, annotatedTool(name, invalid[name]))
	}
	return list
}

func annotatedTool(name string, properties map[string]any) any {
	t := tool(name, "Files a note.").(map[string]any)
	t["inputSchema"] = map[string]any{"type": "object", "properties": properties}
	return t
}

// invalid are tools each of which breaks one constraint on annotations, with their
// parameters.
var invalid = map[string]map[string]any{
	"notes_empty":  {"word": map[string]any{"type": "string", "x-mcp-header": ""}},
	"notes_spaced": {"word": map[string]any{"type": "string", "x-mcp-header": "My Word"}},
	"notes_broken": {"word": map[string]any{"type": "string", "x-mcp-header": "Word\r\nX-Other: 1"}},
	"notes_number": {"word": map[string]any{"type": "number", "x-mcp-header": "Word"}},
	"notes_twice": {
		"word":  map[string]any{"type": "string", "x-mcp-header": "Word"},
		"other": map[string]any{"type": "string", "x-mcp-header": "WORD"},
	},
	"notes_items": {"word": map[string]any{
		"type": "array", "items": map[string]any{"type": "string", "x-mcp-header": "Word"},
	}},
}

// invalidTools are their names.
func invalidTools() []string {
	return []string{"notes_empty", "notes_spaced", "notes_broken", "notes_number", "notes_twice", "notes_items"}
}

// listedBefore says whether the host had asked for the tools when a request came. It
// takes guard.
func (s *session) listedBefore(c *call) bool {
	s.guard.Lock()
	defer s.guard.Unlock()
	return slices.ContainsFunc(s.requests, func(other *call) bool { return other.Method == "tools/list" && other.At <= c.At })
}

// spoken is a value as a header says it; false if there is none.
func spokenValue(value any) (string, bool) {
	switch v := value.(type) {
	case nil:
		return "", false
	case string:
		return v, true
	case float64, bool:
		return fmt.Sprint(v), true
	}
	return string(wire.Encode(value)), true
}
