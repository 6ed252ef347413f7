package hostcheck

import "time"

var accepting = Scenario{
	Name: "forms", Title: "Forms that are filled in",
	Description: "A form with a field of each kind, most of them with a default. The person enters a name that is too short, " +
		"presses accept, and is to find that it is not sent; then they enter a good one, change a default, and accept again. " +
		"Then a form in which several values can be chosen. What is sent is what stands in the form.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A50", "A51", "A52", "A53"},
	Ask: "In the first form enter x for the name, and try to send that; then Ada L. for the name and 4 for the level, and " +
		"accept. In the second one choose Kitchen and Desk, and accept.",
	script: script{
		steps: inTurn("form", "several"),
		play: func(f *flow) {
			p := f.s.prompt("accept", 300*time.Millisecond)
			p.mode, p.url, p.limit = "form", "", f.patience()
			p.message = "Which notes are yours?"
			switch f.label {
			case "form":
				p.schema = eachKind
				p.entries = []map[string]any{{"name": "x"}, {"name": "Ada L.", "level": 4}}
			default:
				if f.s.olderThanLists() {
					f.s.excuse("the revision that was agreed on has no forms with several values")
					f.text(foundText)
					return
				}
				p.schema, p.several, p.odd = severalValues, "shelves", true
				p.message = "Which shelves are yours?"
				p.entries = []map[string]any{{"shelves": []string{"kitchen", "desk"}}}
			}
			a := f.ask(p)
			if a.action != "accept" {
				f.fail("nobody filled in the form: " + a.said())
				return
			}
			f.text(foundText)
		},
		guided: true,
	},
}

// eachKind is a schema with a field of each kind but that with several values.
var eachKind = map[string]any{
	"type": "object",
	"properties": map[string]any{
		"name":     map[string]any{"type": "string", "title": "Name", "minLength": 3, "maxLength": 20},
		"email":    map[string]any{"type": "string", "title": "E-mail", "format": "email", "default": "reader@example.com"},
		"level":    map[string]any{"type": "integer", "title": "Level", "minimum": 1, "maximum": 5, "default": 2},
		"remember": map[string]any{"type": "boolean", "title": "Remember this", "default": true},
		"shelf": map[string]any{
			"type": "string", "title": "Shelf", "default": "desk",
			"oneOf": []any{map[string]any{"const": "kitchen", "title": "Kitchen"}, map[string]any{"const": "desk", "title": "Desk"}},
		},
	},
	"required": []string{"name"},
}

// severalValues is a schema in which several values can be chosen.
var severalValues = map[string]any{
	"type": "object",
	"properties": map[string]any{
		"shelves": map[string]any{
			"type": "array", "title": "Shelves", "minItems": 1, "maxItems": 2,
			"items": map[string]any{"anyOf": []any{
				map[string]any{"const": "kitchen", "title": "Kitchen"}, map[string]any{"const": "desk", "title": "Desk"},
				map[string]any{"const": "attic", "title": "Attic"},
			}},
		},
	},
	"required": []string{"shelves"},
}

// olderThanLists says whether a revision was agreed on that has no lists in forms.
func (s *session) olderThanLists() bool {
	s.guard.Lock()
	defer s.guard.Unlock()
	return s.protocol == Legacy && len(s.agreed) > 0 && s.agreed[len(s.agreed)-1] != Legacy
}
