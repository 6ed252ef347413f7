package bars_test

import (
	"bytes"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

func fleet(t *testing.T, d store.Shared) *store.Fleet {
	t.Helper()
	f, err := store.NewFleet(d, bytes.Repeat([]byte("n4m3"), 8), [][]byte{bytes.Repeat([]byte("s3al"), 8)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// Machines that write at once all come to it, and one that has died keeps none of them waiting.
func TestBook_OfAFleet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := store.NewSharedMemory(nil)
		reader := bars.New(fleet(t, d), "notes")
		everybody := bars.Person{Issuer: "https://id.example", Subject: "all"}
		if err := reader.Bar(t.Context(), everybody, bars.Bar{Since: time.Now()}); err != nil {
			t.Fatal(err)
		}
		dead := fleet(t, d)
		keys, err := dead.Keys(t.Context())
		if err != nil || len(keys) != 2 { // the bar, and the journal
			t.Fatal(keys, err)
		}
		for _, key := range keys {
			go func() {
				defer func() { _ = recover() }()
				_ = dead.Update(t.Context(), key, func([]byte) ([]byte, error) { panic("it dies") })
			}()
		}
		synctest.Wait()
		began := time.Now()
		var all sync.WaitGroup
		const machines = 6
		for n := range machines {
			b := bars.New(fleet(t, d), "notes")
			all.Go(func() {
				p := bars.Person{Issuer: "https://id.example", Subject: fmt.Sprint("person ", n)}
				if err := b.Bar(t.Context(), p, bars.Bar{Since: time.Now()}); err != nil {
					t.Errorf("Bar: %v", err)
				}
				if err := b.Bar(t.Context(), everybody, bars.Bar{Since: time.Now()}); err != nil {
					t.Errorf("Bar: %v", err)
				}
			})
		}
		all.Wait()
		if took := time.Since(began); took > time.Second {
			t.Errorf("it took %v", took)
		}
		for n := range machines {
			p := bars.Person{Issuer: "https://id.example", Subject: fmt.Sprint("person ", n)}
			if bar, err := reader.Of(t.Context(), p); bar == nil || err != nil {
				t.Errorf("%d: %v, %v", n, bar, err)
			}
		}
	})
}
