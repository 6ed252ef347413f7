package hostcheck

import (
	"fmt"
	"slices"
	"strings"
)

// What a person is shown of a prompt.
var showing = []Requirement{
	{
		ID: "P4", Name: "shows what it advertises", Revision: profile, Level: Must, Observed: wireAndUI,
		Text:       "A prompt in a mode that the host declares is shown.",
		Section:    profileSection("P4"),
		Everywhere: true,
		eras:       both, hook: HookShown,
		shown: func(j judge, _ *session, p *prompt) {
			if !p.unasked && !p.odd && !p.noReply && p.due() && !p.leftOver() {
				j.that(len(p.dialogs) > 0, "a prompt was not shown", p.flow.rounds[0].Event)
			}
		},
	},
	{
		ID: "A8", Name: "offers decline and cancel", Revision: Legacy, Level: Must, Observed: inUI,
		Text:    "Whoever is asked finds a clear way to refuse, and another one to dismiss the question.",
		Section: section(Legacy, "client/elicitation#user-interaction-model"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).askedDialogs, func(_ *prompt, d *dialog) (ok bool, otherwise string) {
			return hasAll(d.Actions, "decline", "cancel"), fmt.Sprintf("the person is offered %v", d.Actions)
		}),
	},
	{
		ID: "A22", Name: "asks for approval", Revision: Legacy, Level: Should, Observed: inUI,
		Text:    "Each elicitation passes through a control with which the person approves or refuses it.",
		Section: section(Legacy, "client/elicitation#security-considerations"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).askedDialogs, func(_ *prompt, d *dialog) (ok bool, otherwise string) {
			return hasAll(d.Actions, "accept"), fmt.Sprintf("the person is offered %v: nothing to approve with", d.Actions)
		}),
	},
	{
		ID: "A9", Name: "shows which server asks", Revision: Legacy, Level: Must, Observed: inUI,
		Text:    "It is clear from what is shown which server wants something.",
		Section: section(Legacy, "client/elicitation#user-interaction-model"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).askedDialogs, func(_ *prompt, d *dialog) (ok bool, otherwise string) {
			name := strings.ToLower(d.Server)
			named := strings.Contains(name, serverName) || strings.Contains(name, strings.ToLower(serverTitle))
			return named, fmt.Sprintf("the dialog names the server %q", d.Server)
		}),
	},
	{
		ID: "A13", Name: "shows the full URL", Revision: Legacy, Level: Must, Observed: inUI,
		Text:    "The whole URL can be examined before consent.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).urlDialogs, func(p *prompt, d *dialog) (ok bool, otherwise string) {
			return d.URL == p.url, "the dialog does not show the whole URL"
		}),
	},
	{
		ID: "A15", Name: "highlights the domain", Revision: Legacy, Level: Should, Observed: inUI,
		Text:    "The domain stands out from the rest of the URL, so that a misleading subdomain is seen for what it is.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).urlDialogs, func(p *prompt, d *dialog) (ok bool, otherwise string) {
			// A host may highlight the port or the scheme with it; all of the URL is nothing.
			only := strings.Contains(d.Highlight, p.domain()) && len(d.Highlight) < len(p.url) && !strings.Contains(d.Highlight, "?")
			return only, fmt.Sprintf("the dialog highlights %q, not the domain", d.Highlight)
		}),
	},
	{
		ID: "A17", Name: "makes no other text clickable", Revision: Legacy, Level: ShouldNot, Observed: inUI,
		Text:    "A URL in the message or in another field of the request is not rendered as a link.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).urlDialogs, func(_ *prompt, d *dialog) (ok bool, otherwise string) {
			return len(d.Links) == 0, fmt.Sprintf("these can be clicked as well: %v", d.Links)
		}),
	},
	{
		ID: "A10", Name: "shows the domain and asks first", Revision: Legacy, Level: Must, Observed: uiAndCanary,
		Text:    "The domain of the URL is displayed clearly, and consent is gathered before anything goes there.",
		Section: section(Legacy, "client/elicitation#user-interaction-model"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).urlDialogs, func(p *prompt, d *dialog) (ok bool, otherwise string) {
			return strings.Contains(strings.ToLower(d.Domain), p.domain()), fmt.Sprintf("the dialog says that the URL leads to %q", d.Domain)
		}),
		opened: func(j judge, s *session, p *prompt) {
			if early, _ := s.openedEarly(p); early >= 0 {
				j.fail("the URL was opened before the person was asked", early)
			}
		},
	},
	{
		ID: "A35", Name: "says what is asked, and why", Revision: Legacy, Level: Should, Observed: inUI,
		Text:    "It is clear from what is shown what is wanted and why: the message of the server can be read whole.",
		Section: section(Legacy, "client/elicitation#security-considerations"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).askedDialogs, func(p *prompt, d *dialog) (ok bool, otherwise string) {
			return strings.Contains(d.Message, p.message), "the message is not shown whole"
		}),
	},
	{
		ID: "P6", Name: "lets the code be copied", Revision: profile, Level: Should, Observed: inUI,
		Text:    "A code in the message can be copied with one action.",
		Section: profileSection("P6"),
		eras:    both, hook: HookShown,
		shown: everyDialog((*prompt).urlDialogs, func(p *prompt, d *dialog) (ok bool, otherwise string) {
			return hasAll(d.Copyable, p.code), "the code in the message cannot be copied"
		}),
	},
	{
		ID: "B5", Name: "lets the person retry or cancel", Revision: Modern, Level: Should, Observed: inUI,
		Text:    "The person can retry the call or give it up by hand while something is asked of them elsewhere.",
		Section: section(Modern, "client/elicitation#url-mode-elicitation-requests"),
		eras:    modernOnly, hook: HookShown,
		shown: everyDialog((*prompt).urlDialogs, func(_ *prompt, d *dialog) (ok bool, otherwise string) {
			return hasAll(d.Controls, "retry", "cancel"), fmt.Sprintf("meanwhile the person can do %v with the call", d.Controls)
		}),
	},
}

// leftOver says whether another prompt of the same call was answered, and not this
// one, or was refused, which ends the call. How many rounds a host takes part in is
// judged by itself.
func (p *prompt) leftOver() bool {
	return p.got == nil && slices.ContainsFunc(p.flow.s.prompts, func(other *prompt) bool {
		return other.flow == p.flow && (other.got != nil || other.pressed != 0 && other.press != "accept" && other != p)
	})
}

// due says whether there was time to show a prompt: a call that was given up at
// once does not count.
func (p *prompt) due() bool {
	return p.got != nil || p.flow.now().stopped == 0 || p.flow.now().stopped-p.issued > atOnce
}

// everyDialog judges a prompt by each of these dialogs, which fails with a text otherwise.
func everyDialog(of func(*prompt) []*dialog, judged func(*prompt, *dialog) (ok bool, otherwise string)) func(judge, *session, *prompt) {
	return func(j judge, _ *session, p *prompt) {
		for _, d := range of(p) {
			ok, otherwise := judged(p, d)
			j.that(ok, otherwise, d.event)
		}
	}
}

// askedDialogs are the dialogs of a prompt that the host had to show.
func (p *prompt) askedDialogs() []*dialog {
	if p.unasked {
		return nil
	}
	return p.dialogs
}

// urlDialogs are those of one in URL mode.
func (p *prompt) urlDialogs() []*dialog {
	if p.mode != "url" {
		return nil
	}
	return p.askedDialogs()
}

// hasAll says whether all words are in a list.
func hasAll(list []string, words ...string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !slices.Contains(list, w) })
}
