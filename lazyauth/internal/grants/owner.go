package grants

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// An Owner is a resource owner (RFC 6749 §1.1), as far as this server knows one: a
// principal's grant, and the one flight and the one renewal under way for it.
type Owner struct {
	keeper *Keeper
	who    Principal
	grant  atomic.Pointer[Grant]

	record ownRecord
	beside companion
	source *Source // of grants without a person; nil: the person is asked

	mu       sync.Mutex
	logouts  int                              // what was begun before one is not for after it
	flight   *Flight                          // until its grant is adopted, or it has failed
	renewal  *renewal                         // that is under way
	rejected string                           // the access token that the API refused last, which must not come back
	outdated string                           // that of a record which should have been replaced, and was not
	waiting  map[*scopes.Requirement]struct{} // needs of those who wait for a flight that is for less, or is gathering; nil if there are none
	setbacks setbacks                         // what flights came to in vain
	lost     scopes.Set                       // what was known of the last grant, until there is another; empty after a logout
	refusals refusals
}

func newOwner(k *Keeper, who Principal) *Owner {
	o := &Owner{keeper: k, who: who}
	if k.config.Store != nil {
		o.record = newOwnRecord(&k.config, who)
	}
	return o
}

// Who returns whose grant it is.
func (o *Owner) Who() Principal { return o.who }

// Grant returns the owner's grant, which may have expired; nil if there is none.
func (o *Owner) Grant() *Grant { return o.grant.Load() }

// An Asker is somebody who wants a grant, and through whom the person can be asked for it.
type Asker interface {
	// Tool names the tool, for the observer.
	Tool() string
	// MayAsk returns why the person must not be asked now; begins says that a flight would
	// begin with that. It is called with the owner's mutex locked.
	MayAsk(begins bool) error
	// Link is how a prompt's link gets to the person. It is called with the owner's mutex
	// locked.
	Link() Link
	// ClientID is the client id that the host offers to be known by; empty if it offers none. It
	// is called with the owner's mutex locked.
	ClientID() string
	// Program is what the host calls itself, which anybody can say. It is called with the owner's mutex locked.
	Program() string
	// CallersClient is the client that the caller's bearer token was issued to, as its verifier has it; empty if
	// that is not known. It is called with the owner's mutex locked.
	CallersClient() string
	// Weight is how many of the calls that may wait this one counts as: one at least, and the same each time.
	Weight() int
	// Left is how much longer the asker can wait for a renewal, which it does for four
	// seconds in any case. How long it follows a flight is its own to decide.
	Left() time.Duration
	// Follow brings the prompt of f to the person, and returns once f is done, or why
	// the asker waits no longer.
	Follow(ctx context.Context, f *Flight) error
}

// Obtain returns a grant of o's that covers need. It refreshes an expired one, joins the
// flight that is under way or starts one, and waits; ctx ends the wait and nothing else, so
// that a flight can begin though it has ended.
// One call of Obtain asks for its need at most once: a grant that turns out to lack it is
// an error ([Narrowed]), not a reason to ask again.
//
// An error is one of this package's, the asker's own, the cause of ctx's end, or what a
// flight came to: an error of package oauth or device, or the way's. A [Setback] around it
// says how long another try is of no use.
func (o *Owner) Obtain(ctx context.Context, need scopes.Requirement, a Asker) (*Grant, error) {
	if need == nil {
		return nil, ErrNoNeed
	}
	if !o.enter(a) {
		return nil, ErrBusy
	}
	defer o.leave(&need, a)
	// Each kind of renewal is run once: a token that lapses before it can be used would
	// be refreshed for ever.
	var tried renewalKind
	followed := false
	for {
		s, err := o.next(ctx, &need, a, tried)
		switch {
		case err != nil:
			return nil, err
		case s.grant != nil:
			return s.grant, nil
		case s.renewal != nil:
			if err := o.await(ctx, s.renewal, a); err != nil {
				return nil, err
			}
			tried |= s.tried
			continue // to the new grant, or without the old one
		}
		f := s.flight
		if !followed {
			followed = true
			o.waits(ctx, need, a)
		}
		if err := a.Follow(ctx, f); err != nil {
			return nil, err
		}
		if g, err := o.Became(f, need); g != nil || err != nil {
			return g, err
		}
		// This flight was for less, and the next one asks for both; or its outcome was lost
		// on its way; or it was abandoned at the moment that this one came.
	}
}

