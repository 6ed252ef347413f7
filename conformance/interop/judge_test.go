package interop_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"slices"
)

// finish ends the host and judges what was recorded: how often the person was
// asked, that the era's rules were kept, and that nothing leaked.
func (s *story) finish(prompts int) {
	s.Helper()
	told := s.end(prompts)
	s.polls()
	s.canary(told)
}

// end ends the host, and judges and returns what was recorded.
func (s *story) end(prompts int) (told [][]message) {
	s.Helper()
	err := s.host.close()
	s.host = nil
	if err != nil {
		s.Errorf("ending the host: %v", err)
	}
	asked := 0
	told = s.conversations()
	for i, conversation := range told {
		// A host that negotiates by itself starts the server once to probe,
		// and does not let it end by itself.
		probe := i < len(told)-1
		s.notes(conversation, probe)
		s.declared(conversation)
		if s.options.era == modern {
			asked += s.modern(conversation)
		} else {
			asked += s.legacy(conversation)
		}
	}
	if asked != prompts {
		s.Errorf("the person was asked %d times, want %d", asked, prompts)
	}
	if s.Failed() {
		s.Logf("recorded:\n%s\n%s", s.transcript(), s.stderr())
	}
	return told
}

// notes fails for what the relay found wrong: output that is no JSON, a server
// that ended badly.
func (s *story) notes(conversation []message, probe bool) {
	s.Helper()
	for _, m := range conversation {
		if m.From == fromRelay && !probe {
			s.Errorf("on the wire: %s", m.Raw)
		}
	}
}

// declared fails if the host is not what the story is about: it declares another
// reach, or has a progress token where it should have none or none where it should
// have one.
func (s *story) declared(conversation []message) {
	s.Helper()
	seen := false
	for _, m := range conversation {
		if m.From != fromHost {
			continue
		}
		can := m.Params.Meta.Capabilities
		if m.Method == "initialize" {
			can = m.Params.Capabilities
		}
		if can != nil {
			seen = true
			reach := byText
			switch e := can.Elicitation; {
			case e != nil && e.URL != nil:
				reach = byURL
			case e != nil: // {} is form mode (2025-11-25 client/elicitation, "Capabilities")
				reach = byForm
			case s.options.reach == byProgress:
				reach = byProgress
			}
			if reach != s.options.reach {
				s.Errorf("the host should reach the person by %s: %s", s.options.reach, m.Raw)
			}
		}
		if has := len(m.Params.Meta.ProgressToken) > 0; m.Method == "tools/call" && has != (s.options.reach == byProgress) {
			s.Errorf("a progress token, %t: %s", has, m.Raw)
		}
	}
	if !seen {
		s.Error("the host declares nothing at all")
	}
}

// asks judges one elicitation, and that it is of the only mode or the better one of
// both. A form has no fields and no link: the person types the address.
func (s *story) asks(e elicitation, raw json.RawMessage) {
	s.Helper()
	if e.Mode != string(s.options.reach) {
		s.Errorf("asks in mode %q a host that reaches the person by %s: %s", e.Mode, s.options.reach, raw)
	}
	if e.Mode != "form" {
		return
	}
	var schema struct {
		Type       string
		Properties map[string]any
	}
	if err := json.Unmarshal(e.RequestedSchema, &schema); err != nil || schema.Type != "object" || len(schema.Properties) != 0 {
		s.Errorf("a form that has fields, or is none: %s", raw)
	}
	if e.URL != "" || e.ElicitationID != "" || bytes.Contains(raw, []byte("://")) {
		s.Errorf("a form with a link: %s", raw)
	}
}

// forbidden are the codes of errors that must not be sent: -32042 asks the host
// to open a URL and try again, which is gone from the modern era, and is off by
// default in the legacy one because hosts lose the URL or never come back.
var forbidden = []int{-32042}

