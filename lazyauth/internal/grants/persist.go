package grants

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const (
	// storeWait bounds every wait for the store to begin or to end something. A store that
	// does not answer for so long is done without.
	storeWait = 20 * time.Second
	// exchangeWait bounds what is asked of the authorization server while a record is
	// locked. It is less than storeWait, so that a lock that is held for longer is that of
	// a process that hangs.
	exchangeWait = 15 * time.Second
	// saveWait is how much of storeWait those who wait for a new grant spend on its being
	// stored: a server that is started for each call may end with the result.
	saveWait = 5 * time.Second
	// storeCalls is how many changes, and how many looks, at one record a store may leave
	// unanswered.
	storeCalls = 4
)

// save writes the owner's new grant g to the store, unless what is there by now is better.
// It waits for that for a while; what the store does later is told to the observer.
func (o *Owner) save(ctx context.Context, g *Grant) {
	if o.keeper.config.Store == nil {
		return
	}
	saved := make(chan struct{})
	if !o.keeper.Spawn("writing to the store", func() {
		defer close(saved)
		o.saveNow(ctx, g)
	}) {
		return
	}
	timer := time.NewTimer(saveWait)
	defer timer.Stop()
	select {
	case <-saved:
	case <-timer.C:
	}
}

func (o *Owner) saveNow(ctx context.Context, g *Grant) {
	u, err := o.record.update(o.keeper.ctx, o.record.quick(func(found *Grant) bool { return !o.isCurrent(g) || o.prefers(found, g) }), func(s stored) decision {
		if !o.isCurrent(g) || s.grant != nil && o.prefers(s.grant, g) {
			return decision{}
		}
		g.stored.Store(true)
		return decision{put: g}
	})
	switch {
	case errors.Is(err, store.ErrEnded):
		o.takeBack(g)
	case errors.Is(err, store.ErrFenced): // what is there is to stay
		g.stored.Store(false)
	case err != nil:
		g.stored.Store(false)
		o.noteOutdated(u.found)
		o.storeFailed(ctx, err)
	case u.put != nil:
		o.noteOutdated("")
	}
}

// prefers reports whether what the store has is to stay in the place of g: somebody has
// stepped up meanwhile.
func (o *Owner) prefers(found, g *Grant) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	access := found.token.AccessToken
	return !g.instead && found.Alive() && access != o.rejected && access != o.outdated && !g.Holds(found.Known()) && found.Holds(g.Known())
}

// remove deletes g from the store, if it is what is there.
func (o *Owner) remove(ctx context.Context, g *Grant) {
	if o.keeper.config.Store == nil {
		return
	}
	u, err := o.record.update(ctx, o.record.quick(func(*Grant) bool { return true }), func(s stored) decision {
		return decision{remove: s.grant != nil && s.grant.token.AccessToken == g.token.AccessToken, err: s.err}
	})
	if err = errors.Join(err, u.err); err != nil && !errors.Is(err, store.ErrFenced) {
		o.storeFailed(ctx, err)
	}
}

// noteOutdated notes that the store has the record with this access token in the place of
// what is at hand; none if it has what is at hand.
func (o *Owner) noteOutdated(access string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.outdated = access
}

// isOutdated reports whether a record with this access token should have been replaced.
func isOutdated(o *Owner, access string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return access != "" && access == o.outdated
}

// storeFailed says aloud that grants are not kept where they should be.
func (o *Owner) storeFailed(ctx context.Context, err error) {
	o.keeper.config.Observer.StoreFailed(ctx, o, err)
}
