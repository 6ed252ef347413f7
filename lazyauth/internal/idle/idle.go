// Package idle keeps one value for each key, for as long as somebody needs it.
package idle

import (
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
	"weak"
)

// A Map has one value for each key that was asked for, and forgets those that are idle: a
// value that nobody has asked for during a whole period, and of which rest says that it can
// be done without, is kept no more. It is still the key's value while anything refers to it,
// so that there are never two at once; the collector ends it, and its key. It is safe for
// concurrent use.
type Map[K comparable, V any] struct {
	make   func(K) *V
	rest   func(*V) bool
	period time.Duration
	slots  sync.Map // K → *slot[V]

	mu     sync.Mutex
	timer  *time.Timer // nil while no sweep is to come
	closed bool
}

// A slot is a key's place. Get sets used before it looks whether the value is kept, and a
// sweep looks at used after it has stopped keeping the value: of the two, one sees the other.
type slot[V any] struct {
	value weak.Pointer[V]
	kept  atomic.Pointer[V] // the value, or nil: then it lives as long as others refer to it
	used  atomic.Bool       // since the last sweep
}

// NewMap returns a map that calls make for the value of a new key, which may be called in
// vain. rest is called for values that were not asked for during one period at least, without
// any lock of the map: it gives up what can be had again, and reports whether nothing is left
// that would be missed. It must not call the map.
func NewMap[K comparable, V any](period time.Duration, make func(K) *V, rest func(*V) bool) *Map[K, V] {
	return &Map[K, V]{make: make, rest: rest, period: period}
}

// Get returns the value of key, which is kept from now on for a period at least.
func (m *Map[K, V]) Get(key K) *V {
	for {
		found, ok := m.slots.Load(key)
		if !ok {
			break
		}
		s := found.(*slot[V]) //nolint:forcetypeassert // nothing else is put there
		if !s.used.Load() {
			s.used.Store(true)
		}
		if v := s.kept.Load(); v != nil {
			return v
		}
		if v := s.value.Value(); v != nil {
			s.kept.Store(v)
			m.wake()
			return v
		}
		m.slots.CompareAndDelete(key, s) // its cleanup is on its way
	}
	v := m.make(key)
	s := &slot[V]{value: weak.Make(v)}
	s.used.Store(true)
	s.kept.Store(v)
	if _, other := m.slots.LoadOrStore(key, s); other {
		return m.Get(key)
	}
	runtime.AddCleanup(v, func(s *slot[V]) { m.slots.CompareAndDelete(key, s) }, s)
	m.wake()
	return v
}

// All yields the values that there are, in no order: those that are kept, and those that
// something else refers to.
func (m *Map[K, V]) All() iter.Seq[*V] {
	return func(yield func(*V) bool) {
		m.slots.Range(func(_, found any) bool {
			v := found.(*slot[V]).value.Value() //nolint:forcetypeassert // nothing else is put there
			return v == nil || yield(v)
		})
	}
}

// wake has the next sweep come, unless it is to come already.
func (m *Map[K, V]) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.timer == nil && !m.closed {
		m.timer = time.AfterFunc(m.period, m.Sweep)
	}
}

// Sweep stops keeping what nobody has asked for since the sweep before, and that is idle. Sweeps
// come by themselves, once a period, for as long as anything is kept.
func (m *Map[K, V]) Sweep() {
	m.mu.Lock()
	m.timer = nil // what is kept from here on wakes the next one by itself
	m.mu.Unlock()
	left := false
	m.slots.Range(func(_, found any) bool {
		s := found.(*slot[V]) //nolint:forcetypeassert // nothing else is put there
		v := s.kept.Load()
		switch {
		case v == nil:
			return true
		case s.used.Swap(false) || !m.rest(v):
			left = true
			return true
		}
		s.kept.Store(nil)
		if s.used.Load() { // somebody got it just now, and may be about to need it
			s.kept.Store(v)
			left = true
		}
		return true
	})
	if left {
		m.wake()
	}
}

// Rest stops keeping the value of a key now, if it is idle, however short ago it was asked for.
func (m *Map[K, V]) Rest(key K) {
	found, ok := m.slots.Load(key)
	if !ok {
		return
	}
	s := found.(*slot[V]) //nolint:forcetypeassert // nothing else is put there
	v := s.kept.Load()
	if v == nil {
		return
	}
	s.used.Store(false)
	if !m.rest(v) {
		s.used.Store(true)
		return
	}
	s.kept.Store(nil)
	if s.used.Load() { // see Sweep
		s.kept.Store(v)
		m.wake()
	}
}

// Close ends the sweeps: what is kept then is kept.
func (m *Map[K, V]) Close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	if m.timer != nil {
		m.timer.Stop()
	}
}
