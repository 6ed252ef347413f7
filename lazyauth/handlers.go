package lazyauth

import (
	"context"
	"slices"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/workers"
)

// A handlerRun is the run of a suspended call's handler.
type handlerRun struct {
	call
	run    handler
	values detached // of the request which it starts for
}

// Run implements [workers.Job].
func (h *handlerRun) Run() { h.suspended.runHandler(h) }

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
