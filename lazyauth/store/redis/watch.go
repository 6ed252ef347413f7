package redis

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/valkey-io/valkey-go"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const (
	maxHints    = 1000 // that wait for a slow watcher
	leastPause  = 100 * time.Millisecond
	longestWait = 10 * time.Second // between two attempts to connect
)

// hints wait between the connection, which must not wait for a watcher, and the watcher.
type hints struct {
	wake chan struct{} // has room for one

	mu      sync.Mutex
	waiting []store.ID
}

// add takes a zero id for one that was lost.
func (h *hints) add(id store.ID) {
	h.mu.Lock()
	if len(h.waiting) >= maxHints {
		h.waiting = append(h.waiting[:0], store.ID{})
	} else {
		h.waiting = append(h.waiting, id)
	}
	h.mu.Unlock()
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

func (h *hints) take() []store.ID {
	h.mu.Lock()
	defer h.mu.Unlock()
	ids := h.waiting
	h.waiting = nil
	return ids
}

// Watch implements [store.Shared]. It subscribes again for as long as it takes. Its hints are of all that
// was written, also by this DB.
func (d *DB) Watch(ctx context.Context, changed func(store.ID)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	h := &hints{wake: make(chan struct{}, 1)}
	ended := make(chan error, 1)
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return d.failed(ctx, valkey.ErrClosing)
	}
	d.wg.Go(func() { ended <- d.receive(ctx, h) })
	d.mu.Unlock()
	for {
		select {
		case <-h.wake:
			for _, id := range h.take() {
				changed(id)
			}
		case err := <-ended:
			return err
		case <-ctx.Done(): // the goroutine ends by it as well, at the latest with its connection
			return context.Cause(ctx)
		}
	}
}

// receive subscribes until ctx ends, or it cannot.
func (d *DB) receive(ctx context.Context, h *hints) error {
	pause := leastPause
	first := true
	subscribed := func(valkey.PubSubSubscription) { // the client may subscribe again by itself, too
		if !first {
			h.add(store.ID{})
		}
		first = false
		pause = leastPause
	}
	for {
		err := d.client.Receive(valkey.WithOnSubscriptionHook(ctx, subscribed), d.client.B().Subscribe().Channel(d.prefix+"changed").Build(),
			func(m valkey.PubSubMessage) {
				id, err := idOf(m.Message)
				if err != nil {
					id = store.ID{}
				}
				h.add(id)
			})
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, valkey.ErrClosing) {
			return d.failed(ctx, err)
		}
		if err != nil {
			if err := d.failed(ctx, err); errors.Is(err, store.ErrUnavailable) {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(pause/2 + rand.N(pause)): //nolint:gosec // no secret: it spreads the load
		}
		pause = min(2*pause, longestWait)
	}
}
