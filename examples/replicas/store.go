package main

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/postgres"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store/redis"
)

// The demonstration has no time for leases of half a minute: its authorization server answers at once.
const (
	bound = 4 * time.Second
	lease = 9 * time.Second
)

// A sharedStore is what the replicas share.
type sharedStore struct {
	store     store.Store
	directory httpforward.Directory // nil: calls go on where they began
	ready     func(context.Context) error
	close     func()
}

// openShared opens what a URL, or the name of a folder, says.
func openShared(ctx context.Context, cfg replicaConfig, k keys) (*sharedStore, error) {
	u, err := url.Parse(cfg.Store)
	if err != nil || u.Scheme == "" {
		files, err := store.File(cfg.Store, k.seal)
		if err != nil {
			return nil, err
		}
		return &sharedStore{
			store: store.NewProcesses(files), ready: func(context.Context) error { return nil }, close: func() {},
		}, nil
	}
	rows, closeRows, err := openRows(ctx, cfg)
	if err != nil {
		return nil, err
	}
	fleet, err := store.NewFleet(dyingStore{without(rows, cfg.Without), cfg.DieAt}, k.names, [][]byte{k.seal}, &store.FleetOptions{
		Bound: bound, Lease: lease, Format: cfg.Format,
		Trace: store.FleetTrace{TookOver: func(context.Context, store.TakeOver) { fmt.Println(doubtLine) }},
	})
	if err != nil {
		return nil, err
	}
	// Nobody's settings may differ: a replica that asks as another client, say, would spoil the others' grants.
	if err := fleet.CheckSettings(ctx, map[string]string{"server": cfg.Server, "public": cfg.Public, "flow": string(cfg.Flow)}); err != nil {
		return nil, err
	}
	following, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = fleet.Run(following) // hints: without them all is found out by looking
	}()
	return &sharedStore{
		store: fleet, directory: fleet, ready: fleet.Ready,
		close: func() { stop(); <-ended; closeRows() },
	}, nil
}

// openRows opens a database.
func openRows(ctx context.Context, cfg replicaConfig) (rows store.Shared, closeRows func(), err error) {
	u, err := url.Parse(cfg.Store)
	if err != nil {
		return nil, nil, err
	}
	switch u.Scheme {
	case "postgres", "postgresql":
		db, err := postgres.Open(ctx, cfg.Store, &postgres.Options{Schema: cfg.Namespace})
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	case "redis", "rediss", "valkey", "valkeys":
		db, err := redis.Open(ctx, cfg.Store, &redis.Options{Name: cfg.Namespace})
		if err != nil {
			return nil, nil, err
		}
		return db, db.Close, nil
	default:
		return nil, nil, fmt.Errorf("-store: there is no store for %s://", u.Scheme)
	}
}
