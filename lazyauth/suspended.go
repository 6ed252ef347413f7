package lazyauth

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// attendWait is how long a handler runs on, or waits after its authorization ended, while
// no request serves its call.
const attendWait = 30 * time.Second

// A suspended call is one from protocol revision 2026-07-28 on. It outlives its
// request: requests serve it, one after the other. One that finds the
// person must be asked is answered input_required, and the host's retry, which
// carries the sealed name of the call, serves it again. The handler runs
// once, whatever the host sends how often: before it starts the call waits on
// the serving request's goroutine, then the handler has one of its own.
type suspended struct {
	gate   *gate
	person *asking.Person
	client asking.Client
	first  request // that the call came with

	// toRequest has no buffer, and is received from by every request that serves the call: a
	// running handler has one of them call what it sends, and knows then that it is served.
	toRequest chan requestFunc

	done    chan struct{}
	outcome outcome // once done
	lost    *Error  // once done: see call.lost

	progress atomic.Pointer[asking.Progress] // once there is any
	failed   atomic.Uint32                   // an asking.Reach: what its host declares and does not deliver

	// mu is locked under Person.mu of package asking (by Attended), and over
	// that of the pool of handlers (by begin).
	mu       sync.Mutex
	id       string // from when it may first be kept
	started  bool   // the handler was
	finished bool
	serving  []*request
	room     [1]*request             // for serving, in the usual case
	abandon  *time.Timer             // runs while no request serves a call whose handler runs
	cancel   context.CancelCauseFunc // once started; see giveUp
	latest   *mcp.CallToolRequest    // that came
	shown    *asking.Delivery        // whose prompt the host was last answered with …
	shownID  string                  // … and that prompt's id
	round    string                  // names the call that begins with the next round of the handler's own …
	roundEnd time.Duration           // … and when its states end, since the epoch, however often they are sealed
}

// A request is one that serves a suspended call.
type request struct {
	asking.Request
	// stop ends its wait for the authorization, while there is one; guarded by
	// suspended.mu.
	stop context.CancelCauseFunc
	// prompted says that it is being answered with a handler's prompt, and serves the call no
	// more; guarded by suspended.mu.
	prompted bool
}

// A requestFunc is called by a request that serves a call, for the call's handler. It
// reports whether the request is answered by that.
type requestFunc func(*request) (answer outcome, answered bool)

// bePresent is sent by a handler that makes sure that its call is served.
func bePresent(*request) (outcome, bool) { return outcome{}, false }

func newSuspended(g *gate, p *asking.Person, r asking.Request) *suspended {
	s := &suspended{
		gate: g, person: p, client: asking.ClientOf(r.Call, p.Who()), first: request{Request: r},
		toRequest: make(chan requestFunc), done: make(chan struct{}),
	}
	s.serving = s.room[:0]
	return s
}

// serve waits for the call on behalf of one request, starting the handler by
// run when it may start, and returns what the request is answered with.
func (s *suspended) serve(r *request, run handler) outcome {
	s.enter(r)
	var err error
	defer func() { s.leave(r, err) }() // also when the handler's panic comes through
	out, err := s.follow(r, run)
	if err != nil {
		return outcome{err: err}
	}
	return out
}

// follow is serve between coming and going. Its error is that of a request
// that broke off.
func (s *suspended) follow(r *request, run handler) (outcome, error) {
	if r == &s.first || !s.hasBegun() {
		var err error
		if !s.person.Authorizes(&s.gate.Gate) && !s.gate.onUse {
			err = s.became(r)
			for handedOver := err == nil; handedOver; {
				ctx, stop := s.waits(r)
				a := &arriving{suspended: s, request: r}
				_, err = s.person.Obtain(ctx, s.gate.Need, a)
				stop(nil)
				if handedOver = errors.Is(err, asking.ErrHandedOver); handedOver && a.isAnswered() {
					return a.answer, nil
				}
			}
		}
		pending, waitsNoMore := errors.AsType[*asking.Pending](err)
		switch {
		case errors.Is(err, errFinished):
			return s.collect(r), nil
		case r.Ctx.Err() != nil:
			return outcome{}, context.Cause(r.Ctx)
		case err == nil:
			s.begin(r, run)
		case waitsNoMore && !s.isAlone(): // others can wait longer
			return outcome{err: s.explain(pending, s.gate.Need, r)}, nil
		default:
			s.tellBusy(r.Ctx, err)
			s.finish(outcome{err: s.explain(err, s.gate.Need, r)})
		}
	}
	for {
		select {
		case <-s.done:
			return s.collect(r), nil
		case do := <-s.toRequest:
			if answer, answered := do(r); answered {
				return answer, nil
			}
		case <-r.Ctx.Done():
			return outcome{}, context.Cause(r.Ctx)
		}
	}
}

