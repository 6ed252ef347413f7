package lazyauth

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// What a call has for its arguments is one JSON object, or nothing, and what is left open in it is
// as the tool's input schema has it.
func TestCompleted(t *testing.T) {
	defaults := func() map[string]any {
		return map[string]any{"limit": 30.0, "page": map[string]any{"size": 10.0}}
	}
	const all = `{"limit":30,"page":{"size":10}}`
	for sent, want := range map[string]string{
		``:                             all,
		`null`:                         all,
		" \t\r\nnull\n":                all,
		`{}`:                           all,
		"\n{ }\t":                      all,
		`{"limit":null}`:               `{"limit":null,"page":{"size":10}}`,
		`{"page":null}`:                `{"limit":30,"page":null}`,
		`{"page":{}}`:                  all,
		`{"page":{"size":1E2},"id":1}`: `{"id":1,"limit":30,"page":{"size":1E2}}`,
		`{"id":9007199254740993}`:      `{"id":9007199254740993,"limit":30,"page":{"size":10}}`,
	} {
		if got, err := completed(json.RawMessage(sent), defaults()); err != nil || string(got) != want {
			t.Errorf("%q becomes %s, %v; want %s", sent, got, err, want)
		}
	}
	for _, sent := range []string{
		` `, `null0`, `null` + " null", `null{}`, `null,`, `{}{}`, `{"a":1} {"b":2}`, `{"a":1}]`, `{} x`, `[]`, `[{}]`, `1`, `"{}"`, `false`, `{`, `nul`, "\u00a0null", "\ufeff{}", `{"a":1}` + "\x00",
	} {
		for _, with := range []map[string]any{nil, defaults()} {
			got, err := completed(json.RawMessage(sent), with)
			if _, ok := errors.AsType[malformedError](err); !ok {
				t.Errorf("%q becomes %s, %v", sent, got, err)
			}
			if values, err := satisfies(json.RawMessage(sent), &mcp.Tool{InputSchema: json.RawMessage(`{}`)}); err == nil {
				t.Errorf("%q satisfies any schema, as %v", sent, values)
			}
		}
	}
}

// FuzzCompleted looks for arguments that have two names in an object which some decoder takes
// for one, or that come out other than they were sent.
func FuzzCompleted(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"a":1,"A":2}`, `{"a":{"b":[{"c":1e400},{"c":-0}]}}`, `{"\u017f":1,"s":2}`, `{"a":1} {"b":2}`, `[[[[`, `{"a":"\ud800"}`, `{"":{"":{}}}`,
		`null0`, `null` + " null", `{} x`, `null,{"a":1}`, ` null` + "\n", "\u00a0null",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, sent string) {
		got, err := completed(json.RawMessage(sent), nil)
		if err != nil {
			return
		}
		var value map[string]any
		if err := json.Unmarshal(got, &value); err != nil && !strings.Contains(err.Error(), "cannot unmarshal number") {
			t.Fatalf("%q becomes %q, which cannot be read: %v", sent, got, err)
		}
		again, err := completed(got, nil)
		if err != nil || string(again) != string(got) {
			t.Errorf("%q becomes %q, and that %q, %v", sent, got, again, err)
		}
		alike(t, value)
	})
}

// alike demands that no object in value has two names that are equal but for their case.
func alike(t *testing.T, value any) {
	switch v := value.(type) {
	case map[string]any:
		names := slices.Collect(maps.Keys(v))
		for n, name := range names {
			for _, other := range names[n+1:] {
				if strings.EqualFold(name, other) {
					t.Errorf("it has %q and %q", name, other)
				}
			}
			alike(t, v[name])
		}
	case []any:
		for _, element := range v {
			alike(t, element)
		}
	}
}
