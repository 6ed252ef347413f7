package hostcheck

import (
	"maps"
	"slices"
	"strings"
	"time"
)

var references = Scenario{
	Name: "references", Title: "Schemas and icons that refer to the network",
	Description: "The list has one more tool, which is not called. Its schemas have a $ref to the canary, and so has a form; its " +
		"icons, and those of the server, are of another origin, of schemas that are no image's, or redirect there. The host may " +
		"leave out what it does not like; it fetches none of that by itself.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A54", "B40"},
	Ask:    "Restart your host, or have it connect to the server anew. Then make the calls, and decline what you are asked.",
	script: script{
		steps: inTurn("first", "form", nextCall),
		play: func(f *flow) {
			if f.label == "form" && f.now().declared.Form && f.s.protocol == Modern {
				p := f.s.prompt("decline", 100*time.Millisecond)
				p.mode, p.url, p.message, p.odd, p.limit = "form", "", "Which tag is it?", true, f.patience()
				p.schema = map[string]any{
					"type":       "object",
					"properties": map[string]any{"tag": map[string]any{"$ref": f.s.canary + formSchemaPath}},
				}
				if f.ask(p).never {
					return
				}
			}
			f.text(foundText)
		},
		refers: true,
		guided: true,
	},
}

// Where the schemas and the icons of the canary would be.
const (
	schemaPath     = "/schemas/tag.json"
	formSchemaPath = "/schemas/form.json"
	iconsPath      = "/icons/"
)

// referring is a tool whose schemas, in the revision that forbids to follow them,
// and whose icons lead to the canary.
func (s *session) referring() any {
	t := tool("notes_tag", "Tags a note.").(map[string]any)
	t["icons"] = s.icons("tool")
	if s.protocol == Modern {
		t["inputSchema"] = map[string]any{
			"type": "object", "properties": map[string]any{"tag": map[string]any{"$ref": s.canary + schemaPath}},
		}
	}
	return t
}

// icons are images none of which a host is to fetch.
func (s *session) icons(of string) []any {
	icon := func(src string) any {
		return map[string]any{"src": src, "mimeType": "image/png", "sizes": []string{"48x48"}}
	}
	list := []any{
		icon(s.canary + iconsPath + of + ".png"),
		icon("ws" + strings.TrimPrefix(s.canary, "http") + iconsPath + of + "-socket"),
		icon("javascript:fetch('" + s.canary + iconsPath + of + "-script')"),
	}
	if s.transport == HTTP {
		list = append(list, icon(s.redirect+"?of="+of))
	}
	return list
}

// self is what the server says of itself.
func (s *session) self() map[string]any {
	if !s.scenario.refers {
		return implementation
	}
	out := maps.Clone(implementation)
	out["icons"] = s.icons("server")
	return out
}

// fetchedIcon is the event of the first visit for an icon; -1 if there is none.
func (h *person) fetchedIcon() int {
	i := slices.IndexFunc(h.visits, func(v visit) bool { return strings.HasPrefix(v.path, iconsPath) })
	if i < 0 {
		return -1
	}
	return h.visits[i].event
}
