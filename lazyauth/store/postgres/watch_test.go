package postgres_test

import (
	"errors"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
)

func TestWatch_Again(t *testing.T) {
	enginetest.WatchAgain(t, newPlace(t).common(), func() {
		admin(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'LISTEN%'")
	})
}

func TestWatch_Silent(t *testing.T) { enginetest.WatchSilent(t, newPlace(t).common()) }

func TestWatch_AnyText(t *testing.T) {
	p := newPlace(t)
	enginetest.WatchAnyText(t, p.common(), func(text string) {
		admin(t, "SELECT pg_notify('"+p.opts.Schema+"_changed', '"+text+"')")
	})
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
