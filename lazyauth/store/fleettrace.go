package store

import (
	"context"
	"sync/atomic"
	"time"
)

// A FleetTrace is told what happens where machines share a store. Hooks are called by the
// goroutines that work on the record, and have to return soon; any may be nil. They get neither
// keys nor contents.
type FleetTrace struct {
	// TookOver: an attempt was begun on a record whose last one, of another machine, had not
	// ended when its lease did. InDoubt: see [Terms].
	TookOver func(context.Context, TakeOver)
	// Late: an attempt was begun for what was due (see [Terms].IfDue), late or not.
	Late func(context.Context, Lateness)
	// Fenced: what took longer than its lease came to be written, and others were faster.
	Fenced func(context.Context, Fenced)
	// FailedOver: the store has shown an older copy of a record than this process has seen.
	FailedOver func(context.Context, FailedOver)
	// Unwritten: what change returned could not be written while Update waited for that. The
	// process keeps it until it can be, or ends.
	Unwritten func(context.Context, Unwritten)
}

// A TakeOver is that of another machine's attempt.
type TakeOver struct {
	Kind  string
	After time.Duration // since the lease had ended
}

// Lateness is how late an attempt began.
type Lateness struct {
	Kind string
	By   time.Duration
}

// Fenced is what came late.
type Fenced struct {
	Kind    string
	Written bool // it was written all the same, since it was the better one, or the only one
	Ended   bool // it was not, since the record had been ended: see [ErrEnded]
}

// FailedOver is a record of which the store has lost the last.
type FailedOver struct {
	Kind   string
	Healed bool // what this process had seen of it was written back
}

// Unwritten is what could not be written.
type Unwritten struct {
	Kind string
	Err  error
}

// FleetCounts are since the process began. docs/scale.md, "Metrics", says what to do about each; their WriteTo writes
// them for Prometheus.
type FleetCounts struct {
	TakeOvers  uint64 // attempts whose machine did not end them, and which this one went on from: they were in doubt
	InDoubt    uint64 // attempts begun in doubt of what the last one had done: those taken over, and after this process's own
	Fenced     uint64 // writes that came late, and of these
	FencedOver uint64 // those that were written all the same
	Ended      uint64 // and those that found the record ended
	FailedOver uint64 // records of which the store has lost the last
	Healed     uint64 // of these, those that were written back
	Unwritten  uint64 // writes that failed for as long as they were waited for
	Late       uint64 // attempts for what was due
	LateBy     time.Duration
	MostLateBy time.Duration
}

// fleetEvents counts, and tells the trace.
type fleetEvents struct {
	trace FleetTrace

	takeOvers, inDoubt, fenced, fencedOver, ended, failedOver, healed, unwritten, late atomic.Uint64
	lateBy, mostLateBy                                                                 atomic.Int64
}

// counts loads a part before the whole, which is counted first: there is never more of it.
func (e *fleetEvents) counts() (c FleetCounts) {
	c.FencedOver, c.Ended, c.Healed, c.TakeOvers = e.fencedOver.Load(), e.ended.Load(), e.healed.Load(), e.takeOvers.Load()
	c.Fenced, c.FailedOver, c.InDoubt = e.fenced.Load(), e.failedOver.Load(), e.inDoubt.Load()
	c.Unwritten, c.Late = e.unwritten.Load(), e.late.Load()
	c.LateBy, c.MostLateBy = time.Duration(e.lateBy.Load()), time.Duration(e.mostLateBy.Load())
	return c
}

func tell[T any](ctx context.Context, hook func(context.Context, T), v T) {
	if hook != nil {
		hook(context.WithoutCancel(ctx), v)
	}
}

func (e *fleetEvents) tookOver(ctx context.Context, v TakeOver) {
	e.takeOvers.Add(1)
	tell(ctx, e.trace.TookOver, v)
}

func (e *fleetEvents) begunLate(ctx context.Context, v Lateness) {
	e.late.Add(1)
	e.lateBy.Add(int64(v.By))
	for {
		most := e.mostLateBy.Load()
		if most >= int64(v.By) || e.mostLateBy.CompareAndSwap(most, int64(v.By)) {
			break
		}
	}
	tell(ctx, e.trace.Late, v)
}

func (e *fleetEvents) wasFenced(ctx context.Context, v Fenced) {
	e.fenced.Add(1)
	switch {
	case v.Written:
		e.fencedOver.Add(1)
	case v.Ended:
		e.ended.Add(1)
	}
	tell(ctx, e.trace.Fenced, v)
}

func (e *fleetEvents) hasFailedOver(ctx context.Context, v FailedOver) {
	e.failedOver.Add(1)
	if v.Healed {
		e.healed.Add(1)
	}
	tell(ctx, e.trace.FailedOver, v)
}

func (e *fleetEvents) notWritten(ctx context.Context, v Unwritten) {
	e.unwritten.Add(1)
	tell(ctx, e.trace.Unwritten, v)
}
