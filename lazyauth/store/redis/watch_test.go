package redis_test

import (
	"context"
	"errors"
	"sync"
	"testing"

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

// A subscription that was lost is made again, and then whoever watches hears that some hints were lost.
func TestWatch_Again(t *testing.T) {
	p := newPlace(t, server)
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
		func() { do(t, server, "CLIENT", "KILL", "TYPE", "pubsub") },
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

// Who watches may ask the store in between, and be slow.
func TestWatch_AsksInBetween(t *testing.T) {
	p := newPlace(t, server)
	db := p.open()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	read := make(chan string, 100)
	go func() {
		ended <- db.Watch(ctx, func(id store.ID) {
			if row, err := db.Read(ctx, id); err == nil && row != nil {
				select {
				case read <- string(row.Content):
				default:
				}
			}
		})
	}()
	n := 0
	eventually(t, "it reads what it heard of", func() bool {
		n++
		put(t, db, grant(n), "heard of")
		return len(read) > 0
	})
	if got := <-read; got != "heard of" {
		t.Errorf("read %q", got)
	}
	cancel()
	<-ended
}

// Anybody who may publish may send anything: whatever it is, it is a hint.
func TestWatch_AnyText(t *testing.T) {
	p := newPlace(t, server)
	db := p.open()
	var h heard
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- db.Watch(ctx, h.add) }()
	eventually(t, "what is no id says that hints were lost", func() bool {
		for _, text := range []string{":", "grant", "grant:00", "grant:zz", "grant:", "{}"} {
			do(t, server, "PUBLISH", "{"+p.opts.Name+"}:changed", text)
		}
		return h.of(store.ID{}) >= 6
	})
	cancel()
	<-ended
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.ids) != 1 {
		t.Errorf("heard %v", h.ids)
	}
}

// Who closes the store ends those who watch.
func TestWatch_Closed(t *testing.T) {
	db := newPlace(t, server).open()
	ended := make(chan error, 1)
	go func() { ended <- db.Watch(context.WithoutCancel(t.Context()), func(store.ID) {}) }()
	db.Close()
	if err := <-ended; err == nil {
		t.Error("Watch: no error")
	}
}
