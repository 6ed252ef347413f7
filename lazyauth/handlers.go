package lazyauth

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/workers"
)

// A handlerRun is the run of a suspended call's handler.
type handlerRun struct {
	call
	run    handler
	values detached // of the request which it starts for
}

// begin starts the handler, unless that was done before. Its context has the
// values of the request that it starts for, and ends when the call is given up.
func (s *suspended) begin(r *request, run handler) {
	req := r.Call
	if r != &s.first { // a retry has not what the handler's own round brought
		first := s.first.Call.Params // which stands while r serves the call
		req = withState(req, first.RequestState, first.InputResponses)
	}
	h := &handlerRun{call: call{person: s.person, standIn: s.standIn, gate: s.gate, req: req, arrived: r.Arrived, suspended: s}, run: run, values: detached{r.Ctx}}
	ctx, cancel := context.WithCancelCause(&h.values)
	h.Context = ctx
	if !s.start(cancel) {
		cancel(nil)
		return
	}
	if !s.gate.auth.handlers.Run(h) {
		cancel(nil)
		s.finish(outcome{err: s.gate.auth.fail(ReasonUnavailable, grants.ErrClosed)})
	}
}

// Run implements [workers.Job]: it runs the handler, on a goroutine that is the call's alone
// meanwhile, and finishes the call. A handler that panics does so on its request's goroutine as
// far as the server's middleware can tell: see collect. A panic of this library or of the SDK,
// which runs the handler where Intercept gates it, is an error here as it is there: see recovers.
func (h *handlerRun) Run() {
	c, s := &h.call, h.suspended
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
		s.conclude(out)
	}()
	out = h.run(c, c.req)
	s.lost = c.lost()
	returned = true
}

// conclude finishes the call with what its handler came to. A next round of the handler's own
// has its name before a request is answered with it.
func (s *suspended) conclude(out outcome) {
	if out.result != nil && out.result.InputRequests != nil {
		s.round, s.roundEnd = rand.Text(), s.gate.auth.now()+roundLife
	}
	s.finish(out)
}

// detached is a context that has the values of another, and not its end. Unlike what
// [context.WithoutCancel] returns, it is a part of what it belongs to, and costs no allocation.
type detached struct{ values context.Context }

// Deadline implements [context.Context].
func (*detached) Deadline() (time.Time, bool) { return time.Time{}, false }

// Done implements [context.Context].
func (*detached) Done() <-chan struct{} { return nil }

// Err implements [context.Context].
func (*detached) Err() error { return nil }

// Value implements [context.Context].
func (d *detached) Value(key any) any { return d.values.Value(key) }

// closeHandlers ends what runs, and lets nothing begin. A call that starts has its own mutex
// locked, and then the pool's: so the calls are given up without that.
func (i *Interceptor) closeHandlers(err *Error) {
	i.handlers.Close()
	for _, job := range i.handlers.Jobs() { // of which there will be no more
		job.(*handlerRun).suspended.giveUp(err)
	}
}

// runningTools names the tools whose handlers run in suspended calls.
func runningTools(handlers *workers.Pool) []string {
	var tools []string
	for _, job := range handlers.Jobs() {
		tools = append(tools, job.(*handlerRun).gate.tool)
	}
	slices.Sort(tools)
	return slices.Compact(tools)
}
