package schema

import (
	"embed"
	"encoding/json"
	"fmt"
	"strings"
	"sync"

	"github.com/google/jsonschema-go/jsonschema"
)

//go:embed mcp/*.json
var published embed.FS

// Request compares a request or a notification of a client with the schema of its
// method. The error says where it differs; nil also if the revision does not have
// the method.
func Request(revision string, raw []byte) error {
	var m struct {
		Method string `json:"method"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	name, ok := methods(revision)[m.Method]
	if !ok {
		return nil
	}
	return validate(revision, name, raw)
}

// ElicitResult compares the result of an elicitation with its schema.
func ElicitResult(revision string, raw []byte) error { return validate(revision, "ElicitResult", raw) }

// A definition is a name in the schema of a revision.
type definition struct{ revision, name string }

// resolved has the schemas that were used: *jsonschema.Resolved by definition.
var resolved sync.Map

func validate(revision, name string, raw []byte) error {
	var instance any
	if err := json.Unmarshal(raw, &instance); err != nil {
		return fmt.Errorf("schema: %w", err)
	}
	at := definition{revision, name}
	s, ok := resolved.Load(at)
	if !ok {
		s, _ = resolved.LoadOrStore(at, resolve(at))
	}
	if err := s.(*jsonschema.Resolved).Validate(instance); err != nil {
		return fmt.Errorf("%s: %w", name, short(err))
	}
	return nil
}

// resolve reads a definition. The schemas are part of the program, so that they are
// there and are good.
func resolve(at definition) *jsonschema.Resolved {
	var root jsonschema.Schema
	if err := json.Unmarshal(read(at.revision), &root); err != nil {
		panic("schema: " + err.Error())
	}
	root.Ref = "#/$defs/" + at.name
	r, err := root.Resolve(nil)
	if err != nil {
		panic("schema: " + err.Error())
	}
	return r
}

func read(revision string) []byte {
	raw, err := published.ReadFile("mcp/" + revision + ".json")
	if err != nil {
		panic("schema: " + err.Error())
	}
	return raw
}

// methods are what a client sends in a revision, with the names of their schemas.
func methods(revision string) map[string]string {
	if revision == "2025-11-25" {
		return older()
	}
	return newer()
}

var (
	older = sync.OnceValue(func() map[string]string { return client("2025-11-25") })
	newer = sync.OnceValue(func() map[string]string { return client("2026-07-28") })
)

// client reads which methods are those of a client.
func client(revision string) map[string]string {
	type reference struct {
		Ref   string      `json:"$ref"`
		AnyOf []reference `json:"anyOf"`
	}
	var s struct {
		Defs map[string]json.RawMessage `json:"$defs"`
	}
	if err := json.Unmarshal(read(revision), &s); err != nil {
		panic("schema: " + err.Error())
	}
	out := make(map[string]string)
	for _, sort := range []string{"ClientRequest", "ClientNotification"} {
		var all reference
		if err := json.Unmarshal(s.Defs[sort], &all); err != nil {
			panic("schema: " + err.Error())
		}
		names := []string{sort} // where there is one alone, it stands there
		for _, one := range append(all.AnyOf, all) {
			names = append(names, strings.TrimPrefix(one.Ref, "#/$defs/"))
		}
		for _, name := range names {
			var d struct {
				Properties struct {
					Method struct{ Const string } `json:"method"`
				} `json:"properties"`
			}
			if json.Unmarshal(s.Defs[name], &d) == nil && d.Properties.Method.Const != "" {
				out[d.Properties.Method.Const] = name
			}
		}
	}
	return out
}

// short drops the way through the schema, which is long, from an error, and calls null by
// its name.
func short(err error) error {
	text := strings.ReplaceAll(err.Error(), "<invalid reflect.Value>", "null")
	if i := strings.LastIndex(text, "validating "); i >= 0 {
		text = text[i+len("validating "):]
	}
	return fmt.Errorf("%s", text)
}
