package postgres_test

import (
	"context"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// The server is killed in the middle of writes.
func TestCrash_AcknowledgedIsThere(t *testing.T) {
	enginetest.CrashAcknowledgedIsThere(t, newPlace(t).common(), server)
}

// An asynchronous standby is promoted behind a link that had been cut.
func TestFailover_WhatIsLostIsSeen(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	p := newPlace(t)
	between, err := engines.NewLink(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = between.Close() })
	standby, err := server.Standby(ctx, folder(t), between.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := standby.Stop(ctx); err != nil {
			t.Error(err)
		}
	})
	follower, err := postgres.Open(ctx, standby.URL("", "postgres"), &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	enginetest.FailoverWhatIsLostIsSeen(t, p.common(), standby, between, follower)
}
