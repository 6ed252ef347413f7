package unattended

import (
	"container/list"
	"sync"
	"time"
)

// A Table keeps what was made for each of very many keys, until its time is over: at most so
// many at a time, of which the one goes first that was not used for longest. It is safe for
// concurrent use. What is taken out of it may still be in use by whoever has it.
type Table[K comparable, V any] struct {
	most int

	mu      sync.Mutex
	entries map[K]*list.Element // of *entry[K, V]
	used    *list.List          // the latest in front
	closed  bool
}

type entry[K comparable, V any] struct {
	key   K
	value V
	timer *time.Timer // ends it; nil: it does not end by itself
}

// NewTable returns a table of at most so many.
func NewTable[K comparable, V any](most int) *Table[K, V] {
	return &Table[K, V]{most: most, entries: make(map[K]*list.Element), used: list.New()}
}

// Get returns what there is for key, and builds it if there is nothing: it stays until then, or
// as long as there is room if that is zero. build must not use the table. After Close what is
// built is not kept.
func (t *Table[K, V]) Get(key K, until time.Time, build func() V) V {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found := t.entries[key]; found != nil {
		t.used.MoveToFront(found)
		return found.Value.(*entry[K, V]).value //nolint:forcetypeassert // nothing else is in it
	}
	e := &entry[K, V]{key: key, value: build()}
	if t.closed {
		return e.value
	}
	t.entries[key] = t.used.PushFront(e)
	if !until.IsZero() {
		e.timer = time.AfterFunc(time.Until(until), func() { t.end(e) })
	}
	if t.used.Len() > t.most {
		t.remove(t.used.Back())
	}
	return e.value
}

// end takes out an entry whose time is over.
func (t *Table[K, V]) end(e *entry[K, V]) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if found := t.entries[e.key]; found != nil && found.Value == e {
		t.remove(found)
	}
}

// remove takes an element out; t.mu is held.
func (t *Table[K, V]) remove(element *list.Element) *entry[K, V] {
	e := t.used.Remove(element).(*entry[K, V]) //nolint:forcetypeassert // nothing else is in it
	delete(t.entries, e.key)
	if e.timer != nil {
		e.timer.Stop()
	}
	return e
}

// Take takes out, and returns, what has such a key.
func (t *Table[K, V]) Take(which func(K) bool) []V {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.take(which)
}

// take is Take; t.mu is held.
func (t *Table[K, V]) take(which func(K) bool) []V {
	var taken []V
	for key, element := range t.entries {
		if which(key) {
			taken = append(taken, t.remove(element).value)
		}
	}
	return taken
}

// All returns what there is for such keys, the latest used first.
func (t *Table[K, V]) All(which func(K) bool) []V {
	t.mu.Lock()
	defer t.mu.Unlock()
	var all []V
	for element := t.used.Front(); element != nil; element = element.Next() {
		if e := element.Value.(*entry[K, V]); which(e.key) { //nolint:forcetypeassert // nothing else is in it
			all = append(all, e.value)
		}
	}
	return all
}

// Close takes out, and returns, everything. Nothing is kept after that.
func (t *Table[K, V]) Close() []V {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	return t.take(func(K) bool { return true })
}
