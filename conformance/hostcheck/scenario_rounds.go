package hostcheck

import (
	"fmt"
	"time"
)

var roundTrips = Scenario{
	Name: "round-trips", Title: "Round trips",
	Description: "Calls that need several rounds: two side by side whose rounds interleave, one with eight, one without " +
		"state, one with nothing but state, one with two questions at once, and one that asks the same thing twice. Whatever the server hands out comes back with the right request, unchanged, and nowhere else.",
	Protocols: modernOnly, Transports: everywhere,
	Checks: []string{
		"B1", "B2", "B3", "P14", "B6", "B7", "B8", "B9", "B10", "B11", "B12", "B13", "B14", "B16", "B24", "B29", "P8", "B35",
	},
	Ask: "Do what each dialog says at its end: there are 22, and all but one are to be agreed to.",
	script: script{
		steps: func(protocol string) [][]Call {
			steps := sideBySide("alpha", "beta")(protocol)
			steps = append(steps, inTurn("eight", "stateless", "state-only", "pair", "twice")(protocol)...)
			return append(steps, []Call{calling(nextCall)})
		},
		play:   playRounds,
		guided: true,
	},
}

func playRounds(f *flow) {
	s := f.s
	quick := func(key string, state *string) (answer, bool) {
		p := f.question("accept", 50*time.Millisecond)
		p.limit = f.patience()
		if f.label == "beta" {
			p.after = 80 * time.Millisecond
		}
		a := f.require(map[string]*prompt{key: p}, state)[key]
		if a.never {
			s.block("the host did not retry call " + f.label)
		}
		return a, !a.never
	}
	state := func(n int) *string {
		s := oddState(fmt.Sprintf("%s-%d", f.label, n))
		if n == 2 {
			s = longState(fmt.Sprintf("%s-%d", f.label, n))
		}
		return &s
	}
	rounds := func(n int) bool {
		for i := range n {
			if _, ok := quick(fmt.Sprintf("%s-%d", f.label, i), state(i)); !ok {
				return false
			}
		}
		return true
	}
	ok := true
	switch f.label {
	case "alpha", "beta":
		// Both are under way before either is asked anything, and the last
		// round has no state where the one before had.
		s.together("alpha", "beta")
		if ok = rounds(3); ok {
			_, ok = quick(f.label+"-last", nil)
		}
	case "eight":
		ok = rounds(8)
		if d := f.now().declared; !d.URL && !d.Form {
			return // it could not be asked
		}
		judgePlayed("P8", occasion{flow: f, ok: ok})
	case "stateless":
		_, ok = quick("only", nil)
	case "state-only":
		playStateOnly(f, state(0))
	case "pair":
		ok = playPair(f, state(0))
	case "twice":
		if _, ok = quick("sign-in", state(0)); ok {
			_, ok = quick("sign-in", state(1))
			judgePlayed("P14", occasion{flow: f, ok: ok})
		}
	}
	if ok {
		f.text(foundText)
	}
}

// playStateOnly answers with a state and asks nothing. The host may retry at
// once; it may as well not.
func playStateOnly(f *flow, state *string) {
	f.limit = 10 * time.Second
	judgePlayed("B7", occasion{flow: f, ok: !f.require(nil, state)[""].never})
}

// playPair asks two things at once, and gets two answers.
func playPair(f *flow, state *string) bool {
	left, right := f.question("accept", 100*time.Millisecond), f.question("decline", 250*time.Millisecond)
	left.limit, right.limit = f.patience(), f.patience()
	answers := f.require(map[string]*prompt{"left": left, "right": right}, state)
	return !answers[""].never
}

var parallel = Scenario{
	Name: "parallel", Title: "Three first calls side by side",
	Description: "Three calls at once, each of which needs a sign-in. The person answers the last one first, and declines the " +
		"one in the middle. Each call gets its own answer, each prompt one dialog, and all three end.",
	Protocols: both, Transports: everywhere,
	Checks: []string{"A7", "A29", "B11", "B12", "B13", "B16", "B29", "P3", "P4", "P7", "B35"},
	Ask:    "Do what each dialog says at its end, the last dialog first: one of the three is to be declined.",
	script: script{
		steps: sideBySide("one", "two", "three"),
		play: func(f *flow) {
			f.s.together("one", "two", "three")
			press, after := "accept", 900*time.Millisecond
			switch f.label {
			case "two":
				press, after = "decline", 700*time.Millisecond
			case "three":
				after = 500 * time.Millisecond
			}
			p := f.question(press, after)
			p.limit = f.patience()
			a := f.ask(p)
			if d := f.now().declared; a.never && !d.URL && !d.Form {
				f.fail("the host cannot be asked")
				return
			}
			judgePlayed("P7", occasion{flow: f, prompt: p, answer: a})
			if a.never {
				return
			}
			if a.action != "accept" {
				f.fail("nobody signed in: the prompt got " + a.said())
				return
			}
			f.text(foundText)
		},
		guided: true,
	},
}
