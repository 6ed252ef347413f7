package records

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const (
	// storeWait bounds every wait for the store to begin or to end something.
	storeWait = 20 * time.Second
	// ExchangeWait bounds what may be asked of another machine while a record is locked. It is less
	// than what is waited for a lock, so that one that is held for longer is that of a process that hangs.
	ExchangeWait = 15 * time.Second
	// storeCalls is how many calls a store may leave unanswered, and fleetCalls how many one that machines
	// share, which is asked for many people at once: a poll is made within a call. Each of its answers is bounded.
	storeCalls = 4
	fleetCalls = 128
)

// Records are those of one kind in a store.
type Records struct {
	store store.Store
	wait  time.Duration // for the store to begin something
	calls chan struct{} // has a token for each time that the store is being asked
}

// New returns the use of a store.
func New(s store.Store) *Records {
	calls := storeCalls
	if store.IsFleet(s) {
		calls = fleetCalls
	}
	return &Records{s, storeWait, make(chan struct{}, calls)}
}

// Within returns the same records for somebody who waits no longer than that for the store to read, or to
// begin an update.
func (r *Records) Within(wait time.Duration) *Records { return &Records{r.store, wait, r.calls} }

// A Slow error names a store that does not answer.
type Slow struct{ where string }

func (e *Slow) Error() string {
	return fmt.Sprintf("lazyauth: the store %s has not answered: it may wait for a password that nobody sees, or for a process that hangs with its lock", e.where)
}

// begin takes one of the calls, and gives it back with the function that it returns.
func (r *Records) begin(ctx context.Context) (end func(), err error) {
	select {
	case r.calls <- struct{}{}:
		return func() { <-r.calls }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Load returns the record of key, nil if there is none.
func (r *Records) Load(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, r.wait, &Slow{r.store.String()})
	defer cancel()
	end, err := r.begin(ctx)
	if err != nil {
		return nil, err
	}
	type answer struct {
		record []byte
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // ends when the store answers
		defer end()
		a := answer{err: guard.ErrExited}
		defer func() { answered <- a }()
		a.err = guard.Call("the store", func() (err error) {
			a.record, err = r.store.Load(ctx, key)
			return err
		})
	}()
	select {
	case a := <-answered:
		return a.record, a.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// errUnchanged ends an update of the store that writes nothing.
var errUnchanged = errors.New("lazyauth: nothing to write")

// A Decision is what becomes of a record. The zero value leaves it as it is.
type Decision struct {
	put    []byte
	remove bool
}

// Remove is the Decision to delete the record.
var Remove = Decision{remove: true}

// Put is the Decision to write this, which is not nil.
func Put(record []byte) Decision { return Decision{put: record} }

func (d Decision) change() ([]byte, error) {
	if d.put == nil && !d.remove {
		return nil, errUnchanged
	}
	return d.put, nil
}

// Update has decide judge the record of key, which is nil if there is none, in one transaction:
// whoever else updates the record waits meanwhile, in this process and in all that share the
// store. decide is called once at the most, and never after Update has returned; asked says
// whether it was. What it does is its own to bound, by ExchangeWait. ctx ends the waits for the record
// and for the writing, which the store goes on with.
func (r *Records) Update(ctx context.Context, key string, decide func(old []byte) Decision) (asked bool, err error) {
	slow := &Slow{r.store.String()}
	waiting, cancel := context.WithTimeoutCause(ctx, r.wait, slow)
	defer cancel()
	end, err := r.begin(waiting)
	if err != nil {
		return false, err
	}
	turn := make(chan struct{}, 1) // taken by the decision, or by who waits for it no more
	turn <- struct{}{}
	decided, finished := make(chan struct{}), make(chan error, 1)
	go func() { // ends when the store answers
		defer end()
		err := guard.ErrExited
		defer func() { finished <- err }()
		err = guard.Call("the store", func() error {
			return r.store.Update(waiting, key, func(old []byte) ([]byte, error) {
				if !takes(turn) { // nobody waits, or a store that calls it again
					return nil, errUnchanged
				}
				defer close(decided)
				return decide(old).change()
			})
		})
	}()
	select {
	case <-decided:
	case err := <-finished:
		if takes(turn) {
			if err == nil {
				err = errors.New("lazyauth: the store ended an update without having called the change that it was given")
			}
			return false, err
		}
		<-decided
		return true, written(err)
	case <-waiting.Done():
		if takes(turn) {
			return false, context.Cause(waiting)
		}
		<-decided
	}
	timer := time.NewTimer(storeWait)
	defer timer.Stop()
	select {
	case err := <-finished:
		return true, written(err)
	case <-timer.C:
		return true, slow
	case <-ctx.Done(): // the store goes on writing
		return true, context.Cause(ctx)
	}
}

// Quickly is [Records.Update] for a decide that asks nothing of anybody, and may be called again. Where machines
// share the store it waits for none that works on the record, which then finds what was written.
func (r *Records) Quickly(ctx context.Context, key string, decide func(old []byte) Decision) (asked bool, err error) {
	for again := 0; ; again++ {
		asked, err = r.Update(store.WithTerms(ctx, &store.Terms{Quick: true}), key, decide)
		if again == updates || !errors.Is(err, store.ErrFenced) && !errors.Is(err, store.ErrEnded) {
			return asked, err
		}
	}
}

// updates is how often another machine may be faster.
const updates = 10

func written(err error) error {
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

func takes(turn <-chan struct{}) bool {
	select {
	case <-turn:
		return true
	default:
		return false
	}
}
