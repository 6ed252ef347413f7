package hostcheck

import (
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// ask asks the person in the way of the protocol, and waits for the answer.
func (f *flow) ask(p *prompt) answer {
	if f.s.protocol == Legacy {
		return f.elicit(p)
	}
	state := oddState(p.id)
	return f.require(map[string]*prompt{"sign-in": p}, &state)["sign-in"]
}

// may says whether the host declared the mode of a prompt; if not, it says
// why the conversation ends.
func (f *flow) may(p *prompt) bool {
	d := f.now().declared
	if p.unasked || (p.mode == "url" && d.URL) || (p.mode != "url" && d.Form) {
		return true
	}
	f.s.excuse(fmt.Sprintf("the host declares no elicitation in %s mode", p.mode))
	return false
}

// elicitID begins the id of each elicitation/create.
const elicitID = "elicit-"

// elicit sends elicitation/create and waits for its response.
func (f *flow) elicit(p *prompt) answer {
	if !f.may(p) {
		return answer{never: true}
	}
	s := f.s
	id := elicitID + p.id
	got := make(chan *wire.Line, 1)
	s.guard.Lock()
	s.pending[id], s.asked[id] = got, false
	s.issue(f, p)
	s.guard.Unlock()
	if f.now().back.Send(wire.Encode(map[string]any{
		"jsonrpc": "2.0", "id": id, "method": "elicitation/create", "params": p.params(s.protocol),
	})) != nil {
		return answer{never: true}
	}
	limit, stop := deadline(p.limit)
	defer stop()
	select {
	case l := <-got:
		return s.settle(p, l, l.Result, l.Error)
	case <-f.now().cancelled:
	case <-limit:
	case <-s.ctx.Done():
	}
	return answer{never: true}
}

// require answers with input requests, and waits for the retry. Nil prompts and
// a nil state are left out.
func (f *flow) require(prompts map[string]*prompt, state *string) map[string]answer {
	answers := make(map[string]answer)
	requests := make(map[string]any)
	s := f.s
	for key, p := range prompts {
		if !f.may(p) {
			f.fail("the host cannot be asked")
			return map[string]answer{key: {never: true}}
		}
		answers[key] = answer{never: true}
		requests[key] = map[string]any{"method": "elicitation/create", "params": p.params(s.protocol)}
	}
	r := map[string]any{"resultType": "input_required"}
	if prompts != nil {
		r["inputRequests"] = requests
	}
	patience := f.limit
	for _, p := range prompts {
		patience = max(patience, p.limit)
	}
	s.guard.Lock()
	if f.state != nil {
		f.older = append(f.older, *f.state)
	}
	f.state, f.asked, f.waiting = state, prompts, true
	for key, p := range prompts {
		s.inputs[key] = true
		s.issue(f, p)
	}
	s.guard.Unlock()
	if state != nil {
		r["requestState"] = *state
	}
	f.result(r)
	limit, stop := deadline(patience)
	defer stop()
	select {
	case c := <-f.retry:
		for key, p := range prompts {
			if raw, ok := c.InputResponses[key]; ok {
				answers[key] = s.settle(p, c.Line, raw, nil)
			}
		}
		answers[""] = answer{line: c.Line}
	case <-limit:
		answers[""] = answer{never: true}
	case <-s.ctx.Done():
		answers[""] = answer{never: true}
	}
	s.guard.Lock()
	f.waiting = false
	s.guard.Unlock()
	return answers
}

// deadline is a channel that gets a value after d, or never if d is zero.
func deadline(d time.Duration) (<-chan time.Time, func()) {
	if d <= 0 {
		return nil, func() {}
	}
	t := time.NewTimer(d)
	return t.C, func() { t.Stop() }
}

// oddState is a state that a host which touches it will spoil: JSON inside, quotes,
// spaces at both ends, a NUL, a letter that has another form in Unicode, a line
// separator, characters that HTML and URLs escape.
func oddState(id string) string {
	return ` {"n": 1.0, "id":"` + id + `"} <&> %2F+/= \u0041 e` + "\u0301\u2028\x00" + ` ü€😀 ` + "\t"
}

// longState is one of the size that a sealed state has, and more.
func longState(id string) string {
	return oddState(id) + strings.Repeat("c3RhdGU+", 1000) + "="
}
