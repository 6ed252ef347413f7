package hostcheck

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// trouble is what a host did that may be why it did not get further; empty if
// nothing is known.
func (s *session) trouble() string {
	garbage, first := 0, ""
	for _, l := range s.Lines() {
		if l.Kind == wire.Garbage {
			if garbage++; garbage == 1 {
				first = wire.Excerpt(l.Raw, 80)
			}
		}
	}
	switch refused := s.Refused(); {
	case garbage == 1:
		return fmt.Sprintf("; one of its messages is no JSON-RPC message: %q", first)
	case garbage > 1:
		return fmt.Sprintf("; %d of its messages are no JSON-RPC message, the first is %q", garbage, first)
	case refused != "":
		return "; " + refused
	case s.Unended():
		return "; what it wrote has no newline at its end"
	}
	s.guard.Lock()
	mistaken := s.mistaken
	s.guard.Unlock()
	if mistaken != "" {
		return "; " + mistaken
	}
	if p := s.ignored(); p != nil {
		return fmt.Sprintf("; the prompt of call %q was not answered", wire.Excerpt([]byte(p.flow.label), 40))
	}
	return ""
}

// ignored is the first prompt that the person was to answer, and that nobody did; nil if
// there is none. It takes guard.
func (s *session) ignored() *prompt {
	s.guard.Lock()
	defer s.guard.Unlock()
	for _, p := range s.prompts {
		if p.flow != nil && p.got == nil && p.press != "" && !p.unasked && !p.odd && !p.noReply {
			return p
		}
	}
	return nil
}

// unmade is the first call of the task that the host never made; empty if there is
// none. It takes guard.
func (s *session) unmade() string {
	for _, step := range s.task.Steps {
		for _, c := range step {
			label := c.label()
			if !slices.Contains(s.scenario.optional, label) && len(s.labelled(label)) == 0 {
				return c.ID
			}
		}
	}
	return ""
}

// abandoned is a call that was waited for when the host ended by itself: over stdio,
// where giving up is a message. Nil if there is none. Nothing runs any more.
func (s *session) abandoned() *flow {
	if len(s.flows) == 0 {
		return nil
	}
	f := s.flows[len(s.flows)-1] // whoever makes another call does not wait for this one
	c := f.now()
	p, process := c.back.(*wire.Pipe)
	if process && !p.Died() && c.stopped != 0 && c.cancel == nil {
		return f
	}
	return nil
}

// lastSent is the last message that a host was sent, in a few words, and its event;
// empty and -1 if there is none.
func (s *session) lastSent() (string, int) {
	recorded := s.Record.Events()
	asked := make(map[string]string) // what the host asked, by id
	last, at, closed := "", -1, false
	for i, e := range recorded {
		switch {
		case e.Text == wire.Closed || e.Text == wire.HungUp:
			closed = true
		case e.From == wire.Host:
			closed = false
		}
		if closed {
			continue // whatever is written then is not read
		}
		var m struct {
			ID     json.RawMessage `json:"id"`
			Method string          `json:"method"`
			Params json.RawMessage `json:"params"`
		}
		if json.Unmarshal(e.Message, &m) != nil {
			continue
		}
		what := wire.Excerpt([]byte(m.Method), 60)
		if label := wire.ParseParams(m.Params).Label(); label != "" {
			what = fmt.Sprintf("call %q", wire.Excerpt([]byte(label), 40))
		}
		switch {
		case e.From == wire.Host && m.Method != "" && len(m.ID) > 0:
			asked[string(m.ID)] = what
		case e.From == wire.Server && m.Method == "":
			last, at = "the response to "+asked[string(m.ID)], i
		case e.From == wire.Server:
			last, at = m.Method, i
		}
	}
	return last, at
}