// became returns why there is no grant if the authorization ended without one whose prompt
// the host has had. Hosts may come back only when their person has finished in the browser;
// one call asks for what it needs once, and whoever refused it there is not asked again.
//
//go:noinline
func (s *suspended) became(r *request) error {
	s.mu.Lock()
	d := s.shown
	s.mu.Unlock()
	if r == &s.first || d == nil || !d.Flight().Ended() {
		return nil
	}
	select {
	case <-d.Flight().Done():
	case <-r.Ctx.Done():
		return context.Cause(r.Ctx)
	}
	_, err := s.person.Became(d.Flight(), s.gate.Need)
	return err
}

//go:noinline
func (s *suspended) explain(err error, need scopes.Requirement, r *request) error {
	return s.gate.auth.explain(err, s.person, need, r.Call)
}

// errFinished is why a request waits no more for the authorization of a call that came
// to its end meanwhile.
var errFinished = errors.New("lazyauth: the call is finished")

// waits returns the context of r's wait for the authorization. It ends with the request,
// by stop, or with the call: the decline of a host that speaks for itself, say, is the
// answer to all requests that wait in its call.
//
//go:noinline
func (s *suspended) waits(r *request) (ctx context.Context, stop context.CancelCauseFunc) {
	ctx, stop = context.WithCancelCause(r.Ctx)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.finished {
		stop(errFinished)
	}
	r.stop = stop
	return ctx, stop
}

func (s *suspended) hasBegun() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.started || s.finished
}

// begin starts the handler, unless that was done before. Its context has the
// values of the request that it starts for, and ends when the call is given up.
func (s *suspended) begin(r *request, run handler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.started || s.finished {
		return
	}
	s.started = true
	req := r.Call
	if r != &s.first { // a retry has not what the handler's own round brought
		req = withState(req, s.first.Call.Params.RequestState, s.first.Call.Params.InputResponses)
	}
	h := &handlerRun{call: call{person: s.person, gate: s.gate, req: req, arrived: r.Arrived, suspended: s}, run: run, values: detached{r.Ctx}}
	h.Context, s.cancel = context.WithCancelCause(&h.values)
	if !s.gate.auth.handlers.Run(h) {
		s.cancel(nil)
		s.finishLocked(outcome{err: s.gate.auth.fail(ReasonUnavailable, grants.ErrClosed)})
	}
}

// runHandler runs the handler, on a goroutine that is the call's alone meanwhile, and
// finishes the call. A handler that panics does so on its request's goroutine as far as the
// server's middleware can tell: see collect. A panic of this library or of the SDK, which runs
// the handler where Intercept gates it, is an error here as it is there: see recovers.
func (s *suspended) runHandler(h *handlerRun) {
	c := &h.call
	var out outcome
	returned := false
	defer func() {
		if !returned {
			out.err = s.gate.auth.fail(ReasonAbandoned, errExited)
			ours := guard.IsOurs()
			switch v := recover(); {
			case v == nil:
			case ours:
				out.err = s.gate.auth.panicked(c, v)
			default:
				out.panicked = &panicked{value: v}
				s.gate.auth.observer.failed(c, s.person.Who(), s.gate.tool, ReasonAbandoned, guard.Caught("the handler", v).WithStack())
			}
		}
		// A handler that was given up says so, not that its context ended.
		if e, ok := errors.AsType[*Error](context.Cause(c.Context)); ok && out.err != nil {
			out.err = e
		}
		s.cancel(nil)
		s.finish(out)
	}()
	out = h.run(c, c.req)
	s.lost = c.lost()
	returned = true
}

// finish settles what the call is answered with, now and whenever its state is
// presented again.
func (s *suspended) finish(out outcome) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.finishLocked(out)
}

