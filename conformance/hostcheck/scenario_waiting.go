package hostcheck

import (
	"slices"
	"time"
)

// The time-outs that hosts are told to use: long enough for a busy machine, on which
// any message may take seconds, to tell them from nothing; short enough for a run to
// stay short.
const (
	heldTimeout     = 4 * time.Second
	progressTimeout = 4 * time.Second
	endlessTimeout  = 2 * time.Second
	endlessMax      = 4 * time.Second
)

// How long a call is waited for that should have been given up, and how long a person
// who reads has it open. The first costs time with those hosts alone that do not give up.
const (
	heldFor = 4 * heldTimeout
	reads   = 2 * heldTimeout
)

// Progress comes every pulse: so often to a call that it has to keep alive for longer
// than the time-out, and to one that is to end all the same.
const (
	pulse         = 500 * time.Millisecond
	progressBeats = 10
	endlessBeats  = 24
)

var waiting = Scenario{
	Name: "waiting", Title: "Calls that take long",
	Description: "The server does not answer a call, and the host gives it up at the time-out that it was told, says so, and " +
		"ignores what comes late. Then progress keeps a call alive for twice its time-out, and one for ever: there the host " +
		"keeps to a maximum.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A24", "A25", "A26", "A27", "A28", "B17", "B18", "B19", "B34", "B36", "B37", "P1", "P2"},
	Ask:    "Set the call time-out of your host to a few seconds, if it has one, and ask it to call notes_search with call set to held.",
	script: script{
		steps: func(protocol string) [][]Call {
			endless := within("endless", endlessTimeout)
			endless.MaxMs = int(endlessMax.Milliseconds())
			return sequence(within("held", heldTimeout), calling("after"), within("progress", progressTimeout), endless,
				calling(nextCall))(protocol)
		},
		play:     playWaiting,
		conclude: concludeGivenUp,
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
		f.text(foundText)
	default:
		f.text(foundText)
	}
}

// lateness is how long after a call was given up its response comes.
const lateness = 300 * time.Millisecond

func playHeld(f *flow) {
	took, ok := f.held(heldFor)
	judgePlayed("A24", occasion{flow: f, ok: ok})
	judgePlayed("B19", occasion{flow: f, ok: ok})
	judgePlayed("P1", occasion{flow: f, ok: ok, took: took})
	if !ok {
		f.text(foundText)
		return
	}
	if f.s.protocol == Modern && f.s.transport == HTTP {
		// The end of its connection says so, and may be seen after the next call: nothing
		// has the two come in order.
		f.s.await(f.s.ctx, crossed, func() bool { return f.now().stopped != 0 })
	}
	// The response crosses the cancellation, and comes late.
	if f.s.sleep(lateness) {
		f.text(lateText)
	}
}

const lateText = "this comes too late"

func playProgress(f *flow) {
	if _, ok := f.now().Meta["progressToken"]; !ok {
		judgePlayed("P2", occasion{flow: f})
		f.text(foundText)
		return
	}
	longest := f.s.Now() - f.now().At // between two signs of life, as far as this machine goes
	for i := range progressBeats {
		f.progress(i+1, "Still waiting for the sign-in")
		sent := f.s.Now()
		on := f.wait(pulse)
		if longest = max(longest, f.s.Now()-sent); !on {
			judgePlayed("P2", occasion{flow: f, took: longest})
			return
		}
	}
	judgePlayed("P2", occasion{flow: f, ok: true})
	f.text(foundText)
}

func playEndless(f *flow) {
	for i := range endlessBeats {
		f.progress(i+1, "Still waiting for the sign-in")
		if !f.wait(pulse) {
			judgePlayed("A26", occasion{flow: f, ok: true})
			judgePlayed("B19", occasion{flow: f, ok: true})
			return
		}
	}
	judgePlayed("A26", occasion{flow: f})
	judgePlayed("B19", occasion{flow: f})
	f.text(foundText)
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
			p := f.s.prompt("accept", reads)
			p.limit = reads + f.patience()
			a := f.ask(p)
			judgePlayed("P11", occasion{flow: f, ok: !f.gone()})
			if a.action == "accept" {
				f.text(foundText)
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
	Checks: []string{"A25", "A27", "B17", "B18", "B34", "B35", "B36", "P1"},
	Ask: "Agree to the dialog. Then wait until your host gives the call up, which it does when its time-out has passed, or have it " +
		"stop the call. Then make the second call.",
	script: script{
		steps: sequence(within("first", heldTimeout), calling(nextCall)),
		play: func(f *flow) {
			if f.label == nextCall {
				judgePlayed("P1", occasion{flow: f, ok: true})
				f.text("3 notes found, as you have signed in meanwhile")
				return
			}
			p := f.s.prompt("accept", 300*time.Millisecond)
			p.limit = f.patience()
			if a := f.ask(p); a.action != "accept" {
				f.fail("nobody signed in: the prompt got " + a.said())
				return
			}
			if _, gaveUp := f.held(f.allow(heldFor)); !gaveUp {
				f.text(foundText)
			}
		},
		conclude: concludeGivenUp,
		guided:   true,
	},
}

// concludeGivenUp is for a host that waits for every call, so that what it does when
// it gives one up is not seen.
func concludeGivenUp(s *session) {
	if len(s.flows) > 0 && !slices.ContainsFunc(s.flows, func(f *flow) bool { return f.left || f.now().stopped != 0 }) {
		s.block("the host gave up no call")
	}
}
