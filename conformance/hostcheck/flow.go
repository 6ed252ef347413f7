package hostcheck

import (
	"encoding/json"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/internal/wire"
)

// A call is one tools/call request, or another request of the host that takes
// time.
type call struct {
	*wire.Line
	wire.CallParams
	back      wire.Channel
	declared  wire.Modes    // the modes of elicitation that hold for it
	others    []*call       // those that were in flight when it came; for judgeRequest
	earlier   []*call       // all those of the same session; for judgeRequest
	cancelled chan struct{} // closed when the host cancelled it
	cancel    *wire.Line    // with what; nil if by hanging up
	answered  time.Duration // zero while it is in flight
	stopped   time.Duration // when it was cancelled
	hungUp    time.Duration // when its way back was closed
	unheard   bool          // the answer could not be delivered
	lost      bool          // the server broke the stream of the answer
}

// A flow is one call as the model sees it: the first request and its retries.
// It is played by a goroutine of its own.
type flow struct {
	s      *session
	label  string // the argument that names the call
	rounds []*call
	over   bool
	// failure is the text that the call failed with, for the model to read.
	failure string
	left    bool // the host gave it up, whether it said so or not

	// What the newer era waits for: a retry that answers these prompts.
	waiting bool
	state   *string
	older   []string // states that were replaced
	asked   map[string]*prompt
	retry   chan *call
	limit   time.Duration // how long to wait where nothing is asked
}

// question is a prompt for a page, or a form where the host has no URL mode, for
// what does not depend on which of them it is.
func (f *flow) question(press string, after time.Duration) *prompt {
	p := f.s.prompt(press, after)
	if d := f.now().declared; !d.URL && d.Form {
		f.s.excuse("the host declares no elicitation in url mode")
		p.mode, p.url = "form", ""
	}
	return p
}

// now returns the request that is to be answered.
func (f *flow) now() *call { return f.rounds[len(f.rounds)-1] }

// arrived takes a tools/call: it starts a flow, or goes on with one.
func (s *session) arrived(c *call) {
	s.guard.Lock()
	if s.closed {
		s.guard.Unlock()
		(&flow{s: s, rounds: []*call{c}}).fail(stepOver) // the host that a person works by hand goes on
		return
	}
	f := s.match(c)
	if f != nil {
		f.waiting = false
		f.rounds = append(f.rounds, c)
		s.step()
		s.guard.Unlock()
		judgeRetry(s.observer, retried(f))
		f.retry <- c // has room for one, and only one is taken at a time
		return
	}
	f = &flow{s: s, label: c.Label(), rounds: []*call{c}, retry: make(chan *call, 1)}
	s.flows = append(s.flows, f)
	again := s.repeats(f)
	s.step()
	s.playing.Add(1)
	s.guard.Unlock()
	judgeFresh(s.observer, c)
	judgeStarted(s.observer, f)
	go func() {
		defer s.playing.Done()
		if again > 6 {
			// A host in a loop is told so, for its own good.
			f.fail("this call was made over and over")
		} else {
			s.scenario.play(f)
		}
		if f.hanging() {
			f.fail("the server can make nothing of this retry")
		}
		s.guard.Lock()
		f.over = true
		s.step()
		s.guard.Unlock()
	}()
}

// hanging says whether the last request is a retry that nothing was made of, as it had no
// answer to what was asked. A host would wait for ever.
func (f *flow) hanging() bool {
	f.s.guard.Lock()
	defer f.s.guard.Unlock()
	c := f.now()
	return len(f.rounds) > 1 && c.answered == 0 && c.stopped == 0 && !c.lost && f.s.ctx.Err() == nil
}

// repeats counts the flows with the same label. The caller holds guard.
func (s *session) repeats(f *flow) int {
	n := 0
	for _, other := range s.flows {
		if other.label == f.label {
			n++
		}
	}
	return n
}

// match finds the flow that a retry belongs to: by its state, or else by its
// arguments, or, without any, by its answers; whatever is wrong with it is found later. A request that has
// neither answers nor state starts a flow, unless one waits for just that. The
// caller holds guard.
func (s *session) match(c *call) *flow {
	if s.protocol != Modern || (c.InputResponses == nil && c.RequestState == nil) {
		return nil
	}
	by := func(ok func(f *flow) bool) *flow {
		for _, f := range s.flows {
			if f.waiting && ok(f) {
				return f
			}
		}
		return nil
	}
	if f := by(func(f *flow) bool { return f.state != nil && c.RequestState != nil && *f.state == *c.RequestState }); f != nil {
		return f
	}
	if f := by(func(f *flow) bool { return f.label == c.Label() }); f != nil {
		return f
	}
	if c.Label() != "" {
		return nil
	}
	answers := func(f *flow) bool {
		for key := range c.InputResponses {
			if f.asked[key] != nil {
				return true
			}
		}
		return false
	}
	if f := by(answers); f != nil {
		return f
	}
	return by(func(f *flow) bool { return f.label != "" })
}

