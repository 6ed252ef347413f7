package store

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Memory returns a store that ends with the process, which is what grants do
// without any store. It is a last resort for [FirstAvailable], and for tests.
func Memory() Store { return &kept{&memory{entries: make(map[string]*entry)}} }

type memory struct {
	turns   turns
	mu      sync.Mutex
	entries map[string]*entry
}

func (m *memory) guard(ctx context.Context, name string) (func(), error) {
	return m.turns.take(ctx, name)
}

func (m *memory) read(_ context.Context, name string) (*entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries[name].clone(), nil
}

func (m *memory) write(_ context.Context, name string, e *entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[name] = e.clone()
	return nil
}

func (m *memory) remove(_ context.Context, name, _ string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, name)
	return nil
}

// setAside is not called: memory reads no damage.
func (m *memory) setAside(ctx context.Context, name string) (string, error) {
	return "gone", m.remove(ctx, name, "")
}

func (m *memory) names(context.Context) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Keys(m.entries)), nil
}

func (m *memory) String() string { return "in memory" }

// clone returns a copy that shares nothing with e.
func (e *entry) clone() *entry {
	if e == nil {
		return nil
	}
	return &entry{e.key, append(make([]byte, 0, len(e.record)), e.record...)}
}
