package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// The server is killed while processes write, and started again: with "appendfsync always" what it had
// acknowledged is there, and what was begun has its fence.
func TestCrash_AcknowledgedIsThere(t *testing.T) {
	p := newPlace(t, server)
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
					before, fence, err := db.Begin(ctx, grant(n), store.Attempt{Owner: "one", Lease: hour})
					if err != nil {
						return
					}
					if before == nil {
						before = &store.Row{}
					}
					acknowledged[w][n] = store.Row{Fence: fence, Generation: before.Generation}
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

// A replica whose link had been cut is promoted: what was acknowledged meanwhile is lost, as docs/scale.md
// says. A machine that has seen it finds out by the generation, is told, and brings back what it has.
func TestFailover_WhatIsLostIsSeen(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	primary, standby := start(t, durable...), start(t, durable...)
	p := newPlace(t, primary)
	if err := standby.Follow(ctx, primary, p.link.Addr()); err != nil {
		t.Fatal(err)
	}
	clients := newPlace(t, primary)
	db := clients.open()
	eventually(t, "the server says that a replica follows", func() bool {
		losses, err := db.Losses(ctx)
		return err == nil && losses == store.LosesAtFailover
	})
	var failedOver atomic.Int32
	machine, err := store.NewFleet(db, bytes.Repeat([]byte("n4me"), store.KeySize/4), [][]byte{bytes.Repeat([]byte("s3al"), store.KeySize/4)},
		&store.FleetOptions{Trace: store.FleetTrace{FailedOver: func(context.Context, store.FailedOver) { failedOver.Add(1) }}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(record string) {
		t.Helper()
		if err := machine.Update(ctx, "alice", func([]byte) ([]byte, error) { return []byte(record), nil }); err != nil {
			t.Fatal(err)
		}
	}
	write("first")
	replicated := newPlace(t, standby)
	replicated.opts = clients.opts
	follower := replicated.open()
	var before []store.ID
	eventually(t, "the replica has it", func() bool {
		before, err = follower.NotSealedBy(ctx, "", store.ID{}, 10)
		return err == nil && len(before) == 1
	})
	p.link.Cut() // between the two servers
	seen := get(t, db, before[0])
	write("second")
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	clients.link.To(standby.Addr())
	var lost *store.Row
	eventually(t, "the promoted one answers", func() bool { lost, err = db.Read(ctx, before[0]); return err == nil })
	if lost == nil || lost.Generation != seen.Generation {
		t.Errorf("the promoted one has %+v; want generation %d", lost, seen.Generation)
	}
	if record, err := machine.Load(ctx, "alice"); err != nil || string(record) != "second" {
		t.Errorf("the machine that has seen it: %q, %v", record, err)
	}
	if failedOver.Load() == 0 {
		t.Error("it was not told")
	}
	write("third")
	if row := get(t, db, before[0]); row.Generation <= seen.Generation+1 {
		t.Errorf("afterwards: %+v", row)
	}
}

// A server that has started, and reads what it has, is not taken for one that has nothing.
func TestRestart_Reads(t *testing.T) {
	s := start(t, durable...)
	p := newPlace(t, s)
	db := p.open()
	for n := range 50 {
		put(t, db, grant(n), fmt.Sprint(n))
	}
	ctx := context.WithoutCancel(t.Context())
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := db.Read(ctx, grant(1))
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("stopped: %v; want an ErrNoAnswer", err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	eventually(t, "it answers", func() bool {
		row, err := db.Read(ctx, grant(49))
		if err == nil && row == nil {
			t.Fatal("it has nothing")
		}
		return err == nil
	})
}
