package grants

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

// fleetWait bounds the wait for a store that machines share to begin: one of them may have died, and
// its lease has to end.
const fleetWait = 40 * time.Second

// isFleets reports whether machines share the store. Then a refresh token is used within an update of the store's
// and not otherwise, whatever becomes of the store: another machine may be using it.
func (r *ownRecord) isFleets() bool { return store.IsFleet(r.store) }

func (r *ownRecord) beginWait() time.Duration {
	if r.isFleets() {
		return fleetWait
	}
	return storeWait
}

// notNow is why a grant cannot be refreshed now. What it wraps is for people, and says nothing of the
// grant: that the store cannot be written is no reason to ask the person.
type notNow struct{ err error }

func (e notNow) Error() string { return e.err.Error() }

// quick returns the terms of an update that uses no credential. Of what other machines have written
// meanwhile stays decides whether it is to stay.
func (r *ownRecord) quick(stays func(*Grant) bool) *store.Terms {
	return &store.Terms{Quick: true, Over: func(found []byte) bool {
		g, err := decode(r.order, r.declared, found)
		return err == nil && !stays(g)
	}}
}

// endingAll returns the terms of an update that ends the record, whatever other machines have written
// meanwhile, and that.
func (r *ownRecord) endingAll() (*store.Terms, *atomic.Pointer[Grant]) {
	newer := new(atomic.Pointer[Grant])
	return &store.Terms{Quick: true, Over: func(found []byte) bool {
		if g, err := decode(r.order, r.declared, found); err == nil {
			newer.Store(g)
		}
		return true
	}}, newer
}

// replaces returns whether what a refresh of g brings replaces a record: it does g's own, also if it was
// sealed anew or its refresh token taken out, and no other: that is of a sign-in, or of a later refresh.
func (r *ownRecord) replaces(g *Grant) func([]byte) bool {
	return func(found []byte) bool {
		f, err := decode(r.order, r.declared, found)
		return err == nil && f.token.AccessToken == g.token.AccessToken
	}
}

// awaiting returns the terms of an update that is to refresh old, and ends if another machine brings what that is to bring, while
// this one waits for it; found says what that was.
func awaiting(o *Owner, old *Grant) (terms *store.Terms, found func() *Grant) {
	var brought atomic.Pointer[Grant]
	terms = &store.Terms{Found: func(record []byte) bool {
		s := o.record.read(record)
		if s.grant == nil || !o.isCurrent(old) || s.grant.token.AccessToken == old.token.AccessToken ||
			isOutdated(o, s.grant.token.AccessToken) || !s.serves(old) {
			return false
		}
		brought.Store(s.grant)
		return true
	}}
	return terms, brought.Load
}

// isUnsettled reports whether a refresh that failed may have used the refresh token.
func isUnsettled(ctx context.Context, err error) bool {
	return err != nil && (ctx.Err() != nil || errors.Is(err, oauth.ErrUnreadable))
}

// takeBack gives up a grant that was ended while it was on its way into the store.
func (o *Owner) takeBack(g *Grant) {
	o.mu.Lock()
	if o.Grant() == g {
		o.lose()
	}
	o.mu.Unlock()
	o.revokeLate(g)
}