// Became returns what a flight that is done came to for somebody with this need: a grant, or
// why there is none, or neither if it was for less, or if it was abandoned or its outcome was
// lost on its way: that is no word on anybody's need.
func (o *Owner) Became(f *Flight, need scopes.Requirement) (*Grant, error) {
	switch {
	case errors.Is(f.err, ErrAbandoned), begunAnew(f.err):
	case f.err != nil:
		return nil, f.err
	case f.adopted && f.grant.Holds(need):
		return f.grant, nil
	case f.covers(need):
		return nil, narrowed(o, f, need)
	}
	return nil, nil //nolint:nilnil // the next one will tell
}

// await waits for a renewal, and returns why the asker cannot go on, if it cannot. What
// failed may have been for others: a refresh ahead of time, while more is needed here.
//
// It and some others here are kept out of line for the sake of the stacks of those who
// wait, of which there may be very many: see BenchmarkWaiting in package lazyauth.
//
//go:noinline
func (o *Owner) await(ctx context.Context, r *renewal, a Asker) error {
	err := r.wait(ctx, a.Left())
	if err == nil || !errors.Is(err, ErrNotAnswered) && ctx.Err() == nil && o.Grant().Alive() {
		return nil
	}
	return err
}

//go:noinline
func (o *Owner) waits(ctx context.Context, need scopes.Requirement, a Asker) {
	o.keeper.config.Observer.Waiting(ctx, o, a.Tool(), o.missing(need))
}

// A step is what somebody who needs a grant does next: one of these is set.
type step struct {
	grant   *Grant   // use it
	renewal *renewal // wait for it, and look again
	tried   renewalKind
	flight  *Flight // follow it
}

// next decides what somebody who needs a grant does: take it, or wait for a renewal of a
// kind that was not tried, or for a flight. need stands for itself among those who wait.
func (o *Owner) next(ctx context.Context, need *scopes.Requirement, a Asker, tried renewalKind) (step, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	g := o.Grant()
	if s, err := lookFirst(ctx, o, g, tried); s.renewal != nil || err != nil {
		return s, err
	}
	if g.Alive() && g.Holds(*need) {
		return step{grant: g}, nil
	}
	if o.renewal != nil && o.flight == nil {
		return step{renewal: o.renewal, tried: o.renewal.kind.asJoined()}, nil
	}
	r, err := o.renew(ctx, *need, tried)
	if r != nil || err != nil {
		return step{renewal: r, tried: r.kindOf()}, err
	}
	if err := a.MayAsk(o.flight == nil); err != nil {
		return step{}, err
	}
	if o.flight == nil || !o.flight.covers(*need) {
		if err := o.setbacks.against(o.missing(*need)); err != nil {
			return step{}, err
		}
	}
	if o.flight == nil {
		if err := o.setbacks.againstAny(); err != nil {
			return step{}, err
		}
		if err := takeOff(ctx, o, *need, a); err != nil {
			return step{}, err
		}
	}
	askedBy(o.flight, a.Program())
	if o.flight.gathering || !o.flight.covers(*need) {
		if o.waiting == nil {
			o.waiting = make(map[*scopes.Requirement]struct{})
		}
		o.waiting[need] = struct{}{}
	}
	return step{flight: o.flight}, nil
}

