package grants_test

import (
	"context"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A meddled store does what the story says in the place of the one beneath it.
type meddled struct {
	store.Store
	mu     sync.Mutex
	load   func(ctx context.Context, key string) ([]byte, error)
	update func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error
}

func newMeddled() *meddled { return &meddled{Store: store.Memory()} }

// loads has this done from now on in the place of Load; nil means what the store does.
func (m *meddled) loads(f func(context.Context, string) ([]byte, error)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.load = f
}

// updates is loads, for Update.
func (m *meddled) updates(f func(context.Context, string, func([]byte) ([]byte, error)) error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.update = f
}

func (m *meddled) Load(ctx context.Context, key string) ([]byte, error) {
	m.mu.Lock()
	f := m.load
	m.mu.Unlock()
	if f == nil {
		f = m.Store.Load
	}
	return f(ctx, key)
}

func (m *meddled) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	m.mu.Lock()
	f := m.update
	m.mu.Unlock()
	if f == nil {
		f = m.Store.Update
	}
	return f(ctx, key, change)
}

// fails has the store fail at everything.
func (m *meddled) fails(err error) {
	m.loads(func(context.Context, string) ([]byte, error) { return nil, err })
	m.failsToUpdate(err)
}

// failsToUpdate has it fail at each update, before the change is asked for.
func (m *meddled) failsToUpdate(err error) {
	m.updates(func(context.Context, string, func([]byte) ([]byte, error)) error { return err })
}

// failsToWrite has it fail at each update, after the change was asked for.
func (m *meddled) failsToWrite(err error) {
	m.updates(func(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
		return m.Store.Update(ctx, key, func(old []byte) ([]byte, error) {
			record, failed := change(old)
			if failed == nil {
				failed = err
			}
			return record, failed
		})
	})
}

// hangs has it not answer until its context ends.
func (m *meddled) hangs() {
	m.loads(func(ctx context.Context, _ string) ([]byte, error) { <-ctx.Done(); return nil, ctx.Err() })
	m.hangsAtUpdates()
}

// hangsAtUpdates has updates wait for a lock that nobody gives back.
func (m *meddled) hangsAtUpdates() {
	m.updates(func(ctx context.Context, _ string, _ func([]byte) ([]byte, error)) error {
		<-ctx.Done()
		return ctx.Err()
	})
}

// recovers has it do again what it is asked for.
func (m *meddled) recovers() {
	m.loads(nil)
	m.updates(nil)
}
