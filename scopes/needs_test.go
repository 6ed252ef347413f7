package scopes_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// writes are the needs of a tool that writes files: those of workflows take one scope more.
var writes = scopes.Needs[string]{
	Possible: []scopes.Requirement{scopes.Of("repo"), scopes.Of("repo", "workflow")},
	Of: func(path string) (scopes.Requirement, error) {
		switch {
		case path == "":
			return nil, errors.New("name the file")
		case path == "nil":
			return nil, nil
		case path == "more":
			return scopes.AnyOf(scopes.Of("repo"), scopes.Of("secret-of-the-caller")), nil
		case strings.HasPrefix(path, ".github/workflows/"):
			return scopes.AllOf(scopes.Of("repo"), scopes.Of("workflow")), nil
		}
		return scopes.Of("repo"), nil
	},
}

func TestNeeds_For(t *testing.T) {
	for path, want := range map[string]scopes.Requirement{
		"README.md":                scopes.Of("repo"),
		".github/workflows/ci.yml": scopes.Of("repo", "workflow"),
	} {
		if got, err := writes.For(path); got != want || err != nil {
			t.Errorf("%s needs %v, %v", path, got, err)
		}
	}
	if _, err := writes.For(""); err == nil || err.Error() != "name the file" || errors.Is(err, scopes.ErrNeeds) {
		t.Errorf("the function's own error is %v", err)
	}
	for _, path := range []string{"nil", "more"} {
		if need, err := writes.For(path); need != nil || !errors.Is(err, scopes.ErrNeeds) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, %v", path, need, err)
		}
	}
}

func TestNeeds_Check(t *testing.T) {
	if err := writes.Check(); err != nil {
		t.Error(err)
	}
	for name, needs := range map[string]scopes.Needs[string]{
		"no function":      {Possible: writes.Possible},
		"nothing possible": {Of: writes.Of},
		"a nil need":       {Of: writes.Of, Possible: []scopes.Requirement{scopes.Of("repo"), nil}},
	} {
		if err := needs.Check(); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}
