package world

import (
	"context"
	"sync/atomic"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A FailingStore is one that fails when a story says so, at what it is asked for by key. It is safe
// for concurrent use, as stores are.
type FailingStore struct {
	store.Store
	err atomic.Pointer[error]
}

// Fails has the store fail with err from now on; nil has it answer again.
func (s *FailingStore) Fails(err error) {
	if err == nil {
		s.err.Store(nil)
		return
	}
	s.err.Store(&err)
}

// Load implements [store.Store].
func (s *FailingStore) Load(ctx context.Context, key string) ([]byte, error) {
	if err := s.err.Load(); err != nil {
		return nil, *err
	}
	return s.Store.Load(ctx, key)
}

// Update implements [store.Store].
func (s *FailingStore) Update(ctx context.Context, key string, change func([]byte) ([]byte, error)) error {
	if err := s.err.Load(); err != nil {
		return *err
	}
	return s.Store.Update(ctx, key, change)
}
