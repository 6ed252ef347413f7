package hostcheck

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// How a call is given up: cancellations, and what comes late.
var cancelling = []Requirement{
	{
		ID: "A25", Name: "cancels what timed out", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "When the host gives a request up it says so with notifications/cancelled.",
		Section: section(Legacy, "basic/lifecycle#timeouts"),
		eras:    legacyOnly,
		end:     cancelsByNotification,
	},
	{
		ID: "B18", Name: "cancels what timed out", Revision: Modern, Level: Should, Observed: onWire,
		Text:    "Over stdio a request that timed out is cancelled: the server learns that nobody waits for it.",
		Section: section(Modern, "basic/patterns/cancellation#timeouts"),
		eras:    modernOnly, transport: Stdio,
		end: cancelsByNotification,
	},
	{
		ID: "B34", Name: "cancels by notification", Revision: Modern, Level: Must, Observed: onWire,
		Text: "Over stdio it is notifications/cancelled with the id of the request that cancels it: not another method, and not " +
			"the end of the server.",
		Section: section(Modern, "basic/transports/stdio#cancellation"),
		eras:    modernOnly, transport: Stdio,
		end: func(j judge, s *session) {
			for _, l := range s.Lines() {
				switch {
				case l.Method == "notifications/cancelled" && l.Kind == wire.Notification:
					j.pass(l.Event)
				case strings.Contains(strings.ToLower(l.Method), "cancel"):
					j.fail(fmt.Sprintf("the host cancels with %s %q", l.Kind, wire.Excerpt([]byte(l.Method), 60)), l.Event)
				}
			}
			for _, f := range s.givenUp() {
				if c := f.now(); c.cancel == nil && s.replaced(c) {
					j.fail(fmt.Sprintf("the host ended the server and started another, where it gave call %q up", f.label), c.Event)
				}
			}
			if len(s.givenUp()) > 0 {
				j.note("the host gives a call up without a word, so that it is not seen how it cancels")
			}
		},
	},
	{
		ID: "B17", Name: "cancels by closing the stream", Revision: Modern, Level: Should, Observed: onWire,
		Text:    "Over HTTP a request that timed out is cancelled by closing its response stream.",
		Section: section(Modern, "basic/patterns/cancellation#transport-specific-cancellation"),
		eras:    modernOnly, transport: HTTP,
		end: func(j judge, s *session) {
			for _, f := range s.givenUp() {
				c := f.now()
				closed := c.stopped != 0 && c.hungUp != 0 && c.hungUp-c.stopped < crossed
				j.that(closed, fmt.Sprintf("call %q was given up without closing its response stream", f.label), c.cancelEvents()...)
			}
		},
	},
	{
		ID: "A27", Name: "cancels only its own requests in flight", Revision: Legacy, Level: Must, Observed: onWire,
		Text:       "A cancellation names a request that the host itself sent and that has not been answered.",
		Section:    section(Legacy, "basic/utilities/cancellation#behavior-requirements"),
		Everywhere: true,
		eras:       legacyOnly,
		cancelled:  ownRequest,
		end:        cancelsNothing,
	},
	{
		ID: "B36", Name: "cancels only its own requests in flight", Revision: Modern, Level: Must, Observed: onWire,
		Text:       "A cancellation names a request that the host itself sent and that has not been answered.",
		Section:    section(Modern, "basic/patterns/cancellation#behavior-requirements"),
		Everywhere: true,
		eras:       modernOnly, transport: Stdio,
		cancelled: ownRequest,
		end:       cancelsNothing,
	},
	{
		ID: "A28", Name: "ignores late responses", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "The response to a request that was cancelled is ignored: it is taken for nothing else, and all goes on.",
		Section: section(Legacy, "basic/utilities/cancellation#behavior-requirements"),
		eras:    legacyOnly,
		end:     ignoresLate,
	},
	{
		ID: "B37", Name: "ignores late responses", Revision: Modern, Level: Should, Observed: onWire,
		Text:    "The response to a request that was cancelled is ignored: it is taken for nothing else, and all goes on.",
		Section: section(Modern, "basic/patterns/cancellation#behavior-requirements"),
		eras:    modernOnly, transport: Stdio,
		end: ignoresLate,
	},
}

// crossed is how far apart a response and a cancellation can be that cross on
// their way, on a busy machine.
const crossed = 5 * time.Second

