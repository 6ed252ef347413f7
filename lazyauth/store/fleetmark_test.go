package store_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// lostInserts makes inserts, and loses the first answers.
type lostInserts struct {
	*database
	lost int
}

func (l *lostInserts) Insert(ctx context.Context, id store.ID, c store.Change) (bool, error) {
	inserted, err := l.database.Insert(ctx, id, c)
	if l.lost--; l.lost >= 0 {
		return false, errors.New("database: connection reset")
	}
	return inserted, err
}

// Of all who make a mark one is the first, also if an answer is lost, until its life ends.
func TestFleetMark_Once(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		var mu sync.Mutex
		firsts := 0
		var wg sync.WaitGroup
		for range 8 {
			f := aFleet(t, &lostInserts{d, 1}, nil)
			wg.Go(func() {
				first, err := f.Mark(t.Context(), "call 1", time.Hour)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if first {
					firsts++
				}
			})
		}
		wg.Wait()
		if firsts != 1 {
			t.Errorf("%d were the first", firsts)
		}
		f := aFleet(t, d, nil)
		if first, err := f.Mark(t.Context(), "call 1", time.Hour); first || err != nil {
			t.Errorf("again: %t, %v", first, err)
		}
		if first, err := f.Mark(t.Context(), "call 2", time.Hour); !first || err != nil {
			t.Errorf("another: %t, %v", first, err)
		}
		time.Sleep(time.Hour)
		if first, err := f.Mark(t.Context(), "call 1", time.Hour); !first || err != nil {
			t.Errorf("after its life: %t, %v", first, err)
		}
	})
}

// Where nobody knows whether there is a mark, it is not the first.
func TestFleetMark_Unknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		f := aFleet(t, &lostInserts{d, 1000}, nil)
		d.silent.Store(true) // reads have no answer
		began := time.Now()
		if first, err := f.Mark(t.Context(), "call 1", time.Hour); first || !errors.Is(err, store.ErrNoAnswer) || time.Since(began) != 10*time.Second {
			t.Errorf("%t, %v after %v", first, err, time.Since(began))
		}
		for _, bad := range []string{"", "two\nlines"} {
			if first, err := f.Mark(t.Context(), bad, time.Hour); first || err == nil {
				t.Errorf("%q is a mark", bad)
			}
		}
		if first, err := f.Mark(t.Context(), "call 2", 0); first || err == nil {
			t.Error("a mark without a life")
		}
	})
}

// A machine that is set up otherwise than the others is told in what.
func TestFleetSettings(t *testing.T) {
	d := newDatabase(nil)
	f := aFleet(t, d, nil)
	other := func(names []byte, keys ...[]byte) *store.Fleet {
		f, err := store.NewFleet(d, names, keys, nil)
		return must(t, f, err)
	}
	ours := map[string]string{"client id": "notes", "scopes": "read write"}
	for range 2 {
		if err := f.CheckSettings(t.Context(), ours); err != nil {
			t.Fatal(err)
		}
	}
	differs := func(what string, err error, want ...string) {
		t.Helper()
		e, ok := errors.AsType[*store.SettingsError](err)
		if !ok || !slices.Equal(e.Differ, want) {
			t.Errorf("%s: %v; want that %q differ", what, err, want)
		}
	}
	differs("another client", aFleet(t, d, nil).CheckSettings(t.Context(), map[string]string{"client id": "other", "scopes": "read write"}), "client id")
	differs("more and less", aFleet(t, d, nil).CheckSettings(t.Context(), map[string]string{"client id": "notes", "url": "x"}), "url", "scopes")
	differs("names", other(sealKey, sealKey).CheckSettings(t.Context(), ours), "key of names")
	differs("keys", other(namesKey, nextKey).CheckSettings(t.Context(), ours), "sealing keys")
	if err := other(namesKey, nextKey, sealKey).CheckSettings(t.Context(), ours); err != nil {
		t.Errorf("while keys are replaced: %v", err)
	}
	differs("who has not been given the new key", f.CheckSettings(t.Context(), ours), "sealing keys")
	renewed := map[string]string{"client id": "renewed", "scopes": "read write"}
	if err := other(namesKey, nextKey).ReplaceSettings(t.Context(), renewed); err != nil {
		t.Fatal(err)
	}
	if err := other(namesKey, nextKey, sealKey).CheckSettings(t.Context(), renewed); err != nil {
		t.Error(err)
	}
	if err := f.CheckSettings(t.Context(), map[string]string{"key of names": "x"}); err == nil {
		t.Error("a setting of the fleet's own name")
	}
}

// Readiness tells a store that works from one that is read-only, silent, or lags.
func TestFleetReady(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		f := aFleet(t, d, nil)
		for range 2 {
			if err := f.Ready(t.Context()); err != nil {
				t.Error(err)
			}
		}
		d.readOnly.Store(true)
		if err := f.Ready(t.Context()); !errors.Is(err, store.ErrUnwritable) {
			t.Errorf("read-only: %v", err)
		}
		d.readOnly.Store(false)
		d.silent.Store(true)
		began := time.Now()
		if err := f.Ready(t.Context()); !errors.Is(err, store.ErrNoAnswer) || time.Since(began) != 10*time.Second {
			t.Errorf("silent: %v after %v", err, time.Since(began))
		}
		d.silent.Store(false)
		if err := f.Ready(t.Context()); err != nil {
			t.Errorf("again: %v", err)
		}
		if err := aFleet(t, lagging{d}, nil).Ready(t.Context()); err == nil {
			t.Error("what lags is ready")
		}
	})
}

// lagging is read from a standby that has nothing yet.
type lagging struct{ *database }

func (lagging) Read(context.Context, store.ID) (*store.Row, error) { return nil, nil }
