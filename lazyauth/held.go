package lazyauth

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A held call is one from protocol revision 2026-07-28 on. It outlives its
// request: requests attend to it, one after the other. One that finds the
// person must be asked is answered input_required, and the host's retry, which
// carries the sealed name of the call, attends to it again. The handler runs
// once, whatever the host sends how often: before it starts the call waits on
// the attending request's goroutine, then the handler has one of its own.
type held struct {
	gate  *gate
	owner *person
	host  client
	first attendance // the request that the call came with

	// bell is received from by every attending request: the handler rings to
	// hand a prompt to one of them, or, with nil, to make sure that somebody
	// is there.
	bell chan *inputRequired

	done    chan struct{}
	outcome outcome // once done

	progress atomic.Pointer[ledger] // once there is any
	failed   atomic.Uint32          // an elicit.Reach: what its host declares and does not deliver, see part.fail

	// Guarded by the table's mutex.
	id    string // from when it is first kept
	lease time.Time
	lapse *time.Timer

	mu        sync.Mutex
	started   bool
	finished  bool
	attending []*attendance
	room      [1]*attendance          // for attending, in the usual case
	abandon   *time.Timer             // runs while nobody attends to a running handler
	cancel    context.CancelCauseFunc // once started; see giveUp
	latest    *mcp.CallToolRequest    // that came
	shown     *part                   // whose prompt the host was last answered with …
	shownID   string                  // … and that prompt's id
	leg       string                  // names the next leg of a handler's own round trips …
	legEnds   time.Time               // … and when its states end, however often they are sealed
}

func newHeld(g *gate, o *person, at attendance) *held {
	h := &held{
		gate: g, owner: o, host: clientOf(at.req, o.principal), first: at,
		bell: make(chan *inputRequired),
		done: make(chan struct{}),
	}
	h.attending = h.room[:0]
	return h
}

// attend waits for the call on behalf of one request, starting the handler by
// run when it may start, and returns what the request is answered with.
func (h *held) attend(at *attendance, run handler) outcome {
	h.enter(at)
	var err error
	defer func() { h.leave(at, err) }() // also when the handler's panic comes through
	out, err := h.follow(at, run)
	if err != nil {
		return outcome{err: err}
	}
	return out
}

// follow is attend between coming and going. Its error is that of a request
// that broke off.
func (h *held) follow(at *attendance, run handler) (outcome, error) {
	if !h.begun() {
		var err error
		if !h.owner.opens(h.gate.bit, h.gate.need) && !h.gate.late {
			ctx, stop := h.waits(at)
			a := &arriving{held: h, request: at}
			_, err = h.owner.authorize(ctx, h.gate.need, a)
			stop(nil)
			if errors.Is(err, errHandedOver) {
				return h.inputRequired(at, a.shows), nil
			}
		}
		e, failed := errors.AsType[*Error](err)
		switch {
		case errors.Is(err, errFinished):
			return h.collect(at), nil
		case at.ctx.Err() != nil:
			return outcome{}, context.Cause(at.ctx)
		case err == nil:
			h.begin(at, run)
		case failed && e.Reason == Pending && !h.alone():
			return outcome{err: err}, nil // others have more patience
		default:
			h.finish(outcome{err: err})
		}
	}
	for {
		select {
		case <-h.done:
			return h.collect(at), nil
		case r := <-h.bell:
			if r == nil { // just making sure
				continue
			}
			// Of several requests, another one may be rung up than was looked at.
			if own := h.seen(*at).reach(); !own.Has(r.mode) {
				if r.mode = own.Best(); !r.mode.Elicits() {
					r.part.giveTurn()
					return outcome{err: h.owner.explain(r.part.tell(), h.gate.need, at.req)}, nil
				}
			}
			return h.inputRequired(at, *r), nil
		case <-at.ctx.Done():
			return outcome{}, context.Cause(at.ctx)
		}
	}
}

// errFinished is why a request waits no more for the authorization of a call that came
// to its end meanwhile.
var errFinished = errors.New("lazyauth: the call is finished")

// waits returns the context of at's wait for the authorization. It ends with the request,
// by stop, or with the call: the decline of a host that speaks for itself, say, is the
// answer to all requests that wait in its call.
//
//go:noinline
func (h *held) waits(at *attendance) (ctx context.Context, stop context.CancelCauseFunc) {
	ctx, stop = context.WithCancelCause(at.ctx)
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.finished {
		stop(errFinished)
	}
	at.stop = stop
	return ctx, stop
}

