package grants

import (
	"context"
	"errors"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// ErrNoGrant means that there is no grant that a person could have given.
var ErrNoGrant = errors.New("lazyauth: there is no grant")

// SignInAgain has o's person asked for what they have granted, though they have granted it. The new
// grant takes the place of the old one whatever it is for, once it is there; until then the old one
// is used. If a flight is under way, that is the one. The caller follows the flight.
//
// Errors: [ErrNoGrant] if there is none that could be replaced, [ErrManySignIns], [ErrClosed], why
// the stored grant must not be used, and that of a.MayAsk.
func SignInAgain(ctx context.Context, o *Owner, a Asker) (*Flight, error) {
	if o.source != nil || o.usesOperatorToken() {
		return nil, ErrNoGrant
	}
	if o.Grant() == nil && o.keeper.config.Store != nil { // it says what is asked for
		if err := restore(ctx, o); err != nil {
			return nil, err
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Grant() == nil {
		return nil, ErrNoGrant
	}
	if err := a.MayAsk(o.flight == nil); err != nil {
		return nil, err
	}
	if o.flight == nil {
		if err := takeOff(ctx, o, scopes.Set{}, a); err != nil {
			return nil, err
		}
	}
	o.flight.anew = true
	return o.flight, nil
}

// takeOff begins a flight of o's, which has none; o.mu is held.
func takeOff(ctx context.Context, o *Owner, need scopes.Requirement, a Asker) error {
	if !o.keeper.signIns.Take(o.who.Person()) {
		return ErrManySignIns
	}
	f := newFlight(ctx, o, need, a)
	o.keep()
	if !f.begin(asked(f, a)) {
		o.keeper.signIns.Give(o.who.Person())
		return ErrClosed
	}
	o.flight = f
	return nil
}
