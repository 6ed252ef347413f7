package store

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"
)

// This file is the protocol by which machines work on one record, in the order in which it runs:
//
//	queue → begin → call → write
//
// In front of it there is one queue a key in the process (Update), so that a process takes one
// connection a key at the most. Begin is one short step of the store: attempt, incarnation, lease,
// fence, and when the record is due should this process not be heard of again (begin). The call is
// change, which may be the network, and holds no lock (call). Write is one short step again, compared
// on fence and generation (write). What these are made of is in fleetattempt.go.
//
// Its guards, and what each keeps from happening; package storetest has the experiments:
//
//	fence     what was begun before, and comes late, replaces nothing that it has not seen
//	begin     no credential is presented by two machines at once, and who comes after one that
//	          died is told that it is in doubt
//	start     a handler starts at most once (Mark)
//	deadline  nothing is sent by a machine whose lease may end before the answer

const (
	// writeWait is how long change's result is tried to be written. It is less than what lazyauth
	// waits for it.
	writeWait = 15 * time.Second
	// firstPause and lastPause are how long the waits for another's lease are, should no hint come.
	firstPause = 25 * time.Millisecond
	lastPause  = time.Second
	// newRowLife is how long a row is kept that was made to begin something, and never written.
	newRowLife = time.Hour
	// surprises is how often others may come first before a write is given up.
	surprises = 16
)

// An attempt is one use of a record, by this process.
type attempt struct {
	fleet *Fleet
	terms *Terms
	key   string
	placed

	fence      uint64    // of what was begun; of the row that was read, if it is quick
	generation uint64    // of the content that it began from
	owns       bool      // it has the lease, and gives it up
	inDoubt    bool      // so was the attempt before it, or may have been: see Terms
	called     bool      // change was called
	there      bool      // there is a content, which can be ended
	deadline   time.Time // zero: none
	old        []byte
}

// Update implements [Store], on the [Terms] in ctx. Where change was not called the error wraps an
// [ErrNotBegun].
func (f *Fleet) Update(ctx context.Context, key string, change func(old []byte) (record []byte, err error)) error {
	if err := check(ctx, key); err != nil {
		return err
	}
	p, err := f.place(key)
	if err != nil {
		return err
	}
	a := &attempt{fleet: f, terms: termsOf(ctx), key: key, placed: p}
	waiting, cancel := context.WithTimeout(ctx, lockWait)
	defer cancel()
	back, err := f.turns.take(waiting, key)
	if err != nil {
		return f.notBegun(err)
	}
	defer back()
	begin := a.begin
	if a.terms.Quick {
		begin = a.beginQuickly
	}
	if err := begin(waiting); err != nil {
		return f.notBegun(err)
	}
	record, err := a.call(ctx, change)
	if err != nil {
		return err
	}
	later, cancelLater := afterwards(ctx) // the credential was issued, whoever has stopped waiting
	defer cancelLater()
	return f.named(a.write(later, record))
}

// notBegun says in an error that change was not called, and keeps what it says besides.
func (f *Fleet) notBegun(err error) error {
	if _, ok := errors.AsType[*NotDueError](err); ok {
		return err
	}
	return notBegun{f.named(err)}
}

type notBegun struct{ error }

func (e notBegun) Unwrap() error        { return e.error }
func (e notBegun) Is(target error) bool { return target == ErrNotBegun }

// begin begins an attempt, once nobody else's is under way.
func (a *attempt) begin(ctx context.Context) error {
	f := a.fleet
	heard, stop := f.hints.wait(a.id)
	defer stop()
	for pause := firstPause; ; {
		// The lease is counted from before it was taken, by this machine's monotonic clock, and ends
		// for this machine before it does for the store.
		began, last := time.Now(), f.seen.of(a.id)
		before, fence, err := a.begins(ctx)
		switch {
		case err != nil:
			return err
		case fence != 0:
			a.fence, a.owns = fence, true
			a.deadline = began.Add(f.o.Lease - ClockStep)
			return a.begun(ctx, before, last)
		case a.terms.IfDue:
			return a.notDue(ctx, before)
		}
		for waits := true; waits; pause = min(2*pause, lastPause) {
			select {
			case <-heard:
				pause = firstPause
			case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // so that those who wait do not look in step
			case <-ctx.Done():
				return noAnswer{"another machine has worked on the record all the while, or has died and its lease has not ended", context.Cause(ctx)}
			}
			if waits, err = a.finds(ctx, before); err != nil {
				return err
			}
		}
	}
}

func (a *attempt) begins(ctx context.Context) (before *Row, fence uint64, err error) {
	f := a.fleet
	ctx, cancel := f.answer(ctx)
	defer cancel()
	asked := Attempt{Person: a.person, Owner: f.incarnation, Lease: f.o.Lease, Ends: newRowLife}
	if a.terms.IfDue && !a.terms.Quick {
		// The call may be sent that late, and the next one not before the interval after it, should
		// nobody hear of this one again: due = now + bound + interval.
		asked.IfDue = true
		asked.Due = max(f.o.Bound, f.o.Lease-ClockStep-f.o.Bound) + a.terms.Interval
	}
	before, fence, err = f.shared.Begin(ctx, a.id, asked)
	return before, fence, ended(ctx, err)
}

