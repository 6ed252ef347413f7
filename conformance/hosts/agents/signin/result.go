package signin

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/record"
)

// A Result is what a sign-in came to with one agent.
type Result struct {
	Agent         agents.Agent // the last of the trial
	Version, Flow string
	Kept          *Kept // nil if the server keeps nothing

	Protocol, Declares string
	Ways               []string      // in which the person was asked, or would have been
	Learnt             time.Duration // from the call until they could read what they need; 0 if never
	Drawn              bool          // it stood in what the agent printed or drew
	Ends               []string      // of the calls
	Prompts            int
	Answered           bool          // a call came to a result after the approval
	Resumes            time.Duration // from the approval until then
	Opened             bool          // the agent has opened the link
	Left               agents.Leftovers
	Took               time.Duration
	Trouble            error // what kept the person from approving
}

// Kept is what becomes of a sign-in that the server keeps in files.
type Kept struct {
	Title       string
	First, Next []string // the ends of the calls to the first process of the server's, and to the others
	Outlived    bool     // the first had ended before the person approved
	Shown       int      // how often somebody was shown where to go
	Codes       int      // that the authorization server has given out
	Broken      int      // rules of the RFCs, as it counts them
}

// kept reads the same record for that.
func (p *person) kept(title string) *Kept {
	k := &Kept{Title: title, Codes: p.as.Count(fakeas.DeviceAuthorization, ""), Broken: len(p.as.Violations())}
	r := &p.record
	for _, c := range r.Calls {
		if c.Process == r.Calls[0].Process {
			k.First = append(k.First, end(c))
		} else {
			k.Next = append(k.Next, end(c))
		}
	}
	for _, s := range r.Sighted {
		if s.Way != "progress" || p.progress {
			k.Shown++
		}
	}
	if len(r.Calls) > 0 {
		ended := r.Ended[r.Calls[0].Process]
		k.Outlived = !ended.IsZero() && ended.Before(p.went)
	}
	return k
}

// result reads the record. Printed is all that stood on the agent's screen.
func (p *person) result(printed string) Result {
	p.mu.Lock()
	if p.timer != nil && p.timer.Stop() {
		p.gone.Done()
		p.sight = nil // they were on their way, and the agent had ended
	}
	p.mu.Unlock()
	p.gone.Wait()
	r := &p.record
	res := Result{Protocol: r.Protocol, Declares: r.Declares, Prompts: len(r.Prompts), Ways: p.ways(), Trouble: p.failed}
	for _, c := range r.Calls {
		res.Ends = append(res.Ends, end(c))
		if good(c) && !res.Answered && !p.done.IsZero() {
			// The call may be over before the person has read the last page.
			res.Answered, res.Resumes = true, max(0, c.Ended.Sub(p.done))
			break // an adapter goes on, and learns nothing more
		}
	}
	if s := p.sight; s != nil {
		res.Learnt = s.At.Sub(r.Calls[0].Began)
		res.Drawn = stands(printed, s)
	}
	return res
}

// good says whether a call came to what was wanted.
func good(c *record.Call) bool { return !c.Failed && strings.Contains(c.Text, wanted) }

// came is the end of a call that has come to what was wanted.
const came = "result"

// end is what became of a call, in a word.
func end(c *record.Call) string {
	switch {
	case good(c):
		return came
	case c.GivenUp, c.Ended.IsZero():
		return "given up"
	case c.Reason != "":
		return c.Reason
	default:
		return "failed"
	}
}

// ways are those in which the person was asked, the first sighting of each. What
// nobody saw is said to be so.
func (p *person) ways() (out []string) {
	known := make(map[string]bool)
	for _, s := range p.record.Sighted {
		way := s.Way
		switch {
		case s.Prompt != nil && s.Prompt.Automatic():
			way += ", refused by the agent itself"
		case s.Way == "progress" && !p.progress:
			continue // it is shown to nobody
		}
		if !known[way] {
			known[way] = true
			out = append(out, way)
		}
	}
	return out
}

var (
	// What a terminal draws around a text, or to colour it.
	drawn   = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]|[\s│┃|▌▎╎┆]+`)
	escapes = strings.NewReplacer(`\n`, "", `\"`, `"`, `\u0026`, "&", `\/`, "/")
)

// stands says whether what a person needs stands in what was printed. Links are
// broken into lines by terminals.
func stands(printed string, s *record.Sighting) bool {
	flat := drawn.ReplaceAllString(escapes.Replace(printed), "")
	if s.Code != "" {
		return strings.Contains(flat, s.Code)
	}
	return strings.Contains(flat, s.URL)
}

// First says what became of the first call, and of those after it.
func (r Result) First() string { return first(r.Ends) }

// first says what became of a call, and of those after it.
func first(ends []string) string {
	switch {
	case ends[0] == came:
		return "resumed"
	case len(ends) == 1:
		return "ended: " + ends[0]
	}
	return fmt.Sprintf("ended: %s; then %s", ends[0], strings.Join(ends[1:], ", "))
}

// Begun says what the calls to the first process came to.
func (k *Kept) Begun() string { return first(k.First) }

// Later says what the calls to the processes after it came to.
func (k *Kept) Later() string {
	if len(k.Next) == 0 {
		return "there was none"
	}
	return strings.Join(k.Next, ", ")
}
