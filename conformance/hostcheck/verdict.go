package hostcheck

import (
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// judged concludes a scenario: a result with one check for each requirement
// that it decides.
func judged(s *session, said output) Result {
	s.close()
	s.guard.Lock()
	issued := slices.DeleteFunc(slices.Clone(s.prompts), func(p *prompt) bool { return p.flow == nil })
	s.guard.Unlock()
	for _, p := range issued {
		judgePrompt(s, p)
	}
	judgeEnd(s)
	if s.scenario.conclude != nil {
		s.scenario.conclude(s)
	}
	return result(s, said, true)
}

// result is the scenario as it stands. While it runs, what was not seen yet is
// INFO; when it is final, that was not reached.
func result(s *session, said output, final bool) Result {
	now := time.Now()
	s.guard.Lock()
	took, asked := s.took, len(s.requests) > 0
	s.guard.Unlock()
	if took == 0 {
		took = s.Now()
	}
	var checks []Check
	for _, id := range s.decides {
		r, found := byID(id), s.found(id)
		if !slices.Contains(s.scenario.Checks, id) && !slices.ContainsFunc(found, func(f finding) bool { return f.mark != noted }) {
			continue // there was no occasion for it, and none was due
		}
		c := Check{
			ID: id, Name: r.Name, Description: r.Text, Timestamp: now,
			SpecReferences: []Reference{r.in(s.protocol, s.transport)}, Source: r.source(),
			Details: map[string]any{"level": string(r.Level), "revision": r.Revision},
		}
		if r.Derived {
			c.Details["derived"] = true
		}
		if len(r.Official) > 0 {
			c.Metadata = map[string]any{"official": r.Official}
		}
		if len(found) > 0 {
			decide(&c, r.Level, found)
		} else {
			why, excused := s.reason()
			switch {
			case asked && slices.Contains(r.Observed, UI) && !s.hasHook(r.hook):
				skip(&c, noHook)
			case excused:
				skip(&c, why)
			default:
				undecided(&c, r.Level, final, why)
			}
		}
		checks = append(checks, c)
	}
	return Result{
		Scenario: s.scenario.Name, Title: s.scenario.Title, Description: s.scenario.Description, Client: s.client(), Protocol: s.protocol, Transport: s.transport,
		Started: s.Started, Took: took, Checks: checks, Events: events(s.Record.Events()),
		HostOutput: said.stderr, HostStdout: said.stdout,
	}
}

// events are those of a record.
func events(recorded []wire.Event) []Event {
	var out []Event
	for _, e := range recorded {
		event := Event{
			At: e.At, From: Party(e.From), Connection: e.Connection, Message: e.Message, Text: e.Text, Checks: e.Checks,
		}
		if h := e.HTTP; h != nil {
			event.HTTP = &Envelope{Method: h.Method, Path: h.Path, Status: h.Status, Header: h.Header}
		}
		out = append(out, event)
	}
	return out
}

// noHook is why a requirement is skipped that shows in a user interface alone.
const noHook = "no UI hook"

// decide gives a check the status that its findings come to.
func decide(c *Check, level Level, found []finding) {
	worst := needless
	for _, f := range found {
		worst = min(worst, f.mark)
	}
	switch worst {
	case failed:
		c.Status = level.violated()
		var texts []string
		for _, f := range found {
			if f.mark == failed && !slices.Contains(texts, f.text) {
				texts = append(texts, f.text)
			}
		}
		c.ErrorMessage = texts[0]
		if len(texts) > 1 {
			c.Logs = texts
		}
	case passed:
		c.Status = Success
		c.Details["occasions"] = len(found)
	case noted:
		c.Status = Info
		for _, f := range found {
			if f.text != "" {
				c.Details["note"] = f.text
			}
		}
	case needless:
		skip(c, found[0].text)
	}
}

// violated is the status of a check whose requirement is not met.
func (l Level) violated() Status {
	if l == Must || l == MustNot {
		return Failure
	}
	return Warning
}

// skip is for a requirement that does not apply to the host, or that it does not
// show whether it meets.
func skip(c *Check, reason string) {
	c.Status = Skipped
	c.Details["reason"] = reason
}

// undecided is for a requirement of which nothing was seen, since the conversation
// did not get there.
func undecided(c *Check, level Level, final bool, reason string) {
	if reason == "" {
		reason = "the conversation did not get there"
	}
	if !final {
		c.Status = Info
		c.Details["note"] = "nothing to judge so far"
		return
	}
	reason = strings.TrimPrefix(reason, "hostcheck: ")
	c.Status = level.violated()
	if level == May { // which cannot be violated
		c.Status = Info
	}
	c.ErrorMessage = NotTestable + reason
	c.Details["untestable"], c.Details["reason"] = true, reason
}
