package hostcheck

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// What a person is shown of a prompt, and what comes of what they do.
var consent = []Requirement{
	{
		ID: "A6", Name: "accepts a URL without content", Revision: Legacy, Level: Should, Derived: true, Observed: onWire,
		Text:    "The answer that accepts a URL carries no content: nothing that the person typed passes through the host.",
		Section: section(Legacy, "client/elicitation#response-actions"),
		eras:    both,
		answered: func(j judge, _ *session, p *prompt) {
			if p.mode == "url" && p.got != nil && p.got.action == "accept" {
				j.that(len(p.got.content) == 0, "the answer that accepts a URL has content", p.got.line.Event)
			}
		},
	},
	{
		ID: "P10", Name: "answers at consent", Revision: profile, Level: Should, Observed: wireAndVisit,
		Text:       "Accept is sent when the person agrees to open the URL, not when they are done there.",
		Section:    profileSection("P10"),
		Everywhere: true,
		eras:       both,
		answered: func(j judge, _ *session, p *prompt) {
			if p.mode != "url" || p.got == nil || p.got.action != "accept" {
				return
			}
			// Without a hook it is not known when the person agreed, only whether they
			// had been to the page already.
			switch {
			case p.pressed != 0:
				j.that(p.got.at-p.pressed <= atOnce, fmt.Sprintf("accept came %v after the person had agreed",
					(p.got.at-p.pressed).Round(10*time.Millisecond)), p.got.line.Event)
			case p.signedIn != 0:
				// Where a person is at the keyboard, the sign-in is their visit, and the
				// browser may be there before the answer is here.
				j.that(p.got.at-p.signedIn <= atOnce, "accept came when the sign-in was over", p.got.line.Event)
			default:
				j.pass(p.got.line.Event)
			}
		},
	},
	{
		ID: "A11", Name: "does not pre-fetch the URL", Revision: Legacy, Level: MustNot, Observed: atCanary,
		Text: "The host requests neither the URL nor anything else of its site, such as an icon, by itself. Where it does not " +
			"report what it shows, what comes to the page before an accept proves nothing.",
		Section:    section(Legacy, "client/elicitation#safe-url-handling"),
		Everywhere: true,
		eras:       both,
		answered: func(j judge, s *session, p *prompt) {
			if p.mode != "url" || !strings.HasPrefix(p.url, s.canary) {
				return
			}
			at, agreed := s.consent(p)
			fetched, early := -1, -1
			for _, v := range s.visits {
				switch {
				case v.prompt != p.id && v.prompt != "", v.at < p.issued, agreed && v.at >= at:
				case (agreed || p.noReply) && v.method == http.MethodGet && !s.hasHook(HookShown):
					// The browser comes before the answer where a host opens the URL and
					// then says so, which is the order of the specification.
					early = v.event
				case v.prompt == "" && agreed: // something else of the site, at some other time
				case slices.ContainsFunc(s.openings, func(o opening) bool { return o.URL == p.url && o.at <= v.at }):
				default:
					fetched = v.event
				}
			}
			if fetched < 0 && early >= 0 {
				j.note("the page was requested before the host accepted; without a hook it is not known whether the person had agreed", early)
				return
			}
			j.that(fetched < 0, "the page behind the URL was requested although nobody had agreed to open it", fetched)
		},
	},
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
		ID: "A14", Name: "opens the URL out of its own sight", Revision: Legacy, Level: Must, Observed: inUI,
		Text:       "The URL is opened where neither the host nor the model can look at the page or at what is typed there.",
		Section:    section(Legacy, "client/elicitation#safe-url-handling"),
		Everywhere: true,
		eras:       both, hook: HookOpened,
		opened: func(j judge, s *session, p *prompt) {
			for _, o := range s.openings {
				if isOf(o, p) {
					j.that(o.In == "browser" || o.In == "isolated", fmt.Sprintf("the URL was opened in %q", o.In), o.event)
				}
			}
		},
	},
	{
		ID: "P18", Name: "opens what was agreed to", Revision: profile, Level: Must, Observed: inUI,
		Text:       "When the person agrees to open a URL it is opened: at once, and once.",
		Section:    profileSection("P18"),
		Everywhere: true,
		eras:       both, hook: HookOpened,
		opened: func(j judge, s *session, p *prompt) {
			at, agreed := s.consent(p)
			if !agreed || p.got == nil || p.got.action != "accept" || p.odd || p.got.at < p.pressed {
				return
			}
			var times []opening
			for _, o := range s.openings {
				if isOf(o, p) {
					times = append(times, o)
				}
			}
			switch {
			case len(times) == 0:
				j.fail("the answer is accept, and nothing was opened", p.got.line.Event)
			case len(times) > 1:
				j.fail(fmt.Sprintf("the URL was opened %d times", len(times)), times[1].event)
			default:
				late := times[0].at - at
				j.that(late <= atOnce, fmt.Sprintf("the URL was opened %v after the person had agreed", late.Round(10*time.Millisecond)), times[0].event)
			}
		},
	},
	{
		ID: "A12", Name: "opens nothing without consent", Revision: Legacy, Level: MustNot, Observed: uiAndCanary,
		Text:       "The URL is not opened before the person agreed, and not at all if they did not.",
		Section:    section(Legacy, "client/elicitation#safe-url-handling"),
		Everywhere: true,
		eras:       both, hook: HookOpened,
		opened: func(j judge, s *session, p *prompt) {
			early, unknown := s.openedEarly(p)
			if early < 0 && unknown >= 0 {
				j.note("the URL was opened before the host accepted; without a hook it is not known whether the person had agreed", unknown)
				return
			}
			j.that(early < 0, "the URL was opened although nobody had agreed to that", early)
		},
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
	{
		ID: "P3", Name: "never answers for the person", Revision: profile, Level: MustNot, Observed: wireAndUI,
		Text:       "A prompt is answered when the person acted and not before, however short the time.",
		Section:    profileSection("P3"),
		Everywhere: true,
		eras:       both, hook: HookShown,
		// Without a hook it is not known what the person did, but that nobody reads and
		// decides in no time.
		answered: func(j judge, s *session, p *prompt) {
			if p.got != nil && p.got.err == nil && !p.odd && !s.hasHook(HookShown) && p.got.at-p.issued < reading {
				j.note(fmt.Sprintf("%q came less than %v after the prompt: nobody was asked, as far as is seen without a hook", p.got.said(),
					reading), p.got.line.Event)
			}
		},
		shown: func(j judge, _ *session, p *prompt) {
			shown := -1
			if len(p.dialogs) > 0 {
				shown = p.dialogs[0].event
			}
			switch {
			case p.unasked || len(p.dialogs) == 0 && (p.got == nil || p.got.err != nil || p.refusedUnseen()):
			case p.got == nil:
				j.pass(shown)
			case p.pressed == 0 || p.got.at < p.pressed:
				j.fail(fmt.Sprintf("%q was answered before the person did anything", p.got.said()), p.got.line.Event)
			default:
				j.pass(p.got.line.Event)
			}
		},
	},
	{
		ID: "A7", Name: "answers what the person did", Revision: Legacy, Level: Must, Derived: true, Observed: wireAndUI,
		Text: "The answer is accept if the person agreed, decline if they refused, cancel if they dismissed the dialog; " +
			"and it goes to the prompt that they answered.",
		Section:    section(Legacy, "client/elicitation#response-actions"),
		Everywhere: true,
		eras:       both, hook: HookShown,
		follows: true,
		answered: func(j judge, s *session, p *prompt) {
			if s.guided && !s.hasHook(HookShown) && p.got != nil && !p.unasked && !p.odd {
				j.that(p.got.action == p.press, fmt.Sprintf("the person was to press %s, the answer is %q", p.press, p.got.said()),
					p.got.line.Event)
			}
		},
		shown: func(j judge, s *session, p *prompt) {
			shown := -1
			if len(p.dialogs) > 0 {
				shown = p.dialogs[0].event
			}
			switch {
			case p.unasked, p.noReply, p.got == nil && (p.pressed == 0 || p.flow.gone() || p.leftOver()):
			case len(p.dialogs) == 0 && p.refusedUnseen():
			case p.got == nil && s.protocol == Modern && p.press != "accept":
				j.note("the host ends a call by itself when its prompt is refused, as it may", shown)
			case p.got == nil:
				j.fail(fmt.Sprintf("the person pressed %s, and nothing was answered", p.press), shown)
			case p.pressed != 0 && p.got.at >= p.pressed:
				j.that(p.got.action == p.press, fmt.Sprintf("the person pressed %s, the answer is %q", p.press, p.got.said()), shown, p.got.line.Event)
			case p.press == "":
			case p.press == p.got.action:
				j.note("the answer is what the person pressed later", p.got.line.Event)
			default:
				j.fail(fmt.Sprintf("%q was answered where the person presses %s", p.got.said(), p.press), p.got.line.Event)
			}
		},
	},
	{
		ID: "P5", Name: "keeps the URL from the model", Revision: profile, Level: MustNot, Observed: inUI,
		Text:    "Neither the URL of a prompt nor the code in it becomes part of what the model reads.",
		Section: profileSection("P5"),
		eras:    both, hook: HookOutcome,
		reported: func(j judge, s *session, p *prompt) {
			for _, outcomes := range s.outcomes {
				for _, o := range outcomes {
					if strings.Contains(o.Text, p.url) || strings.Contains(o.Text, p.code) {
						j.fail(fmt.Sprintf("what call %q came to for the model has the URL or the code of a prompt in it", o.Call))
						return
					}
				}
			}
			if len(s.outcomes) > 0 {
				j.pass()
			}
		},
	},
}

