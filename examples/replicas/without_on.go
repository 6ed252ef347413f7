//go:build faults

package main

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// guards are those that can be taken out, to see that the demonstration notices.
var guards = []string{"fence", "begin", "start", "deadline"}

// without takes a guard out of a store.
func without(rows store.Shared, guard string) store.Shared {
	if guard == "" {
		return rows
	}
	return unguarded{rows, guard}
}

type unguarded struct {
	store.Shared
	guard string
}

// Begin implements [store.Shared]: without begin nobody is told that an attempt is under way, and without
// deadline a lease ends at once, while its holder goes on.
func (u unguarded) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	switch u.guard {
	case "begin", "deadline":
		a.Lease = time.Millisecond
	}
	return u.Shared.Begin(ctx, id, a)
}

// Write implements [store.Shared]: without fence it is done whoever has begun since.
func (u unguarded) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	if u.guard == "fence" {
		if row, err := u.Shared.Read(ctx, id); err == nil && row != nil {
			fence, generation = row.Fence, row.Generation
		}
	}
	return u.Shared.Write(ctx, id, fence, generation, c)
}

// Insert implements [store.Shared]: without start whoever marks a handler's start is the first.
func (u unguarded) Insert(ctx context.Context, id store.ID, c store.Change) (bool, error) {
	if u.guard == "start" && id.Kind == "mark" {
		if err := u.Shared.Delete(ctx, id); err != nil {
			return false, err
		}
	}
	return u.Shared.Insert(ctx, id, c)
}
