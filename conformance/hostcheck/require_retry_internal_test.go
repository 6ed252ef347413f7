package hostcheck

import (
	"encoding/json"
	"maps"
	"slices"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// An answer under a name that nothing is called is one that is missing (B6). What belongs
// to another call, or comes beside the right answers, has leaked or was made up.
func TestRetry_WhoseAnswer(t *testing.T) {
	s := newSession(t.Context(), roundTrips, Modern, HTTP)
	defer s.end()
	s.inputs = map[string]bool{"alpha": true, "beta": true}
	for _, c := range []struct {
		answers            []string
		stranger, misnamed string
	}{
		{answers: []string{"alpha"}},
		{answers: []string{"ALPHA"}, misnamed: "ALPHA"},
		{answers: []string{"beta"}, stranger: "beta"},
		{answers: []string{"alpha", "beta"}, stranger: "beta"},
		{answers: []string{"alpha", "ALPHA"}, stranger: "ALPHA"},
	} {
		again := &call{Line: &wire.Line{}}
		again.InputResponses = make(map[string]json.RawMessage)
		for _, key := range c.answers {
			again.InputResponses[key] = json.RawMessage(`{"action":"accept"}`)
		}
		r := retried(&flow{s: s, rounds: []*call{{}, again}, asked: map[string]*prompt{"alpha": {}}})
		if r.stranger != c.stranger || r.misnamed != c.misnamed {
			t.Errorf("%q: the stranger is %q, the misnamed %q", slices.Sorted(maps.Keys(again.InputResponses)), r.stranger, r.misnamed)
		}
	}
}
