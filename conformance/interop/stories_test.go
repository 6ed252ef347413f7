package interop_test

import (
	"slices"
	"testing"
)

// The first call: tools are listed and public ones work with nobody signed in;
// the first that needs it asks, once; approval resumes that very call; the same
// scopes need no second prompt; more scopes need one, in the same browser.
func TestFirstCall(t *testing.T) {
	everyHost(t, storyOptions{}, func(t *testing.T, s *story) {
		names, err := s.host.tools(s.ctx)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(names)
		if want := []string{"create_note", "list_notes", "ping", "whoami"}; !slices.Equal(names, want) {
			t.Errorf("tools listed before sign-in: %q, want %q", names, want)
		}
		s.call("ping", nil, "")
		if all := s.as.of(t, s.client); len(all) != 0 {
			t.Errorf("the authorization server was asked before there was a need: %+v", all)
		}

		whoami := s.begin("whoami", nil)
		s.approve(s.prompted(whoami))
		s.answered(whoami, s.person.name)
		s.call("whoami", nil, s.person.name)

		notes := s.begin("list_notes", nil)
		s.approve(s.prompted(notes))
		s.answered(notes, "")
		s.call("whoami", nil, s.person.name)
		s.call("list_notes", nil, "")
		s.finish(2)

		if want := []string{"profile", "notes:read"}; !slices.Equal(s.person.consented, want) {
			t.Errorf("the person was asked for %q, want %q", s.person.consented, want)
		}
	})
}

// A server that demands PKCE of devices is one like any other: its metadata says that it
// has S256, and the device flow uses it.
func TestFirstCall_DevicePKCE(t *testing.T) {
	bothEras(t, storyOptions{as: world.strict}, func(_ *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		s.approve(s.prompted(whoami))
		s.answered(whoami, s.person.name)
		s.finish(1)
	})
}

// A second tool whose scopes were granted with the first needs no prompt, and
// the held call's arguments arrive, once.
func TestSecondTool(t *testing.T) {
	everyHost(t, storyOptions{}, func(t *testing.T, s *story) {
		const text = "buy <milk> & \"eggs\""
		create := s.begin("create_note", map[string]any{"text": text})
		s.approve(s.prompted(create))
		s.answered(create, "")
		s.call("whoami", nil, s.person.name)
		s.call("create_note", map[string]any{"text": "and bread"}, "")
		s.finish(1)

		if got := s.as.api.written(s.person.name); !slices.Equal(got, []string{text, "and bread"}) {
			t.Errorf("notes written: %q", got)
		}
	})
}

// Two first calls at once: one prompt, and both get their answer.
func TestTwoFirstCalls(t *testing.T) {
	everyHost(t, storyOptions{}, func(t *testing.T, s *story) {
		one, two := s.begin("whoami", nil), s.begin("whoami", nil)
		s.approve(s.prompted(one))
		s.answered(one, s.person.name)
		s.answered(two, s.person.name)
		s.finish(1)
	})
}

// The person presses Abort: the call ends, and says so. They change their mind,
// and the next call asks them anew.
func TestDenied(t *testing.T) {
	everyHost(t, storyOptions{}, func(t *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		s.deny(s.prompted(whoami))
		s.refused(whoami, "denied")
		s.call("ping", nil, "")

		again := s.begin("whoami", nil)
		s.approve(s.prompted(again))
		s.answered(again, s.person.name)
		s.finish(2)
	})
}

// Nobody opens the page for as long as the code lives.
func TestExpired(t *testing.T) {
	everyHost(t, storyOptions{kind: hastyClient}, func(t *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		s.prompted(whoami)
		s.refused(whoami, "expired")
		s.call("ping", nil, "")
		s.finish(1)
	})
}

// The host goes away while the person is still reading: the server ends with it,
// by itself.
func TestHostLeaves(t *testing.T) {
	everyHost(t, storyOptions{}, func(t *testing.T, s *story) {
		s.prompted(s.begin("whoami", nil))
		s.cancel() // for some libraries that is a message, for some it is nothing
		s.finish(1)
	})
}

// A host that declares no elicitation gets a short text with address and code,
// and its next call the answer.
func TestWithoutElicitation(t *testing.T) {
	everyHost(t, storyOptions{reach: byText}, func(_ *testing.T, s *story) {
		s.approve(s.told(s.begin("whoami", nil)))
		s.call("whoami", nil, s.person.name)
		s.call("whoami", nil, s.person.name)
		s.finish(0)
	})
}