// givenUp are the calls that the host gave up, be it without a word. One that ended
// with the host's process was not.
func (s *session) givenUp() []*flow {
	var flows []*flow
	for _, f := range s.flows {
		c := f.now()
		_, process := c.back.(*wire.Pipe)
		if f == s.flows[len(s.flows)-1] && c.cancel == nil && c.hungUp != 0 && s.endedAt != 0 && s.endedAt-c.hungUp < parting {
			continue // its connection closed as the host ended
		}
		ended := process && c.cancel == nil && !f.left && !s.replaced(c)
		if (c.stopped != 0 || f.left) && !ended && (c.answered == 0 || c.stopped == 0 || c.answered >= c.stopped) {
			flows = append(flows, f)
		}
	}
	return flows
}

// replaced says whether the host ended the server process that had a request, and
// started another. One that died by itself is none.
func (s *session) replaced(c *call) bool {
	_, process := c.back.(*wire.Pipe)
	return process && c.hungUp != 0 && slices.ContainsFunc(s.requests, func(later *call) bool {
		return later.Conn > c.Conn && later.At >= c.At
	})
}

// cancelEvents are the request and what cancelled it.
func (c *call) cancelEvents() []int {
	if c.cancel == nil {
		return []int{c.Event}
	}
	return []int{c.Event, c.cancel.Event}
}

// A cancellation is a notification that the host gives a request up.
type cancellation struct {
	id       json.RawMessage // which it says it is
	line     *wire.Line
	of       *call // nil if there never was one
	hit      bool  // the request was in flight
	crossing bool  // its response was on its way, or its connection had just been closed
	repeated bool  // it was cancelled before
}

// cancels takes a cancellation. It takes guard.
func (s *session) cancels(id json.RawMessage, l *wire.Line) *cancellation {
	s.guard.Lock()
	defer s.guard.Unlock()
	x := &cancellation{id: id, line: l}
	for _, c := range slices.Backward(s.requests) {
		if wire.SameJSON(c.ID, id) && c.answered == 0 && c.stopped == 0 {
			s.stop(c, l)
			x.of, x.hit = c, true
			return x
		}
	}
	for _, c := range s.requests {
		if wire.SameJSON(c.ID, id) {
			x.of = c
		}
	}
	if c := x.of; c != nil {
		x.crossing = c.answered != 0 && l.At-c.answered < crossed
		if c.cancel == nil && (x.crossing || c.stopped != 0 && c.answered == 0) {
			c.cancel = l // its connection was closed first, or the next call came first, and it may have been answered since
			x.crossing = true
		}
		x.repeated = c.stopped != 0 && c.answered == 0 && c.cancel != l
	}
	return x
}

// ownRequest judges a cancellation by what it names.
func ownRequest(j judge, c *cancellation) {
	id := wire.Excerpt(c.id, 40)
	switch {
	case len(c.id) == 0:
		j.fail("notifications/cancelled has no requestId", c.line.Event)
	case c.hit:
		j.that(c.of.Method != "initialize", "initialize is cancelled, which a host must not do", c.of.Event, c.line.Event)
	case c.crossing:
		j.pass(c.line.Event)
	case c.repeated:
		j.fail(fmt.Sprintf("the request %s was cancelled before", id), c.line.Event)
	case c.of != nil:
		j.fail(fmt.Sprintf("the request %s was answered long before it is cancelled", id), c.of.Event, c.line.Event)
	default:
		j.fail(fmt.Sprintf("the host cancels %s, which is no request of its own", id), c.line.Event)
	}
}

// cancelsNothing is for hosts of which no cancellation is seen.
func cancelsNothing(j judge, s *session) {
	if !slices.ContainsFunc(s.Lines(), func(l *wire.Line) bool { return l.Method == "notifications/cancelled" }) {
		j.note("the host cancelled nothing")
	}
}

// ignoresLate judges what a host does with a response that comes late.
func ignoresLate(j judge, s *session) {
	held := s.labelled("held")
	if len(held) == 0 || held[0].now().answered == 0 || !held[0].left {
		return
	}
	c := held[0].now()
	if c.unheard {
		j.note("the response stream was closed with the cancellation, so that nothing late can come", c.Event)
		return
	}
	next := s.labelled("progress")
	j.that(len(next) > 0, "the host made no further call after a late response", c.Event)
	if o, ok := s.outcome("after"); ok && o.Error {
		j.fail(fmt.Sprintf("the call that was under way when a late response came failed: %q", wire.Excerpt([]byte(o.Text), 120)), c.Event)
	}
	for _, id := range []string{"held", "after"} {
		if o, ok := s.outcome(id); ok && strings.Contains(o.Text, lateText) {
			j.fail(fmt.Sprintf("the late response was taken for the result of call %q", id), c.Event)
		}
	}
}

// cancelsByNotification judges the calls that the host gave up.
func cancelsByNotification(j judge, s *session) {
	for _, f := range s.givenUp() {
		j.that(f.now().cancel != nil, fmt.Sprintf("call %q was given up without notifications/cancelled", f.label), f.now().cancelEvents()...)
	}
}
