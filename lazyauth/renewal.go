package lazyauth

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
)

// A renewal refreshes one expired grant (RFC 6749 §6), once for everybody who
// waits for it. The refresh token is used by this one request: many servers
// rotate it, and take a second use for theft.
type renewal struct {
	owner *owner
	old   *grant

	over chan struct{}
	err  error // once over: why callers cannot go on
}

func newRenewal(o *owner, old *grant) *renewal {
	return &renewal{owner: o, old: old, over: make(chan struct{})}
}

// run is the renewal. Once it is over, callers look again: they find the new
// grant, or none, which makes them ask the person. Only a server that is out
// of reach is an error: it keeps the grant for a better time.
func (r *renewal) run() {
	defer close(r.over)
	o, auth, began := r.owner, r.owner.auth, time.Now()
	token, err := r.refresh(auth.ctx)

	var g *grant
	if err == nil {
		g = auth.newGrant(token, true)
	}
	keep := errors.Is(err, device.ErrUnavailable) || auth.ctx.Err() != nil
	o.mu.Lock()
	if keep {
		r.err = auth.fail(Unavailable, err)
		g.retire()
	} else if o.grant.CompareAndSwap(r.old, g) {
		r.old.retire()
	} else { // a flight has brought a newer one
		g.retire()
	}
	o.renewal = nil
	o.mu.Unlock()

	event := Event{Principal: o.principal, Scopes: r.old.scopes, Took: time.Since(began)}
	if err != nil {
		_, event.Err = causeOf(err)
		event.Reason = Unavailable
		if !keep {
			event.Reason = Expired
		}
		auth.emit(onFailed, event)
		return
	}
	event.Scopes = g.scopes
	auth.emit(onRefreshed, event)
}

func (r *renewal) refresh(ctx context.Context) (*device.Token, error) {
	client, err := r.owner.auth.server.client(ctx)
	if err != nil {
		return nil, err
	}
	return client.Refresh(ctx, r.old.refresh, r.old.scopes)
}

func (r *renewal) wait(ctx context.Context) error {
	select {
	case <-r.over:
		return r.err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