func (s *suspended) finishLocked(out outcome) {
	if s.finished {
		return
	}
	s.finished, s.outcome = true, out
	if out.result != nil && out.result.InputRequests != nil {
		s.round, s.roundEnd = rand.Text(), s.gate.auth.now()+roundLife
	}
	for _, r := range s.serving { // once all is there that they are answered with
		if r.stop != nil {
			r.stop(errFinished)
		}
	}
	if s.abandon != nil {
		s.abandon.Stop()
	}
	s.slim()
	close(s.done)
}

// giveUp ends the call with this error: a handler that runs has its context cancelled,
// and a call whose handler was never started is finished.
func (s *suspended) giveUp(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.giveUpLocked(err)
}

// giveUpUnserved gives up a call that no request serves, and none can serve any more.
func (s *suspended) giveUpUnserved() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.serving) == 0 && !s.finished {
		s.giveUpLocked(s.gate.auth.fail(ReasonAbandoned, nil))
	}
}

func (s *suspended) giveUpLocked(err error) {
	if s.started {
		s.cancel(err)
		return
	}
	s.finishLocked(outcome{err: err})
}

// slim forgets what a finished call needs no more, while it is kept for its
// outcome. s.mu is held.
func (s *suspended) slim() {
	if s.finished && len(s.serving) == 0 {
		s.first, s.latest, s.shown = request{}, nil, nil
	}
}

// isAlone reports whether at most one request serves the call.
func (s *suspended) isAlone() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.serving) <= 1
}

// collect returns a copy of the outcome, since the SDK completes what it is
// given. A handler's own input requests get their state sealed.
func (s *suspended) collect(r *request) outcome {
	out := s.outcome
	if p := out.panicked; p != nil {
		s.mu.Lock()
		first := !p.handed
		p.handed = true
		s.mu.Unlock()
		if first {
			guard.Rethrow(p.value) // as it was, for who recovers certain values
		}
	}
	out.result, out.err = s.told(out, r)
	if out.result == nil {
		return out
	}
	result := *out.result
	result.Meta = maps.Clone(result.Meta)
	result.Content = slices.Clip(result.Content)
	out.result = &result
	if result.InputRequests != nil {
		sealed, err := s.gate.seal(r.Call, s.person, s.client, state.State{
			Call: s.round, Round: true, Inner: result.RequestState, End: s.roundEnd,
		})
		if err != nil {
			return outcome{err: err}
		}
		result.RequestState = sealed
	}
	return out
}

// told returns what a handler returned, with the prompt in it if it lost that, for the host
// of one request: of several, one that shows prompts itself has none told to its model.
func (s *suspended) told(out outcome, r *request) (*mcp.CallToolResult, error) {
	e := toldIn(out.result, out.err)
	if (e != nil || s.lost != nil) && asking.ReachOf(r.Call).Elicits() {
		if e != nil {
			return out.result, e.withoutPrompt()
		}
		return s.lost.withoutPrompt().into(out.result, out.err)
	}
	return s.lost.into(out.result, out.err)
}

// answerWith answers a request with a prompt, unless the call is finished by now: then it is
// answered with that, and the prompt is left to others. Of several requests, another one may
// have been handed the prompt than was looked at: it shows what its own host can. It reports
// false if the prompt stands before somebody else by now, and the request waits on.
func (s *suspended) answerWith(r *request, d *asking.Delivery, slot asking.Slot, mode elicit.Channel) (answer outcome, ok bool) {
	if own := s.seen(r.Request).Reach(); !own.Has(mode) {
		if mode = own.Best(); !asking.Elicits(mode) {
			err := d.TellInstead(s.seen(r.Request), slot)
			if _, barred := errors.AsType[*asking.Declined](err); barred {
				s.giveUp(s.explain(err, s.gate.Need, r))
				return outcome{}, false
			}
			return outcome{err: s.explain(err, s.gate.Need, r)}, true
		}
	}
	id, ok := d.Shown(r.Ctx, r.Call, slot, mode, s)
	if !ok {
		return outcome{}, false
	}
	s.mu.Lock()
	finished := s.finished
	if !finished {
		s.shown, s.shownID = d, id
	}
	s.mu.Unlock()
	if finished {
		d.Withdraw(id)
		return s.collect(r), true
	}
	sealed, err := s.gate.seal(r.Call, s.person, s.client, state.State{Call: s.name(), Prompt: id, End: s.gate.auth.keptFor(d)})
	if err != nil {
		d.Withdraw(id)
		return outcome{err: err}, true
	}
	result := inputRequired()
	result.InputRequests = mcp.InputRequestMap{responseKey: asking.Elicitation(s.gate.auth.wording(r.Call), mode, *d.Prompt(), id)}
	result.RequestState = sealed
	return outcome{result: result}, true
}

