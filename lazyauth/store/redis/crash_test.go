package redis_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
)

// The server is killed in the middle of writes, with "appendfsync always".
func TestCrash_AcknowledgedIsThere(t *testing.T) {
	enginetest.CrashAcknowledgedIsThere(t, newPlace(t, server).common(), server)
}

// A server that writes nothing to its disk has nothing after it was killed. That there is no row says nobody whether it was lost, or
// has ended: who had seen it uses it no more.
func TestCrash_WithoutAppendOnly(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	s := start(t, "appendonly no")
	p := newPlace(t, s)
	db := p.open()
	machine, err := store.NewFleet(db, bytes.Repeat([]byte("n4me"), store.KeySize/4), [][]byte{bytes.Repeat([]byte("s3al"), store.KeySize/4)}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := machine.Update(ctx, "alice", func([]byte) ([]byte, error) { return []byte("acknowledged"), nil }); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(ctx); err != nil {
		t.Fatal(err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	var record []byte
	enginetest.Eventually(t, "it answers", func() bool { record, err = machine.Load(ctx, "alice"); return err == nil })
	if record != nil {
		t.Errorf("there is %q", record)
	}
}

// A replica is promoted behind a link that had been cut.
func TestFailover_WhatIsLostIsSeen(t *testing.T) {
	primary, standby := start(t, durable...), start(t, durable...)
	between := newPlace(t, primary).link
	if err := standby.Follow(t.Context(), primary, between.Addr()); err != nil {
		t.Fatal(err)
	}
	p := newPlace(t, primary)
	follower := newPlace(t, standby)
	follower.opts = p.opts
	enginetest.FailoverWhatIsLostIsSeen(t, p.common(), standby, between, follower.open())
}

// A primary becomes a replica, and ends no connection; the name leads to another one by now. Who writes finds out,
// and the next connections are to that.
func TestFailover_DemotedIsLeft(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	old, next := start(t, durable...), start(t, durable...)
	p := newPlace(t, old)
	db := p.open()
	enginetest.Put(t, db, enginetest.Grant(1), "to the old one")
	password := old.Password()
	if err := old.Follow(ctx, next, next.Addr()); err != nil {
		t.Fatal(err)
	}
	do(t, next, "CONFIG", "SET", "requirepass", password)
	p.link.Next(next.Addr())
	insert := func() error {
		_, err := db.Insert(ctx, enginetest.Grant(2), store.Change{Generation: 1, Content: []byte("to the next one")})
		return err
	}
	if err := insert(); !errors.Is(err, store.ErrUnwritable) {
		t.Errorf("Insert: %v; want an ErrUnwritable", err)
	}
	enginetest.Eventually(t, "it is written to the next one", func() bool { return insert() == nil })
	if row := enginetest.Get(t, db, enginetest.Grant(2)); row == nil || string(row.Content) != "to the next one" {
		t.Errorf("there is %+v", row)
	}
}

// A server that has started, and reads what it has, is not taken for one that has nothing.
func TestRestart_Reads(t *testing.T) {
	s := start(t, durable...)
	p := newPlace(t, s)
	db := p.open()
	for n := range 50 {
		enginetest.Put(t, db, enginetest.Grant(n), fmt.Sprint(n))
	}
	ctx := context.WithoutCancel(t.Context())
	if err := s.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	_, err := db.Read(ctx, enginetest.Grant(1))
	if !errors.Is(err, store.ErrNoAnswer) {
		t.Errorf("stopped: %v; want an ErrNoAnswer", err)
	}
	if err := s.Start(ctx); err != nil {
		t.Fatal(err)
	}
	enginetest.Eventually(t, "it answers", func() bool {
		row, err := db.Read(ctx, enginetest.Grant(49))
		if err == nil && row == nil {
			t.Fatal("it has nothing")
		}
		return err == nil
	})
}
