package store_test

import (
	"context"
	"errors"
	"slices"
	"strings"
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
				holder, err := f.Mark(t.Context(), "call 1", time.Hour)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if holder == f.Incarnation() {
					firsts++
				}
			})
		}
		wg.Wait()
		if firsts != 1 {
			t.Errorf("%d were the first", firsts)
		}
		f := aFleet(t, d, nil)
		holds := func(by *store.Fleet, name string, want string) {
			t.Helper()
			if holder, err := by.Holder(t.Context(), name); holder != want || err != nil {
				t.Errorf("%s is %q's, %v; want %q", name, holder, err, want)
			}
		}
		if holder, err := f.Mark(t.Context(), "call 1", time.Hour); holder == f.Incarnation() || err != nil {
			t.Errorf("again: %q, %v", holder, err)
		}
		holds(f, "call 2", "")
		if holder, err := f.Mark(t.Context(), "call 2", time.Hour); holder != f.Incarnation() || err != nil {
			t.Errorf("another: %q, %v", holder, err)
		}
		holds(aFleet(t, d, nil), "call 2", f.Incarnation())
		time.Sleep(time.Hour - time.Second)
		if holder, err := f.Mark(t.Context(), "call 2", time.Hour); holder != f.Incarnation() || err != nil { // to last longer
			t.Errorf("once more: %q, %v", holder, err)
		}
		time.Sleep(time.Second)
		if holder, err := f.Mark(t.Context(), "call 1", time.Hour); holder != f.Incarnation() || err != nil {
			t.Errorf("after its life: %q, %v", holder, err)
		}
		holds(f, "call 2", f.Incarnation())
	})
}

// Where nobody knows whether there is a mark, it is not the first.
func TestFleetMark_Unknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		f := aFleet(t, &lostInserts{d, 1000}, nil)
		d.silent.Store(true) // reads have no answer
		began := time.Now()
		if holder, err := f.Mark(t.Context(), "call 1", time.Hour); holder != "" || !errors.Is(err, store.ErrNoAnswer) || time.Since(began) != 10*time.Second {
			t.Errorf("%q, %v after %v", holder, err, time.Since(began))
		}
		for _, bad := range []string{"", "two\nlines"} {
			if holder, err := f.Mark(t.Context(), bad, time.Hour); holder != "" || err == nil {
				t.Errorf("%q is a mark", bad)
			}
		}
		if holder, err := f.Mark(t.Context(), "call 2", 0); holder != "" || err == nil {
			t.Error("a mark without a life")
		}
	})
}

// Replicas find each other by what they announce, and nobody who writes into the store can say where they are.
func TestFleetAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		one, other := aFleet(t, d, nil), aFleet(t, d, nil)
		is := func(want string) {
			t.Helper()
			if got, err := other.Address(t.Context(), one.Incarnation()); got != want || err != nil {
				t.Errorf("the address is %q, %v; want %q", got, err, want)
			}
		}
		is("")
		for _, address := range []string{"http://10.0.0.7:1", "http://10.0.0.7:2"} {
			if err := one.Announce(t.Context(), address, time.Minute); err != nil {
				t.Fatal(err)
			}
			is(address)
			time.Sleep(50 * time.Second)
		}
		if keys, err := other.Keys(t.Context()); len(keys) != 0 || err != nil {
			t.Errorf("addresses are records: %q, %v", keys, err)
		}
		stranger, err := store.NewFleet(d, namesKey, [][]byte{nextKey}, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := stranger.Address(t.Context(), one.Incarnation()); got != "" || err == nil {
			t.Errorf("sealed by another key it is %q, %v", got, err)
		}
		time.Sleep(time.Minute)
		is("")
		for _, bad := range []string{"", "two\nlines", strings.Repeat("x", 600)} {
			if err := one.Announce(t.Context(), bad, time.Minute); err == nil {
				t.Errorf("%.20q is announced", bad)
			}
		}
		if got, err := other.Address(t.Context(), strings.Repeat("x", 100)); got != "" || err != nil {
			t.Errorf("of nobody: %q, %v", got, err)
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

// Who is set up otherwise is told so after days, too, as long as a machine runs that the settings are those of; and not by one
// whose settings others have replaced.
func TestFleetSettings_AreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		first := aFleet(t, d, nil)
		if err := first.CheckSettings(t.Context(), map[string]string{"client id": "notes"}); err != nil {
			t.Fatal(err)
		}
		running, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- first.Run(running) }()
		time.Sleep(5 * 24 * time.Hour)
		other := map[string]string{"client id": "other"}
		err := aFleet(t, d, nil).CheckSettings(t.Context(), other)
		if _, ok := errors.AsType[*store.SettingsError](err); !ok {
			t.Errorf("after days: %v", err)
		}
		if err := aFleet(t, d, nil).ReplaceSettings(t.Context(), other); err != nil {
			t.Error(err)
		}
		time.Sleep(12 * time.Hour)
		if err := aFleet(t, d, nil).CheckSettings(t.Context(), other); err != nil {
			t.Errorf("after they were replaced: %v", err)
		}
		stop()
		<-ended
		time.Sleep(25 * time.Hour)
		if err := aFleet(t, d, nil).CheckSettings(t.Context(), map[string]string{"client id": "third"}); err != nil {
			t.Errorf("a day after all have ended: %v", err)
		}
	})
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