// begun finds out what an attempt began from, and whether there is still time for it. If it fails
// the lease is given up.
func (a *attempt) begun(ctx context.Context, before *Row, last sight) (err error) {
	f := a.fleet
	defer func() {
		if err != nil {
			a.release(ctx)
		}
	}()
	if before == nil {
		before = &Row{ID: a.id}
	}
	a.inDoubt = before.Owner != "" // until it is known
	shown := *before
	shown.Fence = a.fence // for what look has to write
	v, err := a.looks(ctx, &shown, last)
	if err != nil {
		return err
	}
	a.doubts(ctx, before, v.ours)
	a.lateness(ctx, before)
	// Sent is only what will have been answered before another machine may begin.
	if left := time.Until(a.deadline); left < f.o.Bound {
		return noAnswer{fmt.Sprintf("it took too long to begin: %v of the lease are left, and calls may take %v", left.Round(time.Millisecond), f.o.Bound), errSlow}
	}
	a.terms.Deadline, a.terms.bound = a.deadline, f.o.Bound
	return nil
}

// beginQuickly begins what needs no lease: it is written by the fence that is there.
func (a *attempt) beginQuickly(ctx context.Context) error {
	f := a.fleet
	last := f.seen.of(a.id)
	row, err := f.read(ctx, a.id)
	if err != nil {
		return err
	}
	if row == nil {
		began := time.Now()
		before, fence, err := a.begins(ctx)
		if err != nil {
			return err
		}
		if fence != 0 { // it is made
			a.fence, a.owns = fence, true
			a.deadline = began.Add(f.o.Lease - ClockStep)
			return a.begun(ctx, before, last)
		}
		row = before // somebody is about to write the first content
	}
	a.fence = row.Fence
	// A lease that this process could not give up ends with the writing, and not without one; none of its other
	// attempts is under way, since there is the queue.
	a.owns, a.inDoubt = row.Owner == f.incarnation, true
	if _, err = a.looks(ctx, row, last); errors.Is(err, ErrLags) {
		return nil // nothing of the record is used, and what is written will be the newest
	}
	return err
}

// call calls change, and gives the lease up if there is nothing to write.
func (a *attempt) call(ctx context.Context, change func([]byte) ([]byte, error)) (record []byte, err error) {
	a.called = true
	returned := false
	defer func() {
		if returned && err == nil {
			return
		}
		if !returned || a.terms.Unsettled { // it panicked, or does not know what it has done
			a.inDoubt = true
		}
		later, cancel := afterwards(ctx)
		defer cancel()
		a.release(later)
	}()
	record, err = change(a.old)
	if err == nil && len(record) > MaxRecord {
		err = fmt.Errorf("store: a record of %d bytes is over the limit of %d", len(record), MaxRecord)
	}
	returned = true
	return record, err
}

// release gives up the lease, and changes nothing else. If that fails the lease ends by itself, as
// does that of an attempt which leaves a doubt behind: who comes next must be told.
func (a *attempt) release(ctx context.Context) {
	if !a.owns || a.inDoubt {
		return
	}
	ctx, cancel := a.fleet.answer(ctx)
	defer cancel()
	c := Change{Keep: true, Due: -1}
	if a.called {
		c.Due = a.due()
	}
	if _, err := a.fleet.shared.Write(ctx, a.id, a.fence, a.generation, c); err != nil {
		a.fleet.kept.settle(a.id, a.fence)
	}
}

// write writes what change returned, whoever has begun another attempt meanwhile, unless what they
// have written is to stay.
func (a *attempt) write(ctx context.Context, record []byte) error {
	f := a.fleet
	ctx, cancel := context.WithTimeoutCause(ctx, writeWait, noAnswer{"it may be down, or out of reach", errSlow})
	defer cancel()
	base := a.generation // that others have written is told by another one
	late := false
	tell := func(v Fenced) {
		if late {
			v.Kind = a.id.Kind
			f.events.wasFenced(ctx, v)
		}
	}
	for range surprises {
		if record == nil && !a.there {
			a.release(ctx)
			return nil
		}
		c := a.change(record)
		written, err := a.writes(ctx, c)
		if err != nil {
			return a.unwritten(ctx, record, err)
		}
		if written {
			f.wrote(a, c)
			tell(Fenced{Written: true})
			return nil
		}
		// Another attempt has been begun since. What matters is what was written.
		row, err := f.read(ctx, a.id)
		if err != nil {
			return a.unwritten(ctx, record, err)
		}
		late = true
		switch {
		case row == nil && base == 0: // there never was anything to end
			if written, err = a.inserts(ctx, c); err == nil && written {
				tell(Fenced{Written: true})
				return nil
			}
			continue
		case row == nil || row.Content == nil && row.Generation > base:
			f.forgotten(a.id, row)
			if record == nil {
				return nil // as it was to be
			}
			tell(Fenced{Ended: true})
			return ErrEnded
		case row.Generation > base:
			e, err := f.sealer.open(row)
			if err != nil {
				tell(Fenced{})
				return err
			}
			if a.terms.Over == nil || !a.terms.Over(e.record) {
				tell(Fenced{})
				return ErrFenced
			}
		}
		// Nothing was written (or what was has been lost), or it is to be replaced. The lease stays
		// whose it is: the generation tells them that what they began from is no longer there.
		a.fence, a.generation, a.owns, a.there = row.Fence, row.Generation, false, row.Content != nil
	}
	tell(Fenced{})
	return ErrFenced
}
