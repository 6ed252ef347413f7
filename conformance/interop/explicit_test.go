package interop_test

import (
	"slices"
	"testing"
)

// What is listed while nobody is signed in, and afterwards.
var (
	authTools   = []string{"auth_login", "auth_logout", "auth_status", "auth_upgrade_scope"}
	withoutSign = slices.Sorted(slices.Values(append(slices.Clone(authTools), "ping")))
	withSign    = slices.Sorted(slices.Values(append(slices.Clone(withoutSign), "create_note", "list_notes", "whoami")))
)

// lists demands what the host is given when it lists.
func (s *story) lists(want []string) {
	s.Helper()
	names, err := s.host.tools(s.ctx)
	if err != nil {
		s.Fatal(err)
	}
	slices.Sort(names)
	if !slices.Equal(names, want) {
		s.Errorf("listed: %q, want %q", names, want)
	}
}

// Explicit mode: the person signs in by a tool, is asked for more by another, and logs out. In the
// legacy era the tools that need the sign-in are listed after it alone, and each change is told;
// in the modern era the list stays as it is, and nothing is told. A tool that is not listed asks
// for the sign-in all the same.
func TestExplicitMode(t *testing.T) {
	everyHost(t, storyOptions{explicit: true}, func(t *testing.T, s *story) {
		without, changes := withoutSign, 3
		if s.options.era == modern {
			without, changes = withSign, 0
		}
		s.lists(without)
		s.call("auth_status", nil, "Not signed in to Notes. Call auth_login to ask the user, or a tool that needs it.")
		if all := s.as.of(t, s.client); len(all) != 0 {
			t.Errorf("the authorization server was asked before there was a need: %+v", all)
		}

		login := s.begin("auth_login", nil)
		s.approve(s.prompted(login))
		s.answered(login, "Signed in to Notes as \""+s.person.name+"\"")
		s.lists(withSign)
		s.call("whoami", nil, s.person.name)
		s.call("auth_login", nil, "Already signed in to Notes")

		more := s.begin("auth_upgrade_scope", map[string]any{"scopes": []string{"notes:read"}})
		s.approve(s.prompted(more))
		s.answered(more, "Granted: notes:read, profile.")
		s.call("list_notes", nil, "")
		if r := s.refused(s.begin("auth_upgrade_scope", map[string]any{"scopes": []string{"admin"}}), "exceeded"); r.text() != beyondLimit {
			t.Errorf("beyond the limit: %q", r.text())
		}

		s.call("auth_logout", nil, "Logged out of Notes as")
		s.lists(without)
		whoami := s.begin("whoami", nil)
		s.approve(s.prompted(whoami))
		s.answered(whoami, s.person.name)
		s.lists(withSign)
		s.finish(3)
		if s.changes != changes {
			t.Errorf("the host was told of %d changes of its list, want %d\n%s", s.changes, changes, s.transcript())
		}
	})
}

const beyondLimit = "This server has no use for one of these scopes of Notes, and nobody was asked. It can ask for: notes:read, notes:write, profile.\n"

// Eager mode: the person is asked once, though nothing needs it. A host of the legacy era has done
// nothing but start; one of the modern era has called a tool that is for everybody. A start that
// only lists asks nobody, and ends before the person could be.
func TestEagerMode(t *testing.T) {
	everyHost(t, storyOptions{flags: []string{"-mode", "eager"}}, func(t *testing.T, s *story) {
		s.lists([]string{"create_note", "list_notes", "ping", "whoami"})
		if s.options.era == legacy {
			s.approve(s.prompted(&calling{story: s, tool: "nothing", done: make(chan struct{})}))
		} else {
			start := s.begin("ping", nil)
			s.approve(s.prompted(start))
			s.answered(start, "pong")
		}
		s.call("list_notes", nil, "")
		s.call("whoami", nil, s.person.name)
		s.call("ping", nil, "pong")
		s.finish(1)
	})
}

func TestEagerMode_Probe(t *testing.T) {
	everyHost(t, storyOptions{flags: []string{"-mode", "eager"}}, func(t *testing.T, s *story) {
		s.lists([]string{"create_note", "list_notes", "ping", "whoami"})
		s.finish(0)
		if all := s.as.of(t, s.client); len(all) != 0 {
			t.Errorf("the authorization server was asked: %+v", all)
		}
	})
}
