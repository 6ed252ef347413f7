package hostcheck

import (
	"fmt"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// The time-outs that hosts are told to use: long enough for a busy machine to
// tell them from nothing, short enough for a run to stay short.
const (
	heldTimeout     = 1500 * time.Millisecond
	progressTimeout = 1500 * time.Millisecond
	endlessTimeout  = time.Second
	endlessMax      = 3 * time.Second
)

var waiting = Scenario{
	Name: "waiting", Title: "Calls that take long",
	Description: "The server does not answer a call, and the host gives it up at the time-out that it was told, says so, and " +
		"ignores what comes late. Then progress keeps a call alive for twice its time-out, and one for ever: there the host " +
		"keeps to a maximum.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A24", "A25", "A26", "A27", "A28", "B17", "B18", "B19", "P1", "P2"},
	Ask:    "Set the call time-out of your host to a few seconds, if it has one, and ask it to call notes_search with call set to held.",
	script: script{
		steps: func(protocol string) [][]Call {
			endless := within("endless", endlessTimeout)
			endless.MaxMs = int(endlessMax.Milliseconds())
			return sequence(within("held", heldTimeout), calling("after"), within("progress", progressTimeout), endless,
				calling(nextCall))(protocol)
		},
		play:     playWaiting,
		conclude: []func(*session){concludeCancelled, concludeLate},
	},
}

func playWaiting(f *flow) {
	switch f.label {
	case "held":
		playHeld(f)
	case "progress":
		playProgress(f)
	case "endless":
		playEndless(f)
	case "after":
		// The late response comes while this one is awaited.
		f.wait(2 * lateness)
		f.text("3 notes found")
	default:
		f.text("3 notes found")
	}
}

// lateness is how long after a call was given up its response comes.
const lateness = 300 * time.Millisecond

func playHeld(f *flow) {
	s := f.s
	took, ok := f.held(3 * heldTimeout)
	text := fmt.Sprintf("a call with a time-out of %v was still waited for after %v", heldTimeout, 3*heldTimeout)
	s.judge("A24", ok, text, f.now().Event)
	if !ok {
		s.find("B19", failed, text, f.now().Event)
	}
	if !ok {
		s.find("P1", passed, "", f.now().Event)
		f.text("3 notes found")
		return
	}
	s.find("B19", passed, "", f.now().Event)
	s.judge("P1", took >= heldTimeout*9/10, fmt.Sprintf("a call with a time-out of %v was given up after %v", heldTimeout,
		took.Round(10*time.Millisecond)), f.now().Event)
	// The response crosses the cancellation, and comes late.
	if s.sleep(lateness) {
		f.text(lateText)
	}
}

const lateText = "this comes too late"

func playProgress(f *flow) {
	if _, ok := f.now().Meta["progressToken"]; !ok {
		f.s.find("P2", failed, "the call has no progress token", f.now().Event)
		f.text("3 notes found")
		return
	}
	for i := range 6 {
		f.progress(i+1, "Still waiting for the sign-in")
		if !f.wait(500 * time.Millisecond) {
			f.s.find("P2", failed, fmt.Sprintf("a call with a time-out of %v was given up although progress came every 500ms",
				progressTimeout), f.now().Event)
			return
		}
	}
	f.s.find("P2", passed, "", f.now().Event)
	f.text("3 notes found")
}

func playEndless(f *flow) {
	id := "A26"
	if f.s.protocol == Modern {
		id = "B19"
	}
	for i := range 12 {
		f.progress(i+1, "Still waiting for the sign-in")
		if !f.wait(500 * time.Millisecond) {
			f.s.find(id, passed, "", f.now().Event)
			return
		}
	}
	f.s.find(id, failed, fmt.Sprintf("progress kept a call alive for 6s that was to last for no more than %v", endlessMax), f.now().Event)
	f.text("3 notes found")
}

