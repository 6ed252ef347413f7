package scopes_test

import (
	"encoding/json"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestPolicy_Need(t *testing.T) {
	tools := map[string]scopes.Requirement{
		"write":     scopes.Of("notes:write"),
		"whoami":    scopes.Set{},
		"forbidden": nil,
	}
	open := scopes.Policy{Tools: tools, Unlisted: scopes.Of("profile")}
	closed := scopes.Policy{Tools: tools}
	for _, test := range []struct {
		policy scopes.Policy
		tool   string
		need   scopes.Requirement
		gated  bool
	}{
		{open, "write", scopes.Of("notes:write"), true},
		{open, "whoami", scopes.Set{}, true},
		{open, "forbidden", nil, false}, // not what unlisted tools may use
		{open, "unheard", scopes.Of("profile"), false},
		{closed, "write", scopes.Of("notes:write"), true},
		{closed, "forbidden", nil, false},
		{closed, "unheard", nil, false},
		{scopes.Policy{}, "write", nil, false},
	} {
		need, gated := test.policy.Need(test.tool)
		if need != test.need || gated != test.gated {
			t.Errorf("%s needs %v, %t, want %v, %t", test.tool, need, gated, test.need, test.gated)
		}
	}
}

func TestPolicy_ByArguments(t *testing.T) {
	needs := scopes.Needs[json.RawMessage]{
		Possible: []scopes.Requirement{scopes.Of("repo"), scopes.AnyOf(scopes.Of("workflow"), scopes.Of("admin"))},
		Of:       func(json.RawMessage) (scopes.Requirement, error) { return scopes.Of("repo"), nil },
	}
	policy := scopes.Policy{
		Tools:       map[string]scopes.Requirement{"read": scopes.Of("repo")},
		ByArguments: map[string]scopes.Needs[json.RawMessage]{"write": needs},
	}
	if err := policy.Check(); err != nil {
		t.Error(err)
	}
	if need, gated := policy.Need("write"); need != scopes.Of("admin", "repo", "workflow") || !gated {
		t.Errorf("write may need %v, %t", need, gated)
	}
	policy.Tools["write"] = scopes.Of("repo")
	if err := policy.Check(); err == nil {
		t.Error("a tool that is listed twice is accepted")
	}
	delete(policy.Tools, "write")
	policy.ByArguments["write"] = scopes.Needs[json.RawMessage]{Possible: needs.Possible}
	if err := policy.Check(); err == nil {
		t.Error("needs without a function are accepted")
	}
}