// saysCapabilities says whether the request has an object of capabilities in its
// _meta.
func (c *call) saysCapabilities() bool {
	raw := c.Meta[wire.MetaCapabilities]
	return len(raw) > 0 && raw[0] == '{'
}

// answer writes the response to the current request.
func (f *flow) answer(body map[string]any) { f.s.answer(f.now(), body) }

// answer writes a response and marks the request answered.
func (s *session) answer(c *call, body map[string]any) {
	s.guard.Lock()
	again := c.answered != 0
	if !again {
		c.answered = s.moment()
	}
	s.guard.Unlock()
	if again {
		return // a host that ended a call after a result that asked for input is told no more
	}
	body["jsonrpc"] = "2.0"
	body["id"] = c.ID
	if c.back.Send(wire.Encode(body)) != nil {
		s.guard.Lock()
		c.unheard = true
		s.guard.Unlock()
		return
	}
	c.back.Last()
}

// moment is now, and never zero, which is for what has not happened.
func (s *session) moment() time.Duration { return max(s.Now(), 1) }

// result answers with a result of the protocol's shape.
func (f *flow) result(r map[string]any) {
	if f.s.protocol == Modern {
		if _, ok := r["resultType"]; !ok {
			r["resultType"] = "complete"
		}
		f.s.sign(r)
	}
	f.answer(map[string]any{"result": r})
}

// sign adds what a result says of the server.
func (s *session) sign(r map[string]any) {
	r["_meta"] = map[string]any{wire.MetaServer: s.self()}
}

// foundText is what most calls come to.
const foundText = "3 notes found"

// text completes the call with a text, fail with one that is an error.
func (f *flow) text(s string) { f.result(f.holding(s)) }

func (f *flow) fail(s string) {
	f.s.guard.Lock()
	f.failure = s
	f.s.guard.Unlock()
	if f.now().Method != "tools/call" {
		f.rpcError(internalError, s, nil)
		return
	}
	r := textResult(s)
	r["isError"] = true
	f.result(r)
}

func textResult(s string) map[string]any {
	return map[string]any{"content": []any{map[string]any{"type": "text", "text": s}}}
}

// rpcError answers with a JSON-RPC error.
func (f *flow) rpcError(code int, message string, data any) {
	e := map[string]any{"code": code, "message": message}
	if data != nil {
		e["data"] = data
	}
	f.answer(map[string]any{"error": e})
}

// notify sends a notification that relates to the current request.
func (f *flow) notify(method string, params map[string]any) {
	_ = f.now().back.Send(notice(method, params)) // who is gone need not know
}

func notice(method string, params map[string]any) json.RawMessage {
	return wire.Encode(map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
}

// progress sends progress, if the request has a token for it.
func (f *flow) progress(n int, message string) {
	if token, ok := f.now().Meta["progressToken"]; ok {
		f.notify("notifications/progress", map[string]any{"progressToken": token, "progress": n, "message": message})
	}
}

// gone says whether the host gave the flow up, so that it owes it nothing.
func (f *flow) gone() bool {
	f.s.guard.Lock()
	defer f.s.guard.Unlock()
	return f.now().stopped != 0
}

// wait waits; it returns false if the request was cancelled or the scenario
// ended before.
func (f *flow) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-f.now().cancelled:
	case <-f.s.ctx.Done():
	}
	return false
}

// held waits for the host to give the request up: to cancel it, or to make its
// next call. It returns after how long it did, or false if that took longer
// than limit.
func (f *flow) held(limit time.Duration) (time.Duration, bool) {
	c, moved := f.now(), time.Duration(0)
	gaveUp := f.s.await(f.s.ctx, limit, func() bool {
		if last := f.s.flows[len(f.s.flows)-1]; last != f {
			moved = last.rounds[0].At
		}
		return c.stopped != 0 || moved != 0
	})
	f.s.guard.Lock()
	defer f.s.guard.Unlock()
	_, process := c.back.(*wire.Pipe)
	f.left = gaveUp && (moved != 0 || c.cancel != nil || !process) // and not just ended
	if c.stopped != 0 {
		return c.stopped - c.At, gaveUp
	}
	return moved - c.At, gaveUp
}

// stop marks a request cancelled. The caller holds guard.
func (s *session) stop(c *call, by *wire.Line) {
	if c.stopped != 0 || c.answered != 0 || s.closed {
		return
	}
	c.stopped, c.cancel = s.moment(), by
	close(c.cancelled)
	s.step()
}
