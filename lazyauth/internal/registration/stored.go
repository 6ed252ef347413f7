package registration

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
	// exchangeWait bounds what is asked of the authorization server while a record is locked.
	exchangeWait = 15 * time.Second
	// storeCalls is how many calls a store may leave unanswered.
	storeCalls = 4
)

// A storedRecord is the use of a store for one record, every wait for which is bounded here.
type storedRecord struct {
	store store.Store // nil: there is none, and no method may be called
	calls chan struct{}
}

func newStoredRecord(s store.Store) storedRecord {
	return storedRecord{s, make(chan struct{}, storeCalls)}
}

// errSlow names the store that does not answer.
type errSlow struct{ where string }

func (e errSlow) Error() string {
	return fmt.Sprintf("lazyauth: the store %s has not answered: it may wait for a password that nobody sees, or for a process that hangs with its lock", e.where)
}

// begin takes one of the calls, and gives it back with the function that it returns.
func (s storedRecord) begin(ctx context.Context) (end func(), err error) {
	select {
	case s.calls <- struct{}{}:
		return func() { <-s.calls }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// load returns the record, nil if there is none.
func (s storedRecord) load(ctx context.Context, key string) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, storeWait, errSlow{s.store.String()})
	defer cancel()
	end, err := s.begin(ctx)
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
			a.record, err = s.store.Load(ctx, key)
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

// update has decide judge the record in one transaction, and writes what that returns, if it
// is not nil. decide is called once at the most, and never after update has returned; asked says
// whether it was. What it does is its own to bound.
func (s storedRecord) update(ctx context.Context, key string, decide func(old []byte) []byte) (asked bool, err error) {
	slow := errSlow{s.store.String()}
	waiting, cancel := context.WithTimeoutCause(ctx, storeWait, slow)
	defer cancel()
	end, err := s.begin(waiting)
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
			return s.store.Update(waiting, key, func(old []byte) ([]byte, error) {
				if !takes(turn) { // nobody waits, or a store that calls it again
					return nil, errUnchanged
				}
				defer close(decided)
				if record := decide(old); record != nil {
					return record, nil
				}
				return nil, errUnchanged
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
