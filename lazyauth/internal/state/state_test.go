package state_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
)

var binding = state.Binding{
	Service: "Notes", Issuer: "https://as.example", ClientID: "c", Principal: "p", Client: "k",
	Method: "tools/call", Tool: "t",
}

func newSealer(t testing.TB, keys ...[]byte) *state.Sealer {
	t.Helper()
	s, err := state.NewSealer("this", keys...)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func seal(t testing.TB, s *state.Sealer, what state.State, b state.Binding) string {
	t.Helper()
	text, err := s.Seal(what, b, 0)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func TestState_OpensOnlyWhereItWasBound(t *testing.T) {
	s := newSealer(t)
	now := 1000 * time.Hour
	want := state.State{Call: "CALL", Prompt: "prompt", Inner: "inner", End: now + time.Minute}
	text := seal(t, s, want, binding)
	got, err := s.Open(text, binding, now)
	if err != nil || !s.Own(got) {
		t.Errorf("opened %+v, %v", got, err)
	}
	if got = (state.State{Call: got.Call, Prompt: got.Prompt, Inner: got.Inner, End: got.End}); got != want {
		t.Errorf("opened %+v; want %+v", got, want)
	}
	if call, ok := state.CallIn(text); call != "CALL" || !ok {
		t.Errorf("the text names the call %q, %t", call, ok)
	}
	if _, err := s.Open("OTHER"+strings.TrimPrefix(text, "CALL"), binding, now); err != state.ErrState {
		t.Errorf("opened in the name of another call: %v", err)
	}
	others := map[string]func(*state.Binding){
		"service": func(b *state.Binding) { b.Service = "x" }, "issuer": func(b *state.Binding) { b.Issuer = "x" },
		"client id": func(b *state.Binding) { b.ClientID = "x" }, "principal": func(b *state.Binding) { b.Principal = "x" },
		"client": func(b *state.Binding) { b.Client = "x" }, "method": func(b *state.Binding) { b.Method = "x" },
		"tool": func(b *state.Binding) { b.Tool = "x" }, "arguments": func(b *state.Binding) { b.Arguments[0]++ },
		// The same bytes, cut elsewhere.
		"shifted": func(b *state.Binding) { b.Principal, b.Client = "pk", "" },
	}
	for name, change := range others {
		b := binding
		change(&b)
		if _, err := s.Open(text, b, now); err != state.ErrState {
			t.Errorf("opened for another %s: %v", name, err)
		}
	}
	if _, err := s.Open(text, binding, want.End); err != state.ErrState {
		t.Errorf("opened when it had lapsed: %v", err)
	}
	for n := range text {
		altered := []byte(text)
		altered[n] ^= 1
		if _, err := s.Open(string(altered), binding, now); err != state.ErrState {
			t.Errorf("opened with character %d altered: %v", n, err)
		}
	}
}

func TestState_KeyRing(t *testing.T) {
	older, newer := bytes.Repeat([]byte{1}, state.KeySize), bytes.Repeat([]byte{2}, state.KeySize)
	before, after, without := newSealer(t, older), newSealer(t, newer, older), newSealer(t, newer)
	now := time.Duration(0)
	want := state.State{Call: "X", End: now + time.Minute}
	text := seal(t, before, want, binding)
	if _, err := after.Open(text, binding, now); err != nil {
		t.Errorf("a state from before the change of keys: %v", err)
	}
	if _, err := without.Open(text, binding, now); err == nil {
		t.Error("a retired key still opens")
	}
	if _, err := without.Open(seal(t, after, want, binding), binding, now); err != nil {
		t.Errorf("the first key does not seal: %v", err)
	}
	if _, err := newSealer(t).Open(seal(t, newSealer(t), want, binding), binding, now); err == nil {
		t.Error("two processes share a random key")
	}
	if _, err := state.NewSealer("this", []byte("short")); err == nil || !strings.Contains(err.Error(), "32") {
		t.Errorf("a short key: %v", err)
	}
	for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
		if text := fmt.Sprintf(verb, after); text != "state.Sealer" {
			t.Errorf("%s prints %s", verb, text)
		}
	}
}

// Another process that has the keys goes by the wall clock, since the two count their own from
// different moments.
func TestState_OfAnotherProcess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		key := bytes.Repeat([]byte{3}, state.KeySize)
		this := newSealer(t, key)
		other, err := state.NewSealer("other", key)
		if err != nil {
			t.Fatal(err)
		}
		const started = 1000 * time.Hour // by the clock of the one that seals, and 5 by that of the one that opens
		text, err := other.Seal(state.State{Call: "CALL", End: started + time.Minute}, binding, started)
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Second)
		opened, err := this.Open(text, binding, 5)
		if err != nil || this.Own(opened) || !other.Own(opened) || opened.End != 5+40*time.Second || opened.Age != 20*time.Second {
			t.Errorf("opened %+v, %v; want it another's, for 40 s more", opened, err)
		}
		time.Sleep(40 * time.Second)
		if _, err := this.Open(text, binding, 5); err != state.ErrState {
			t.Errorf("a minute later: %v", err)
		}
		if _, err := other.Open(text, binding, started+time.Second); err != nil {
			t.Errorf("the one that sealed it goes by its own clock: %v", err)
		}
	})
}

