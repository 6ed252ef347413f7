package grants

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
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

// errStoreSlow names the store that does not answer.
type errStoreSlow struct{ where string }

func (e errStoreSlow) Error() string {
	return fmt.Sprintf("lazyauth: the store of grants %s has not answered: it may wait for a password that nobody sees, or for a process that hangs with its lock", e.where)
}

// stored is what a store has for an owner.
type stored struct {
	grant   *Grant // nil if there is none, or none that can be read
	absent  bool   // there is no record
	foreign bool   // there is one of another version: it is not written over
	err     error  // why it cannot be read
}

func (k *Keeper) read(record []byte) stored {
	if record == nil {
		return stored{absent: true}
	}
	g, err := k.decode(record)
	return stored{grant: g, foreign: errors.Is(err, errForeign), err: err}
}

// A decision is what becomes of a record, and of who looked at it.
type decision struct {
	put    *Grant // is written in its place
	remove bool   // it is deleted; if neither, it is left as it is

	use *Grant // what the record gives: for a refresh to go on with, or to be revoked
	err error  // why it gives nothing
}

// An update is what one came to.
type update struct {
	decision
	made  bool   // decide was called; if not, it never will be
	found string // the access token of the record before it
}

// update has decide judge what the store has for o, in one transaction: whoever else
// updates the record waits meanwhile, in this process and in all that share the store. An
// error is the store's, and then the decision may not have been carried out. ctx ends the
// wait for the record; what decide does is its own to bound.
//
// Every wait is bounded. Whatever the store does, decide is called once at the most, and
// what it decides is handed over, and not shared.
func (o *Owner) update(ctx context.Context, decide func(stored) decision) (u update, err error) {
	slow := errStoreSlow{o.keeper.config.Store.String()}
	timer := time.NewTimer(storeWait)
	defer timer.Stop()
	select {
	case o.storing <- struct{}{}:
	case <-timer.C:
		return u, slow
	case <-ctx.Done():
		return u, context.Cause(ctx)
	}
	turn := make(chan struct{}, 1) // taken by the decision, or by who waits for it no more
	turn <- struct{}{}
	decided, finished := make(chan update, 1), make(chan error, 1)
	storing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	go func() { // ends when the store answers; see Owner.storing
		defer func() { <-o.storing }()
		defer giveUp()
		err := guard.ErrExited
		defer func() { finished <- err }()
		err = guard.Call("the store", func() error {
			return o.keeper.config.Store.Update(storing, o.key, o.change(turn, decided, decide))
		})
	}()
	waiting := ctx.Done()
	for {
		select {
		case u = <-decided:
			waiting = nil
			timer.Reset(storeWait) // for the writing
		case err := <-finished:
			select {
			case u = <-decided:
			default:
			}
			if errors.Is(err, errUnchanged) {
				err = nil
			}
			return u, err
		case <-waiting:
			if takes(turn) {
				giveUp()
				return u, context.Cause(ctx)
			}
			waiting = nil
		case <-timer.C:
			if takes(turn) || u.made {
				giveUp()
				return u, slow
			}
			timer.Reset(storeWait) // for the decision
		}
	}
}

// change is what the store is given for an update.
func (o *Owner) change(turn <-chan struct{}, decided chan<- update, decide func(stored) decision) func([]byte) ([]byte, error) {
	return func(record []byte) ([]byte, error) {
		if !takes(turn) { // nobody waits, or a store that calls it again
			return nil, errUnchanged
		}
		u := update{made: true}
		defer func() { decided <- u }()
		found := o.keeper.read(record)
		if found.grant != nil {
			u.found = found.grant.token.AccessToken
		}
		switch u.decision = decide(found); {
		case u.put != nil && found.foreign:
			return nil, errForeign
		case u.put != nil:
			return u.put.encode(), nil
		case u.remove && record != nil:
			return nil, nil
		}
		return nil, errUnchanged
	}
}

func takes(turn <-chan struct{}) bool {
	select {
	case <-turn:
		return true
	default:
		return false
	}
}

// errUnchanged ends an update of the store that writes nothing.
var errUnchanged = errors.New("lazyauth: nothing to write")

// load returns what the store has, waiting for no longer than storeWait.
func (o *Owner) load(ctx context.Context) (*Grant, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, storeWait, errStoreSlow{o.keeper.config.Store.String()})
	defer cancel()
	select {
	case o.loading <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	type answer struct {
		record []byte
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // ends when the store answers; see Owner.loading
		defer func() { <-o.loading }()
		a := answer{err: guard.ErrExited}
		defer func() { answered <- a }()
		a.err = guard.Call("the store", func() (err error) {
			a.record, err = o.keeper.config.Store.Load(ctx, o.key)
			return err
		})
	}()
	select {
	case a := <-answered:
		if a.err != nil || a.record == nil {
			return nil, a.err
		}
		found := o.keeper.read(a.record)
		return found.grant, found.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

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
	u, err := o.update(o.keeper.ctx, func(s stored) decision {
		if !o.isCurrent(g) || s.grant != nil && o.prefers(s.grant, g) {
			return decision{}
		}
		g.stored.Store(true)
		return decision{put: g}
	})
	switch {
	case err != nil:
		g.stored.Store(false)
		if u.made {
			o.noteOutdated(u.found)
		}
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
	return found.Alive() && access != o.rejected && access != o.outdated && !g.Holds(found.Known()) && found.Holds(g.Known())
}

// remove deletes g from the store, if it is what is there.
func (o *Owner) remove(ctx context.Context, g *Grant) {
	if o.keeper.config.Store == nil {
		return
	}
	u, err := o.update(ctx, func(s stored) decision {
		return decision{remove: s.grant != nil && s.grant.token.AccessToken == g.token.AccessToken, err: s.err}
	})
	if err = errors.Join(err, u.err); err != nil {
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
func (o *Owner) isOutdated(access string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return access != "" && access == o.outdated
}

// storeFailed says aloud that grants are not kept where they should be.
func (o *Owner) storeFailed(ctx context.Context, err error) {
	o.keeper.config.Observer.StoreFailed(ctx, o, err)
}
