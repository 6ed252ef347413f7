package store

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// A view is what a row comes to, for this process.
type view struct {
	record     []byte // nil if there is none
	generation uint64 // of the row as it is now
	ours       bool   // the record was written here, and the store does not have it yet
}

// look opens a row, nil if there is none, and compares it with what this process had seen of it before
// it asked: other goroutines may have seen more since.
// What the store has lost is written back, and what is damaged set aside, by the fence that the row
// shows; the lease stays whose it is.
func (f *Fleet) look(ctx context.Context, p placed, row *Row, last sight) (view, error) {
	if row == nil {
		return view{}, nil // it has ended, or never was: see seen.note
	}
	v := view{generation: row.Generation}
	if kept, ok := f.kept.of(p.id); ok && kept.generation == row.Generation {
		// What could not be written here is newer than what there is.
		v.record, v.ours = kept.record, true
		return v, nil
	} else if ok {
		f.kept.drop(p.id) // others have written
	}
	if last.generation > row.Generation && row.Generation > 0 {
		return f.heal(ctx, p, row, last)
	}
	if row.Content == nil {
		f.forgotten(p.id, row)
		return v, nil
	}
	e, err := f.sealer.open(row)
	if _, ok := errors.AsType[damage](err); ok {
		return f.setAside(ctx, row, err)
	}
	if err != nil {
		return v, err
	}
	f.seen.note(p.id, sight{generation: row.Generation, person: row.Person, sealedBy: row.SealedBy, content: row.Content, lasts: row.Ends.IsZero()})
	v.record = e.record
	return v, nil
}

// heal writes back what the store has lost since this process saw it: the last content, or that
// there was an end. Where that is no longer at hand nothing of the older copy is used: its
// credential may be spent.
func (f *Fleet) heal(ctx context.Context, p placed, row *Row, last sight) (v view, err error) {
	defer func() { f.events.hasFailedOver(ctx, FailedOver{Kind: p.id.Kind, Healed: err == nil}) }()
	if !last.lasts {
		return view{generation: row.Generation}, ErrLags
	}
	c := Change{Person: last.person, Generation: last.generation + 1, Due: -1, Ends: f.o.Ended}
	if last.content != nil {
		e, err := f.sealer.open(&Row{ID: p.id, Person: last.person, Generation: last.generation, SealedBy: last.sealedBy, Content: last.content})
		if err != nil {
			return view{generation: row.Generation}, err
		}
		v.record = e.record
		f.sealer.seal(p.id, &c, e)
		c.Ends = 0
	}
	limited, cancel := f.answer(ctx)
	defer cancel()
	written, err := f.shared.Write(limited, p.id, row.Fence, row.Generation, c)
	if err != nil || !written {
		// Somebody else has begun or written, from the older copy.
		return view{generation: row.Generation}, errors.Join(ErrLags, ended(limited, err))
	}
	f.seen.note(p.id, sight{generation: c.Generation, person: c.Person, sealedBy: c.SealedBy, content: c.Content, lasts: true})
	v.generation = c.Generation
	return v, nil
}

// damagedLife is how long what was damaged is kept.
const damagedLife = 30 * 24 * time.Hour

// setAside keeps a content that is not one under another name, and ends the record.
func (f *Fleet) setAside(ctx context.Context, row *Row, why error) (view, error) {
	v := view{generation: row.Generation}
	ctx, cancel := f.answer(ctx)
	defer cancel()
	aside := ID{Kind: kindDamaged, Key: f.sealer.hash(kindDamaged, fmt.Sprintf("%s %x %d", row.Kind, row.Key, row.Generation))}
	_, err := f.shared.Insert(ctx, aside, Change{Generation: 1, Content: row.Content, Ends: damagedLife})
	if err == nil {
		var written bool
		written, err = f.shared.Write(ctx, row.ID, row.Fence, row.Generation, Change{Generation: row.Generation + 1, Due: 0, Ends: f.o.Ended})
		if err == nil && written {
			v.generation++
			return v, fmt.Errorf("%w (%w): it is now the row of kind %s and key %x, for %v", ErrDamaged, why, aside.Kind, aside.Key, damagedLife)
		}
		if err == nil {
			err = ErrFenced
		}
	}
	return v, fmt.Errorf("%w (%w), and it could not be set aside: %w", ErrDamaged, why, ended(ctx, err))
}

// maxUnwritten bounds what is kept of writes that failed.
const maxUnwritten = 1 << 10

// unwritten is what this process has, and the store does not. It is bounded: what is over the bound is
// as if the process had died with it.
type unwritten struct {
	mu      sync.Mutex
	records map[ID]keptRecord
	settled map[ID]uint64 // the fences of attempts that got nothing, and could not give up their lease
}

type keptRecord struct {
	key        string
	generation uint64 // that it began from
	record     []byte
}

// keep keeps a record that could not be written. That there is to be none is not kept: who wanted
// that is told, and asks again.
func (u *unwritten) keep(a *attempt, record []byte) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if record == nil || len(u.records) >= maxUnwritten {
		return
	}
	if u.records == nil {
		u.records = make(map[ID]keptRecord)
	}
	u.records[a.id] = keptRecord{a.key, a.generation, append(make([]byte, 0, len(record)), record...)}
}

func (u *unwritten) of(id ID) (keptRecord, bool) {
	u.mu.Lock()
	defer u.mu.Unlock()
	k, ok := u.records[id]
	k.record = append(make([]byte, 0, len(k.record)), k.record...)
	return k, ok
}

// keys are those of the records that are kept.
func (u *unwritten) keys() (keys []string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	for _, k := range u.records {
		keys = append(keys, k.key)
	}
	return keys
}

func (u *unwritten) drop(id ID) {
	u.mu.Lock()
	defer u.mu.Unlock()
	delete(u.records, id)
	delete(u.settled, id)
}

func (u *unwritten) settle(id ID, fence uint64) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.settled == nil || len(u.settled) >= maxUnwritten {
		u.settled = make(map[ID]uint64)
	}
	u.settled[id] = fence
}

func (u *unwritten) isSettled(id ID, fence uint64) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.settled[id] == fence
}