func TestState_IsBounded(t *testing.T) {
	s := newSealer(t)
	if _, err := s.Seal(state.State{Inner: strings.Repeat("x", state.MaxState)}, binding, 0); err == nil {
		t.Error("a state over the limit was sealed")
	}
	if _, err := s.Open("C."+strings.Repeat("A", state.MaxState+1), binding, 0); err != state.ErrState {
		t.Errorf("a text over the limit: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	s := newSealer(f, bytes.Repeat([]byte{7}, state.KeySize))
	now := time.Duration(0)
	f.Add(seal(f, s, state.State{Call: "C", End: now + time.Minute}, binding))
	f.Add("")
	f.Add("AAAA")
	f.Add("C.AAAA")
	f.Fuzz(func(t *testing.T, text string) {
		if call, ok := state.CallIn(text); ok && (len(call) > 64 || strings.ContainsAny(call, " ./") || len(text) > state.MaxState) {
			t.Errorf("%q names the call %q", text, call)
		}
		opened, err := s.Open(text, binding, now)
		if err == nil && (opened.Call != "C" || now >= opened.End) {
			t.Errorf("forged: %+v", opened)
		}
	})
}

// What an earlier release has sealed opens, since hosts come back with it to whatever process there is. The text is
// never to be changed: without it each update would answer calls under way with an error of the protocol.
func TestState_SealedBefore(t *testing.T) {
	const text = "CALL2345.k8IAjDBaRedWLlyTTribbPcYeXG6D6xD8RCx6gReAVDczuin7kNK06RUJqeILwCj-JEe2rwJc5cGeO2gSf9mqHJR1xbdZyOQr3peoEkKS8za0qIze1_" +
		"sf5ptKN0a4cY7Y-MX60Rb7ZK2wPtlo3kzl4JK0H_HWj7o-RQ-gKNEQwmNUqF4T-1vcgAk7GwhIK71Wej_bCgl-x_-BdSUrlL83ZjPkMykUaRnoas"
	synctest.Test(t, func(t *testing.T) {
		b := binding
		b.Arguments = [32]byte(bytes.Repeat([]byte{7}, 32))
		s := newSealer(t, bytes.Repeat([]byte("0th3rkey"), 4), bytes.Repeat([]byte("st4t3key"), 4))
		time.Sleep(time.Minute)
		got, err := s.Open(text, b, time.Hour)
		if err != nil || s.Own(got) {
			t.Fatalf("opened %+v, %v", got, err)
		}
		if got.Age != time.Minute || got.End != 24*365*100*time.Hour-time.Minute+time.Hour {
			t.Errorf("its age is %v, and it ends at %v", got.Age, got.End)
		}
		got.Age, got.End, got.Sealed, got.Until = 0, 0, time.Time{}, time.Time{}
		if want := (state.State{Call: "CALL2345", Prompt: "prompt", Flight: "flight", Mode: 2, Round: true, Inner: "inner", Sealer: "that"}); got != want {
			t.Errorf("opened %+v, want %+v", got, want)
		}
	})
}
