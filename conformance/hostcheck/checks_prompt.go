package hostcheck

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// The checks here look back at a scenario when it is over: at every prompt, what
// was shown of it, what the person did, and what was answered.

// atOnce is how soon after the person's consent the host has to pass it on.
const atOnce = 1200 * time.Millisecond

// review judges what can be judged only at the end.
func (s *session) review() {
	s.guard.Lock()
	prompts := slices.DeleteFunc(slices.Clone(s.prompts), func(p *prompt) bool { return p == nil || p.flow == nil })
	s.guard.Unlock()
	for _, p := range prompts {
		s.reviewAnswer(p)
		s.reviewVisits(p)
		switch {
		case s.hasHook(HookShown):
			s.reviewShown(p)
			s.reviewPress(p)
		case s.guided && p.got != nil && !p.unasked:
			// The person was told what to press.
			s.judge("A7", p.got.action == p.press, fmt.Sprintf("the person was to press %s, the answer is %q", p.press, p.got.said()),
				p.got.line.Event)
		}
		if s.hasHook(HookOpened) {
			s.reviewOpened(p)
		}
		if s.hasHook(HookOutcome) {
			s.reviewTranscript(p)
		}
	}
	s.reviewErrors()
}

func (s *session) reviewAnswer(p *prompt) {
	if p.got == nil || p.mode != "url" {
		return
	}
	if p.got.action == "accept" {
		s.judge("A6", !p.got.content, "the answer that accepts a URL has content", p.got.line.Event)
		s.reviewPace(p)
	}
}

// reviewPace is about when accept is sent. Without a hook it is not known when
// the person agreed, only whether they had been to the page already.
func (s *session) reviewPace(p *prompt) {
	switch {
	case p.pressed != 0:
		s.judge("P10", p.got.at-p.pressed <= atOnce, fmt.Sprintf("accept came %v after the person had agreed",
			(p.got.at-p.pressed).Round(10*time.Millisecond)), p.got.line.Event)
	case p.signedIn != 0:
		s.judge("P10", p.got.at < p.signedIn, "accept came when the sign-in was over", p.got.line.Event)
	default:
		s.find("P10", passed, "", p.got.line.Event)
	}
}

// consent is when the person agreed to a prompt, as far as that is known:
// false if they did not. Without a hook the host's own answer has to do.
func (s *session) consent(p *prompt) (time.Duration, bool) {
	if s.hasHook(HookShown) {
		return p.pressed, p.pressed != 0 && p.press == "accept"
	}
	if p.got != nil && p.got.action == "accept" {
		return p.got.at, true
	}
	return 0, false
}

// reviewVisits is about who came to the canary before consent.
func (s *session) reviewVisits(p *prompt) {
	if p.mode != "url" || !strings.HasPrefix(p.url, s.canary) {
		return
	}
	at, agreed := s.consent(p)
	fetched := -1
	for _, v := range s.visits {
		if v.prompt != p.id && v.prompt != "" {
			continue
		}
		if v.at < p.issued || (agreed && v.at >= at) {
			continue
		}
		opened := slices.ContainsFunc(s.openings, func(o opening) bool { return o.URL == p.url && o.at <= v.at })
		if v.prompt == "" && agreed {
			continue // something else of the site, at some other time
		}
		if !opened {
			fetched = v.event
		}
	}
	s.judge("A11", fetched < 0, "the page behind the URL was requested although nobody had agreed to open it", fetched)
}

func (s *session) reviewShown(p *prompt) {
	if p.unasked {
		return
	}
	if !p.odd {
		issued := p.flow.rounds[0].Event
		s.judge("P4", len(p.dialogs) > 0, "the prompt was not shown: "+p.id, issued)
	}
	for _, d := range p.dialogs {
		e := d.event
		has := func(list []string, words ...string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(list, w) })
		}
		s.judge("A8", has(d.Actions, "decline", "cancel"), fmt.Sprintf("the person is offered %v", d.Actions), e)
		s.judge("A22", has(d.Actions, "accept"), fmt.Sprintf("the person is offered %v: nothing to approve with", d.Actions), e)
		s.judge("A9", d.Server == serverName || d.Server == implementation["title"], fmt.Sprintf("the dialog names the server %q", d.Server), e)
		if p.mode != "url" {
			continue
		}
		s.judge("A13", d.URL == p.url, "the dialog does not show the whole URL", e)
		s.judge("A15", d.Highlight == p.domain(), fmt.Sprintf("the dialog highlights %q, not the domain", d.Highlight), e)
		s.judge("A17", len(d.Links) == 0, fmt.Sprintf("these can be clicked as well: %v", d.Links), e)
		s.judge("A10", d.Domain == p.domain(), fmt.Sprintf("the dialog says that the URL leads to %q", d.Domain), e)
		s.judge("P6", d.Message == p.message && has(d.Copyable, p.code), "the message is not shown whole, or its code cannot be copied", e)
		s.judge("B5", has(d.Controls, "retry", "cancel"), fmt.Sprintf("meanwhile the person can do %v with the call", d.Controls), e)
	}
}