// answered takes the host's answer to the prompt of this id. A refusal ends a
// call that has not begun; a handler learns of it where it waits.
func (s *suspended) answered(id, action string, r *request) {
	s.mu.Lock()
	d, current := s.shown, s.shownID
	s.mu.Unlock()
	if d == nil || id != current {
		return
	}
	err := d.Answer(id, action, s.seen(r.Request).Reach())
	if err == nil {
		return
	}
	if err.HostOnly || !s.hasBegun() {
		s.giveUp(s.explain(err, s.gate.Need, r))
	}
	if err.HostOnly { // not before: no request of this call shows it again
		d.Pass(id)
	}
}

func (s *suspended) enter(r *request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serving = append(s.serving, r)
	s.latest = r.Call
	if s.abandon != nil {
		s.abandon.Stop()
		s.abandon = nil
	}
}

// leave ends the service of a request; broken is why it did not get an answer. A running
// handler is then given up: after a while if the host can still come back, at
// once if it was never told the call's name.
func (s *suspended) leave(r *request, broken error) {
	s.unserve(r, broken)
	// Who reports progress from now on finds another request, or none; who has found this one
	// keeps the progress locked until the message is on its way, which is before the answer.
	if p := s.progress.Load(); p != nil && p.Lock() {
		p.Unlock() // it is a wait
	}
}

// unserve is leave but for what is being said to the request.
func (s *suspended) unserve(r *request, broken error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := slices.Index(s.serving, r)
	s.serving = slices.Delete(s.serving, n, n+1)
	s.slim()
	if broken == nil || len(s.serving) > 0 || !s.started || s.finished {
		return
	}
	if _, kept := s.gate.auth.suspended.Get(s.id); !kept {
		s.giveUpLocked(broken)
		return
	}
	s.abandon = time.AfterFunc(attendWait, func() { s.giveUp(s.gate.auth.fail(ReasonAbandoned, nil)) })
}

// current returns the latest request that serves the call, or nil.
func (s *suspended) current() *request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.currentLocked()
}

func (s *suspended) currentLocked() *request {
	for _, r := range slices.Backward(s.serving) {
		if !r.prompted {
			return r
		}
	}
	return nil
}

// seen returns r with what was found out about its host.
func (s *suspended) seen(r asking.Request) asking.Request {
	r.Failed = asking.Reach(s.failed.Load())
	return r
}

// Attended implements [asking.Carrier].
func (s *suspended) Attended() bool { return s.current() != nil }

// ChannelFailed implements [asking.Carrier].
func (s *suspended) ChannelFailed(mode elicit.Channel) {
	s.failed.Or(uint32(asking.Reach(0).With(mode)))
}

// Client implements [asking.Host].
func (s *suspended) Client() asking.Client { return s.client }

// Tool implements [asking.Host].
func (s *suspended) Tool() string { return s.gate.tool }

// Progress implements [asking.Host].
func (s *suspended) Progress() *asking.Progress { return asking.ProgressIn(&s.progress) }

// mayBegin returns why no flight begins for the call: it could not be kept once it was answered
// with the prompt.
func (s *suspended) mayBegin(r asking.Request) error {
	if !r.Reach().Elicits() || s.gate.auth.suspended.HasRoom(s.name(), s.person.QuotaKey()) {
		return nil
	}
	return s.gate.auth.fail(ReasonBusy, nil)
}

// tellBusy tells the trace if the call ends because there is no room.
//
//go:noinline
func (s *suspended) tellBusy(ctx context.Context, err error) {
	if e, ok := errors.AsType[*Error](err); ok && e.Reason == ReasonBusy {
		s.gate.auth.observer.failed(ctx, s.person.Who(), s.gate.tool, ReasonBusy, nil)
	}
}

