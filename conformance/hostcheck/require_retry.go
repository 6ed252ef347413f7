package hostcheck

import (
	"fmt"
	"slices"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// Round trips: what a retry carries.
var retrying = []Requirement{
	{
		ID: "B11", Name: "gives the retry a new id", Revision: Modern, Level: Must, Observed: onWire,
		Text:     "The id of a retry differs from that of the request that it repeats: they are independent.",
		Section:  section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
		Official: []string{"sep-2322-client-jsonrpc-id-different"},
		eras:     modernOnly,
		retry: func(j judge, r *retry) {
			j.that(!wire.SameJSON(r.before.ID, r.again.ID),
				fmt.Sprintf("the retry has the id %s of the request that it repeats", wire.Excerpt(r.again.ID, 40)), r.before.Event, r.again.Event)
		},
	},
	{
		ID: "B13", Name: "repeats the same request", Revision: Modern, Level: Must, Derived: true, Observed: onWire,
		Text:    "A retry is the original request: the same method, tool and arguments.",
		Section: section(Modern, "basic/patterns/mrtr#multi-round-trip-requests"),
		eras:    modernOnly,
		retry: func(j judge, r *retry) {
			switch {
			case r.again.Method != r.before.Method || r.again.URI != r.before.URI:
				j.fail(fmt.Sprintf("the retry is %s %q, the original was %s %q", wire.Excerpt([]byte(r.again.Method), 40),
					wire.Excerpt([]byte(r.again.URI), 60), r.before.Method, r.before.URI), r.before.Event, r.again.Event)
			case r.again.Name != r.before.Name:
				j.fail(fmt.Sprintf("the retry calls %q, the original called %q", wire.Excerpt([]byte(r.again.Name), 40), r.before.Name),
					r.before.Event, r.again.Event)
			case len(r.again.Arguments)+len(r.before.Arguments) > 0 && !wire.SameJSON(r.again.Arguments, r.before.Arguments):
				j.fail("the retry has other arguments than the original", r.before.Event, r.again.Event)
			default:
				j.pass(r.before.Event, r.again.Event)
			}
		},
	},
	{
		ID: "B14", Name: "replaces the state", Revision: Modern, Level: Must, Observed: onWire,
		Text:    "After another round the retry carries the newer state, and none if the newer result had none.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
		eras:    modernOnly,
		retry: func(j judge, r *retry) {
			if len(r.older) > 0 {
				j.that(!r.stale(), "the retry carries a state that a later round has replaced", r.again.Event)
			}
		},
	},
	{
		ID: "B12", Name: "leaks nothing between parallel requests", Revision: Modern, Level: MustNot, Observed: onWire,
		Text:     "The answers and the state of one request are never sent with another one that is under way.",
		Section:  section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
		Official: []string{"sep-2322-client-parallel-isolation"},
		eras:     modernOnly,
		retry: func(j judge, r *retry) {
			if r.parallel {
				j.that(!r.foreign, "the retry carries the state of another call", r.again.Event)
				j.that(r.stranger == "", r.unasked(), r.again.Event)
			}
		},
	},
	{
		ID: "B10", Name: "invents no state", Revision: Modern, Level: MustNot, Observed: onWire,
		Text:     "A retry that follows a result without state has none.",
		Section:  section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
		Official: []string{"sep-2322-client-no-state-omitted"},
		eras:     modernOnly,
		retry: func(j judge, r *retry) {
			if r.ownState() && r.state == nil {
				j.that(!wire.StateGiven(r.again.Params), "the retry carries a state although it was given none", r.again.Event)
			}
		},
	},
	{
		ID: "B8", Name: "echoes the state", Revision: Modern, Level: Must, Observed: onWire,
		Text:     "A retry carries exactly the state of the result that it follows, whatever characters are in it.",
		Section:  section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
		Official: []string{"sep-2322-client-request-state-echoed"},
		eras:     modernOnly,
		retry: func(j judge, r *retry) {
			switch got := r.again.RequestState; {
			case !r.ownState() || r.state == nil: // others are about that
			case got == nil:
				j.fail("the retry lacks the state", r.again.Event)
			case *got != *r.state:
				j.fail(fmt.Sprintf("the state comes back as %q, not as %q", wire.Excerpt([]byte(*got), 120), wire.Excerpt([]byte(*r.state), 120)), r.again.Event)
			default:
				j.pass(r.again.Event)
			}
		},
	},
	{
		ID: "B9", Name: "does not touch the state", Revision: Modern, Level: MustNot, Observed: onWire,
		Text:     "The state is opaque: the host neither parses, trims, re-encodes nor completes it.",
		Section:  section(Modern, "basic/patterns/mrtr#inputrequiredresult"),
		Official: []string{"sep-2322-client-request-state-echoed"},
		eras:     modernOnly,
		retry: func(j judge, r *retry) {
			if got := r.again.RequestState; r.ownState() && r.state != nil && got != nil {
				j.that(*got == *r.state, "the state was changed on its way through the host", r.again.Event)
			}
		},
	},
	{
		ID: "B35", Name: "uses answers for their retry alone", Revision: Modern, Level: MustNot, Derived: true, Observed: onWire,
		Text:     "A new call carries no state and no answers of an earlier one: they affect only the retry of the original request.",
		Section:  section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
		Official: []string{"sep-2322-client-parallel-isolation"},
		eras:     modernOnly,
		fresh: func(j judge, c *call) {
			j.that(c.InputResponses == nil && !wire.StateGiven(c.Params),
				"a call that repeats nothing carries answers or a state of an earlier one", c.Event)
		},
		retry: func(j judge, r *retry) {
			if !r.parallel {
				j.that(r.stranger == "", r.unasked(), r.again.Event)
			}
		},
	},
	{
		ID: "B6", Name: "gathers every input before the retry", Revision: Modern, Level: Must, Observed: onWire,
		Text:    "A retry answers every input request of the result that it follows.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
		eras:    modernOnly,
		retry: func(j judge, r *retry) {
			if len(r.asked) == 0 {
				return
			}
			for key := range r.asked {
				if _, ok := r.again.InputResponses[key]; !ok {
					text := fmt.Sprintf("the retry does not answer %q", key)
					if r.misnamed != "" {
						text += fmt.Sprintf("; it has %q, which nothing is called", wire.Excerpt([]byte(r.misnamed), 40))
					}
					j.fail(text, r.again.Event)
					return
				}
			}
			j.pass(r.again.Event)
		},
	},
	{
		ID: "P14", Name: "takes accept for consent only", Revision: profile, Level: Must, Observed: onWire,
		Text: "Accepting a URL does not complete the interaction: a server that asks for the same thing again after accept is " +
			"heard again.",
		Section: profileSection("P14"),
		eras:    modernOnly,
		played:  func(j judge, o occasion) { j.that(o.ok, "the host does not ask again after accept", o.at()) },
	},
	{
		ID: "B7", Name: "retries at once when nothing is asked", Revision: Modern, Level: May, Observed: onWire,
		Text:    "A result that carries state and no input requests may be followed by a retry at once.",
		Section: section(Modern, "basic/patterns/mrtr#client-requirements-basic-workflow"),
		eras:    modernOnly,
		played: func(j judge, o occasion) {
			if !o.ok {
				j.note("the host does not retry when nothing is asked", o.at())
				return
			}
			j.pass(o.at())
		},
	},
	{
		ID: "P7", Name: "handles parallel prompts", Revision: profile, Level: Must, Observed: onWire,
		Text: "First calls that run side by side each get their prompt shown once and their answer; none waits for another " +
			"for ever.",
		Section: profileSection("P7"),
		eras:    both,
		played: func(j judge, o occasion) {
			if o.answer.never && !o.endedByHost() {
				j.fail("the prompt of call "+o.flow.label+" was not answered", o.at())
				return
			}
			j.that(len(o.prompt.dialogs) <= 1, "the prompt of call "+o.flow.label+" was shown more than once", o.at())
		},
	},
	{
		ID: "P8", Name: "does eight rounds", Revision: profile, Level: Must, Observed: onWire,
		Text:    "A call may ask for input eight times before it completes.",
		Section: profileSection("P8"),
		eras:    modernOnly,
		played: func(j judge, o occasion) {
			j.that(o.ok, fmt.Sprintf("the call ended after %d of eight rounds", len(o.flow.rounds)-1), o.at())
		},
	},
	{
		ID: "P19", Name: "does rounds for all requests", Revision: profile, Level: Must, Observed: onWire,
		Text:    "A resource that is read, or a prompt that is got, may ask for input before it completes, as a call may.",
		Section: profileSection("P19"),
		eras:    modernOnly,
		played: func(j judge, o occasion) {
			j.that(o.ok, fmt.Sprintf("%s ended after %d of three rounds", o.flow.now().Method, len(o.flow.rounds)-1), o.at())
		},
	},
	{
		ID: "B27", Name: "does not cache what a retry brought", Revision: Modern, Level: MustNot, Observed: onWire,
		Text:    "A result that was got with answers or state is not served again to the next request: that reaches the server.",
		Section: section(Modern, "server/utilities/caching#cache-key"),
		eras:    modernOnly,
		end: func(j judge, s *session) {
			_, on := s.goesOn()
			if calls := s.labelled("cached"); on && len(calls) > 0 {
				j.that(len(calls) > 1, "the same resource was read twice, and the second time did not reach the server", calls[0].now().Event)
			}
		},
	},
}

// A retry is a request that follows a result which asked for input, and what is to
// be known to judge it.
type retry struct {
	before, again *call
	state         *string            // of the result that it follows
	older         []string           // those that were replaced
	asked         map[string]*prompt // by that result
	parallel      bool               // another call is under way
	foreign       bool               // it carries the state of another call
	stranger      string             // an answer that it was not asked for
	misnamed      string             // one under a name that nothing was ever asked by, where one is missing
}

// retried is the latest round of a flow. It takes guard.
func retried(f *flow) *retry {
	f.s.guard.Lock()
	defer f.s.guard.Unlock()
	r := &retry{before: f.rounds[len(f.rounds)-2], again: f.now(), state: f.state, older: f.older, asked: f.asked}
	got := r.again.RequestState
	for _, other := range f.s.flows {
		if other == f {
			continue
		}
		r.parallel = r.parallel || !other.over
		if got != nil && (other.state != nil && *other.state == *got || slices.Contains(other.older, *got)) {
			r.foreign = true
		}
	}
	missing := false
	for key := range r.asked {
		_, ok := r.again.InputResponses[key]
		missing = missing || !ok
	}
	for key := range r.again.InputResponses {
		switch _, ok := r.asked[key]; {
		case ok:
		case missing && !f.s.inputs[key]: // an answer under another name, and no other call's
			r.misnamed = key
		default:
			r.stranger = key
		}
	}
	return r
}

// stale says whether it carries a state that was replaced.
func (r *retry) stale() bool {
	got := r.again.RequestState
	return got != nil && slices.Contains(r.older, *got) && (r.state == nil || *r.state != *got)
}

// ownState says whether its state, or that it has none, is about this round: one
// of another call or of an earlier round is told as that.
func (r *retry) ownState() bool { return !r.foreign && !r.stale() }

func (r *retry) unasked() string {
	return fmt.Sprintf("the retry carries an answer, %q, that it was not asked for", wire.Excerpt([]byte(r.stranger), 40))
}