// concludeCancelled judges how calls were given up.
func concludeCancelled(s *session) {
	given := false
	for _, f := range s.flows {
		c := f.now()
		given = given || f.left || c.stopped != 0
		_, process := c.back.(*wire.Pipe)
		ended := process && c.cancel == nil && !f.left // the host ended, and the call with it
		if (c.stopped == 0 && !f.left) || ended || c.answered != 0 && c.stopped != 0 && c.answered < c.stopped {
			continue
		}
		text := fmt.Sprintf("call %q was given up without notifications/cancelled", f.label)
		events := []int{c.Event}
		if c.cancel != nil {
			events = append(events, c.cancel.Event)
		}
		s.judge("A25", c.cancel != nil, text, events...)
		s.judge("B18", c.cancel != nil, text, events...)
		closed := c.stopped != 0 && c.hungUp != 0 && c.hungUp-c.stopped < crossed
		s.judge("B17", closed, fmt.Sprintf("call %q was given up without closing its response stream", f.label), events...)
	}
	if !given && len(s.flows) > 0 {
		s.block("the host gave up no call")
	}
	cancelled := false
	for _, l := range s.Lines() {
		cancelled = cancelled || l.Method == "notifications/cancelled"
	}
	if !cancelled {
		s.find("A27", noted, "the host cancelled nothing")
	}
}

// concludeLate judges what the host made of the late response.
func concludeLate(s *session) {
	held := s.labelled("held")
	if len(held) == 0 || held[0].now().answered == 0 || !held[0].left {
		return
	}
	c := held[0].now()
	if c.unheard {
		s.find("A28", noted, "the response stream was closed with the cancellation, so that nothing late can come", c.Event)
		return
	}
	after := s.labelled("after")
	s.judge("A28", len(after) > 0, "the host did not go on after a late response", c.Event)
	for _, id := range []string{"held", "after"} {
		if o, ok := s.outcome(id); ok && o.Text == lateText {
			s.find("A28", failed, fmt.Sprintf("the late response was taken for the result of call %q", id), c.Event)
		}
	}
}

var pausing = Scenario{
	Name: "pausing", Title: "A person who takes longer than a call may",
	Description: "The person reads for twice as long as the call's time-out. A host that shows a prompt knows why the call " +
		"takes long, and stops the clock meanwhile.",
	Protocols: legacyOnly, Transports: everywhere,
	Checks: []string{"P11"},
	Ask:    "Set the call time-out of your host to a few seconds, ask it to call notes_search with call set to slow, and agree only after that.",
	script: script{
		steps: sequence(within("slow", heldTimeout)),
		play: func(f *flow) {
			p := f.s.prompt("accept", 2*heldTimeout)
			p.limit = 3 * heldTimeout
			a := f.ask(p)
			f.s.judge("P11", !f.gone(), fmt.Sprintf("the call was given up while its prompt was open, after less than %v", 2*heldTimeout),
				f.now().Event)
			if a.action == "accept" {
				f.text("3 notes found")
				return
			}
			f.fail("nobody signed in")
		},
	},
}

var resumption = Scenario{
	Name: "resumption", Title: "Coming back after a time-out",
	Description: "The person agrees, but the sign-in takes longer than the call may. The host gives the call up cleanly; the " +
		"next call starts afresh and finds the sign-in done.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A25", "A27", "B17", "B18", "P1", "P13"},
	Ask:    "Ask your host to call notes_search with call set to first, agree, wait until it gives up, and ask for call set to next.",
	script: script{
		steps: sequence(within("first", heldTimeout), calling(nextCall)),
		play: func(f *flow) {
			if f.label == nextCall {
				f.s.find("P1", passed, "", f.now().Event)
				f.text("3 notes found, as you have signed in meanwhile")
				return
			}
			p := f.s.prompt("accept", 300*time.Millisecond)
			p.limit = 4 * time.Second
			if a := f.ask(p); a.action != "accept" {
				f.fail("nobody signed in: the prompt got " + a.said())
				return
			}
			if _, gaveUp := f.held(3 * heldTimeout); !gaveUp {
				f.text("3 notes found")
			}
		},
		conclude: []func(*session){concludeCancelled, func(s *session) {
			first := s.labelled("first")
			if _, ok := s.goesOn(); !ok && len(first) > 0 {
				s.find("P1", failed, "the host did not come back after the time-out", first[0].now().Event)
			}
		}},
	},
}
