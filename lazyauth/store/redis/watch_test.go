package redis_test

import (
	"context"
	"errors"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
)

func TestWatch_Again(t *testing.T) {
	enginetest.WatchAgain(t, newPlace(t, server).common(), func() { do(t, server, "CLIENT", "KILL", "TYPE", "pubsub") })
}

func TestWatch_Silent(t *testing.T) { enginetest.WatchSilent(t, newPlace(t, server).common()) }

func TestWatch_AnyText(t *testing.T) {
	p := newPlace(t, server)
	enginetest.WatchAnyText(t, p.common(), func(text string) { do(t, server, "PUBLISH", "{"+p.opts.Name+"}:changed", text) })
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
	enginetest.Eventually(t, "it reads what it heard of", func() bool {
		n++
		enginetest.Put(t, db, enginetest.Grant(n), "heard of")
		return len(read) > 0
	})
	if got := <-read; got != "heard of" {
		t.Errorf("read %q", got)
	}
	cancel()
	<-ended
}

// Who closes the store ends those who watch, and those who begin to just then.
func TestWatch_Closed(t *testing.T) {
	for range 10 {
		db := newPlace(t, server).open()
		ended := make(chan error, 3)
		for range 2 {
			go func() { ended <- db.Watch(context.WithoutCancel(t.Context()), func(store.ID) {}) }()
		}
		db.Close()
		ended <- db.Watch(t.Context(), func(store.ID) {})
		for range cap(ended) {
			if err := <-ended; !errors.Is(err, store.ErrNoAnswer) {
				t.Errorf("Watch: %v; want an ErrNoAnswer", err)
			}
		}
	}
}