// renew starts the renewal that may help somebody with this need, if there is one that was
// not tried; o.mu is held.
func (o *Owner) renew(ctx context.Context, need scopes.Requirement, tried renewalKind) (*renewal, error) {
	g := o.Grant()
	switch {
	case o.source != nil:
		return o.draw(ctx, need, tried)
	case o.usesOperatorToken():
		switch {
		case g.Alive() && g.operators:
			return nil, &Narrowed{Missing: o.missing(need), Operators: true}
		case tried&fromOperator != 0: // it was refused, or has expired
			return nil, failure{ErrOperatorToken, errTokenRefused}
		}
		return o.start(ctx, fromOperator, o.takeToken)
	case o.keeper.config.Store != nil && tried&fromStore == 0 && o.flight == nil:
		return o.start(ctx, fromStore, func(ctx context.Context) error { return restore(ctx, o) })
	case g != nil && g.refresh != "" && tried&g.refreshKind() == 0 && g.mayHold(need) && (o.flight == nil || g.doubt < useless):
		if o.renewal != nil { // under way, beside a flight
			return o.renewal, nil
		}
		return o.start(ctx, g.refreshKind(), func(ctx context.Context) error { return o.refresh(ctx, g) })
	}
	return nil, nil //nolint:nilnil // there is none
}

// wanted is what a flight asks for: all that anybody here waits for, so that a burst of
// calls with different needs is one prompt, and what is held, or was until it was lost;
// o.mu is held.
func (o *Owner) wanted(need scopes.Requirement) scopes.Set {
	want := o.keeper.config.Scopes.Union(o.missing(need)).Union(o.lost)
	if g := o.Grant(); g != nil {
		want = want.Union(g.Known())
	}
	for other := range o.waiting {
		want = want.Union(o.missing(*other))
	}
	return o.keeper.config.Hierarchy.Reduce(want)
}

// enter has one more call wait, which is to leave. It reports false if there are too many. The
// local user's are not counted: whoever starts this program could as well start another.
//
//go:noinline
func (o *Owner) enter(a Asker) bool {
	return o.who.IsLocal() || o.keeper.waiting.TakeMany(o.who.Person(), a.Weight())
}

// leave has it wait no more, and takes its need out of those that wait.
//
//go:noinline
func (o *Owner) leave(need *scopes.Requirement, a Asker) {
	if !o.who.IsLocal() {
		o.keeper.waiting.GiveMany(o.who.Person(), a.Weight())
	}
	o.mu.Lock()
	if delete(o.waiting, need); len(o.waiting) == 0 {
		o.waiting = nil // an empty one has room for eight
	}
	hasNothing := o.flight == nil && o.Grant() == nil
	o.mu.Unlock()
	if hasNothing { // or very many who get nothing would be kept for a while
		o.keeper.owners.Rest(o.who)
	}
}

// missing returns what has to be added to the grant to satisfy need.
func (o *Owner) missing(need scopes.Requirement) scopes.Set {
	var held scopes.Set
	if g := o.Grant(); g != nil {
		held = g.held
	}
	return o.keeper.config.Hierarchy.Missing(held, need)
}

// adopt makes g the owner's grant, whatever there was; o.mu is held. The replaced token is
// not revoked, since servers exist where that ends the new one as well.
func (o *Owner) adopt(g *Grant) {
	if o.keeper.ctx.Err() != nil { // nobody uses it any more
		return
	}
	g.start(o.changed)
	watched(o, g)
	o.keep()
	o.grant.Swap(g).stop()
	o.lost, o.setbacks.vain = scopes.Set{}, nil
	o.changed()
}

// lose gives up the owner's grant, which is of no use any more. What it had is asked for in
// one with the next need, and not scope by scope; o.mu is held.
func (o *Owner) lose() {
	g := o.grant.Swap(nil)
	g.stop()
	o.lost = g.Known()
	o.changed()
}

// changed tells the observer that the grant is not what it was.
func (o *Owner) changed() { o.keeper.config.Observer.Changed(o) }

// IsBeingAsked reports whether a flight is under way.
func (o *Owner) IsBeingAsked() bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.flight != nil
}

// improves reports whether g is worth the grant that there is: one that lacks some of what
// was new in the flight that asked for it, and some of what is held, is not. A step-up that
// came to nothing leaves the first grant working. The service's own scopes do not count:
// nobody needs them. o.mu is held.
func improves(o *Owner, g *Grant, asked scopes.Set) bool {
	old := o.Grant()
	if !old.Alive() {
		return true
	}
	known := old.Known()
	return g.Holds(known) || g.Holds(asked.Minus(known).Minus(o.keeper.config.Scopes))
}

// isCurrent reports whether g is the owner's grant.
func (o *Owner) isCurrent(g *Grant) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.Grant() == g
}
