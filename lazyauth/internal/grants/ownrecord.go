package grants

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// An ownRecord is that of one owner in the store. It is all that uses the store, and knows
// nothing of the owner; every wait for the store is bounded here.
type ownRecord struct {
	store    store.Store // nil: there is none, and none of the methods may be called
	key      string
	order    *scopes.Hierarchy
	declared func() scopes.Set           // what a grant was asked for, where its record does not say
	admit    func(context.Context) error // see Config.Restored

	// storing and loading hold a token for each time that the store is being asked, so that
	// one that does not answer keeps a few goroutines and no more.
	storing, loading chan struct{}

	// seen is the access token of the record as it was last read or written here; empty, or
	// nil, if there was none. A record that cannot be reached is taken to be that still.
	seen atomic.Pointer[string]
}

func newOwnRecord(c *Config, who Principal) ownRecord {
	return ownRecord{store: c.Store, key: c.Key(who), order: c.Hierarchy, declared: c.Declared, admit: admission(c.Restored, who), storing: make(chan struct{}, storeCalls), loading: make(chan struct{}, storeCalls)}
}

// admission is Config.Restored for one principal; nil of nil.
func admission(restored func(context.Context, Principal) error, who Principal) func(context.Context) error {
	if restored == nil {
		return nil
	}
	return func(ctx context.Context) error { return restored(ctx, who) }
}

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

// errRefusedElsewhere is why a refresh token is not presented that another process still had.
var errRefusedElsewhere = &oauth.Error{Op: "refresh", Kind: oauth.ErrRevoked, Reason: "another process of this server was refused it"}

// refused reports whether what is stored is g without its refresh token: whoever wrote that was refused it.
func (s stored) refused(g *Grant) bool {
	return s.grant.refresh == "" && g.refresh != "" && s.grant.token.AccessToken == g.token.AccessToken
}

// serves reports whether what is stored can be used in the place of g.
func (s stored) serves(g *Grant) bool { return s.grant.Alive() && s.grant.Holds(g.Known()) }

func (r *ownRecord) read(record []byte) stored {
	if record == nil {
		r.sees(nil)
		return stored{absent: true}
	}
	g, err := decode(r.order, r.declared, record)
	r.sees(g)
	return stored{grant: g, foreign: errors.Is(err, errForeign), err: err}
}

// sees notes that the record is g's, or nobody's.
func (r *ownRecord) sees(g *Grant) {
	access := ""
	if g != nil {
		access = g.token.AccessToken
	}
	r.seen.Store(&access)
}

// has reports whether the record may be the one with this access token, which is not empty.
func (r *ownRecord) has(access string) bool {
	if r.store == nil || access == "" {
		return false
	}
	seen := r.seen.Load()
	return seen == nil || *seen == access
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
	found string // the access token of the record before it; of the one last seen if it was not made
}

// update has decide judge what the store has, in one transaction: whoever else
// updates the record waits meanwhile, in this process and in all that share the store. An
// error is the store's, and then the decision may not have been carried out. ctx ends the
// wait for the record; what decide does is its own to bound.
//
// Every wait is bounded. Whatever the store does, decide is called once at the most, and
// what it decides is handed over, and not shared.
//
// The terms are for a store that machines share.
func (r *ownRecord) update(ctx context.Context, terms *store.Terms, decide func(stored) decision) (u update, err error) {
	defer func() {
		if seen := r.seen.Load(); !u.made && seen != nil {
			u.found = *seen
		}
	}()
	slow := errStoreSlow{r.store.String()}
	timer := time.NewTimer(r.beginWait())
	defer timer.Stop()
	select {
	case r.storing <- struct{}{}:
	case <-timer.C:
		return u, slow
	case <-ctx.Done():
		return u, context.Cause(ctx)
	}
	turn := make(chan struct{}, 1) // taken by the decision, or by who waits for it no more
	turn <- struct{}{}
	decided, finished := make(chan update, 1), make(chan error, 1)
	storing, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	go func() { // ends when the store answers; see ownRecord
		defer func() { <-r.storing }()
		defer giveUp()
		err := guard.ErrExited
		defer func() { finished <- err }()
		err = guard.Call("the store", func() error {
			return r.store.Update(store.WithTerms(storing, terms), r.key, r.change(turn, decided, decide))
		})
	}()
	waiting := ctx.Done()
	for {
		select {
		case u = <-decided:
			waiting = nil
			timer.Reset(storeWait) // for the writing
		case err := <-finished:
			switch {
			case u.made:
			case takes(turn):
				if err == nil {
					err = errNotAsked
				}
			default: // it was decided just now, or is being decided, if the store did not wait for that
				u = <-decided
			}
			if errors.Is(err, errUnchanged) {
				err = nil
			} else if err == nil && u.made {
				r.sees(u.put)
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

// errNotAsked names a store that breaks its contract: nobody knows what it has.
var errNotAsked = errors.New("lazyauth: the store of grants ended an update without having called the change that it was given")

// change is what the store is given for an update.
func (r *ownRecord) change(turn <-chan struct{}, decided chan<- update, decide func(stored) decision) func([]byte) ([]byte, error) {
	return func(record []byte) ([]byte, error) {
		if !takes(turn) { // nobody waits, or a store that calls it again
			return nil, errUnchanged
		}
		u := update{made: true}
		defer func() { decided <- u }()
		found := r.read(record)
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

// forget deletes the record and returns the grant in it, or that of a record that could not be
// deleted; an error says that it may still be there, or could not be read.
func (r *ownRecord) forget(ctx context.Context) (kept *Grant, err error) {
	if r.store == nil {
		return nil, nil //nolint:nilnil // there is none
	}
	// What is stored may be newer than what is at hand. What cannot be read cannot be revoked, but
	// it can be forgotten.
	terms, newer := r.endingAll()
	u, err := r.update(ctx, terms, func(s stored) decision { return decision{remove: !s.absent, use: s.grant, err: s.err} })
	if kept = u.use; newer.Load() != nil {
		kept = newer.Load()
	}
	if err != nil && !u.made && !errors.As(err, new(errStoreSlow)) {
		// It cannot be written, and perhaps it can be read.
		if found, failed := r.load(ctx); failed == nil && found != nil {
			kept = found
		}
	}
	if u.err != nil {
		err = errors.Join(err, notRevoked{u.err})
	}
	return kept, err
}

// admits returns why what was found in the store must not be used; nil if it may, or is none.
func (r *ownRecord) admits(ctx context.Context, found *Grant) error {
	if found == nil || r.admit == nil {
		return nil
	}
	return r.admit(ctx)
}

// load returns what the store has, waiting for no longer than storeWait.
func (r *ownRecord) load(ctx context.Context) (*Grant, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, storeWait, errStoreSlow{r.store.String()})
	defer cancel()
	select {
	case r.loading <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	type answer struct {
		record []byte
		err    error
	}
	answered := make(chan answer, 1)
	go func() { // ends when the store answers; see ownRecord
		defer func() { <-r.loading }()
		a := answer{err: guard.ErrExited}
		defer func() { answered <- a }()
		a.err = guard.Call("the store", func() (err error) {
			a.record, err = r.store.Load(ctx, r.key)
			return err
		})
	}()
	select {
	case a := <-answered:
		if a.err != nil {
			return nil, a.err
		}
		found := r.read(a.record)
		return found.grant, found.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}
