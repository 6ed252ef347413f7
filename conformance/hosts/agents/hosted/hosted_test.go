package hosted //nolint:testpackage // the script is all that there is to test without an agent

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/screen"
)

// The model makes the calls of a step at once, and those of the next when it has all
// results; each result is reported once, under the name of its call.
func TestScript_Steps(t *testing.T) {
	task := hostcheck.Task{Steps: [][]hostcheck.Call{
		{{ID: "a", Tool: "one", TimeoutMs: 3000}, {ID: "b", Tool: "two", TimeoutMs: 1500}}, {{ID: "c", Tool: "three"}},
	}}
	var reported []string
	control := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/task" {
			if got := r.URL.Query().Get("hooks"); got != "outcome" {
				t.Errorf("it reports %q", got)
			}
			_ = json.NewEncoder(w).Encode(task)
			return
		}
		var o hostcheck.Outcome
		if err := json.NewDecoder(r.Body).Decode(&o); err != nil {
			t.Error(err)
		}
		reported = append(reported, o.Call+"="+o.Text)
	}))
	defer control.Close()
	t.Setenv("HOSTCHECK_CONTROL", control.URL)
	on, err := screen.OpenUnasked(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s := newScript(on)
	if got := s.timeout(); got != 1500*time.Millisecond || s.First() != "one" {
		t.Errorf("the first tool is %q, and the time-out %v", s.First(), got)
	}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", nil)
	for _, test := range []struct {
		results  []string
		calls    string
		reported string
	}{
		{nil, "one two", ""},
		{nil, "one two", ""}, // an agent that asks its model again
		{[]string{"1", "2"}, "three", "a=1 b=2"},
		{[]string{"1", "2", "3"}, "", "a=1 b=2 c=3"},
		{[]string{"1", "2", "3"}, "", "a=1 b=2 c=3"},
	} {
		calls, words := s.Next(r, test.results)
		var names []string
		for _, c := range calls {
			names = append(names, c.Tool)
		}
		if got := strings.Join(names, " "); got != test.calls || strings.Join(reported, " ") != test.reported || (words == "") != (got != "") {
			t.Errorf("after %q: calls %q, says %q, has reported %q", test.results, got, words, reported)
		}
	}
	select {
	case <-s.done:
	default:
		t.Error("it is not done")
	}
}
