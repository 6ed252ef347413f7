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
func (st *stage) review() {
	st.guard.Lock()
	prompts := slices.DeleteFunc(slices.Clone(st.prompts), func(p *prompt) bool { return p == nil || p.flow == nil })
	st.guard.Unlock()
	for _, p := range prompts {
		st.reviewAnswer(p)
		st.reviewVisits(p)
		switch {
		case st.hasHook(HookShown):
			st.reviewShown(p)
			st.reviewPress(p)
		case st.guided && p.got != nil && !p.unasked:
			// The person was told what to press.
			st.judge("A7", p.got.action == p.press, fmt.Sprintf("the person was to press %s, the answer is %q", p.press, p.got.said()),
				p.got.line.event)
		}
		if st.hasHook(HookOpened) {
			st.reviewOpened(p)
		}
		if st.hasHook(HookOutcome) {
			st.reviewTranscript(p)
		}
	}
	st.reviewErrors()
}

func (st *stage) reviewAnswer(p *prompt) {
	if p.got == nil || p.mode != "url" {
		return
	}
	if p.got.action == "accept" {
		st.judge("A6", !p.got.content, "the answer that accepts a URL has content", p.got.line.event)
		st.reviewPace(p)
	}
}

// reviewPace is about when accept is sent. Without a hook it is not known when
// the person agreed, only whether they had been to the page already.
func (st *stage) reviewPace(p *prompt) {
	switch {
	case p.pressed != 0:
		st.judge("P10", p.got.at-p.pressed <= atOnce, fmt.Sprintf("accept came %v after the person had agreed",
			(p.got.at-p.pressed).Round(10*time.Millisecond)), p.got.line.event)
	case p.signedIn != 0:
		st.judge("P10", p.got.at < p.signedIn, "accept came when the sign-in was over", p.got.line.event)
	default:
		st.find("P10", passed, "", p.got.line.event)
	}
}

// consent is when the person agreed to a prompt, as far as that is known:
// false if they did not. Without a hook the host's own answer has to do.
func (st *stage) consent(p *prompt) (time.Duration, bool) {
	if st.hasHook(HookShown) {
		return p.pressed, p.pressed != 0 && p.press == "accept"
	}
	if p.got != nil && p.got.action == "accept" {
		return p.got.at, true
	}
	return 0, false
}

// reviewVisits is about who came to the canary before consent.
func (st *stage) reviewVisits(p *prompt) {
	if p.mode != "url" || !strings.HasPrefix(p.url, st.canary) {
		return
	}
	at, agreed := st.consent(p)
	fetched := -1
	for _, v := range st.visits {
		if v.prompt != p && v.prompt != nil {
			continue
		}
		if v.at < p.issued || (agreed && v.at >= at) {
			continue
		}
		opened := slices.ContainsFunc(st.openings, func(o opening) bool { return o.URL == p.url && o.at <= v.at })
		if v.prompt == nil && agreed {
			continue // something else of the site, at some other time
		}
		if !opened {
			fetched = v.event
		}
	}
	st.judge("A11", fetched < 0, "the page behind the URL was requested although nobody had agreed to open it", fetched)
}

func (st *stage) reviewShown(p *prompt) {
	if p.unasked {
		return
	}
	if !p.odd {
		issued := p.flow.rounds[0].event
		st.judge("P4", len(p.dialogs) > 0, "the prompt was not shown: "+p.id, issued)
	}
	for _, d := range p.dialogs {
		e := d.event
		has := func(list []string, words ...string) bool {
			return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(list, w) })
		}
		st.judge("A8", has(d.Actions, "decline", "cancel"), fmt.Sprintf("the person is offered %v", d.Actions), e)
		st.judge("A22", has(d.Actions, "accept"), fmt.Sprintf("the person is offered %v: nothing to approve with", d.Actions), e)
		st.judge("A9", d.Server == serverName || d.Server == implementation["title"], fmt.Sprintf("the dialog names the server %q", d.Server), e)
		if p.mode != "url" {
			continue
		}
		st.judge("A13", d.URL == p.url, "the dialog does not show the whole URL", e)
		st.judge("A15", d.Highlight == p.domain(), fmt.Sprintf("the dialog highlights %q, not the domain", d.Highlight), e)
		st.judge("A17", len(d.Links) == 0, fmt.Sprintf("these can be clicked as well: %v", d.Links), e)
		st.judge("A10", d.Domain == p.domain(), fmt.Sprintf("the dialog says that the URL leads to %q", d.Domain), e)
		st.judge("P6", d.Message == p.message && has(d.Copyable, p.code), "the message is not shown whole, or its code cannot be copied", e)
		st.judge("B5", has(d.Controls, "retry", "cancel"), fmt.Sprintf("meanwhile the person can do %v with the call", d.Controls), e)
	}
}

