package hostcheck_test

import (
	"encoding/json"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

// A client made for the official suite finds what that suite tells it: which scenario, in
// which revision, and what only the scenario knows, as one JSON object with its name.
func TestOfficial_Environment(t *testing.T) {
	t.Setenv("MCP_CONFORMANCE_CONTEXT", `{"name":"auth/pre-registration"}`) // of whoever started hostcheck
	_, seen := badHost(t, "dump", hostcheck.Config{Timeout: patience, Host: []string{"{server}"}, Transports: []string{hostcheck.HTTP}})
	for name, want := range map[string]string{"SCENARIO": "advertising", "PROTOCOL_VERSION": hostcheck.Modern} {
		if got := seen["MCP_CONFORMANCE_"+name]; len(got) != 1 || got[0] != want {
			t.Errorf("%s is %q, not %s", name, got, want)
		}
	}
	if len(seen["MCP_CONFORMANCE_CONTEXT"]) != 1 {
		t.Fatalf("the context is %q", seen["MCP_CONFORMANCE_CONTEXT"])
	}
	var context struct {
		Name      string
		ToolCalls []struct {
			Name      string
			Arguments map[string]any
		}
		Hostcheck struct {
			Task    hostcheck.Task
			Control string
		}
	}
	if err := json.Unmarshal([]byte(seen["MCP_CONFORMANCE_CONTEXT"][0]), &context); err != nil {
		t.Fatal(err)
	}
	if calls := context.ToolCalls; context.Name != "advertising" || len(calls) != 2 || calls[0].Name != "notes_search" ||
		calls[0].Arguments["call"] != "first" || calls[1].Arguments["call"] != "second" {
		t.Errorf("the context is %+v", context)
	}
	if context.Hostcheck.Control != seen["CONTROL"][0] || context.Hostcheck.Task.Server.URL != seen["URL"][0] {
		t.Errorf("the task is %+v, at %s", context.Hostcheck.Task, context.Hostcheck.Control)
	}
}
