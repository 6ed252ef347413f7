package hostcheck

import (
	"fmt"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// Completion notices, and error -32042.
var notices = []Requirement{
	{
		ID: "A18", Name: "ignores stray completion notices", Revision: Legacy, Level: Must, Observed: onWire,
		Text:    "A notice that an elicitation is complete is ignored if its ID is unknown or was completed before.",
		Section: section(Legacy, "client/elicitation#completion-notifications-for-url-mode-elicitation"),
		eras:    legacyOnly,
		played: func(j judge, o occasion) {
			j.that(o.ok, fmt.Sprintf("a notice about another elicitation made the host answer with %q", o.answer.said()), o.answer.line.Event)
		},
		end: func(j judge, s *session) {
			stray := s.labelled("stray")
			if len(stray) == 0 || len(s.prompts) == 0 {
				return
			}
			f, p := stray[0], s.prompts[0]
			next, on := s.goesOn()
			c := f.now()
			waited := c.stopped == 0 && c.answered != 0 && (!on || next.rounds[0].At >= c.answered)
			if p.flow != nil && p.got == nil && (waited || c.stopped > p.issued && s.strayed == 0) {
				return // nobody answered the prompt, or the host left as it came: no notice did that
			}
			o, reported := s.outcome("stray")
			event := f.now().Event
			switch {
			case p.flow == nil && f.gone():
				j.fail("a completion notice that the host should ignore ended the call", event)
			case p.flow == nil: // the host could not be asked
			case !on:
				j.fail("the host did not go on after a completion notice that it should ignore", event)
			case p.got == nil, f.gone(), next.rounds[0].At < f.now().answered:
				j.fail("a completion notice that the host should ignore ended the call", event)
			case reported && f.failure == "" && (o.Error || !strings.Contains(o.Text, foundText)):
				j.fail(fmt.Sprintf("a completion notice that the host should ignore made the call fail: %q", wire.Excerpt([]byte(o.Text), 120)), event)
			default:
				j.pass(event)
			}
		},
	},
	{
		ID: "P12", Name: "does not loop on error -32042", Revision: profile, Level: MustNot, Observed: onWire,
		Text: "The error, which the newer era no longer has, is an error like any other there: the call is not repeated over " +
			"and over.",
		Section: profileSection("P12"),
		eras:    modernOnly,
		end: func(j judge, s *session) {
			if calls := s.labelled("needs"); len(calls) > 0 && len(s.prompts) >= 2 {
				j.that(len(calls) <= 2, fmt.Sprintf("the call was made %d times", len(calls)), calls[len(calls)-1].rounds[0].Event)
			}
		},
	},
	{
		ID: "A19", Name: "retries once the elicitation is complete", Revision: Legacy, Level: May, Observed: onWire,
		Text:    "After error -32042 the completion notice may be what makes the host retry by itself.",
		Section: section(Legacy, "client/elicitation#completion-notifications-for-url-mode-elicitation"),
		eras:    legacyOnly,
		end: func(j judge, s *session) {
			calls := s.labelled("needs")
			switch {
			case s.protocol == Modern || len(calls) == 0 || len(s.prompts) < 2:
			case len(calls) > 1 && s.prompts[0].signedIn != 0 && calls[1].rounds[0].At >= s.prompts[0].signedIn:
				j.pass(calls[1].rounds[0].Event)
			default:
				j.note("the host does not retry when the elicitation is complete")
			}
		},
	},
	{
		ID: "A21", Name: "handles error -32042", Revision: Legacy, Level: Should, Derived: true, Observed: wireAndUI,
		Text:    "Each elicitation that comes with error -32042 is presented to the person; the call is retried only after that.",
		Section: section(Legacy, "client/elicitation#url-mode-with-elicitation-required-error-flow"),
		eras:    legacyOnly, hook: HookShown,
		end: func(j judge, s *session) {
			calls := s.labelled("needs")
			if !s.hasHook(HookShown) || len(calls) == 0 || len(s.prompts) < 2 {
				return
			}
			for _, p := range s.prompts {
				switch {
				case len(p.dialogs) == 0:
					j.fail("an elicitation of error -32042 was not shown", calls[0].now().Event)
				case len(calls) == 1: // the retry is optional
					j.pass(p.dialogs[0].event)
				case p.pressed == 0 || calls[1].rounds[0].At < p.pressed:
					j.fail("the call was retried before the person had agreed", calls[1].rounds[0].Event)
				default:
					j.pass(p.dialogs[0].event, calls[1].rounds[0].Event)
				}
			}
		},
	},
	{
		ID: "A20", Name: "lets the person retry or cancel", Revision: Legacy, Level: Should, Observed: inUI,
		Text: "After error -32042 the person can retry the call or give it up by hand, since the completion notice may never " +
			"arrive.",
		Section: section(Legacy, "client/elicitation#completion-notifications-for-url-mode-elicitation"),
		eras:    legacyOnly, hook: HookShown,
		end: func(j judge, s *session) {
			if !s.hasHook(HookShown) || len(s.labelled("needs")) == 0 || len(s.prompts) < 2 {
				return
			}
			for _, p := range s.prompts {
				for _, d := range p.dialogs {
					j.that(hasAll(d.Controls, "retry", "cancel"), fmt.Sprintf("meanwhile the person can do %v with the call", d.Controls), d.event)
				}
			}
		},
	},
}
