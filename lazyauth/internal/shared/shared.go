// Package shared does work once for everybody who waits for it.
package shared

import (
	"context"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
)

// Work is done by one goroutine at a time, for all who wait for it. Nothing of it is
// remembered: whoever comes later has it done again, unless the work itself keeps what it
// came to. The zero value is ready. It is safe for concurrent use, and must not be copied.
type Work[T any] struct {
	mu      sync.Mutex // guards what follows, and each run's waiting; nothing waits under it
	running *run[T]    // nil: none, or one that its last waiter has left
}

// A run is the work under way. It is nobody's in particular, so a goroutine of its own does
// it: it ends with its result, or with the last who waits.
type run[T any] struct {
	ended  chan struct{}
	result T     // once ended
	err    error // once ended

	waiting int // guarded by Work.mu
	cancel  context.CancelFunc
}

// Do returns what f returns, which is called unless it runs already, for others. It blocks
// for as long as f does, and ctx allows: then the cause of that is the error. A panic of f is an
// error, a [*guard.Panic] of what.
//
// f has the values of one caller's context, which ends when all have left. The last who
// leaves waits for f, so that who waits for the callers has waited for it, too; who comes
// meanwhile has f called again, beside the one that ends. What f is to remember it notes itself
// before it returns, and looks at first: who finds nothing there and calls Do may come just after
// another one.
func (w *Work[T]) Do(ctx context.Context, what string, f func(context.Context) (T, error)) (T, error) {
	var none T
	if ctx.Err() != nil {
		return none, context.Cause(ctx)
	}
	w.mu.Lock()
	r := w.running
	if r == nil {
		r = w.begin(ctx, what, f)
	}
	r.waiting++
	w.mu.Unlock()

	select {
	case <-r.ended:
		return r.result, r.err
	case <-ctx.Done():
	}
	if w.leave(r) {
		r.cancel()
		<-r.ended
	}
	return none, context.Cause(ctx)
}

// begin begins a run; w.mu is held.
func (w *Work[T]) begin(ctx context.Context, what string, f func(context.Context) (T, error)) *run[T] {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	r := &run[T]{ended: make(chan struct{}), cancel: cancel, err: guard.ErrExited}
	w.running = r
	go func() {
		defer close(r.ended)
		defer cancel()
		defer w.end(r) // before anybody is told
		r.err = guard.Call(what, func() (err error) {
			r.result, err = f(ctx)
			return err
		})
	}()
	return r
}

// leave has one waiter less, and reports whether that was the last.
func (w *Work[T]) leave(r *run[T]) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.waiting--
	if r.waiting > 0 {
		return false
	}
	if w.running == r {
		w.running = nil // who comes now begins another
	}
	return true
}

// end has nobody join r any more.
func (w *Work[T]) end(r *run[T]) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == r {
		w.running = nil
	}
}