func (h *held) begun() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.started || h.finished
}

// begin starts the handler, unless that was done before. Its context has the
// values of the request that it starts for, and ends when the call is given up.
func (h *held) begin(at *attendance, run handler) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.started || h.finished {
		return
	}
	h.started = true
	ctx, cancel := context.WithCancelCause(context.WithoutCancel(at.ctx))
	h.cancel = cancel
	req := at.req
	if at != &h.first { // a retry has not what the handler's own round trip brought
		req = withState(req, h.first.req.Params.RequestState, h.first.req.Params.InputResponses)
	}
	c := &call{Context: ctx, owner: h.owner, gate: h.gate, req: req, arrived: at.arrived, held: h}
	if !h.gate.auth.spawnHeld(h, func() {
		var out outcome
		returned := false
		defer func() {
			// A handler that panics does so on its request's goroutine as far as
			// the server's middleware can tell: see collect.
			if !returned {
				out.err = h.gate.auth.fail(Abandoned, errExited)
				if v := recover(); v != nil {
					out.panicked = &panicked{value: v}
					h.gate.auth.emit(onFailed, Event{Principal: h.owner.principal, Tool: h.gate.tool, Reason: Abandoned, Err: describe(v)})
				}
			}
			// A handler that was given up says so, not that its context ended.
			if e, ok := errors.AsType[*Error](context.Cause(ctx)); ok && out.err != nil {
				out.err = e
			}
			cancel(nil)
			h.finish(out)
		}()
		out = run(c, req)
		returned = true
	}) {
		cancel(nil)
		h.finished, h.outcome = true, outcome{err: h.gate.auth.fail(Unavailable, errClosed)}
		close(h.done)
	}
}

// describe tells operators of a panic. The value may hold anything, a token
// included, so only the runtime's own are quoted; the request's goroutine, where
// the panic goes on, has it whole.
func describe(value any) error {
	if e, ok := value.(runtime.Error); ok {
		return fmt.Errorf("the handler panicked: %w\n\n%s", e, debug.Stack())
	}
	return fmt.Errorf("the handler panicked with a %T\n\n%s", value, debug.Stack())
}

// finish settles what the call is answered with, now and whenever its state is
// presented again.
func (h *held) finish(out outcome) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.finishLocked(out)
}

func (h *held) finishLocked(out outcome) {
	if h.finished {
		return
	}
	h.finished, h.outcome = true, out
	for _, at := range h.attending {
		if at.stop != nil {
			at.stop(errFinished)
		}
	}
	if out.result != nil && out.result.InputRequests != nil {
		h.leg, h.legEnds = rand.Text(), time.Now().Add(innerLife)
	}
	if h.abandon != nil {
		h.abandon.Stop()
	}
	h.slim()
	close(h.done)
}

// giveUp ends the call with this error: a handler that runs has its context cancelled,
// and a call whose handler was never started is finished.
func (h *held) giveUp(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.giveUpLocked(err)
}

func (h *held) giveUpLocked(err error) {
	if h.started {
		h.cancel(err)
		return
	}
	h.finishLocked(outcome{err: err})
}

// slim forgets what a finished call needs no more, while it is kept for its
// outcome. h.mu is held.
func (h *held) slim() {
	if h.finished && len(h.attending) == 0 {
		h.first, h.latest, h.shown = attendance{}, nil, nil
	}
}

// alone reports whether at most one request attends to the call.
func (h *held) alone() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.attending) <= 1
}

// collect returns a copy of the outcome, since the SDK completes what it is
// given. A handler's own input requests get their state sealed.
func (h *held) collect(at *attendance) outcome {
	out := h.outcome
	if p := out.panicked; p != nil {
		h.mu.Lock()
		first := !p.told
		p.told = true
		h.mu.Unlock()
		if first {
			panic(p.value) // as it was, for who recovers certain values
		}
	}
	if out.result == nil {
		return out
	}
	result := *out.result
	result.Meta = maps.Clone(result.Meta)
	result.Content = slices.Clip(result.Content)
	out.result = &result
	if result.InputRequests != nil {
		state, err := h.gate.seal(at.req, h.owner, h.host, elicit.State{
			Call: h.leg, Leg: true, Inner: result.RequestState, Expires: h.legEnds,
		})
		if err != nil {
			return outcome{err: err}
		}
		result.RequestState = state
	}
	return out
}

