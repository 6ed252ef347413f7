package redis_test

import (
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
