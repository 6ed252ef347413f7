package lazyauth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// An owner is a resource owner (RFC 6749 §1.1), as far as this server knows
// one: a principal's grant, and the one flight or errand under way for it.
type owner struct {
	auth      *keeper
	principal Principal

	grant   atomic.Pointer[grant]
	refusal error // set for nobody: a caller who may not use any grant

	key string // of its grant in a store

	mu      sync.Mutex
	logouts int    // counted by Revoke: what was begun before one is not for after it
	stale   string // the access token of a record that should have been replaced, and was not
	unread  string // the refresh token whose last use was answered with a success without a token
	doubted string // the refresh token that was of no use, so that the person is asked
	flight  *flight
	errand  *errand
	refused string                           // the access token that the API refused last, which must not come back
	queue   map[*scopes.Requirement]struct{} // needs that wait for a flight for less
}

func newOwner(k *keeper, who Principal) *owner {
	return &owner{auth: k, principal: who, key: k.service.storeKey(who), queue: make(map[*scopes.Requirement]struct{})}
}

// An asker is somebody who wants a grant, and through whom the person can be asked for it.
type asker interface {
	// tool names the tool, for the trace.
	tool() string
	// mayAsk reports why the person must not be asked now.
	mayAsk() error
	// left is how much longer the asker can wait.
	left() time.Duration
	// follow brings the prompt of f to the person, and returns once f is over, or why the
	// asker waits no longer.
	follow(ctx context.Context, f *flight) error
}

// sharer is whose share of the table o's calls count against.
func (o *owner) sharer() Principal {
	if o.refusal != nil {
		return Principal{Issuer: "nobody"} // no principal has an issuer alone
	}
	return Principal{Issuer: o.principal.Issuer, Subject: o.principal.Subject}
}

// obtain returns a grant of o's that covers need. It refreshes an expired
// one, joins the flight that is under way or starts one, and waits; ctx ends
// the wait and nothing else. One call of obtain asks for its need at most
// once: a grant that turns out to lack it is an error, not a reason to ask
// again.
func (o *owner) obtain(ctx context.Context, need scopes.Requirement, a asker) (*grant, error) {
	if o.refusal != nil {
		return nil, o.refusal
	}
	if need == nil { // nothing satisfies it
		return nil, o.auth.fail(Exceeded, errUnlisted)
	}
	defer o.leave(&need)
	// Each errand is run once: a token that lapses before it can be used would be
	// refreshed for ever.
	var tried errandKind
	waited := false
	for {
		g, f, e, err := o.next(&need, a, tried)
		switch {
		case err != nil:
			return nil, err
		case g != nil:
			return g, nil
		}
		if !waited && f != nil {
			waited = true
			o.waits(need, a)
		}
		if e != nil {
			if err := o.await(ctx, e, a); err != nil {
				return nil, err
			}
			tried |= e.kind
			continue // to the new grant, or without the old one
		}
		err = a.follow(ctx, f)
		if err == nil {
			err = f.err
		}
		switch {
		case err != nil:
			return nil, err
		case f.kept && f.grant.holds(need):
			return f.grant, nil
		case f.covers(need):
			return nil, o.narrowed(need)
		}
		// This flight was for less. The next one asks for both.
	}
}

// await waits for an errand, and returns why the call cannot go on, if it cannot. What
// failed may have been for others: a refresh ahead of time, while more is needed here.
//
//go:noinline
func (o *owner) await(ctx context.Context, e *errand, a asker) error {
	err := e.wait(ctx, a.left())
	switch {
	case errors.Is(err, errSlow):
		return o.auth.fail(Pending, errNoPrompt)
	case err != nil && (ctx.Err() != nil || !o.grant.Load().alive()):
		return err
	}
	return nil
}

// waits tells the trace that a call begins to wait.
//
//go:noinline
func (o *owner) waits(need scopes.Requirement, a asker) {
	o.auth.emit(onWaiting, Event{Principal: o.principal, Tool: a.tool(), Scopes: o.missing(need)})
}

// narrowed is the error of a flight that brought less than what it asked for.
func (o *owner) narrowed(need scopes.Requirement) *Error {
	e := o.auth.fail(Narrowed, nil)
	e.Missing, e.configured = o.missing(need), o.static()
	return e
}

