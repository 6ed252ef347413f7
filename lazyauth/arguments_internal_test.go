package lazyauth

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"
)

// FuzzCompleted looks for arguments that have two names in an object which some decoder takes
// for one, or that come out other than they were sent.
func FuzzCompleted(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{}`, `{"a":1,"A":2}`, `{"a":{"b":[{"c":1e400},{"c":-0}]}}`, `{"\u017f":1,"s":2}`, `{"a":1} {"b":2}`, `[[[[`, `{"a":"\ud800"}`, `{"":{"":{}}}`,
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