// keep makes sure that the host can come back to the call for the prompt of d.
func (s *suspended) keep(d *asking.Delivery) error {
	if s.gate.auth.suspended.Keep(s.name(), s.person.QuotaKey(), s, s.gate.auth.keptFor(d)) {
		return nil
	}
	return s.gate.auth.fail(ReasonBusy, nil)
}

// name returns what states call the call.
func (s *suspended) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id == "" {
		s.id = rand.Text()
	}
	return s.id
}

// arriving is the host of a call whose handler has not started: the request that waits.
type arriving struct {
	*suspended
	request *request

	// What the request is to be answered with.
	delivery *asking.Delivery
	slot     asking.Slot
	mode     elicit.Channel
	answer   outcome // once isAnswered
}

// isAnswered reports whether the request is answered with the prompt that it was handed.
//
//go:noinline
func (a *arriving) isAnswered() (ok bool) {
	a.answer, ok = a.answerWith(a.request, a.delivery, a.slot, a.mode)
	return ok
}

// Request implements [asking.Host].
func (a *arriving) Request() asking.Request { return a.seen(a.request.Request) }

// MayBegin implements [asking.Host].
func (a *arriving) MayBegin() error { return a.mayBegin(a.Request()) }

// Show implements [asking.Host]: the request is answered with the prompt.
func (a *arriving) Show(ctx context.Context, d *asking.Delivery, slot asking.Slot, mode elicit.Channel) error {
	if ctx.Err() != nil { // the request, or its call, came to its end at the same moment
		return context.Cause(ctx)
	}
	if err := a.keep(d); err != nil {
		return err
	}
	a.delivery, a.slot, a.mode = d, slot, mode
	return asking.ErrHandedOver
}

// working is the host of a call whose handler runs: whatever request serves it.
type working struct {
	*suspended
	parked bool // it has handed out a prompt
}

// Request implements [asking.Host]. A call that no request serves can be served again
// only by a retry, and while its handler waits for that no time is lost.
func (w *working) Request() asking.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	if current := w.currentLocked(); current != nil {
		r := current.Request
		r.Again = false // this wait is the handler's, and its first
		return w.seen(r)
	}
	return w.seen(asking.Request{Call: w.latest, Arrived: w.gate.auth.now()})
}

// MayBegin implements [asking.Host].
func (w *working) MayBegin() error { return w.mayBegin(w.Request()) }

// Show implements [asking.Host]: a serving request is handed the prompt, which leaves the
// handler parked. While there is none others may show it first: one may never come.
func (w *working) Show(ctx context.Context, d *asking.Delivery, slot asking.Slot, mode elicit.Channel) error {
	if err := w.keep(d); err != nil {
		return err
	}
	if !w.Attended() {
		d.PutBack(slot)
	}
	handed := make(chan struct{})
	select {
	case w.toRequest <- func(r *request) (outcome, bool) {
		w.setPrompted(r, true) // and its time may be over: the handler waits for the next one now
		close(handed)
		answer, ok := w.answerWith(r, d, slot, mode)
		if !ok {
			w.setPrompted(r, false)
		}
		return answer, ok
	}:
		<-handed
		w.parked = true
		w.gate.auth.observer.parked(ctx, w.gate.auth.observer.trace.Parked, w.person.Who(), w.gate.tool, d.Flight().Want())
		return nil
	case <-d.Flight().Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (s *suspended) setPrompted(r *request, prompted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.prompted = prompted
}

// authorize is call.authorize for a handler that runs: it parks the handler if
// the person has to be asked, and lets it go on only while a request serves
// the call. Otherwise the person may have given up long ago.
func (s *suspended) authorize(ctx context.Context, need scopes.Requirement) (*grants.Grant, error) {
	w := &working{suspended: s}
	g, err := s.person.Obtain(ctx, need, w)
	if err != nil {
		s.tellBusy(ctx, err)
		return nil, s.gate.auth.explain(err, s.person, need, w.Request().Call)
	}
	timer := time.NewTimer(attendWait)
	defer timer.Stop()
	select {
	case s.toRequest <- bePresent:
		if w.parked {
			s.gate.auth.observer.parked(ctx, s.gate.auth.observer.trace.Resumed, s.person.Who(), s.gate.tool, g.Scopes())
		}
		return g, nil
	case <-timer.C:
		e := s.gate.auth.fail(ReasonAbandoned, nil)
		s.giveUp(e)
		return nil, e
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
