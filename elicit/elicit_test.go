package elicit_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var binding = elicit.Binding{
	Service: "Notes", Issuer: "https://as.example", ClientID: "c", Principal: "p", Client: "k",
	Method: "tools/call", Tool: "t",
}

func newSealer(t testing.TB, keys ...[]byte) *elicit.Sealer {
	t.Helper()
	s, err := elicit.NewSealer(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *elicit.Sealer, state elicit.State, b elicit.Binding) string {
	t.Helper()
	text, err := s.Seal(state, b)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestStateOpensOnlyWhereItWasBound(t *testing.T) {
	s := newSealer(t)
	now := time.Unix(1_000_000, 0)
	state := elicit.State{Call: "call", Prompt: "prompt", Inner: "inner", Expires: now.Add(time.Minute)}
	text := seal(t, s, state, binding)
	if got, err := s.Open(text, binding, now); err != nil || got != state {
		t.Errorf("opened %+v, %v; want %+v", got, err, state)
	}
	if strings.Contains(text, "call") {
		t.Error("the state travels in the open")
	}
	others := map[string]func(*elicit.Binding){
		"service": func(b *elicit.Binding) { b.Service = "x" }, "issuer": func(b *elicit.Binding) { b.Issuer = "x" },
		"client id": func(b *elicit.Binding) { b.ClientID = "x" }, "principal": func(b *elicit.Binding) { b.Principal = "x" },
		"client": func(b *elicit.Binding) { b.Client = "x" }, "method": func(b *elicit.Binding) { b.Method = "x" },
		"tool": func(b *elicit.Binding) { b.Tool = "x" }, "arguments": func(b *elicit.Binding) { b.Arguments[0]++ },
		// The same bytes, cut elsewhere.
		"shifted": func(b *elicit.Binding) { b.Principal, b.Client = "pk", "" },
	}
	for name, change := range others {
		b := binding
		change(&b)
		if _, err := s.Open(text, b, now); err != elicit.ErrState {
			t.Errorf("opened for another %s: %v", name, err)
		}
	}
	if _, err := s.Open(text, binding, state.Expires); err != elicit.ErrState {
		t.Errorf("opened when it had lapsed: %v", err)
	}
	for n := range text {
		altered := []byte(text)
		altered[n] ^= 1
		if _, err := s.Open(string(altered), binding, now); err != elicit.ErrState {
			t.Errorf("opened with character %d altered: %v", n, err)
		}
	}
}

func TestKeyRing(t *testing.T) {
	older, newer := bytes.Repeat([]byte{1}, elicit.KeySize), bytes.Repeat([]byte{2}, elicit.KeySize)
	before, after, without := newSealer(t, older), newSealer(t, newer, older), newSealer(t, newer)
	now := time.Unix(0, 0)
	state := elicit.State{Call: "x", Expires: now.Add(time.Minute)}
	text := seal(t, before, state, binding)
	if _, err := after.Open(text, binding, now); err != nil {
		t.Errorf("a state from before the change of keys: %v", err)
	}
	if _, err := without.Open(text, binding, now); err == nil {
		t.Error("a retired key still opens")
	}
	if _, err := without.Open(seal(t, after, state, binding), binding, now); err != nil {
		t.Errorf("the first key does not seal: %v", err)
	}
	if _, err := newSealer(t).Open(seal(t, newSealer(t), state, binding), binding, now); err == nil {
		t.Error("two processes share a random key")
	}
	if _, err := elicit.NewSealer([]byte("short")); err == nil || !strings.Contains(err.Error(), "32") {
		t.Errorf("a short key: %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, after); text != "elicit.Sealer" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

func TestStateIsBounded(t *testing.T) {
	s := newSealer(t)
	if _, err := s.Seal(elicit.State{Inner: strings.Repeat("x", elicit.MaxState)}, binding); err == nil {
		t.Error("a state over the limit was sealed")
	}
	if _, err := s.Open(strings.Repeat("A", elicit.MaxState+1), binding, time.Now()); err != elicit.ErrState {
		t.Errorf("a text over the limit: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s := newSealer(f, bytes.Repeat([]byte{7}, elicit.KeySize))
	now := time.Unix(0, 0)
	f.Add(seal(f, s, elicit.State{Call: "c", Expires: now.Add(time.Minute)}, binding))
	f.Add("")
	f.Add("AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		state, err := s.Open(text, binding, now)
		if err == nil && (state.Call != "c" || !now.Before(state.Expires)) {
			t.Errorf("forged: %+v", state)
		}
	})
}

func TestDigestArguments(t *testing.T) {
	for _, same := range [][]string{
		{``, `{}`, ` { } `},
		{`{"a":1,"b":[true,null]}`, `{ "b" : [ true , null ], "a" : 1 }`, `{"a":1.0,"b":[true,null]}`, `{"a":1e0,"b":[true,null]}`},
		{`{"a":"\u00e9"}`, `{"a":"é"}`},
		{`{"a":0.1}`, `{"a":1e-1}`, `{"a":0.10}`},
		{`{"a":1e22}`, `{"a":10000000000000000000000}`, `{"a":1e+22}`},
		{`{"a":-12.50}`, `{"a":-125e-1}`, `{"a":-0.125E2}`},
		{`{"a":0}`, `{"a":-0}`, `{"a":-0.0}`},
	} {
		first, err := elicit.DigestArguments(json.RawMessage(same[0]))
		if err != nil {
			t.Fatal(err)
		}
		for _, other := range same[1:] {
			if got, err := elicit.DigestArguments(json.RawMessage(other)); err != nil || got != first {
				t.Errorf("%s and %s differ (%v)", same[0], other, err)
			}
		}
	}
	seen := map[[32]byte]string{}
	for _, text := range []string{
		`{}`, `[]`, `null`, `{"a":1}`, `{"a":"1"}`, `{"a":[1]}`, `{"b":1}`, `{"a":{"b":1}}`, `{"a":1,"b":1}`,
		`{"a":9007199254740992}`, `{"a":9007199254740993}`, `{"a":0.1}`, `{"a":0.2}`, `{"a":1e400}`, `{"a":1e401}`, `{"a":null}`,
	} {
		got, err := elicit.DigestArguments(json.RawMessage(text))
		if err != nil {
			t.Fatal(err)
		}
		if other, ok := seen[got]; ok {
			t.Errorf("%s and %s have one digest", text, other)
		}
		seen[got] = text
	}
	for _, bad := range []string{`{`, `{} {}`, `nul`, "\x00"} {
		if _, err := elicit.DigestArguments(json.RawMessage(bad)); err == nil {
			t.Errorf("%q has a digest", bad)
		}
	}
}

func FuzzDigestArguments(f *testing.F) {
	f.Add([]byte(`{"a":[1.5,"x",{"b":-0}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		first, err := elicit.DigestArguments(raw)
		if err != nil {
			return
		}
		// A host that decodes and encodes again presents the same arguments.
		var compact bytes.Buffer
		if len(bytes.TrimSpace(raw)) == 0 || json.Compact(&compact, raw) != nil {
			return
		}
		if again, err := elicit.DigestArguments(compact.Bytes()); err != nil || again != first {
			t.Errorf("%s and %s differ (%v)", raw, compact.Bytes(), err)
		}
	})
}

func TestPromptTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := elicit.Prompt{
			Service: "Notes", URL: "https://as.example/device", UserCode: "WDJB-MJHT",
			Scopes: scopes.Of("notes:read", "profile"), Expires: time.Now().Add(10 * time.Minute),
		}
		wire, err := json.Marshal(elicit.Wording(nil).Elicitation(elicit.URL, p, "id-1"))
		if err != nil {
			t.Fatal(err)
		}
		want := `{"mode":"url","message":"Sign in to Notes at as.example with the code WDJB-MJHT. It asks for: notes:read, profile. The code is valid for 10 minutes. The call continues by itself once you have approved.","url":"https://as.example/device","elicitationId":"id-1"}`
		if string(wire) != want {
			t.Errorf("on the wire:\n%s\nwant\n%s", wire, want)
		}
		if wire, _ := json.Marshal(elicit.Wording(nil).Elicitation(elicit.Form, p, "id-1")); bytes.Contains(wire, []byte("elicitationId")) {
			t.Errorf("a form with an id: %s", wire)
		}
		for left, want := range map[time.Duration]string{
			-time.Second: "0 seconds", 59 * time.Second: "59 seconds", 89 * time.Second: "1 minute", 90 * time.Second: "2 minutes", 10*time.Minute - time.Second: "10 minutes",
		} {
			p.Expires = time.Now().Add(left)
			if text := elicit.Wording(nil).Say(elicit.Text, p); !strings.Contains(text, "valid for "+want+")") {
				t.Errorf("with %v left: %s", left, text)
			}
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(verb, p); strings.Contains(text, "WDJB") {
				t.Errorf("%s shows the code: %s", verb, text)
			}
		}
	})
}

func TestModern(t *testing.T) {
	for version, want := range map[any]bool{
		"2026-07-28": true, "2027-01-01": true, "2025-11-25": false, "": false, nil: false, 20260728: false,
	} {
		if got := elicit.Modern(mcp.Meta{mcp.MetaKeyProtocolVersion: version}); got != want {
			t.Errorf("version %v: %t, want %t", version, got, want)
		}
	}
	if elicit.Modern(nil) {
		t.Error("a request without _meta is modern")
	}
	if n := testing.AllocsPerRun(100, func() { elicit.Modern(nil) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
