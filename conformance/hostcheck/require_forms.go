package hostcheck

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/schema"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// Forms that are accepted: what stands in them, and what is sent.
var forms = []Requirement{
	{
		ID: "A50", Name: "validates what was entered", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "The content of an accepted form is as the requested schema has it: whatever is not, is not sent.",
		Section: section(Legacy, "client/elicitation#form-mode-security"),
		eras:    both,
		answered: func(j judge, s *session, p *prompt) {
			if !s.accepted(p) || p.schema == nil {
				return
			}
			if _, ok := p.chosen(); p.several != "" && !ok {
				return // which is told as that
			}
			err := schema.Form(p.schema, p.got.content)
			j.that(err == nil, fmt.Sprintf("the content of an accepted form is not as its schema has it: %v", err), p.got.line.Event)
		},
	},
	{
		ID: "A51", Name: "lets answers be reviewed and changed", Revision: Legacy, Level: Must, Observed: wireAndUI,
		Text: "Before a form is sent the person can look at each answer and change it: what is sent is what stands in the form " +
			"when they agree.",
		Section: section(Legacy, "client/elicitation#user-interaction-model"),
		eras:    both, hook: HookEntries,
		answered: func(j judge, s *session, p *prompt) {
			if !s.accepted(p) || len(p.entered) == 0 || p.several != "" || !s.hasHook(HookEntries) {
				return
			}
			var content map[string]any
			_ = json.Unmarshal(p.got.content, &content)
			for _, name := range slices.Sorted(maps.Keys(p.stood())) {
				if want := p.stood()[name]; !reflect.DeepEqual(content[name], plain(want)) {
					j.fail(fmt.Sprintf("%s is sent for %q, and %s stood in the form", wire.Excerpt(wire.Encode(content[name]), 60), name,
						wire.Encode(want)), p.got.line.Event)
					return
				}
			}
			stood := p.stood()
			for _, name := range slices.Sorted(maps.Keys(content)) {
				if _, seen := stood[name]; !seen && !blank(content[name]) && content[name] != false {
					j.fail(fmt.Sprintf("%s is sent for %q, and nothing stood there in the form", wire.Excerpt(wire.Encode(content[name]), 60),
						name), p.got.line.Event)
					return
				}
			}
			j.pass(p.got.line.Event)
		},
	},
	{
		ID: "A52", Name: "fills in defaults", Revision: Legacy, Level: Should, Observed: inUI,
		Text:    "A host that supports defaults has those of the requested schema stand in the form when it is shown.",
		Section: section(Legacy, "client/elicitation#requested-schema"),
		Official: []string{
			"client-elicitation-sep1034-string-default", "client-elicitation-sep1034-integer-default",
			"client-elicitation-sep1034-boolean-default", "client-elicitation-sep1034-enum-default",
		},
		eras: both, hook: HookEntries,
		shown: func(j judge, s *session, p *prompt) {
			if len(p.dialogs) == 0 || !s.hasHook(HookEntries) || len(p.defaults()) == 0 {
				return
			}
			d, defaults := p.dialogs[0], p.defaults()
			var without []string
			for _, name := range slices.Sorted(maps.Keys(defaults)) {
				if !reflect.DeepEqual(p.meant(name, d.Fields[name]), plain(defaults[name])) {
					without = append(without, name)
				}
			}
			if len(without) == len(defaults) && !slices.ContainsFunc(without, func(name string) bool { return !blank(d.Fields[name]) }) {
				j.note("the host does not support defaults, which is optional", d.event)
				return
			}
			j.that(len(without) == 0, fmt.Sprintf("the form is shown without the defaults of %v", without), d.event)
		},
	},
	{
		ID: "A53", Name: "takes several values", Revision: Legacy, Level: Must, Derived: true, Observed: wireAndUI,
		Text:    "In a form that lets the person choose several values they can, and all of them are sent, as a list.",
		Section: section(Legacy, "client/elicitation#requested-schema"),
		eras:    both, hook: HookEntries,
		answered: func(j judge, s *session, p *prompt) {
			if p.several == "" || p.got == nil || !s.hasHook(HookEntries) || len(s.dialogs) == 0 {
				return // or it shows no form at all, which is told as that
			}
			if p.got.said() != "accept" {
				j.fail("a form with several values to choose was answered with "+p.got.said(), p.got.line.Event)
				return
			}
			if !s.accepted(p) {
				return
			}
			got, _ := p.chosen()
			want := slices.Sorted(slices.Values(p.entries[0][p.several].([]string)))
			j.that(slices.Equal(got, want), fmt.Sprintf("the person chose %q, and what is sent is %s", want,
				wire.Excerpt(p.got.content, 120)), p.got.line.Event)
		},
	},
}

// accepted says whether a prompt is a form, and was accepted: by the person, and not
// before they had done anything, which is told as that.
func (s *session) accepted(p *prompt) bool {
	early := s.hasHook(HookShown) && p.got != nil && (p.pressed == 0 || p.got.at < p.pressed)
	return p.mode == "form" && !p.unasked && p.got != nil && p.got.err == nil && p.got.action == "accept" && !early
}

// stood is what stood in the form when the person agreed: what the host had it show,
// and over it what the person had entered last.
func (p *prompt) stood() map[string]any {
	out := make(map[string]any)
	if n := len(p.dialogs); n > 0 {
		for name, value := range p.dialogs[n-1].Fields {
			if !blank(value) {
				out[name] = p.meant(name, value)
			}
		}
	}
	maps.Copy(out, p.entered[len(p.entered)-1])
	return out
}

// properties are those of the requested schema.
func (p *prompt) properties() map[string]map[string]any {
	out := make(map[string]map[string]any)
	all, _ := p.schema["properties"].(map[string]any)
	for name, property := range all {
		out[name], _ = property.(map[string]any)
	}
	return out
}

// meant is the value of a field in which this stands: a number or a choice may stand
// there in its own form, or as the text that the person sees.
func (p *prompt) meant(name string, stands any) any {
	text, isText := stands.(string)
	property := p.properties()[name]
	if !isText || property == nil {
		return stands
	}
	choices, _ := property["oneOf"].([]any)
	for _, choice := range choices {
		if c, ok := choice.(map[string]any); ok && c["title"] == text {
			return c["const"]
		}
	}
	if kind := property["type"]; kind == "integer" || kind == "boolean" {
		var value any
		if json.Unmarshal([]byte(text), &value) == nil {
			return value
		}
	}
	return stands
}

// defaults are those of the requested schema.
func (p *prompt) defaults() map[string]any {
	out := make(map[string]any)
	for name, property := range p.properties() {
		if value, ok := property["default"]; ok {
			out[name] = value
		}
	}
	return out
}

// chosen are the values that were sent of the field with several, in order; false if
// they are no list.
func (p *prompt) chosen() ([]string, bool) {
	var content map[string]json.RawMessage
	var values []string
	if json.Unmarshal(p.got.content, &content) != nil || json.Unmarshal(content[p.several], &values) != nil || values == nil {
		return nil, false
	}
	slices.Sort(values)
	return values, true
}

// blank says whether nothing stands in a field.
func blank(value any) bool {
	list, isList := value.([]any)
	return value == nil || value == "" || isList && len(list) == 0
}

// plain is a value as it is read from JSON.
func plain(value any) (out any) {
	_ = json.Unmarshal(wire.Encode(value), &out)
	return out
}