// reviewPress compares what the person did with what was answered.
func (s *session) reviewPress(p *prompt) {
	if p.unasked || len(p.dialogs) == 0 && p.got == nil {
		return
	}
	shown := -1
	if len(p.dialogs) > 0 {
		shown = p.dialogs[0].event
	}
	switch {
	case p.got == nil && p.pressed == 0:
		s.find("P3", passed, "", shown)
	case p.got == nil:
		s.find("P3", passed, "", shown)
		switch {
		case p.flow.gone():
		case s.protocol == Modern && p.press != "accept":
			s.find("A7", noted, "the host ends a call by itself when its prompt is refused, as it may", shown)
		default:
			s.find("A7", failed, fmt.Sprintf("the person pressed %s, and nothing was answered", p.press), shown)
		}
	case p.pressed == 0 || p.got.at < p.pressed:
		s.find("P3", failed, fmt.Sprintf("%q was answered before the person did anything", p.got.said()), p.got.line.Event)
		switch p.press {
		case "":
		case p.got.action:
			s.find("A7", noted, "the answer is what the person pressed later", p.got.line.Event)
		default:
			s.find("A7", failed, fmt.Sprintf("%q was answered where the person presses %s", p.got.said(), p.press), p.got.line.Event)
		}
	default:
		s.find("P3", passed, "", p.got.line.Event)
		s.judge("A7", p.got.action == p.press, fmt.Sprintf("the person pressed %s, the answer is %q", p.press, p.got.said()), shown, p.got.line.Event)
	}
}

// gone says whether the host gave the flow up, so that it owes it nothing.
func (f *flow) gone() bool {
	f.s.guard.Lock()
	defer f.s.guard.Unlock()
	return f.now().stopped != 0
}

// said is an answer in a word.
func (a answer) said() string {
	if a.err != nil {
		return fmt.Sprintf("error %d", a.err.Code)
	}
	return a.action
}

// reviewOpened is about where a URL was opened, and when.
func (s *session) reviewOpened(p *prompt) {
	if p.mode != "url" {
		return
	}
	at, agreed := s.consent(p)
	early := -1
	for _, o := range s.openings {
		if o.URL != p.url {
			continue
		}
		if !agreed || o.at < at {
			early = o.event
		}
		s.judge("A14", o.In == "browser" || o.In == "isolated", fmt.Sprintf("the URL was opened in %q", o.In), o.event)
	}
	s.judge("A12", early < 0, "the URL was opened although nobody had agreed to that", early)
	if early >= 0 {
		s.find("A10", failed, "the URL was opened before the person was asked", early)
	}
}

// reviewTranscript is about what the model reads.
func (s *session) reviewTranscript(p *prompt) {
	if p.mode != "url" {
		return
	}
	for _, outcomes := range s.outcomes {
		for _, o := range outcomes {
			if strings.Contains(o.Text, p.url) || strings.Contains(o.Text, p.code) {
				s.find("P5", failed, fmt.Sprintf("what call %q came to for the model has the URL or the code of a prompt in it", o.Call))
				return
			}
		}
	}
	if len(s.outcomes) > 0 {
		s.find("P5", passed, "")
	}
}

// reviewErrors is about results that are errors.
func (s *session) reviewErrors() {
	if !s.hasHook(HookOutcome) {
		return
	}
	for _, f := range s.flows {
		if f.failure == "" || f.now().stopped != 0 {
			continue
		}
		told := slices.ContainsFunc(s.outcomes[f.label], func(o Outcome) bool { return strings.Contains(o.Text, f.failure) })
		s.judge("A34", told, fmt.Sprintf("the model does not get to know that call %q failed with %q", f.label, f.failure), f.now().Event)
	}
}
