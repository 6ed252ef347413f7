package hostcheck

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

var jsonAnswers = Scenario{
	Name: "json-answers", Title: "Every answer is a JSON object",
	Description: "A server answers each request with one JSON object, also where that takes a while. A host takes that, as it " +
		"takes event streams.",
	Protocols: both, Transports: httpOnly,
	Checks: []string{"A56"},
	Ask:    "Restart your host, or have it connect to the server anew. Then make the calls.",
	script: script{steps: inTurn("first", nextCall), play: playAnswers, answers: wire.InJSON, guided: true},
}

var streamAnswers = Scenario{
	Name: "stream-answers", Title: "Every answer is an event stream",
	Description: "A server answers each request with an event stream, also where there is one message alone to say. A host takes " +
		"that, as it takes JSON objects.",
	Protocols: both, Transports: httpOnly,
	Checks: []string{"A56"},
	Ask:    "Restart your host, or have it connect to the server anew. Then make the calls.",
	script: script{steps: inTurn("first", nextCall), play: playAnswers, answers: wire.InStreams, guided: true},
}

func playAnswers(f *flow) {
	f.wait(300 * time.Millisecond)
	f.text(foundText)
}

// bothForms is the ID of the requirement that a host reads both forms of an answer.
// What a host that does not makes of all else says nothing more.
const bothForms = "A56"

// readsBoth judges whether a host took the answers of a server that has one form alone.
func readsBoth(j judge, s *session) {
	// A host that asks in this protocol, is answered, and then turns to the other one has not read
	// the answer; one that never speaks this protocol says nothing of it.
	if _, alone := s.otherEra(); s.scenario.answers == wire.InEither || len(s.requests) == 0 || alone {
		return
	}
	last := s.requests[len(s.requests)-1]
	next, ok := s.goesOn()
	for _, label := range []string{"first", nextCall} {
		if o, reported := s.outcome(label); reported {
			ok = ok && !o.Error && strings.Contains(o.Text, foundText)
		}
	}
	if ok && !next.gone() {
		j.pass(next.now().Event)
		return
	}
	j.fail(fmt.Sprintf("the host does not go on from an answer that is %s: it must read both JSON objects and event streams",
		s.scenario.answers), last.Event)
}

// tellOnce looks at the runs over HTTP of each protocol: what a host that reads one form
// of answers alone did in all others is not told for itself. Where it reads neither, that
// is something else.
func tellOnce(results []Result) {
	for _, protocol := range both {
		var runs []*Result
		failed, passed := "", false
		for i := range results {
			r := &results[i]
			if r.Protocol != protocol || r.Transport != HTTP {
				continue
			}
			runs = append(runs, r)
			for _, c := range r.Checks {
				switch {
				case c.ID != bothForms || !c.Reached():
				case c.Status == Failure:
					failed = c.ErrorMessage
				case c.Status == Success:
					passed = true
				}
			}
		}
		for _, r := range runs {
			switch {
			case failed == "":
			case passed:
				r.withdraw(failed, func(q Requirement) bool { return q.ID != bothForms && !q.ofWire() })
			default:
				r.withdraw("the host does not go on over HTTP, whatever form the answers have", func(q Requirement) bool { return q.ID == bothForms })
			}
		}
	}
}

// withdraw takes back what failed of those requirements: it was not reached, since
// something else was in the way.
func (r *Result) withdraw(why string, of func(Requirement) bool) {
	for i := range r.Checks {
		c := &r.Checks[i]
		if q := byID(c.ID); (c.Status == Failure || c.Status == Warning) && of(q) {
			c.Logs = nil
			undecided(c, q.Level, true, why)
		}
	}
}

// ofWire says whether a requirement is judged by single messages alone, whatever became
// of the conversation.
func (r Requirement) ofWire() bool {
	alone := r.line != nil || r.post != nil || r.bare != nil || r.request != nil || r.retry != nil || r.cancelled != nil || r.response != nil
	return alone && !slices.Contains(r.Observed, UI) && r.end == nil && r.played == nil
}
