package lazyauth

import (
	"crypto/rand"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
)

// A table keeps the calls that a requestState may name, each until its lease
// ends. It never evicts one early: a state that was given out stays good, and
// when the table is full new calls are turned away. Nobody gets more than a
// sixteenth of it, so that one user of many cannot lock the others out.
type table struct {
	max int

	mu     sync.Mutex
	calls  map[string]*held
	count  map[Principal]int // callers who are not known count as one, nil
	closed bool
}

// keep holds h until the given time, or longer if it is held longer already.
// It reports false if the table is full.
func (t *table) keep(h *held, until time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.keepLocked(h, until)
}

func (t *table) keepLocked(h *held, until time.Time) bool {
	if t.closed {
		return false
	}
	if t.calls == nil {
		t.calls, t.count = make(map[string]*held), make(map[Principal]int)
	}
	if t.calls[h.id] != h { // new, or its lease ended while its handler ran
		if len(t.calls) >= t.max || t.count[h.owner.sharer()] >= max(1, t.max/16) {
			return false
		}
		t.count[h.owner.sharer()]++
		if h.id == "" {
			h.id = rand.Text()
		}
		t.calls[h.id] = h
		h.lease, h.lapse = until, time.AfterFunc(time.Until(until), func() { t.drop(h) })
		return true
	}
	if until.After(h.lease) {
		h.lease = until
		h.lapse.Reset(time.Until(until))
	}
	return true
}

// leg returns the call that was begun with this state, or makes fresh that one;
// nil if the table is full.
func (t *table) leg(state elicit.State, fresh *held) *held {
	t.mu.Lock()
	defer t.mu.Unlock()
	if h := t.calls[state.Call]; h != nil {
		return h
	}
	fresh.id = state.Call
	if t.keepLocked(fresh, state.Expires) {
		return fresh
	}
	return nil
}

func (t *table) get(id string) *held {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.calls[id]
}

// holds reports whether h can still be named by a state.
func (t *table) holds(h *held) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return h.id != "" && t.calls[h.id] == h
}

// drop ends the lease of h, unless it was extended meanwhile.
func (t *table) drop(h *held) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[h.id] == h && !time.Now().Before(h.lease) {
		delete(t.calls, h.id)
		if t.count[h.owner.sharer()]--; t.count[h.owner.sharer()] == 0 {
			delete(t.count, h.owner.sharer())
		}
	}
}

func (t *table) clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, h := range t.calls {
		h.lapse.Stop()
	}
	t.calls, t.count, t.closed = nil, nil, true
}