// reviewPress compares what the person did with what was answered.
func (st *stage) reviewPress(p *prompt) {
	if p.unasked || len(p.dialogs) == 0 && p.got == nil {
		return
	}
	shown := -1
	if len(p.dialogs) > 0 {
		shown = p.dialogs[0].event
	}
	switch {
	case p.got == nil && p.pressed == 0:
		st.find("P3", passed, "", shown)
	case p.got == nil:
		st.find("P3", passed, "", shown)
		switch {
		case p.flow.gone():
		case st.protocol == Modern && p.press != "accept":
			st.find("A7", noted, "the host ends a call by itself when its prompt is refused, as it may", shown)
		default:
			st.find("A7", failed, fmt.Sprintf("the person pressed %s, and nothing was answered", p.press), shown)
		}
	case p.pressed == 0 || p.got.at < p.pressed:
		st.find("P3", failed, fmt.Sprintf("%q was answered before the person did anything", p.got.said()), p.got.line.event)
		switch p.press {
		case "":
		case p.got.action:
			st.find("A7", noted, "the answer is what the person pressed later", p.got.line.event)
		default:
			st.find("A7", failed, fmt.Sprintf("%q was answered where the person presses %s", p.got.said(), p.press), p.got.line.event)
		}
	default:
		st.find("P3", passed, "", p.got.line.event)
		st.judge("A7", p.got.action == p.press, fmt.Sprintf("the person pressed %s, the answer is %q", p.press, p.got.said()), shown, p.got.line.event)
	}
}

// gone says whether the host gave the flow up, so that it owes it nothing.
func (f *flow) gone() bool {
	f.st.guard.Lock()
	defer f.st.guard.Unlock()
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
func (st *stage) reviewOpened(p *prompt) {
	if p.mode != "url" {
		return
	}
	at, agreed := st.consent(p)
	early := -1
	for _, o := range st.openings {
		if o.URL != p.url {
			continue
		}
		if !agreed || o.at < at {
			early = o.event
		}
		st.judge("A14", o.In == "browser" || o.In == "isolated", fmt.Sprintf("the URL was opened in %q", o.In), o.event)
	}
	st.judge("A12", early < 0, "the URL was opened although nobody had agreed to that", early)
	if early >= 0 {
		st.find("A10", failed, "the URL was opened before the person was asked", early)
	}
}

// reviewTranscript is about what the model reads.
func (st *stage) reviewTranscript(p *prompt) {
	if p.mode != "url" {
		return
	}
	for _, outcomes := range st.outcomes {
		for _, o := range outcomes {
			if strings.Contains(o.Text, p.url) || strings.Contains(o.Text, p.code) {
				st.find("P5", failed, fmt.Sprintf("what call %q came to for the model has the URL or the code of a prompt in it", o.Call))
				return
			}
		}
	}
	if len(st.outcomes) > 0 {
		st.find("P5", passed, "")
	}
}

// reviewErrors is about results that are errors.
func (st *stage) reviewErrors() {
	if !st.hasHook(HookOutcome) {
		return
	}
	for _, f := range st.flows {
		if f.failure == "" || f.now().stopped != 0 {
			continue
		}
		told := slices.ContainsFunc(st.outcomes[f.label], func(o Outcome) bool { return strings.Contains(o.Text, f.failure) })
		st.judge("A34", told, fmt.Sprintf("the model does not get to know that call %q failed with %q", f.label, f.failure), f.now().event)
	}
}