// inputRequired answers a request with the prompt, unless the call is finished by now:
// then it is answered with that, and the prompt is left to others.
func (h *held) inputRequired(at *attendance, r inputRequired) outcome {
	p := r.part
	id := p.shown(at.req, r.mode, h)
	h.mu.Lock()
	finished := h.finished
	if !finished {
		h.shown, h.shownID = p, id
	}
	h.mu.Unlock()
	if finished {
		p.withdraw(id)
		return h.collect(at)
	}
	state, err := h.gate.seal(at.req, h.owner, h.host, elicit.State{Call: h.id, Prompt: id, Expires: lease(p)})
	if err != nil {
		return outcome{err: err}
	}
	result := elicit.InputRequired()
	result.InputRequests = mcp.InputRequestMap{elicit.ResponseKey: h.gate.auth.wording(at.req).Elicitation(r.mode, p.flight.prompt, id)}
	result.RequestState = state
	return outcome{result: result}
}

// answered takes the host's answer to the prompt of this id. A refusal ends a
// call that has not begun; a parked handler learns of it where it waits.
func (h *held) answered(id, action string, at attendance) {
	h.mu.Lock()
	p, current := h.shown, h.shownID
	h.mu.Unlock()
	if p == nil || id != current {
		return
	}
	err := p.answer(id, action, h.seen(at).reach())
	if err != nil && (err.alone || !h.begun()) {
		h.giveUp(h.owner.explain(err, h.gate.need, at.req))
	}
	if err != nil && err.alone { // not before: no request of this call shows it again
		p.pass(id)
	}
}

func (h *held) enter(at *attendance) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.attending = append(h.attending, at)
	h.latest = at.req
	if h.abandon != nil {
		h.abandon.Stop()
		h.abandon = nil
	}
}

// leave ends an attendance; broken is why it did not get an answer. A running
// handler is then given up: after a grace if the host can still come back, at
// once if it was never told the call's name.
func (h *held) leave(at *attendance, broken error) {
	if l := h.progress.Load(); l != nil { // nothing more is said to the request
		l.hold()
		defer l.release()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	n := slices.Index(h.attending, at)
	h.attending = slices.Delete(h.attending, n, n+1)
	h.slim()
	if broken == nil || len(h.attending) > 0 || !h.started || h.finished {
		return
	}
	if !h.gate.auth.calls.holds(h) {
		h.giveUpLocked(broken)
		return
	}
	h.abandon = time.AfterFunc(grace, func() { h.giveUp(h.gate.auth.fail(Abandoned, nil)) })
}

// current returns the latest request that attends to the call, or nil.
func (h *held) current() *attendance {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.attending) == 0 {
		return nil
	}
	return h.attending[len(h.attending)-1]
}

// seen returns at with what was found out about its host.
func (h *held) seen(at attendance) attendance {
	at.failed = elicit.Reach(h.failed.Load())
	return at
}

// request returns the latest request that came for the call.
func (h *held) request() *mcp.CallToolRequest {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.latest
}

// authorize is call.authorize for a handler that runs: it parks the handler if
// the person has to be asked, and lets it go on only while a request attends
// to it. Otherwise the person may have given up long ago.
func (h *held) authorize(ctx context.Context, need scopes.Requirement) (*grant, error) {
	w := &working{held: h}
	g, err := h.owner.authorize(ctx, need, w)
	if err != nil {
		return nil, err
	}
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case h.bell <- nil:
		if w.parked {
			h.gate.auth.emit(onResumed, Event{Principal: h.owner.principal, Tool: h.gate.tool, Scopes: g.scopes})
		}
		return g, nil
	case <-timer.C:
		e := h.gate.auth.fail(Abandoned, nil)
		h.giveUp(e)
		return nil, e
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// attended implements carrier.
func (h *held) attended() bool { return h.current() != nil }

// fails implements carrier.
func (h *held) fails(mode elicit.Channel) { h.failed.Or(uint32(elicit.Reach(0).With(mode))) }
