package scopes_test

import (
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
