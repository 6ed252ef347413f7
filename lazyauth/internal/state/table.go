package state

import (
	"errors"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/quota"
)

// ErrFull reports that a [Table] has no room for another value of its owner.
var ErrFull = errors.New("state: there is no room")

// A Table holds the values that states name, each until the last of its states has ended: by
// the same clock, so that a state never opens for a value that was given up, nor a second value
// begins by its name. None is given up early: when there is no room, new values are refused. No
// owner gets more than a sixteenth of the room, so that one user of many cannot lock the
// others out.
type Table[Owner comparable, V any] struct {
	now   func() time.Duration
	ended func(V)
	room  *quota.Quota[Owner]

	mu     sync.Mutex // nothing waits, and nothing of others is called, under it
	rows   map[string]*row[Owner, V]
	closed bool
}

type row[Owner comparable, V any] struct {
	value V
	owner Owner
	many  int // of the room
	until time.Duration
	timer *time.Timer // ends it then
}

// NewTable returns a table for limit values. now is the clock that [State.End] counts by.
// ended is called, on a goroutine of its own, for a value that no state names any more.
func NewTable[Owner comparable, V any](limit int, now func() time.Duration, ended func(V)) *Table[Owner, V] {
	return &Table[Owner, V]{
		now: now, ended: ended,
		room: quota.New[Owner](limit, max(1, limit/16)), rows: make(map[string]*row[Owner, V]),
	}
}

// Keep keeps the value, which counts as so many, by a name that is its own, until the given time,
// or longer if it is kept longer already. It reports false if there is no room, or the table is
// closed. A value that was given up may be kept again.
func (t *Table[Owner, V]) Keep(name string, owner Owner, many int, value V, until time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keepLocked(name, owner, many, value, until)
}

func (t *Table[Owner, V]) keepLocked(name string, owner Owner, many int, value V, until time.Duration) bool {
	if r := t.rows[name]; r != nil {
		if until > r.until {
			r.until = until
			r.timer.Reset(until - t.now())
		}
		return true
	}
	if t.closed || !t.room.TakeMany(owner, many) {
		return false
	}
	t.rows[name] = &row[Owner, V]{
		value: value, owner: owner, many: many, until: until,
		timer: time.AfterFunc(until-t.now(), func() { t.end(name) }),
	}
	return true
}

// Begin returns the value that s names, or keeps fresh as that: of all requests that present s,
// one begins it. Without room it returns [ErrFull]. It returns [ErrState] if s has ended since
// it was opened: its value may have been given up at that moment, and must not begin again.
func (t *Table[Owner, V]) Begin(s State, owner Owner, many int, fresh V) (V, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[s.Call]; r != nil {
		return r.value, nil
	}
	var none V
	if t.now() >= s.End {
		return none, ErrState
	}
	if !t.keepLocked(s.Call, owner, many, fresh, s.End) {
		return none, ErrFull
	}
	return fresh, nil
}

// Get returns the value of this name, if it is kept.
func (t *Table[Owner, V]) Get(name string) (value V, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if r := t.rows[name]; r != nil {
		return r.value, true
	}
	return value, false
}

// Grow has the value of this name, if it is kept, count as so many from now on, unless it counts as
// more. It reports false if there is no room for that.
func (t *Table[Owner, V]) Grow(name string, many int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[name]
	if r == nil || many <= r.many {
		return true
	}
	if !t.room.TakeMany(r.owner, many-r.many) {
		return false
	}
	r.many = many
	return true
}

// HasRoom reports whether the value of this name is kept, or could be, which counts as so many.
func (t *Table[Owner, V]) HasRoom(name string, owner Owner, many int) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.rows[name] != nil || t.room.HasRoom(owner, many)
}

// All returns the values that are kept.
func (t *Table[Owner, V]) All() []V {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := make([]V, 0, len(t.rows))
	for _, r := range t.rows {
		all = append(all, r.value)
	}
	return all
}

// end is called when the value's time is over, unless it is to be kept longer by now.
func (t *Table[Owner, V]) end(name string) {
	if r := t.remove(name); r != nil {
		t.ended(r.value)
	}
}

func (t *Table[Owner, V]) remove(name string) *row[Owner, V] {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := t.rows[name]
	if r == nil || t.now() < r.until {
		return nil
	}
	delete(t.rows, name)
	t.room.GiveMany(r.owner, r.many)
	return r
}

// Close gives up all values, without a word to ended, and keeps none from then on.
func (t *Table[Owner, V]) Close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range t.rows {
		r.timer.Stop()
		t.room.GiveMany(r.owner, r.many)
	}
	clear(t.rows)
	t.closed = true
}
