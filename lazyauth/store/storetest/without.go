package storetest

import (
	"context"
	"fmt"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// Guards are what keeps machines that share a store from harm: see [Without].
var Guards = []string{"fence", "begin", "start", "deadline"}

// Without returns s with one of the [Guards] taken out, to show that a test which passes would fail without it.
// It does so below the fleet, which has no switch for that: nothing of it is in a program that
// does not import this package.
//
//   - fence: what is written replaces whatever is there, however late it comes.
//   - begin: attempts leave no trace, so that nobody knows of them while they last, or afterwards.
//   - start: whoever makes a mark is the first.
//   - deadline: the store's leases end long before their machines think that they do, which is what it
//     comes to if these do not look at the time.
func Without(s store.Shared, guard string) (store.Shared, error) {
	switch guard {
	case "fence":
		return fenceless{s}, nil
	case "begin":
		return traceless{s}, nil
	case "start":
		return startless{s}, nil
	case "deadline":
		return deadless{s}, nil
	}
	return nil, fmt.Errorf("storetest: there is no guard %q: they are %q", guard, Guards)
}

type fenceless struct{ store.Shared }

func (f fenceless) Write(ctx context.Context, id store.ID, fence, generation uint64, c store.Change) (bool, error) {
	for {
		if ok, err := f.Shared.Write(ctx, id, fence, generation, c); ok || err != nil || c.Keep {
			return ok, err
		}
		// The contents are sealed for their generation, so that one which is no longer the next takes the place of the row.
		if err := f.Shared.Delete(ctx, id); err != nil {
			return false, err
		}
		c.Due, c.Ends = max(c.Due, 0), max(c.Ends, 0)
		if ok, err := f.Shared.Insert(ctx, id, c); ok || err != nil {
			return ok, err
		}
	}
}

type traceless struct{ store.Shared }

func (t traceless) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	a.Due = 0
	before, fence, err := t.Shared.Begin(ctx, id, a)
	if err != nil || fence == 0 {
		return before, fence, err
	}
	generation := uint64(0)
	if before != nil {
		generation = before.Generation
	}
	_, err = t.Shared.Write(ctx, id, fence, generation, store.Change{Keep: true, Due: -1})
	return before, fence, err
}

type startless struct{ store.Shared }

func (s startless) Insert(ctx context.Context, id store.ID, c store.Change) (bool, error) {
	ok, err := s.Shared.Insert(ctx, id, c)
	return ok || err == nil && id.Kind == "mark", err
}

type deadless struct{ store.Shared }

func (d deadless) Begin(ctx context.Context, id store.ID, a store.Attempt) (*store.Row, uint64, error) {
	a.Lease /= 6
	return d.Shared.Begin(ctx, id, a)
}
