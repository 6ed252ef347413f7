package store

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Terms are what a [Store.Update] and its change agree on, where machines share the store: see
// [Fleet]. They travel in the context, since other stores have no use for them: those leave them
// as they are, and a change must do with the zero value.
//
//	terms := &store.Terms{Over: func(found []byte) bool { return older(found) }}
//	err := s.Update(store.WithTerms(ctx, terms), key, func(old []byte) ([]byte, error) {
//		ctx, cancel := terms.Bound(ctx)
//		defer cancel()
//		return refresh(ctx, old)
//	})
//
// The fields of the first part are set before Update is called, those of the second by the store
// before it calls change, and those of the third by change, or before.
type Terms struct {
	// Quick says that change asks nothing of anybody: it takes no time and uses no credential, so that
	// it need not wait for an attempt that is under way, on another machine or on one that has died.
	// It is for what a person wants at once: a sign-in that is to be kept, or an end.
	Quick bool
	// IfDue begins when the record is due, by the store's clock, and otherwise fails with a [*NotDueError], also while
	// another machine works on it. From then on it is due again after what change may take and Interval, even if this
	// machine dies: see Next. The polls of a sign-in are on these terms.
	IfDue    bool
	Interval time.Duration

	// Found is asked about a record that another machine has written while this one waited for its attempt to end: whether that is
	// what change is to bring. Then no attempt is begun, change is not called, and Update fails with an [ErrFound]. Nil: it
	// is change that finds out, at the price of two changes of the store.
	Found func(record []byte) bool

	// Deadline is by when what change asks of others has been answered, or given up: afterwards
	// another machine may ask the same. It is for requests to begin, too: see Bound. Zero: there is no
	// such time. It has a monotonic reading.
	Deadline time.Time
	bound    time.Duration // how long before it a request is begun, at the latest
	// InDoubt says that a machine which has died, or been cut off, may have used the credential in
	// the old record, and that what it got was not written. To use it once more is right, as it may
	// never have been used. If it is refused then, the record is to be replaced by one without the
	// credential, so that it is not used a third time, and must not be ended: what was got may still be on
	// its way, and is written over the one and not over the other.
	InDoubt bool

	// Over says whether what change returned is to replace the record found, which another has
	// written meanwhile; it is called while Update waits, as often as that happens. Nil keeps what was found, and
	// Update fails with an [ErrFenced]. A token that was just issued replaces what is older, or else it is
	// lost; that a poll was in vain replaces nothing.
	Over func(found []byte) bool
	// Unsettled says, beside an error of change, that what it sent may yet be answered, or
	// have been done. The lease is not given up then, and who comes after it is told (InDoubt).
	Unsettled bool
	// Next is how long after the writing the record is due. Zero leaves that as it was, negative
	// means never.
	Next time.Duration
	// Life is how long after the writing there is no record any more. Zero leaves that as it was
	// (at first, for ever), negative means never.
	Life time.Duration
}

type termsKey struct{}

// WithTerms returns a context for a [Store.Update] on these terms, and that one alone: they are
// set by it.
func WithTerms(ctx context.Context, t *Terms) context.Context {
	return context.WithValue(ctx, termsKey{}, t)
}

// termsOf returns the terms in ctx, never nil.
func termsOf(ctx context.Context) *Terms {
	if t, ok := ctx.Value(termsKey{}).(*Terms); ok && t != nil {
		t.Deadline, t.InDoubt, t.bound = time.Time{}, false, 0
		return t
	}
	return &Terms{}
}

// Bound returns the context for one request that change makes, right before it makes it. It ends at the
// deadline, if there is one; and has ended already if the request could be under way when that
// comes: a process may have stood still since change was called.
func (t *Terms) Bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if t.Deadline.IsZero() {
		return context.WithCancel(ctx)
	}
	if time.Until(t.Deadline) < t.bound {
		ctx, cancel := context.WithCancelCause(ctx)
		cancel(errDeadline)
		return ctx, func() { cancel(nil) }
	}
	return context.WithDeadlineCause(ctx, t.Deadline, errDeadline)
}

var errDeadline = errors.New("store: the lease of the record ends: another machine may go on from here")

// What an error of a store that machines share can mean besides.
var (
	// ErrNotBegun: change was not called. Whoever has a copy of the record must not use a credential in
	// it: another machine may be doing that now.
	ErrNotBegun = errors.New("not begun")

	// ErrFound: another machine has written what change was to bring, and change was not called: see [Terms].Found.
	ErrFound = errors.New("another machine has brought it")

	// ErrFenced: others have written the record meanwhile, and what change returned was not
	// written: see [Terms].Over.
	ErrFenced = errors.New("another machine has written the record meanwhile")

	// ErrEnded: the record was ended meanwhile, and what change returned was not written. Ended is
	// ended: a credential that was issued has to be given up, and revoked.
	ErrEnded = errors.New("the record was ended meanwhile")

	// ErrLags: the store shows an older copy of the record than this process has seen: it has failed over, or was
	// restored from a backup, and lost what was written last. A credential in it may have been used already.
	ErrLags = errors.New("the store has lost what was written last")
)

// A NotDueError says that a record is not due, or that it is being dealt with.
type NotDueError struct {
	In time.Duration // it may be due then; negative: it never is
}

func (e *NotDueError) Error() string {
	if e.In < 0 {
		return "store: the record is not due"
	}
	return fmt.Sprintf("store: the record is not due for %v", e.In.Round(time.Millisecond))
}

// IsFleet reports whether machines share s, so that a record's credential may be used within an
// [Store.Update] alone, whatever becomes of the store. A store that wraps another says which by
// a method Unwrap() Store.
func IsFleet(s Store) bool {
	for s != nil {
		if _, ok := s.(*Fleet); ok {
			return true
		}
		w, ok := s.(interface{ Unwrap() Store })
		if !ok {
			return false
		}
		s = w.Unwrap()
	}
	return false
}
