package interop_test

import (
	"slices"
	"testing"
)

// A host that has forms only: the prompt is a form without fields, whose message
// has the address, to be typed, and the code. The host's accept says nothing about
// the sign-in; the very call goes on when that is done, and later ones need none.
func TestFormOnly(t *testing.T) {
	everyHost(t, storyOptions{reach: byForm}, byElicitation)
}

func byElicitation(t *testing.T, s *story) {
	const text = "by elicitation"
	create := s.begin("create_note", map[string]any{"text": text})
	s.approve(s.prompted(create))
	s.answered(create, "")
	s.call("whoami", nil, s.person.name)
	s.finish(1)
	s.wrote(t, text)
}

// A host that shows progress messages and has no elicitation, as the library knows
// by its name: address and code come in each message, for as long as the person
// takes, the model is told nothing, and the very call goes on.
func TestProgressShown(t *testing.T) {
	everyHost(t, storyOptions{reach: byProgress, name: "gemini-cli-mcp-client"}, func(t *testing.T, s *story) {
		const text = "by progress"
		create := s.begin("create_note", map[string]any{"text": text})
		address, code := s.prompted(create)
		for range 2 { // ten seconds, after which the model of another host is told
			s.prompted(create)
		}
		s.approve(address, code)
		s.answered(create, "")
		s.call("whoami", nil, s.person.name)
		s.finish(0)
		s.wrote(t, text)
		if said := s.progress(t); len(said) != 1 || said[0] < 3 {
			t.Errorf("progress messages for each call that had any: %d, want three or more for one", said)
		}
	})
}

// A host of which nobody knows whether it shows progress: the model is told as well,
// soon. The next call joins the sign-in, has the same code in its own progress, and
// goes on when the person has approved; the first one's handler never runs.
func TestProgressNotShown(t *testing.T) {
	everyHost(t, storyOptions{reach: byProgress}, func(t *testing.T, s *story) {
		const text = "by text in the end"
		create := s.begin("create_note", map[string]any{"text": text})
		s.prompted(create)
		s.prompted(create)
		s.told(create)

		s.forget()
		again := s.begin("create_note", map[string]any{"text": text})
		s.approve(s.prompted(again))
		s.answered(again, "")
		s.call("whoami", nil, s.person.name)
		s.finish(0) // which fails for a second code, too
		s.wrote(t, text)
		// They come every five seconds, so the text came after about ten, and not when
		// the call's patience was over.
		if said := s.progress(t); len(said) != 2 || said[0] < 2 || said[0] > 5 {
			t.Errorf("progress messages for each call that had any: %d, want two to five for the first of two", said)
		}
	})
}

// wrote fails unless the person has these notes: each handler ran once, and no other
// did.
func (s *story) wrote(t *testing.T, want ...string) {
	t.Helper()
	if got := s.as.api.written(s.person.name); !slices.Equal(got, want) {
		t.Errorf("notes written: %q, want %q", got, want)
	}
}

// forget drops the prompts so far.
func (s *story) forget() {
	for {
		select {
		case <-s.prompts:
		default:
			return
		}
	}
}

// progress returns how many progress messages the server sent for each call that
// had any, and fails for one without the code or the address. That they increase,
// and end with the call, is for the rules.
func (s *story) progress(t *testing.T) (counts []int) {
	t.Helper()
	for _, conversation := range s.conversations() {
		var order []string
		said := map[string]int{}
		for _, m := range conversation {
			if m.Method != "notifications/progress" || (prompt{Mode: string(byProgress), Message: m.Params.Message}).waits() {
				continue
			}
			s.directions(s.addressIn(m.Params.Message, s.as.Issuer), m.Params.Message)
			token := string(m.Params.ProgressToken)
			if said[token]++; said[token] == 1 {
				order = append(order, token)
			}
		}
		for _, token := range order {
			counts = append(counts, said[token])
		}
	}
	return counts
}
