package hostcheck

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Where the URL of a prompt leads somebody, and when: what is opened, and what is requested.
var navigation = []Requirement{
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
		Text: "The URL is not opened before the person agreed, and not at all if they did not. Where the host does not report what " +
			"it shows, an opening before its accept is no breach.",
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
}

// isOf says whether what was opened is the URL of a prompt, whatever became of the
// rest of it.
func isOf(o opening, p *prompt) bool {
	u, err := url.Parse(o.URL)
	return o.URL == p.url || err == nil && u.Query().Get("p") == p.id
}

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
