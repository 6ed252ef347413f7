package hostcheck

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// Calls that take long: time-outs, cancellation, progress.
var patience = []Requirement{
	{
		ID: "A24", Name: "has call time-outs", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "A request that is not answered is given up after the time-out that was configured.",
		Section: section(Legacy, "basic/lifecycle#timeouts"),
		eras:    legacyOnly,
		played:  func(j judge, o occasion) { j.that(o.ok, neverGivenUp, o.at()) },
	},
	{
		ID: "B19", Name: "has call time-outs", Revision: Modern, Level: Should, Observed: onWire,
		Text: "A request that is not answered is given up after the time-out that was configured; progress may restart the " +
			"clock, but a maximum holds.",
		Section: section(Modern, "basic/patterns/cancellation#timeouts"),
		eras:    modernOnly,
		played: func(j judge, o occasion) {
			if o.flow.label == "endless" {
				keepsMaximum(j, o)
				return
			}
			j.that(o.ok, neverGivenUp, o.at())
		},
	},
	{
		ID: "A26", Name: "keeps a maximum despite progress", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "Progress may restart the clock of a call, but a maximum holds all the same.",
		Section: section(Legacy, "basic/lifecycle#timeouts"),
		eras:    legacyOnly,
		played:  keepsMaximum,
	},
	{
		ID: "P2", Name: "lets progress prolong a call", Revision: profile, Level: Should, Observed: onWire,
		Text:    "A call carries a progress token, and progress keeps it from timing out.",
		Section: profileSection("P2"),
		eras:    both,
		played: func(j judge, o occasion) {
			if _, ok := o.flow.now().Meta["progressToken"]; !ok {
				j.fail("the call has no progress token", o.at())
				return
			}
			if !o.ok && o.took > progressTimeout/2 {
				j.note(fmt.Sprintf("for %v there was no progress, as this machine is too busy: not measured", o.took.Round(10*time.Millisecond)), o.at())
				return
			}
			j.that(o.ok, fmt.Sprintf("a call with a time-out of %v was given up although progress came every %v", progressTimeout, pulse), o.at())
		},
	},
	{
		ID: "P11", Name: "stops the clock while it asks", Revision: profile, Level: Should, Observed: onWire,
		Text:    "A call does not time out while a prompt that it caused is open in front of the person.",
		Section: profileSection("P11"),
		eras:    legacyOnly,
		played: func(j judge, o occasion) {
			j.that(o.ok, fmt.Sprintf("the call was given up while its prompt was open, after less than %v", reads), o.at())
		},
	},
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
		ID: "A28", Name: "ignores late responses", Revision: Legacy, Level: Should, Observed: onWire,
		Text:    "The response to a request that was cancelled is ignored: it is taken for nothing else, and all goes on.",
		Section: section(Legacy, "basic/utilities/cancellation#behavior-requirements"),
		eras:    legacyOnly,
		end:     ignoresLate,
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
		ID: "B37", Name: "ignores late responses", Revision: Modern, Level: Should, Observed: onWire,
		Text:    "The response to a request that was cancelled is ignored: it is taken for nothing else, and all goes on.",
		Section: section(Modern, "basic/patterns/cancellation#behavior-requirements"),
		eras:    modernOnly, transport: Stdio,
		end: ignoresLate,
	},
	{
		ID: "P1", Name: "waits, or comes back", Revision: profile, Level: Must, Observed: onWire,
		Text: "A call that waits for a person is held for as long as its time-out says; or it ends cleanly, and a later call " +
			"finds what the person did meanwhile.",
		Section: profileSection("P1"),
		eras:    both,
		played: func(j judge, o occasion) {
			if o.flow.label == "held" && o.ok { // given up
				j.that(o.took >= heldTimeout/2, fmt.Sprintf("a call with a time-out of %v was given up after %v", heldTimeout,
					o.took.Round(10*time.Millisecond)), o.at())
				return
			}
			j.pass(o.at())
		},
		end: func(j judge, s *session) {
			if _, ok := s.goesOn(); ok {
				return
			}
			if first := s.labelled("first"); len(first) > 0 {
				j.fail("the host did not come back after the time-out", first[0].now().Event)
			}
		},
	},
}

// What is wrong with a host that gives nothing up.
var (
	neverGivenUp = fmt.Sprintf("a call with a time-out of %v was still waited for after %v", heldTimeout, heldFor)
	keptAlive    = fmt.Sprintf("progress kept a call alive for %v that was to last for no more than %v", endlessBeats*pulse, endlessMax)
)

// keepsMaximum judges a call that progress prolongs for ever. A host that cannot be told a
// maximum may have one of its own that is longer than anybody would wait for here.
func keepsMaximum(j judge, o occasion) {
	if !o.ok && !o.flow.s.can(setsMaximum) {
		j.note(fmt.Sprintf("progress kept a call alive for %v; the host does not say that it can be told a maximum, and one of its own "+
			"may be longer", endlessBeats*pulse), o.at())
		return
	}
	j.that(o.ok, keptAlive, o.at())
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
