package hostcheck

import (
	"encoding/json"
	"slices"
	"time"
)

// A call is one tools/call request, or another request of the host that takes
// time.
type call struct {
	*line
	callParams
	back      channel
	declared  modes         // the modes of elicitation that hold for it
	cancelled chan struct{} // closed when the host cancelled it
	cancel    *line         // with what; nil if by hanging up
	answered  time.Duration // zero while it is in flight
	stopped   time.Duration // when it was cancelled
	hungUp    time.Duration // when its way back was closed
	unheard   bool          // the answer could not be delivered
}

// A flow is one call as the model sees it: the first request and its retries.
// It is played by a goroutine of its own.
type flow struct {
	st     *stage
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

// now returns the request that is to be answered.
func (f *flow) now() *call { return f.rounds[len(f.rounds)-1] }

// arrived takes a tools/call: it starts a flow, or goes on with one.
func (st *stage) arrived(c *call) {
	st.guard.Lock()
	if st.closed {
		st.guard.Unlock()
		return
	}
	f := st.match(c)
	if f != nil {
		f.waiting = false
		f.rounds = append(f.rounds, c)
		st.step()
		st.guard.Unlock()
		st.checkRetry(f, c)
		f.retry <- c // has room for one, and only one is taken at a time
		return
	}
	f = &flow{st: st, label: c.label(), rounds: []*call{c}, retry: make(chan *call, 1)}
	st.flows = append(st.flows, f)
	again := st.repeats(f)
	st.step()
	st.playing.Add(1)
	st.guard.Unlock()
	st.checkFresh(c)
	go func() {
		defer st.playing.Done()
		if again > 6 {
			// A host in a loop is told so, for its own good.
			f.fail("this call was made over and over")
		} else {
			st.scenario.play(f)
		}
		st.guard.Lock()
		f.over = true
		st.step()
		st.guard.Unlock()
	}()
}

// repeats counts the flows with the same label. The caller holds guard.
func (st *stage) repeats(f *flow) int {
	n := 0
	for _, other := range st.flows {
		if other.label == f.label {
			n++
		}
	}
	return n
}

// match finds the flow that a retry belongs to: by its state, or else by its
// arguments; whatever is wrong with it is found later. A request that has
// neither answers nor state starts a flow, unless one waits for just that. The
// caller holds guard.
func (st *stage) match(c *call) *flow {
	if st.protocol != Modern || (c.InputResponses == nil && c.RequestState == nil) {
		return nil
	}
	by := func(ok func(f *flow) bool) *flow {
		for _, f := range st.flows {
			if f.waiting && ok(f) {
				return f
			}
		}
		return nil
	}
	if f := by(func(f *flow) bool { return f.state != nil && c.RequestState != nil && *f.state == *c.RequestState }); f != nil {
		return f
	}
	if f := by(func(f *flow) bool { return f.label == c.label() }); f != nil {
		return f
	}
	return by(func(f *flow) bool { return f.label != "" && c.label() == "" })
}

// answer writes the response to the current request.
func (f *flow) answer(body map[string]any) { f.st.answer(f.now(), body) }

// answer writes a response and marks the request answered.
func (st *stage) answer(c *call, body map[string]any) {
	st.guard.Lock()
	if c.answered == 0 {
		c.answered = st.record.now()
	}
	st.guard.Unlock()
	body["jsonrpc"] = "2.0"
	body["id"] = c.ID
	if c.back.send(encode(body)) != nil {
		st.guard.Lock()
		c.unheard = true
		st.guard.Unlock()
		return
	}
	c.back.last()
}

// result answers with a result of the protocol's shape.
func (f *flow) result(r map[string]any) {
	if f.st.protocol == Modern {
		if _, ok := r["resultType"]; !ok {
			r["resultType"] = "complete"
		}
		f.st.sign(r)
	}
	f.answer(map[string]any{"result": r})
}

// sign adds what a result says of the server.
func (st *stage) sign(r map[string]any) {
	r["_meta"] = map[string]any{metaServer: implementation}
}

// text completes the call with a text, fail with one that is an error.
func (f *flow) text(s string) { f.result(textResult(s)) }

func (f *flow) fail(s string) {
	f.st.guard.Lock()
	f.failure = s
	f.st.guard.Unlock()
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
	_ = f.now().back.send(notice(method, params)) // who is gone need not know
}

func notice(method string, params map[string]any) json.RawMessage {
	return encode(map[string]any{"jsonrpc": "2.0", "method": method, "params": params})
}

// progress sends progress, if the request has a token for it.
func (f *flow) progress(n int, message string) {
	if token, ok := f.now().Meta["progressToken"]; ok {
		f.notify("notifications/progress", map[string]any{"progressToken": token, "progress": n, "message": message})
	}
}

// wait waits; it returns false if the request was cancelled or the scenario
// ended before.
func (f *flow) wait(d time.Duration) bool {
	select {
	case <-time.After(d):
		return true
	case <-f.now().cancelled:
	case <-f.st.ctx.Done():
	}
	return false
}

// held waits for the host to give the request up: to cancel it, or to make its
// next call. It returns after how long it did, or false if that took longer
// than limit.
func (f *flow) held(limit time.Duration) (time.Duration, bool) {
	c, moved := f.now(), time.Duration(0)
	gaveUp := f.st.await(limit, func() bool {
		if last := f.st.flows[len(f.st.flows)-1]; last != f {
			moved = last.rounds[0].at
		}
		return c.stopped != 0 || moved != 0
	})
	f.st.guard.Lock()
	defer f.st.guard.Unlock()
	_, process := c.back.(*pipe)
	f.left = gaveUp && (moved != 0 || c.cancel != nil || !process) // and not just ended
	if c.stopped != 0 {
		return c.stopped - c.at, gaveUp
	}
	return moved - c.at, gaveUp
}

// cancelRequest notes that the host gives a request up. It returns the request
// if it is in flight.
func (st *stage) cancelRequest(id json.RawMessage, by *line) *call {
	st.guard.Lock()
	defer st.guard.Unlock()
	for _, c := range slices.Backward(st.requests) {
		if sameJSON(c.ID, id) && c.answered == 0 && c.stopped == 0 {
			st.stop(c, by)
			return c
		}
	}
	return nil
}

// stop marks a request cancelled. The caller holds guard.
func (st *stage) stop(c *call, by *line) {
	if c.stopped != 0 || c.answered != 0 || st.closed {
		return
	}
	c.stopped, c.cancel = st.record.now(), by
	close(c.cancelled)
	st.step()
}
