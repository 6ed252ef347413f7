package postgres_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
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

// A connection for hints that was lost is made again, and then whoever watches hears that some were lost.
func TestWatch_Again(t *testing.T) {
	p := newPlace(t)
	watcher, writer := p.open(), p.open()
	var h heard
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- watcher.Watch(ctx, h.add) }()
	n := 0
	hears := func() {
		t.Helper()
		eventually(t, "a hint comes", func() bool {
			n++
			if _, err := writer.Insert(t.Context(), grant(n), store.Change{Generation: 1}); err != nil {
				return false
			}
			return h.of(grant(max(n-10, 1))) > 0 || h.of(grant(n)) > 0
		})
	}
	hears()
	if h.of(store.ID{}) != 0 {
		t.Error("some were lost, it says, at the beginning")
	}
	lost := 0
	for _, breaks := range []func(){
		p.link.Break,
		func() { p.link.Cut(); p.link.Restore() },
		func() {
			admin(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
		},
	} {
		breaks()
		eventually(t, "it says that some were lost", func() bool { return h.of(store.ID{}) > lost })
		lost = h.of(store.ID{})
		hears()
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Watch: %v", err)
	}
}

// Who cannot watch is told why, at once if it is for ever.
func TestWatch_Refused(t *testing.T) {
	p := newPlace(t)
	p.opts.ListenURL = withUser(server.URL("", "postgres"), "lazyauth", "hunter2")
	db := p.open()
	err := db.Watch(t.Context(), func(store.ID) {})
	if !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("Watch: %v; want an ErrUnavailable", err)
	}
	wantAdvice(t, err, "28P01")
}

// Anybody who may use the database may send notifications: whatever they are, they are hints.
func TestWatch_AnyText(t *testing.T) {
	p := newPlace(t)
	db := p.open()
	var h heard
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Watch(ctx, h.add) }()
	eventually(t, "what is no id says that hints were lost", func() bool {
		for _, text := range []string{"", ":", "grant", "grant:00", "grant:zz", "grant:" + string(make([]byte, 0)) + "0", "\U0001F600:ff"} {
			admin(t, "SELECT pg_notify('"+p.opts.Schema+"_changed', '"+text+"')")
		}
		return h.of(store.ID{}) >= 7
	})
	cancel()
	<-ended
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ids) != 1 {
		t.Errorf("heard %v", h.ids)
	}
}

var _ store.Shared = (*postgres.DB)(nil)
