package store

import (
	"bytes"
	"context"
	"time"
)

// This file has what the steps in fleetupdate.go are made of.

// notDue says when to come again.
func (a *attempt) notDue(ctx context.Context, before *Row) error {
	if before == nil || before.Due.IsZero() {
		return &NotDueError{In: -1}
	}
	now, err := a.fleet.now(ctx)
	if err != nil {
		return err
	}
	in := before.Due.Sub(now)
	if before.Owner != "" {
		in = max(in, before.Until.Sub(now))
	}
	return &NotDueError{In: max(in, 0)}
}

// finds looks at what has become of the attempt under way because of which this one was not begun, where change would not
// be called for what that brings. It reports whether it is under way still, and fails with an [ErrFound].
func (a *attempt) finds(ctx context.Context, before *Row) (waits bool, err error) {
	f := a.fleet
	if a.terms.Found == nil {
		return false, nil
	}
	last := f.seen.of(a.id)
	row, err := f.read(ctx, a.id)
	switch {
	case err != nil, row == nil, before == nil:
		return false, err
	case row.Generation == before.Generation:
		now, err := f.now(ctx)
		return err == nil && row.Fence == before.Fence && row.held(now), nil // or Begin tells
	}
	if v, err := f.look(ctx, a.placed, row, last); err == nil && v.record != nil && a.terms.Found(v.record) {
		return false, ErrFound
	}
	return false, nil
}

// looks finds out what a row has.
func (a *attempt) looks(ctx context.Context, row *Row, last sight) (view, error) {
	a.generation = row.Generation
	v, err := a.fleet.look(ctx, a.placed, row, last)
	if v.generation != 0 {
		a.generation = v.generation
	}
	a.old, a.there = v.record, row.Content != nil || v.record != nil
	return v, err
}

// doubts decides whether somebody who has died may have used what the record has: the last attempt
// was neither written nor given up. One of this process is in doubt, too, unless it is known how it
// ended: what it got is at hand (ours), or it got nothing, and giving the lease up failed. The answer
// to a Begin may have been lost, and with it that the attempt before was in doubt.
func (a *attempt) doubts(ctx context.Context, before *Row, ours bool) {
	f := a.fleet
	a.inDoubt = a.inDoubt && !ours && (before.Owner != f.incarnation || !f.kept.isSettled(a.id, before.Fence))
	if a.terms.InDoubt = a.inDoubt; !a.inDoubt {
		return
	}
	f.events.inDoubt.Add(1)
	if before.Owner == f.incarnation {
		return
	}
	t := TakeOver{Kind: a.id.Kind}
	if now, err := f.now(ctx); err == nil {
		t.After = max(now.Sub(before.Until), 0)
	}
	f.events.tookOver(ctx, t)
}

// lateness tells how late an attempt begins for what was due.
func (a *attempt) lateness(ctx context.Context, before *Row) {
	if !a.terms.IfDue || before.Due.IsZero() {
		return
	}
	if now, err := a.fleet.now(ctx); err == nil {
		a.fleet.events.begunLate(ctx, Lateness{Kind: a.id.Kind, By: max(now.Sub(before.Due), 0)})
	}
}

// due is [Terms].Next as a Change has it.
func (a *attempt) due() time.Duration { return asChange(a.terms.Next) }

// asChange is how a Change says it.
func asChange(d time.Duration) time.Duration {
	switch {
	case d == 0:
		return -1
	case d < 0:
		return 0
	}
	return d
}

// change is the change to this record.
func (a *attempt) change(record []byte) Change {
	f := a.fleet
	generation := max(a.generation+1, f.seen.of(a.id).generation+1)
	if a.generation == 0 {
		generation = max(generation, a.fence) // which is more than that of any row that was here before
	}
	c := Change{Person: a.person, Generation: generation, Release: a.owns, Due: a.due(), Ends: asChange(a.terms.Life)}
	switch {
	case record == nil:
		c.Due, c.Ends = 0, f.o.Ended // a tombstone, for what is in flight
		return c
	case !a.there && a.terms.Life == 0:
		c.Ends = 0 // and not that of the tombstone, or of the empty row
	}
	f.sealer.seal(a.id, &c, &entry{a.key, record})
	return c
}

// writes tries until it knows whether c was written, as long as ctx allows.
func (a *attempt) writes(ctx context.Context, c Change) (bool, error) {
	f := a.fleet
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		limited, cancel := f.answer(ctx)
		written, err := f.shared.Write(limited, a.id, a.fence, a.generation, c)
		cancel()
		if err == nil && written {
			return true, nil
		}
		if pause > firstPause || err != nil { // this, or an earlier one, may have been written
			if row, failed := f.read(ctx, a.id); failed == nil && row != nil && row.Generation == c.Generation && bytes.Equal(row.Content, c.Content) {
				return true, nil
			}
		}
		if err == nil {
			return false, nil
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return false, ended(ctx, err)
		}
	}
}

// unwritten keeps what could not be written, and tells of it.
func (a *attempt) unwritten(ctx context.Context, record []byte, err error) error {
	a.fleet.kept.keep(a, record)
	a.fleet.events.notWritten(ctx, Unwritten{Kind: a.id.Kind, Err: a.fleet.named(err)})
	return err
}

func (a *attempt) inserts(ctx context.Context, c Change) (bool, error) {
	ctx, cancel := a.fleet.answer(ctx)
	defer cancel()
	c.Due, c.Ends = max(c.Due, 0), max(c.Ends, 0)
	inserted, err := a.fleet.shared.Insert(ctx, a.id, c)
	if inserted {
		a.fleet.wrote(a, c)
	}
	return inserted, err
}

// wrote remembers what was written.
func (f *Fleet) wrote(a *attempt, c Change) {
	f.kept.drop(a.id)
	f.seen.note(a.id, sight{generation: c.Generation, person: c.Person, sealedBy: c.SealedBy, content: c.Content, lasts: c.Content == nil || c.Ends <= 0})
}

// forgotten remembers that a record was ended.
func (f *Fleet) forgotten(id ID, row *Row) {
	f.kept.drop(id)
	if row != nil {
		f.seen.note(id, sight{generation: row.Generation, person: row.Person, lasts: true})
	}
}
