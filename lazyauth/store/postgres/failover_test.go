package postgres_test

import (
	"bytes"
	"context"
	"errors"
	"sync/atomic"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// An asynchronous standby whose link had been cut is promoted: what was acknowledged meanwhile is lost, as
// docs/scale.md says. Until then it is read-only. A machine that has seen what was lost finds out by the
// generation, is told, and brings back what it has.
func TestFailover_WhatIsLostIsSeen(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	p := newPlace(t)
	db := p.open()
	link, err := engines.NewLink(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = link.Close() })
	standby, err := server.Standby(ctx, folder(t), link.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	eventually(t, "the server says that a standby follows", func() bool {
		losses, err := db.Losses(ctx)
		return err == nil && losses == store.LosesAtFailover
	})
	var failedOver atomic.Int32
	machine, err := store.NewFleet(db, bytes.Repeat([]byte("n4me"), store.KeySize/4), [][]byte{bytes.Repeat([]byte("s3al"), store.KeySize/4)},
		&store.FleetOptions{Trace: store.FleetTrace{FailedOver: func(context.Context, store.FailedOver) { failedOver.Add(1) }}})
	if err != nil {
		t.Fatal(err)
	}
	write := func(record string) error {
		return machine.Update(ctx, "alice", func([]byte) ([]byte, error) { return []byte(record), nil })
	}
	if err := write("first"); err != nil {
		t.Fatal(err)
	}
	follower, err := postgres.Open(ctx, standby.URL("", "postgres"), &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	var ids []store.ID
	eventually(t, "the standby has it", func() bool {
		ids, err = follower.NotSealedBy(ctx, "", store.ID{}, 10)
		return err == nil && len(ids) == 1
	})
	_, _, err = follower.Begin(ctx, ids[0], store.Attempt{Owner: "one", Lease: hour})
	if !errors.Is(err, store.ErrUnwritable) {
		t.Errorf("Begin on the standby: %v; want an ErrUnwritable", err)
	}
	wantAdvice(t, err, "25006", "target_session_attrs")
	seen := get(t, db, ids[0])
	link.Cut() // between the two servers
	if err := write("second"); err != nil {
		t.Fatal(err)
	}
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	p.link.To(standby.Addr())
	var lost *store.Row
	eventually(t, "the promoted one answers", func() bool { lost, err = db.Read(ctx, ids[0]); return err == nil })
	if lost == nil || lost.Generation != seen.Generation {
		t.Errorf("the promoted one has %+v; want generation %d", lost, seen.Generation)
	}
	if record, err := machine.Load(ctx, "alice"); err != nil || string(record) != "second" {
		t.Errorf("the machine that has seen it: %q, %v", record, err)
	}
	if failedOver.Load() == 0 {
		t.Error("it was not told")
	}
	if err := write("third"); err != nil {
		t.Errorf("Update: %v", err)
	}
	if row := get(t, db, ids[0]); row.Generation <= seen.Generation+1 {
		t.Errorf("afterwards: %+v", row)
	}
}
