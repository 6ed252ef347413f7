package hostcheck

import (
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A script is what a scenario does.
type script struct {
	// steps are the calls that the host is to make.
	steps func(protocol string) [][]Call
	// play is the server's part in one call of a tool. It runs once for each
	// call as the model sees it, retries included, on a goroutine of its own.
	play func(f *flow)
	// optional are the labels of calls that a host may be unable to make, and that
	// nobody waits for.
	optional []string
	// conclude, if set, says at the end why a host did not get there.
	conclude func(*session)
	// refusal is the error with which a server of the older era answers what it
	// does not know; 0 means the usual one.
	refusal int
	// silent says that a server of the older era answers nothing before initialize.
	silent bool
	// deliberate is how long the answer to initialize takes.
	deliberate time.Duration
	// speaks are the versions of the protocol that the server speaks; nil for that which
	// is checked.
	speaks []string
	// hopeless says that no host has a version in common with the server, so that no call
	// can be made.
	hopeless bool
	// limit, if set, bounds what comes before the host initializes; one that takes longer is
	// let be.
	limit time.Duration
	// offers says that the server has resources and prompts, too.
	offers bool
	// mirrors says that parameters are to be mirrored in headers.
	mirrors bool
	// listens says that the list of tools may change, to which a host can listen.
	listens bool
	// refers says that schemas and icons refer to the canary.
	refers bool
	// answers are the form that the server's answers have over HTTP.
	answers wire.Form
	// guided says that a person can do the scenario by hand.
	guided bool
}

// scenarios are all there are, in the order in which they are best read.
var scenarios = []Scenario{
	advertising, era, silent, versions, strangeVersion, references, modeNames,
	consenting, refusing, unanswered, accepting, oddURLs, burst,
	roundTrips, otherRequests, parallel,
	waiting, pausing, resumption,
	completion, urlRequired,
	mirroring, resultTypes, jsonAnswers, streamAnswers, streams, sessions, restart,
}

// Who a scenario is for.
var (
	both       = []string{Legacy, Modern}
	legacyOnly = []string{Legacy}
	modernOnly = []string{Modern}
	everywhere = []string{Stdio, HTTP}
	stdioOnly  = []string{Stdio}
	httpOnly   = []string{HTTP}
)

// calling is a call with the ID for a label.
func calling(id string) Call {
	return Call{ID: id, Tool: toolSearch, Arguments: map[string]any{"call": id, "text": "tea & <cake> ü"}}
}

// within is a call with a time-out.
func within(id string, timeout time.Duration) Call {
	c := calling(id)
	c.TimeoutMs = int(timeout.Milliseconds())
	return c
}

// inTurn is one call after the other, in both eras.
func inTurn(ids ...string) func(string) [][]Call {
	return func(string) [][]Call {
		steps := make([][]Call, len(ids))
		for i, id := range ids {
			steps[i] = []Call{calling(id)}
		}
		return steps
	}
}

// sequence is the calls given, one after the other.
func sequence(calls ...Call) func(string) [][]Call {
	return func(string) [][]Call {
		steps := make([][]Call, len(calls))
		for i, c := range calls {
			steps[i] = []Call{c}
		}
		return steps
	}
}

// sideBySide is calls side by side.
func sideBySide(ids ...string) func(string) [][]Call {
	return func(string) [][]Call {
		var step []Call
		for i, id := range ids {
			c := calling(id)
			if i%2 == 1 {
				c.Tool = toolAdd
			}
			step = append(step, c)
		}
		return [][]Call{step}
	}
}
