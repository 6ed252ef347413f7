package refhost

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"github.com/google/jsonschema-go/jsonschema"
)

// A form is what a person fills in, or nothing where a URL is shown.
type form struct {
	h        *host
	fields   map[string]*jsonschema.Schema
	required []string
	check    *jsonschema.Resolved // nil if the schema is none
	values   map[string]any       // what stands in it
}

// maxTries is how often a person tries to send a form that cannot be sent.
const maxTries = 5

// newForm is the form of an elicitation, with its defaults.
func newForm(h *host, e elicitation) *form {
	f := &form{h: h, values: make(map[string]any)}
	var s jsonschema.Schema
	if e.Mode == "url" || json.Unmarshal(e.Schema, &s) != nil {
		return f
	}
	if h.fault == FollowsFormReferences {
		for _, ref := range references.FindAllSubmatch(e.Schema, -1) {
			h.visit(h.begun, string(ref[1]))
		}
	}
	f.fields, f.required = s.Properties, s.Required
	f.check, _ = s.Resolve(nil) // what refers to elsewhere is not followed, and cannot be checked
	for name, field := range s.Properties {
		if len(field.Default) == 0 || h.habit == NoDefaults || h.fault == DefaultsForSome && field.Type == "boolean" {
			continue
		}
		var value any
		if json.Unmarshal(field.Default, &value) == nil {
			f.values[name] = value
		}
	}
	return f
}

// enter is the person at the form.
func (f *form) enter(entries map[string]any) {
	for name, value := range entries {
		list, several := value.([]any)
		switch field := f.fields[name]; {
		case f.h.fault == KeepsDefaults && field != nil && len(field.Default) > 0:
		case f.h.fault == OneOfSeveral && several && len(list) > 0:
			f.values[name] = list[:1]
		default:
			f.values[name] = value
		}
	}
}

// valid says whether it can be sent.
func (f *form) valid() bool {
	return f.check == nil || f.h.fault == SendsAnything || f.check.Validate(f.content()) == nil
}

// complete is a person in a hurry, who enters what has to be there.
func (f *form) complete() {
	for _, name := range f.required {
		if _, ok := f.values[name]; ok || f.fields[name] == nil {
			continue
		}
		if f.values[name] = "whatever"; f.fields[name].Type == "array" && f.fields[name].Items != nil {
			f.values[name] = []any{}
			for _, choice := range slices.Concat(f.fields[name].Items.AnyOf, f.fields[name].Items.OneOf)[:1] {
				f.values[name] = []any{*choice.Const}
			}
		}
	}
}

// content is what stands in it.
func (f *form) content() map[string]any {
	out := maps.Clone(f.values)
	if f.h.fault == SendsUnseen && len(f.fields) > 0 {
		out["_origin"] = "refhost"
	}
	return out
}

// stands is what the person sees in its fields.
func (f *form) stands() map[string]any {
	out := maps.Clone(f.values)
	if f.h.habit != FieldsAsText {
		return out
	}
	for name, value := range out {
		switch field := f.fields[name]; {
		case field == nil:
		case field.Type == "integer" || field.Type == "boolean":
			out[name] = fmt.Sprint(value)
		default:
			for _, choice := range field.OneOf {
				if choice.Const != nil && *choice.Const == value {
					out[name] = choice.Title
				}
			}
		}
	}
	return out
}
