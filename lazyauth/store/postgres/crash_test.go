package postgres_test

import (
	"context"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/engines"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/internal/enginetest"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
)

// The server is killed in the middle of writes.
func TestCrash_AcknowledgedIsThere(t *testing.T) {
	enginetest.CrashAcknowledgedIsThere(t, newPlace(t).common(), server)
}

// follows starts a standby of the server, which the test stops, behind a link.
func follows(t *testing.T) (*engines.Postgres, *engines.Link) {
	t.Helper()
	ctx := context.WithoutCancel(t.Context())
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
	return standby, between
}

// An asynchronous standby is promoted behind a link that had been cut.
func TestFailover_WhatIsLostIsSeen(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	p := newPlace(t)
	standby, between := follows(t)
	follower, err := postgres.Open(ctx, standby.URL("", "postgres"), &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer follower.Close()
	enginetest.FailoverWhatIsLostIsSeen(t, p.common(), standby, between, follower)
}

// A synchronous standby is promoted: what was acknowledged is there, and while it cannot be reached nothing is.
func TestFailover_SynchronousHasAll(t *testing.T) {
	ctx := context.WithoutCancel(t.Context())
	p := newPlace(t)
	standby, between := follows(t)
	p.opts.Timeout = 30 * time.Second
	db := p.open()
	loses := func(want store.Losses) {
		t.Helper()
		enginetest.Eventually(t, "the server says what it may lose", func() bool {
			losses, err := db.Losses(ctx)
			return err == nil && losses == want
		})
	}
	loses(store.LosesAtFailover) // it follows
	admin(t, "ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()")
	t.Cleanup(func() { admin(t, "ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()") })
	loses(store.LosesNothing)
	writes := func(n int, within time.Duration) bool {
		ctx, cancel := context.WithTimeout(ctx, within)
		defer cancel()
		ok, err := db.Insert(ctx, enginetest.Grant(n), store.Change{Generation: 1, Content: []byte("acknowledged")})
		return err == nil && ok
	}
	n, acknowledged := 0, make(map[int]bool)
	for range 20 {
		acknowledged[n] = writes(n, p.opts.Timeout)
		n++
	}
	between.Cut()
	enginetest.Eventually(t, "what does not get to the standby is not acknowledged", func() bool {
		acknowledged[n] = writes(n, time.Second)
		n++
		return !acknowledged[n-1]
	})
	if err := standby.Promote(ctx); err != nil {
		t.Fatal(err)
	}
	promoted, err := postgres.Open(ctx, standby.URL("", "postgres"), &p.opts)
	if err != nil {
		t.Fatal(err)
	}
	defer promoted.Close()
	count := 0
	for n, was := range acknowledged {
		if !was {
			continue
		}
		count++
		if row := enginetest.Get(t, promoted, enginetest.Grant(n)); row == nil || string(row.Content) != "acknowledged" {
			t.Errorf("row %d is %+v, and was acknowledged", n, row)
		}
	}
	if count < 20 {
		t.Errorf("%d of %d were acknowledged", count, n)
	}
}
