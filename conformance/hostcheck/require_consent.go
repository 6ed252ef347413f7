package hostcheck

import (
	"fmt"
	"strings"
	"time"
)

// What is made of what a person does: the answer, and what the model gets to know.
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

// atOnce is how soon after the person's consent the host has to pass it on.
const atOnce = 10 * time.Second
