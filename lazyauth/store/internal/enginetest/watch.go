package enginetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// heard gathers hints.
type heard struct {
	mu  sync.Mutex
	ids map[store.ID]int
}

func (h *heard) add(id store.ID) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.ids == nil {
		h.ids = make(map[store.ID]int)
	}
	h.ids[id]++
}

func (h *heard) of(id store.ID) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.ids[id]
}

func (h *heard) any() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ids) > 0
}

// watch watches until stop, which returns why it ended.
func watch(t *testing.T, s store.Shared) (*heard, func() error) {
	h := &heard{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Watch(ctx, h.add) }()
	return h, func() error { cancel(); return <-ended }
}

// WatchAgain tells of a connection for hints that was lost: it is made again, and then whoever watches hears that some
// were lost. Terminate has the server end those connections.
func WatchAgain(t *testing.T, p Place, terminate func()) {
	watcher, writer := p.Open(t), p.Open(t)
	h, stop := watch(t, watcher)
	n := 0
	hears := func() {
		t.Helper()
		before := n // whatever came, came of an earlier round
		Eventually(t, "a hint comes", func() bool {
			n++
			if _, err := writer.Insert(t.Context(), Grant(n), store.Change{Generation: 1}); err != nil {
				return false
			}
			for heard := before + 1; heard <= n; heard++ {
				if h.of(Grant(heard)) > 0 {
					return true
				}
			}
			return false
		})
	}
	hears()
	if h.of(store.ID{}) != 0 {
		t.Error("some were lost, it says, at the beginning")
	}
	lost := 0
	for _, breaks := range []func(){p.Link.Break, func() { p.Link.Cut(); p.Link.Restore() }, terminate} {
		breaks()
		Eventually(t, "it says that some were lost", func() bool { return h.of(store.ID{}) > lost })
		lost = h.of(store.ID{})
		hears()
	}
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
}

// WatchSilent tells of a link that goes silent, which no connection hears of: it is found out all the same, and
// another connection is tried.
func WatchSilent(t *testing.T, p Place) {
	watcher, writer := p.Impatient(t, time.Second), p.Open(t)
	h, stop := watch(t, watcher)
	n := 0
	Eventually(t, "a hint comes", func() bool {
		n++
		_, err := writer.Insert(t.Context(), Grant(n), store.Change{Generation: 1})
		return err == nil && h.any()
	})
	dialed := p.Link.Dialed()
	p.Link.Drop()
	Eventually(t, "another connection is tried", func() bool { return p.Link.Dialed() > dialed })
	p.Link.Restore()
	Eventually(t, "it says that some hints were lost", func() bool { return h.of(store.ID{}) > 0 })
	if err := stop(); !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
}

// WatchAnyText tells of others who may use the server: whatever they send as a hint, a hint it is. Send sends six
// texts that are no ids.
func WatchAnyText(t *testing.T, p Place, send func(text string)) {
	h, stop := watch(t, p.Open(t))
	Eventually(t, "what is no id says that hints were lost", func() bool {
		for _, text := range []string{":", "grant", "grant:00", "grant:zz", "grant:", "{}"} {
			send(text)
		}
		return h.of(store.ID{}) >= 6
	})
	if err := stop(); err == nil {
		t.Error("Watch: no error")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ids) != 1 {
		t.Errorf("heard %v", h.ids)
	}
}
