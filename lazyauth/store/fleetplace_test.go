package store_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// A placer is one of those that take places.
type placer interface {
	Take(ctx context.Context, name string, places int, life time.Duration) (place string, err error)
	Keep(ctx context.Context, name, place string, life time.Duration) error
	Give(ctx context.Context, name, place string) error
}

// takes has each of those take as many places as it can, all at once, and returns them.
func takes(t *testing.T, all []placer, name string, places int, life time.Duration) (got []string) {
	t.Helper()
	var mu sync.Mutex
	var wg sync.WaitGroup
	for _, p := range all {
		wg.Go(func() {
			for {
				place, err := p.Take(t.Context(), name, places, life)
				if err != nil {
					t.Error(err)
				}
				if place == "" {
					return
				}
				mu.Lock()
				got = append(got, place)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return got
}

// wantPlaces demands that there are places for so many more.
func wantPlaces(t *testing.T, all []placer, name string, places, want int, life time.Duration) (got []string) {
	t.Helper()
	time.Sleep(time.Millisecond) // what was given back ends by the clock
	if got = takes(t, all, name, places, life); len(got) != want {
		t.Errorf("%d places of %s were taken, want %d", len(got), name, want)
	}
	return got
}

// manyTake tells of processes that take the places of a name.
func manyTake(t *testing.T, all []placer) {
	ctx := t.Context()
	got := wantPlaces(t, all, "alice", 16, 16, time.Hour)
	wantPlaces(t, all, "bob", 2, 2, 10*time.Minute) // others have their own
	for n, place := range got[:3] {
		for range 2 { // once more takes nothing from anybody
			if err := all[n%len(all)].Give(ctx, "alice", place); err != nil {
				t.Error(err)
			}
		}
	}
	again := wantPlaces(t, all, "alice", 16, 3, time.Minute)
	if err := all[0].Give(ctx, "alice", got[0]); err != nil { // which somebody else may have by now
		t.Error(err)
	}
	wantPlaces(t, all, "alice", 16, 0, time.Hour)
	for _, p := range []string{again[0], got[0], "none", "7.x"} { // of which one is taken
		if err := all[1].Keep(ctx, "alice", p, 2*time.Minute); err != nil && p != "none" {
			t.Error(err)
		}
	}
	time.Sleep(time.Minute)
	wantPlaces(t, all, "alice", 16, 2, time.Hour)
	time.Sleep(time.Minute)
	wantPlaces(t, all, "alice", 16, 1, time.Hour)
	time.Sleep(8 * time.Minute)
	wantPlaces(t, all, "bob", 2, 2, time.Minute)
	for _, bad := range []struct {
		name   string
		places int
		life   time.Duration
	}{{"", 1, time.Hour}, {"two\nlines", 1, time.Hour}, {"alice", 0, time.Hour}, {"alice", 65, time.Hour}, {"alice", 1, 0}} {
		if place, err := all[0].Take(ctx, bad.name, bad.places, bad.life); place != "" || err == nil {
			t.Errorf("%+v: %q, %v", bad, place, err)
		}
	}
	if err := all[0].Keep(ctx, "alice", got[5], -1); err == nil {
		t.Error("kept for no time")
	}
}

// Of all that take a place, on all machines, so many have one, and each ends by itself.
func TestFleetPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		var all []placer
		for range 4 {
			all = append(all, aFleet(t, d, nil))
		}
		manyTake(t, all)
		f := aFleet(t, d, nil)
		for _, place := range []string{"", "x", "-1.x", "64.x", "1"} {
			if err := f.Give(t.Context(), "alice", place); err == nil {
				t.Errorf("%q is a place", place)
			}
		}
		if keys, err := f.Keys(t.Context()); len(keys) > 0 || err != nil {
			t.Errorf("places are records: %q, %v", keys, err)
		}
	})
}

// A place whose answer was lost is found again, and is not taken twice.
func TestFleetPlace_AnswerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDatabase(nil)
		if place, err := aFleet(t, &lostInserts{d, 1}, nil).Take(t.Context(), "alice", 2, time.Hour); place == "" || err != nil {
			t.Errorf("%q, %v", place, err)
		}
		wantPlaces(t, []placer{aFleet(t, d, nil)}, "alice", 2, 1, time.Hour)
		d.silent.Store(true)
		f := aFleet(t, &lostInserts{d, 1000}, nil)
		if place, err := f.Take(t.Context(), "bob", 1, time.Hour); place != "" || err == nil || strings.Contains(err.Error(), "bob") {
			t.Errorf("%q, %v", place, err)
		}
		if err := f.Give(t.Context(), "bob", "0.x"); !errors.Is(err, store.ErrNoAnswer) {
			t.Errorf("%v", err)
		}
	})
}

// It is the same among processes of one machine.
func TestProcesses_Place(t *testing.T) {
	var folder []placer
	for _, p := range inFolder(t, filepath.Join(t.TempDir(), "grants"), 4) {
		folder = append(folder, p)
	}
	wantPlaces(t, folder, "alice", 16, 16, time.Hour)
	synctest.Test(t, func(t *testing.T) {
		s := store.Memory()
		all := []placer{store.NewProcesses(s), store.NewProcesses(s)}
		manyTake(t, all)
		time.Sleep(time.Hour)
		wantPlaces(t, all, "alice", 1, 1, time.Minute)
		if keys, err := store.NewProcesses(s).Keys(t.Context()); len(keys) > 0 || err != nil {
			t.Errorf("places are records: %q, %v", keys, err)
		}
	})
}

// Where there is no room no place is taken, and where nothing can be written none is.
func TestProcesses_NoRoomForPlaces(t *testing.T) {
	if testing.Short() {
		t.Skip("it fills a record, change by change, on one goroutine: nothing can race")
	}
	p := store.NewProcesses(store.Memory())
	for n := 0; ; n++ {
		if _, err := p.Take(t.Context(), strings.Repeat("x", 900)+string(rune('a'+n%26))+strings.Repeat("y", n/26), 1, time.Hour); err != nil {
			if !errors.Is(err, store.ErrUnwritable) || n < 500 {
				t.Errorf("place %d: %v", n, err)
			}
			break
		}
	}
	none := store.NewProcesses(readAlone{store.Memory()})
	if place, err := none.Take(t.Context(), "alice", 1, time.Hour); place != "" || !errors.Is(err, store.ErrUnwritable) {
		t.Errorf("%q, %v", place, err)
	}
}
