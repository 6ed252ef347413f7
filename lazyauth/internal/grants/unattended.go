package grants

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Source gets tokens without a person, for one owner.
type Source struct {
	// Name says how. It is not empty.
	Name string
	// Until is when the owner's time is over: no grant outlives it, and none is got after it.
	// Zero: it has no end.
	Until time.Time
	// Token gets one that has these scopes, or some of them. It returns in a bounded time, and
	// does not panic. Its errors are of package oauth, or anything; what wraps oauth.ErrRefused
	// is the server's no.
	Token func(ctx context.Context, want scopes.Set) (*oauth.Token, error)
}

// Unattended returns an owner of its own, which no one else has, whose grants come from a
// source: nobody is asked, nothing is stored, and what the API refuses is got from the source
// once more. Who it is for is for the observer alone. Whoever has it calls [Owner.Drop] when it
// is of no use any more.
func (k *Keeper) Unattended(who Principal, s Source) *Owner {
	return &Owner{keeper: k, who: who, source: &s}
}

// Drop forgets the owner's grant, here alone, and what is under way for it.
func (o *Owner) Drop() { o.drop() }

// asJoined returns what somebody who has joined a renewal need not try any more: one of a source
// may have been for something else.
func (k renewalKind) asJoined() renewalKind { return k &^ unattended }

// draw starts a renewal that gets o a grant for this need, and what it has, from its source;
// o.mu is held.
func (o *Owner) draw(ctx context.Context, need scopes.Requirement, tried renewalKind) (*renewal, error) {
	missing := o.missing(need)
	if err := o.source.against(&o.setbacks, missing, tried); err != nil {
		return nil, err
	}
	want := o.keeper.config.Hierarchy.Reduce(missing.Union(o.Grant().knownOrNone()))
	return o.start(ctx, unattended, func(ctx context.Context) error { return o.drawFor(ctx, want) })
}

// drawFor adopts a grant of the source's. It returns why those who wait cannot go on: one who
// wants what it lacks finds that out by looking again.
func (o *Owner) drawFor(ctx context.Context, want scopes.Set) error {
	o.mu.Lock()
	logouts := o.logouts
	o.mu.Unlock()
	began := time.Now()
	g, err := o.source.grant(ctx, o.keeper.config.Hierarchy, want)
	o.mu.Lock()
	if o.logouts != logouts {
		g, err = nil, ErrLoggedOut
	}
	if err = o.setbacks.drawn(g, want, o.Grant().knownOrNone(), err); err == nil && improves(o, g, want) {
		o.adopt(g)
	}
	o.mu.Unlock()
	o.keeper.config.Observer.Drawn(ctx, o.who, o.source.Name, g, want, time.Since(began), err)
	return err
}

// knownOrNone is Known, of no grant nothing.
func (g *Grant) knownOrNone() scopes.Set {
	if g == nil {
		return scopes.Set{}
	}
	return g.Known()
}

// against returns why there is no use in asking the source for these scopes now: its time is
// over, or it was asked and gave less, or refused, or is to be left alone for a while.
func (s *Source) against(remembered *setbacks, missing scopes.Set, tried renewalKind) error {
	switch {
	case s.isOver():
		return failure{ErrUnattended, ErrSourceEnded}
	case remembered.against(missing) != nil:
		return &Narrowed{Missing: missing, Drawn: true}
	case tried&unattended != 0:
		return failure{ErrUnattended, errLapsed}
	}
	return remembered.againstAny()
}

// drawn remembers what came of asking a source for these scopes, while there were those that
// are held, and returns the error for those who wait. Scopes that are refused say nothing of
// others.
func (s *setbacks) drawn(g *Grant, want, held scopes.Set, err error) error {
	if err == nil {
		s.granted(g.lacks(want))
		return nil
	}
	err = failure{ErrUnattended, err}
	if failed, ok := errors.AsType[*oauth.Error](err); ok && failed.Code == "invalid_scope" && !want.Minus(held).IsEmpty() {
		s.refuse(want.Minus(held), time.Now())
		return err
	}
	return s.ended(false, false, err)
}

var errLapsed = errors.New("lazyauth: the token that was got without a person had ended, or was to end at once")

func (s *Source) isOver() bool { return !s.Until.IsZero() && !time.Now().Before(s.Until) }

// grant gets a grant that ends with the source, if not before.
func (s *Source) grant(ctx context.Context, order *scopes.Hierarchy, want scopes.Set) (*Grant, error) {
	if s.isOver() {
		return nil, ErrSourceEnded
	}
	token, err := s.Token(ctx, want)
	if err != nil {
		return nil, err
	}
	token.Refresh = ""
	if !s.Until.IsZero() && (token.Expires.IsZero() || token.Expires.After(s.Until)) {
		token.Expires = s.Until
	}
	g := newGrant(order, token, false)
	g.source, g.asked = s.Name, want
	if !g.Alive() {
		return nil, errLapsed
	}
	return g, nil
}
