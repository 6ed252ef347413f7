package store

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

// SharedMemory is a [Shared] store in the memory of one process: the contract in its plainest
// form, for tests of what shares a store, and for a program that runs several interceptors. It is
// made by [NewSharedMemory].
type SharedMemory struct {
	now func() time.Time

	mu       sync.Mutex
	rows     map[ID]*Row
	watchers map[*watcher]struct{}
}

// NewSharedMemory returns an empty store whose clock is now; nil is that of the machine.
func NewSharedMemory(now func() time.Time) *SharedMemory {
	if now == nil {
		now = time.Now
	}
	return &SharedMemory{now: now, rows: make(map[ID]*Row), watchers: make(map[*watcher]struct{})}
}

// Now implements [Shared].
func (m *SharedMemory) Now(ctx context.Context) (time.Time, error) {
	return m.now(), context.Cause(ctx)
}

// row returns the row that has not ended; m.mu is held.
func (m *SharedMemory) row(id ID, now time.Time) *Row {
	r := m.rows[id]
	if r != nil && r.ended(now) {
		delete(m.rows, id)
		return nil
	}
	return r
}

// Read implements [Shared].
func (m *SharedMemory) Read(ctx context.Context, id ID) (*Row, error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.row(id, m.now()).clone(), nil
}

// Begin implements [Shared].
func (m *SharedMemory) Begin(ctx context.Context, id ID, a Attempt) (before *Row, fence uint64, err error) {
	if err := errors.Join(context.Cause(ctx), CheckAttempt(id, a)); err != nil {
		return nil, 0, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.row(id, now)
	before = r.clone()
	switch {
	case r == nil && a.IfDue, r != nil && a.IfDue && !r.isDue(now), r != nil && r.held(now) && r.Owner != a.Owner:
		return before, 0, nil
	case r == nil:
		r = &Row{ID: id, Person: a.Person, Ends: later(now, a.Ends)}
		m.rows[id] = r
	}
	r.Fence = max(r.Fence+1, micros(now))
	r.Owner, r.Until = a.Owner, now.Add(a.Lease)
	if a.Due != 0 {
		r.Due = now.Add(a.Due)
	}
	return before, r.Fence, nil
}

// Write implements [Shared].
func (m *SharedMemory) Write(ctx context.Context, id ID, fence, generation uint64, c Change) (written bool, err error) {
	if err := errors.Join(context.Cause(ctx), CheckChange(id, generation, c)); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	r := m.row(id, now)
	if r == nil || r.Fence != fence || r.Generation != generation {
		return false, nil
	}
	if c.Due >= 0 {
		r.Due = later(now, c.Due)
	}
	if c.Release || c.Keep {
		r.Owner, r.Until = "", time.Time{}
	}
	if !c.Keep {
		r.put(c, now)
	}
	m.tell(id)
	return true, nil
}

// put gives r a new content.
func (r *Row) put(c Change, now time.Time) {
	r.Generation = c.Generation
	r.Person, r.Content, r.SealedBy = c.Person, bytes.Clone(c.Content), c.SealedBy
	if c.Ends >= 0 {
		r.Ends = later(now, c.Ends)
	}
}

// Insert implements [Shared].
func (m *SharedMemory) Insert(ctx context.Context, id ID, c Change) (inserted bool, err error) {
	if err := errors.Join(context.Cause(ctx), CheckInsert(id, c)); err != nil {
		return false, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	if m.row(id, now) != nil {
		return false, nil
	}
	r := &Row{ID: id, Fence: micros(now), Due: later(now, c.Due)}
	r.put(c, now)
	m.rows[id] = r
	m.tell(id)
	return true, nil
}

// list returns the ids after one of the rows that f takes.
func (m *SharedMemory) list(ctx context.Context, after ID, limit int, f func(*Row) bool) (ids []ID, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	now := m.now()
	for id, r := range m.rows {
		if id.compare(after) > 0 && !r.ended(now) && f(r) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, ID.compare)
	return ids[:min(len(ids), max(limit, 0))], nil
}

// OfPerson implements [Shared].
func (m *SharedMemory) OfPerson(ctx context.Context, person Hash, after ID, limit int) ([]ID, error) {
	return m.list(ctx, after, limit, func(r *Row) bool { return r.Person == person })
}

// NotSealedBy implements [Shared].
func (m *SharedMemory) NotSealedBy(ctx context.Context, key string, after ID, limit int) ([]ID, error) {
	return m.list(ctx, after, limit, func(r *Row) bool { return r.SealedBy != "" && r.SealedBy != key })
}

// Delete implements [Shared].
func (m *SharedMemory) Delete(ctx context.Context, id ID) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.rows, id)
	m.tell(id)
	return nil
}

// watchRoom is how many hints wait for a slow watcher.
const watchRoom = 64

// A watcher has a hint for each change, and a zero one in the place of those for which there was no room.
type watcher struct{ hints chan ID }

// tell gives a hint to all who watch; m.mu is held.
func (m *SharedMemory) tell(id ID) {
	for w := range m.watchers {
		select {
		case w.hints <- id:
		default: // the last of those that wait says that some were lost
			select {
			case <-w.hints:
			default:
			}
			w.hints <- ID{} // there is room, since it is here alone that hints are sent
		}
	}
}

// Watch implements [Shared].
func (m *SharedMemory) Watch(ctx context.Context, changed func(ID)) error {
	w := &watcher{hints: make(chan ID, watchRoom)}
	m.mu.Lock()
	m.watchers[w] = struct{}{}
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.watchers, w)
	}()
	for {
		select {
		case id := <-w.hints:
			changed(id)
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// String implements [Shared].
func (m *SharedMemory) String() string { return "in memory" }

// GoString keeps contents out of %#v.
func (m *SharedMemory) GoString() string { return "store.SharedMemory" }

var _ Shared = (*SharedMemory)(nil)
