package store

import (
	"context"
	"maps"
	"slices"
	"sync"
)

// Memory returns a store that ends with the process, which is what grants do
// without any store. It is a last resort for [FirstAvailable], and for tests.
func Memory() Store { return &kept{place: &memory{entries: make(map[string]*entry)}} }

type memory struct {
	mu      sync.Mutex
	entries map[string]*entry
}

func (m *memory) queue() *queue                  { return nil }
func (m *memory) tryLock(string) (func(), error) { return func() {}, nil }
func (m *memory) lockName(string) string         { return "of no file" }

func (m *memory) read(name string) (*entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.entries[name].clone(), nil
}

func (m *memory) prepare(_ context.Context, name, _ string) (draft, error) {
	return memoryDraft{m, name}, nil
}

type memoryDraft struct {
	memory *memory
	name   string
}

func (d memoryDraft) write(e *entry) error {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	d.memory.entries[d.name] = e.clone()
	return nil
}

func (d memoryDraft) remove() error {
	d.memory.mu.Lock()
	defer d.memory.mu.Unlock()
	delete(d.memory.entries, d.name)
	return nil
}

func (d memoryDraft) discard() {}

// setAside is not called: memory reads no damage.
func (m *memory) setAside(name string) (string, error) {
	return "gone", memoryDraft{m, name}.remove()
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
