package enginetest

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// PlacesAreFew tells of machines that take the places of a name at once: no more have one than there are, one that is given
// back is another's at once, and all end by the server's clock.
func PlacesAreFew(t *testing.T, p Place) {
	const places, machines = 16, 3
	var fleets []*store.Fleet
	for range machines {
		f, err := store.NewFleet(p.Open(t), bytes.Repeat([]byte("n4me"), store.KeySize/4), [][]byte{bytes.Repeat([]byte("s3al"), store.KeySize/4)}, nil)
		if err != nil {
			t.Fatal(err)
		}
		fleets = append(fleets, f)
	}
	take := func(name string, life time.Duration) (taken []string) {
		t.Helper()
		var mu sync.Mutex
		var wg sync.WaitGroup
		for _, f := range fleets {
			for range 2 {
				wg.Go(func() {
					for {
						place, err := f.Take(t.Context(), name, places, life)
						if err != nil {
							t.Error(err)
						}
						if place == "" {
							return
						}
						mu.Lock()
						taken = append(taken, place)
						mu.Unlock()
					}
				})
			}
		}
		wg.Wait()
		return taken
	}
	all := take("alice", Long)
	if len(all) != places {
		t.Fatalf("%d places were taken, want %d", len(all), places)
	}
	for n, place := range all[:machines] {
		if err := fleets[n].Give(t.Context(), "alice", place); err != nil {
			t.Error(err)
		}
	}
	if more := take("alice", Long); len(more) != machines {
		t.Errorf("%d places were given back, and %d taken", machines, len(more))
	}
	place, err := fleets[0].Take(t.Context(), "bob", 1, Long)
	if err != nil || place == "" {
		t.Fatalf("%q, %v", place, err)
	}
	if err := fleets[1].Keep(t.Context(), "bob", place, time.Second); err != nil {
		t.Error(err)
	}
	Eventually(t, "a place has ended", func() bool {
		place, err := fleets[2].Take(t.Context(), "bob", 1, Long)
		return err == nil && place != ""
	})
}