// common judges what holds in both eras. It keeps the requests in flight, which
// the caller starts empty, and returns the request that a response answers.
func (s *story) common(open map[string]message, m message) (asked message) {
	s.Helper()
	switch {
	case m.From == fromHost && m.request():
		open[m.key()] = m
	case m.From == fromServer && m.response():
		var ok bool
		if asked, ok = open[m.key()]; !ok {
			s.Errorf("answers nothing that is in flight: %s", m.Raw)
		}
		delete(open, m.key())
		if m.Error != nil && slices.Contains(forbidden, m.Error.Code) {
			s.Errorf("must not be sent: %s", m.Raw)
		}
		if m.Result.IsError && m.Result.Structured != nil {
			s.Errorf("a failure with structured content: %s", m.Raw)
		}
	case m.From == fromServer && m.Method == "notifications/progress":
		wanted := false
		for key, r := range open {
			if len(r.Params.Meta.ProgressToken) == 0 || !bytes.Equal(r.Params.Meta.ProgressToken, m.Params.ProgressToken) {
				continue
			}
			wanted = true
			if m.Params.Progress <= r.Params.Progress {
				s.Errorf("progress %v after %v: %s", m.Params.Progress, r.Params.Progress, m.Raw)
			}
			r.Params.Progress = m.Params.Progress // a request has none of its own
			open[key] = r
		}
		if !wanted {
			s.Errorf("progress that nobody in flight asked for: %s", m.Raw)
		}
	}
	return asked
}

// legacy judges a conversation of the legacy era and returns how many prompts it
// has: elicitation/create, notifications/elicitation/complete with the same id
// (forms have none), and only then the result, unless the host cancelled that, the
// person declined, or the result says that the sign-in goes on; notifications/cancelled
// for what it did not answer by then; nothing else that the server starts, and nothing of
// the modern era.
func (s *story) legacy(conversation []message) (prompts int) {
	s.Helper()
	open := map[string]message{}    // the host's requests in flight
	unfinished := map[string]bool{} // elicitation ids without a notice
	late := map[string]bool{}       // the same, which no result waits for
	cancelled := map[string]bool{}  // the host's requests that it gave up
	asking := map[string]string{}   // the server's requests in flight, with the elicitation's id
	for i, m := range conversation {
		asked := s.common(open, m)
		if m.From == fromHost {
			if i == 0 && m.Method != "initialize" {
				s.Errorf("the host did not begin in the legacy era: %s", m.Raw)
			}
			if m.Method == "notifications/cancelled" {
				cancelled[string(m.Params.RequestID)] = true
			}
			if m.response() {
				if id := asking[m.key()]; m.Result.Action == "decline" && unfinished[id] {
					unfinished[id], late[id] = false, true
				}
				delete(asking, m.key())
			}
			continue
		}
		_, isAsking := asking[string(m.Params.RequestID)]
		switch {
		case m.request():
			if m.Method != "elicitation/create" {
				s.Errorf("the server asks for %s", m.Raw)
			}
			s.asks(m.Params.elicitation, m.Raw)
			asking[m.key()] = m.Params.ElicitationID
			if id := m.Params.ElicitationID; m.Params.Mode == "url" {
				if _, known := unfinished[id]; known || id == "" {
					s.Errorf("an elicitation without an id of its own: %s", m.Raw)
				}
				unfinished[id] = true
			}
			prompts++
		case m.notification() && m.Method == "notifications/elicitation/complete":
			id := m.Params.ElicitationID
			if !unfinished[id] && !late[id] {
				s.Errorf("completes what is not open: %s", m.Raw)
			}
			unfinished[id], late[id] = false, false
		case m.notification() && m.Method == "notifications/cancelled" && isAsking:
			// The sign-in was over before the host answered.
			delete(asking, string(m.Params.RequestID))
		case m.notification() && m.Method == listChanged && s.options.explicit:
			s.changes++
		case m.notification() && m.Method != "notifications/progress":
			s.Errorf("unexpected: %s", m.Raw)
		case m.response() && cancelled[string(m.ID)]:
			// It was on its way, or the SDK sent it all the same.
		case m.response() && m.Result.Meta.Reason == string(pending):
			for id, left := range unfinished {
				unfinished[id], late[id] = false, late[id] || left
			}
		case m.response() && asked.Method == "tools/call":
			for id, left := range unfinished {
				if left {
					s.Errorf("the result came before the completion of %s: %s", id, m.Raw)
				}
			}
		}
		if r := m.Result; m.response() && (r.ResultType != "" || r.RequestState != "" || r.InputRequests != nil) {
			s.Errorf("of the modern era: %s", m.Raw)
		}
	}
	return prompts
}

