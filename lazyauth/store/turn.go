package store

import (
	"context"
	"sync"
)

// turns lets the goroutines of this process update a record one after the
// other, in the order in which they came. The zero value is ready.
type turns struct {
	mu    sync.Mutex
	queue map[string]*turn
}

type turn struct {
	taken chan struct{} // holds one value while somebody has the turn
	users int           // who has it or waits for it
}

// take waits for the turn of name. The caller must give it back.
func (t *turns) take(ctx context.Context, name string) (back func(), err error) {
	t.mu.Lock()
	if t.queue == nil {
		t.queue = make(map[string]*turn)
	}
	q := t.queue[name]
	if q == nil {
		q = &turn{taken: make(chan struct{}, 1)}
		t.queue[name] = q
	}
	q.users++
	t.mu.Unlock()

	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if q.users--; q.users == 0 {
			delete(t.queue, name)
		}
	}
	select {
	case q.taken <- struct{}{}:
		return func() { <-q.taken; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, noAnswer{"another update of the record, in this process, is not over", context.Cause(ctx)}
	}
}
