package hostcheck

import (
	"fmt"
	"time"
)

// Calls that take long: time-outs, progress.
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
