package state_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
)

func TestDigest_Arguments(t *testing.T) {
	for _, same := range [][]string{
		{``, `{}`, ` { } `},
		{`{"a":1,"b":[true,null]}`, `{ "b" : [ true , null ], "a" : 1 }`, `{"a":1.0,"b":[true,null]}`, `{"a":1e0,"b":[true,null]}`},
		{`{"a":"\u00e9"}`, `{"a":"é"}`},
		{`{"a":0.1}`, `{"a":1e-1}`, `{"a":0.10}`},
		{`{"a":1e22}`, `{"a":10000000000000000000000}`, `{"a":1e+22}`},
		{`{"a":-12.50}`, `{"a":-125e-1}`, `{"a":-0.125E2}`},
		{`{"a":0}`, `{"a":-0}`, `{"a":-0.0}`},
	} {
		first, err := state.DigestArguments(json.RawMessage(same[0]))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range same[1:] {
			if got, err := state.DigestArguments(json.RawMessage(other)); err != nil || got != first {
				t.Errorf("%s and %s differ (%v)", same[0], other, err)
			}
		}
	}
	seen := map[[32]byte]string{}
	for _, text := range []string{
		`{}`, `[]`, `null`, `{"a":1}`, `{"a":"1"}`, `{"a":[1]}`, `{"b":1}`, `{"a":{"b":1}}`, `{"a":1,"b":1}`,
		`{"a":9007199254740992}`, `{"a":9007199254740993}`, `{"a":0.1}`, `{"a":0.2}`, `{"a":1e400}`, `{"a":1e401}`, `{"a":null}`,
	} {
		got, err := state.DigestArguments(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have one digest", text, other)
		}
		seen[got] = text
	}
	for _, bad := range []string{`{`, `{} {}`, `nul`, "\x00"} {
		if _, err := state.DigestArguments(json.RawMessage(bad)); err == nil {
			t.Errorf("%q has a digest", bad)
		}
	}
}

func FuzzDigestArguments(f *testing.F) {
	f.Add([]byte(`{"a":[1.5,"x",{"b":-0}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		first, err := state.DigestArguments(raw)
		if err != nil {
			return
		}
		// A host that decodes and encodes again presents the same arguments.
		var compact bytes.Buffer
		if len(bytes.TrimSpace(raw)) == 0 || json.Compact(&compact, raw) != nil {
			return
		}
		if again, err := state.DigestArguments(compact.Bytes()); err != nil || again != first {
			t.Errorf("%s and %s differ (%v)", raw, compact.Bytes(), err)
		}
	})
}