// listChanged is told where tools are hidden, up to the legacy era.
const listChanged = "notifications/tools/list_changed"

// modern judges a conversation of the modern era and returns how many prompts it
// has: a result that requires one input, then a retry with its state, then the
// result; nothing that the server starts, and nothing of the legacy era.
func (s *story) modern(conversation []message) (prompts int) {
	s.Helper()
	open := map[string]message{}
	states := map[string]int{} // how often a state came back
	for _, m := range conversation {
		asked := s.common(open, m)
		if m.From == fromHost {
			if m.request() && m.Params.Meta.Version != string(modern) {
				s.Errorf("the host does not speak the modern era: %s", m.Raw)
			}
			if state := m.Params.RequestState; state != "" {
				if _, given := states[state]; !given {
					s.Errorf("the host made up a state: %s", m.Raw)
				}
				states[state]++
			}
			continue
		}
		if m.request() || m.notification() && m.Method != "notifications/progress" &&
			m.Method != "notifications/subscriptions/acknowledged" {
			s.Errorf("the server must not start this: %s", m.Raw)
		}
		if url := bytes.Contains(m.Raw, []byte(`"mode":"url"`)); url != bytes.Contains(m.Raw, []byte(`"elicitationId":"`)) {
			s.Errorf("a URL must have an elicitationId, for hosts that need it, and nothing else has one: %s", m.Raw)
		}
		if !m.response() || asked.Method != "tools/call" || m.Error != nil {
			continue
		}
		switch r := m.Result; r.ResultType {
		case "complete":
			if r.RequestState != "" || r.InputRequests != nil {
				s.Errorf("complete, and yet: %s", m.Raw)
			}
		case "input_required":
			if len(r.InputRequests) != 1 || r.RequestState == "" {
				s.Errorf("requires other than one input, with a state: %s", m.Raw)
			}
			for _, input := range r.InputRequests {
				if input.Method != "elicitation/create" {
					s.Errorf("requires %s", m.Raw)
				}
				s.asks(input.Params, m.Raw)
			}
			if _, known := states[r.RequestState]; known {
				s.Errorf("gives a state again: %s", m.Raw)
			}
			states[r.RequestState] = 0
			prompts++
		default:
			s.Errorf("result type %q: %s", r.ResultType, m.Raw)
		}
	}
	for state, n := range states {
		if n > 1 { // none is right for a host that left
			s.Errorf("state %.12s… came back %d times: a held retry needs one", state, n)
		}
	}
	return prompts
}

// polls judges what the authorization server saw: one flow for each code that
// the person was shown, and never two polls closer than the interval (RFC 8628
// §3.5), by the server's clock, counted from the answer before. That is five
// seconds where the server states none (§3.2), and five more after each
// slow_down. No story has codes with a shorter life: how far before the end of one an
// answer has come is not known here.
func (s *story) polls() {
	s.Helper()
	const second = 1000 // of the journal's milliseconds
	last, interval := map[string]exchange{}, map[string]float64{}
	flows := 0
	for _, e := range s.as.of(s.T, s.client) {
		if e.DeviceCode == "" {
			continue
		}
		if before, ok := last[e.DeviceCode]; !ok {
			flows++
			interval[e.DeviceCode] = cmp.Or(e.Interval, 5) * second
			if !slices.Contains(*s.codes, e.UserCode) {
				s.Errorf("a code that the person was never shown: %+v", e)
			}
		} else {
			if gap := e.Start - before.End; gap < interval[e.DeviceCode] {
				s.Errorf("polled %.0f ms after the answer before, not after %.0f: %+v", gap, interval[e.DeviceCode], e)
			}
			if before.AccessToken != "" {
				s.Errorf("polled with a used code, which revokes what was granted: %+v", e)
			}
		}
		if e.Error == "slow_down" {
			interval[e.DeviceCode] += 5 * second
		}
		last[e.DeviceCode] = e
	}
	if flows != len(*s.codes) {
		s.Errorf("%d device authorizations, the person was shown %q", flows, *s.codes)
	}
}
