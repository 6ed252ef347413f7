package hostcheck

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Prompts that are refused, in a burst, or not to be trusted.
var limits = []Requirement{
	{
		ID: "A34", Name: "gives tool errors to the model", Revision: Legacy, Level: Should, Observed: inUI,
		Text:    "The text of a result with isError reaches the model, so that it can do something about it.",
		Section: section(Legacy, "server/tools#error-handling"),
		eras:    both, hook: HookOutcome,
		end: func(j judge, s *session) {
			if !s.hasHook(HookOutcome) {
				return
			}
			for _, f := range s.flows {
				if s.protocol == Modern && f.failure == "" && f.over && len(f.asked) > 0 {
					j.note("the host ended the call by itself, so that there was no error to give", f.now().Event)
				}
				if f.failure == "" || f.now().stopped != 0 {
					continue
				}
				reported := slices.ContainsFunc(s.outcomes[f.label], func(o Outcome) bool { return strings.Contains(o.Text, f.failure) })
				j.that(reported, fmt.Sprintf("the model does not get to know that call %q failed with %q", f.label, f.failure), f.now().Event)
			}
		},
	},
	{
		ID: "P9", Name: "takes no for an answer", Revision: profile, Level: MustNot, Observed: onWire,
		Text:    "A call whose prompt was declined or cancelled is not repeated without being asked to.",
		Section: profileSection("P9"),
		eras:    both,
		end: func(j judge, s *session) {
			for _, label := range []string{"declined", "cancelled"} {
				if calls := s.labelled(label); len(calls) > 0 {
					j.that(len(calls) == 1, "the call "+label+" was made again although nobody asked for that",
						calls[len(calls)-1].rounds[0].Event)
				}
			}
		},
	},
	{
		ID: "A16", Name: "warns of suspicious URLs", Revision: Legacy, Level: Should, Observed: inUI,
		Text:    "There is a warning with ambiguous or suspicious addresses, such as those with Punycode in them.",
		Section: section(Legacy, "client/elicitation#safe-url-handling"),
		eras:    both, hook: HookShown,
		shown: func(j judge, _ *session, p *prompt) {
			if p.flow.label != "punycode" {
				return
			}
			for _, d := range p.dialogs {
				j.that(d.Warning != "", "an address in Punycode is shown without a warning", d.event)
			}
			if len(p.dialogs) == 0 {
				j.pass()
			}
		},
	},
	{
		ID: "P15", Name: "opens only http and https", Revision: profile, Level: Must, Observed: uiAndCanary,
		Text:    "A prompt's URL of any other scheme, such as javascript: or file:, is not opened.",
		Section: profileSection("P15"),
		eras:    both, hook: HookOpened,
		opened: func(j judge, s *session, p *prompt) {
			if p.flow.label != "script" {
				return
			}
			event := s.visited("/script")
			for _, o := range s.openings {
				if !strings.HasPrefix(o.URL, "http://") && !strings.HasPrefix(o.URL, "https://") {
					event = o.event
					break
				}
			}
			j.that(event < 0, "a URL that is neither http nor https was opened", event)
		},
	},
	{
		ID: "P16", Name: "opens URLs without a shell", Revision: profile, Level: MustNot, Observed: uiAndCanary,
		Text: "No shell sees a prompt's URL: what a shell would run or split in it reaches the browser, percent-encoded or as it is, " +
			"or the URL is not opened.",
		Section: profileSection("P16"),
		eras:    both, hook: HookOpened,
		opened: func(j judge, s *session, p *prompt) {
			if p.flow.label != "shell" {
				return
			}
			event := s.visited("/shell")
			for _, o := range s.openings {
				if strings.Contains(o.URL, "p="+p.id) && decoded(o.URL) != decoded(p.url) {
					event = o.event
				}
			}
			j.that(event < 0, "a shell saw the URL: what was opened differs from it, or a part of it was run", event)
		},
	},
	{
		ID: "A23", Name: "limits the rate of prompts", Revision: Legacy, Level: Should, Observed: wireAndUI,
		Text: "A server that sends prompts in a burst does not flood the person with dialogs. The text has no number; here, of 25 " +
			"at once, no more than 10 are shown in a second.",
		Section: section(Legacy, "client/elicitation#security-considerations"),
		eras:    legacyOnly, hook: HookShown,
		end: func(j judge, s *session) {
			if !s.hasHook(HookShown) || len(s.prompts) == 0 {
				return
			}
			most, event := 0, -1
			for i, d := range s.dialogs {
				n := 0
				for _, other := range s.dialogs[i:] {
					if other.at-d.at < time.Second {
						n++
					}
				}
				if n > most {
					most, event = n, d.event
				}
			}
			j.that(most <= 10, "more than ten dialogs were shown within a second", event)
		},
	},
}

// visited returns the event of the first visit of the canary at a path; -1 if there
// is none.
func (h *person) visited(path string) int {
	for _, v := range h.visits {
		if v.path == path {
			return v.event
		}
	}
	return -1
}

// decoded is a URL without its percent-encoding, for comparison.
func decoded(address string) string {
	if plain, err := url.PathUnescape(address); err == nil {
		return plain
	}
	return address
}
