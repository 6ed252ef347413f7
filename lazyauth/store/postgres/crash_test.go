package postgres_test

import (
	"context"
	"sync"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// The server is killed while processes write, and started again: what it had acknowledged is there, and
// what was begun has its fence.
func TestCrash_AcknowledgedIsThere(t *testing.T) {
	p := newPlace(t)
	ctx := context.WithoutCancel(t.Context())
	if losses, err := p.open().Losses(ctx); err != nil || losses != store.LosesNothing {
		t.Fatalf("Losses: %v, %v", losses, err)
	}
	for range 2 {
		const writers = 4
		acknowledged := make([]map[int]store.Row, writers) // by its row
		var wg sync.WaitGroup
		first := make(chan struct{}, 2*writers)
		for w := range writers {
			db := p.open()
			acknowledged[w] = make(map[int]store.Row)
			wg.Go(func() {
				defer func() { first <- struct{}{} }()
				for n := w; ; n += writers {
					_, fence, err := db.Begin(ctx, grant(n), store.Attempt{Owner: "one", Lease: hour})
					if err != nil {
						return
					}
					acknowledged[w][n] = store.Row{Fence: fence}
					before, err := db.Read(ctx, grant(n))
					if err != nil || before == nil {
						return
					}
					generation := before.Generation + 1
					if ok, err := db.Write(ctx, grant(n), fence, before.Generation, store.Change{Generation: generation, Content: []byte("written")}); err != nil || !ok {
						return
					}
					acknowledged[w][n] = store.Row{Fence: fence, Generation: generation}
					if n == w+10*writers {
						first <- struct{}{}
					}
				}
			})
		}
		for range writers {
			<-first
		}
		if err := server.Kill(ctx); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if err := server.Start(ctx); err != nil {
			t.Fatal(err)
		}
		db := p.open()
		count := 0
		for _, rows := range acknowledged {
			for n, want := range rows {
				count++
				got := get(t, db, grant(n))
				if got == nil || got.Fence < want.Fence || got.Generation < want.Generation {
					t.Errorf("row %d is %+v; fence %d and generation %d were acknowledged", n, got, want.Fence, want.Generation)
				}
			}
		}
		t.Logf("%d rows had been acknowledged", count)
	}
}