// next decides what somebody who needs a grant has to do: take it, or wait for
// an errand of a kind that was not tried, or for a flight. The ticket stands for the need in the queue.
func (o *owner) next(ticket *scopes.Requirement, a asker, tried errandKind) (*grant, *flight, *errand, error) {
	need := *ticket
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.grant.Load()
	if g.covers(need) {
		return g, nil, nil, nil
	}
	if o.errand != nil && o.flight == nil {
		return nil, nil, o.errand, nil
	}
	var e *errand
	var err error
	switch {
	case o.static():
		if g.alive() && g.configured {
			return nil, nil, nil, o.narrowed(need)
		}
		if tried&configured != 0 { // it was refused, or has expired
			return nil, nil, nil, o.auth.fail(Unavailable, errConfiguredToken{errTokenRefused})
		}
		e, err = o.start(configured, o.configure)
	case o.auth.options.Store != nil && tried&restoring == 0 && o.flight == nil:
		e, err = o.start(restoring, o.restore)
	case tried&refreshing == 0 && g != nil && g.refresh != "" && g.holds(need) && (o.flight == nil || g.refresh != o.doubted):
		if o.errand != nil { // under way, beside the flight
			return nil, nil, o.errand, nil
		}
		e, err = o.start(refreshing, func(ctx context.Context) error { return o.refresh(ctx, g) })
	}
	if e != nil || err != nil {
		return nil, nil, e, err
	}
	if err := a.mayAsk(); err != nil {
		return nil, nil, nil, err
	}
	if o.flight == nil {
		// For everything that anybody here waits for, so that a burst of
		// calls with different needs ends in two prompts at the most.
		want := o.auth.service.Scopes.Union(o.missing(need))
		if g != nil {
			want = want.Union(g.scopes)
		}
		for other := range o.queue {
			want = want.Union(o.missing(*other))
		}
		f := newFlight(o, o.auth.service.Hierarchy.Reduce(want), a.tool())
		if !o.auth.spawn(f.run) {
			return nil, nil, nil, o.auth.fail(Unavailable, errClosed)
		}
		o.flight = f
	}
	if !o.flight.covers(need) {
		o.queue[ticket] = struct{}{}
	}
	return nil, o.flight, nil, nil
}

// leave takes a need out of the queue.
func (o *owner) leave(ticket *scopes.Requirement) {
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.queue, ticket)
}

// missing returns what has to be added to the grant to satisfy need.
func (o *owner) missing(need scopes.Requirement) scopes.Set {
	var held scopes.Set
	if g := o.grant.Load(); g != nil {
		held = g.held
	}
	return o.auth.service.Hierarchy.Missing(held, need)
}

// take makes g the owner's grant. One that lacks some of what was new in the
// flight, and some of what is held, does not replace that: a step-up that came to
// nothing leaves the first grant working. The service's own scopes do not count:
// nobody needs them. The replaced token is not revoked, since servers exist where
// that ends the new one as well. The owner's mutex is held.
//
// It reports whether g is the owner's grant now.
func (o *owner) take(g *grant, asked scopes.Set) bool {
	if !o.gains(g, asked) {
		g.retire()
		return false
	}
	o.publish(g)
	return true
}

// gains reports whether g is worth the grant that there is. The owner's mutex is held.
func (o *owner) gains(g *grant, asked scopes.Set) bool {
	old := o.grant.Load()
	return !old.alive() || g.holds(old.scopes) || g.holds(asked.Minus(old.scopes).Minus(o.auth.service.Scopes))
}

// wants is gains, ahead of time.
func (o *owner) wants(g *grant, asked scopes.Set, logouts int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.logouts == logouts && o.gains(g, asked)
}

// publish makes g the owner's grant, whatever there was. The owner's mutex is held.
func (o *owner) publish(g *grant) {
	if o.auth.ctx.Err() != nil { // nobody uses it any more
		g.retire()
		return
	}
	o.grant.Swap(g).retire()
}

// static reports whether o's grant is the operator's token, so that nobody is asked.
func (o *owner) static() bool { return o.auth.options.Token != nil && o.principal.IsLocal() }

// refreshAhead has g refreshed in the background, since it is used and will end soon.
func (o *owner) refreshAhead(g *grant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.errand != nil && o.errand.kind != refreshing {
		g.open.Or(due) // the next call, then
		return
	}
	if o.errand == nil && o.grant.Load() == g && g.refresh != "" {
		// An error means that the interceptor is closed.
		_, _ = o.start(refreshing, func(ctx context.Context) error { return o.refresh(ctx, g) })
	}
}