// reading is less than the time in which a person can read a prompt.
const reading = 200 * time.Millisecond

// refusedUnseen says whether the host turned down a prompt of the kind that it may
// turn down by itself.
func (p *prompt) refusedUnseen() bool {
	return p.odd && p.got != nil && p.got.action != "accept"
}

// isOf says whether what was opened is the URL of a prompt, whatever became of the
// rest of it.
func isOf(o opening, p *prompt) bool {
	u, err := url.Parse(o.URL)
	return o.URL == p.url || err == nil && u.Query().Get("p") == p.id
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

// atOnce is how soon after the person's consent the host has to pass it on.
const atOnce = 10 * time.Second

// consent is when the person agreed to a prompt, as far as that is known:
// false if they did not. Without a hook the host's own answer has to do.
func (h *person) consent(p *prompt) (time.Duration, bool) {
	if h.hasHook(HookShown) {
		return p.pressed, p.pressed != 0 && p.press == "accept"
	}
	if p.got != nil && p.got.action == "accept" {
		return p.got.at, true
	}
	return 0, false
}

// openedEarly returns the event of an opening of a prompt's URL before the person
// agreed to it, and that of one of which it is not known whether they had: without a hook
// for what is shown, a host that opens the URL and then says so does it in the order of the
// specification. Either is -1 if there is none.
func (h *person) openedEarly(p *prompt) (early, unknown int) {
	at, agreed := h.consent(p)
	early, unknown = -1, -1
	for _, o := range h.openings {
		switch {
		case o.URL != p.url, agreed && o.at >= at:
		case (agreed || p.noReply) && !h.hasHook(HookShown):
			unknown = o.event
		default:
			early = o.event
		}
	}
	return early, unknown
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
