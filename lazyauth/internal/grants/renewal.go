package grants

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
)

const (
	// leastWait is how long somebody who may wait no more waits for a renewal all the
	// same: one that works for longer than its host waits, and then needs a new token,
	// would otherwise end each time.
	leastWait = 4 * time.Second
	// closingWait is how long a refresh may take whose result is stored, once the keeper is
	// being closed: the server may have replaced the refresh token already.
	closingWait = 4 * time.Second
)

// A renewal gets an owner a grant without asking anybody, once for all who wait.
type renewal struct {
	kind renewalKind
	done chan struct{}
	err  error // once done: why those who wait cannot go on

	exchanging atomic.Bool // it waits for the authorization server, and not for the store
}

// kindOf returns r's kind, of no renewal none.
func (r *renewal) kindOf() renewalKind {
	if r == nil {
		return 0
	}
	return r.kind
}

type renewalKind uint8

const (
	fromStore    renewalKind = 1 << iota
	refreshing               // RFC 6749 §6
	fromOperator             // where the operator put a token
	byName                   // a refresh for what the last one left out
	unattended               // from a Source
	looking                  // whether the store still has it
)

func (k renewalKind) String() string {
	switch k {
	case fromStore, looking:
		return "reading the store"
	case refreshing, byName:
		return "a refresh"
	case unattended:
		return "getting a token without a person"
	default:
		return "taking the operator's token"
	}
}

// start begins a renewal; o.mu is held.
func (o *Owner) start(ctx context.Context, kind renewalKind, run func(context.Context) error) (*renewal, error) {
	r := &renewal{kind: kind, done: make(chan struct{})}
	cause := context.WithoutCancel(ctx)
	spawned := o.keeper.Spawn(kind.String(), func() {
		defer close(r.done)
		defer func() {
			o.mu.Lock()
			o.renewal = nil
			o.mu.Unlock()
		}()
		ctx, cancel := context.WithCancelCause(cause)
		defer cancel(nil)
		defer context.AfterFunc(o.keeper.ctx, func() { cancel(ErrClosed) })()
		r.err = guard.ErrExited
		r.err = guard.Call(kind.String(), func() error { return run(ctx) })
	})
	if !spawned {
		return nil, ErrClosed
	}
	o.renewal = r
	return r, nil
}

// wait returns the renewal's error, that of ctx, or ErrNotAnswered or ErrStoreNotAnswered.
func (r *renewal) wait(ctx context.Context, left time.Duration) error {
	timer := time.NewTimer(max(left, leastWait))
	defer timer.Stop()
	select {
	case <-r.done:
		return r.err
	case <-timer.C:
		if r.kind == fromOperator || r.kind == unattended || r.exchanging.Load() {
			return ErrNotAnswered
		}
		return ErrStoreNotAnswered
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// refresh renews old. The refresh token is used by one request at a time, in this
// process and, with a store, in all: many servers rotate it, and take a second use for
// theft.
//
// Once it is done, those who wait look again: they find the new grant, or none, which makes
// them ask the person. A server that is out of reach is an error: it keeps the grant for
// a better time.
func (o *Owner) refresh(ctx context.Context, old *Grant) error {
	began := time.Now()
	fresh, err := o.refreshed(ctx, old)
	if errors.Is(err, errSuperseded) {
		return nil
	}
	observer := o.keeper.config.Observer
	if err == nil {
		o.replace(old, fresh)
		observer.Refreshed(ctx, o, fresh, time.Since(began))
		return nil
	}
	over := errors.Is(err, oauth.ErrRevoked)
	ask := o.notRefreshed(old, err)
	observer.RefreshFailed(ctx, o, old, time.Since(began), err, over)
	if over || ask {
		return nil
	}
	return failure{ErrRefresh, err}
}

// refreshed returns the grant that takes the place of old.
func (o *Owner) refreshed(ctx context.Context, old *Grant) (*Grant, error) {
	if o.keeper.config.Store == nil {
		return o.exchange(ctx, old, old)
	}
	terms, found := awaiting(o, old)
	u, err := o.record.update(ctx, terms, func(s stored) decision { return o.refreshWith(ctx, terms, s, old, true) })
	if errors.Is(err, store.ErrDamaged) && !u.made {
		// It was set aside, so that nothing there says nothing.
		u, err = o.record.update(ctx, terms, func(s stored) decision { return o.refreshWith(ctx, terms, s, old, false) })
	}
	switch {
	case u.err != nil:
		return nil, u.err
	case err == nil:
		if u.put != nil {
			o.noteOutdated("")
		}
		return u.use, nil
	case errors.Is(err, store.ErrFound):
		return found(), nil
	case ctx.Err() != nil && !u.made:
		return nil, err
	case errors.Is(err, store.ErrEnded):
		o.takeBack(u.use)
		return nil, ErrEndedElsewhere
	case errors.Is(err, store.ErrFenced): // another machine has written a better one, which will be found
		return u.use, nil
	}
	o.storeFailed(ctx, err)
	if errors.Is(err, store.ErrUnwritable) && !u.made && !o.record.isFleets() {
		// The refresh token is shared with others who read the store, and a new one could
		// not be given to them.
		return nil, err
	}
	if !u.made && o.record.isFleets() {
		return nil, notNow{err}
	}
	o.noteOutdated(u.found)
	if !u.made { // the store could not even be read: do without
		return o.exchange(ctx, old, old)
	}
	u.use.stored.Store(false)
	return u.use, nil // unwritten, and good
}

// refreshWith decides how old is refreshed, while no other process uses what the store
// has: it looks first whether one has refreshed already, and uses what is stored and not
// what is at hand. It is here that the refresh token is used, so that the lock on the
// record is what keeps a second use from happening. expects says that nothing stored means
// a logout elsewhere.
func (o *Owner) refreshWith(ctx context.Context, terms *store.Terms, s stored, old *Grant, expects bool) decision {
	if !o.isCurrent(old) {
		return decision{err: errSuperseded}
	}
	from := old
	if s.grant != nil {
		switch access := s.grant.token.AccessToken; {
		case s.refused(old):
			return decision{err: errRefusedElsewhere}
		case access == old.token.AccessToken, isOutdated(o, access):
		case s.serves(old):
			return decision{use: s.grant}
		case s.grant.refresh != "":
			from = s.grant
		}
	}
	if s.absent && old.stored.Load() && expects {
		return decision{err: ErrEndedElsewhere}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), exchangeWait)
	defer cancel()
	defer context.AfterFunc(o.keeper.ctx, func() { time.AfterFunc(closingWait, cancel) })()
	ctx, end := terms.Bound(ctx)
	defer end()
	terms.Over = o.record.replaces(from)
	fresh, err := o.exchange(ctx, old, from)
	terms.Unsettled = isUnsettled(ctx, err)
	switch {
	case err == nil:
		fresh.stored.Store(!s.foreign)
		o.replace(old, fresh) // whatever the store does now
		return decision{put: fresh, use: fresh}
	case s.absent || s.foreign || !errors.Is(err, oauth.ErrRevoked):
		return decision{err: err}
	case terms.InDoubt: // it is not used again, and what another machine may still write is not refused
		return decision{put: from.withoutRefresh(), err: err}
	case old.Alive():
		return decision{put: old.withoutRefresh(), err: err}
	default:
		return decision{remove: true, err: err} // under the lock: it is nobody's newer one
	}
}

// exchange is one use of from's refresh token, in the place of old's. What it brings is ended if old
// was given up meanwhile.
func (o *Owner) exchange(ctx context.Context, old, from *Grant) (*Grant, error) {
	o.mu.Lock()
	if r := o.renewal; r != nil {
		r.exchanging.Store(true)
		defer r.exchanging.Store(false)
	}
	o.mu.Unlock()
	client, err := o.keeper.config.Server.of(ctx, from)
	if err != nil {
		return nil, err
	}
	token, byName, err := exchangeFor(ctx, client, from)
	if err != nil {
		o.keeper.config.Server.refused(client, err)
		return nil, err
	}
	fresh := from.successor(token, byName)
	if old.hasEnded() && o.keeper.ctx.Err() == nil { // what is had while it closes is stored
		o.revokeLate(fresh)
		return nil, errSuperseded
	}
	return fresh, nil
}

// exchangeFor asks for what old has, and by name for what the grant has and the last token
// had not. A server that wants no names has not looked at the token.
func exchangeFor(ctx context.Context, client *oauth.Client, old *Grant) (token *oauth.Token, byName bool, err error) {
	if !old.whole.IsEmpty() {
		token, err = client.RefreshFor(ctx, old.refresh, old.whole)
		if refused, ok := errors.AsType[*oauth.Error](err); !ok || refused.Code != "invalid_scope" {
			return token, true, err
		}
	}
	token, err = client.Refresh(ctx, old.refresh, old.scopes)
	return token, !old.whole.IsEmpty(), err
}

// successor returns the grant that a refresh of g has brought.
func (g *Grant) successor(token *oauth.Token, byName bool) *Grant {
	fresh := newGrant(g.order, token, true)
	fresh.identity, fresh.asked, fresh.hosts = g.identity, g.asked, g.hosts
	fresh.id, fresh.since, fresh.renewed = g.id, g.since, time.Now()
	if !byName && !token.Missing.IsEmpty() {
		fresh.whole = g.scopes // the rest is asked for by name, once
	}
	return fresh
}

// doubted notes what a failed refresh says of g's refresh token, and reports whether the person
// is asked although it may be another time; Owner.mu is held. A refusal of another kind may be
// of the token, or of this client: the next sign-in will tell. The grant is kept.
func (g *Grant) doubted(err error) (ask bool) {
	switch {
	case errors.Is(err, oauth.ErrUnreadable):
		// It may have used the refresh token up: after one more try the person is asked.
		ask = g.doubt != 0
		g.doubt = min(g.doubt+1, useless)
	case errors.Is(err, oauth.ErrUnexplained):
		ask, g.doubt = true, unexplained
	case errors.Is(err, oauth.ErrRefused), errors.Is(err, oauth.ErrInvalid), errors.Is(err, store.ErrUnwritable):
		ask, g.doubt = true, useless
	}
	return ask
}

// errSuperseded is why a refresh that waited for the store is not done any more.
var errSuperseded = errors.New("lazyauth: the grant was replaced or given up meanwhile")

// replace adopts fresh in the place of old, unless a flight has brought a newer one.
func (o *Owner) replace(old, fresh *Grant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Grant() == old {
		o.adopt(fresh)
	}
}

// notRefreshed deals with old, which could not be refreshed, and reports whether the person
// is asked although it may be another time.
func (o *Owner) notRefreshed(old *Grant, err error) (ask bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	ask = old.doubted(err)
	switch {
	case !errors.Is(err, oauth.ErrRevoked) || o.keeper.ctx.Err() != nil:
		if old.Alive() { // it was refreshed ahead of time: there is time for another try
			old.later()
		}
	case o.Grant() != old:
	case old.Alive(): // good until it ends
		o.adopt(old.withoutRefresh())
	default:
		o.lose()
	}
	return ask
}

// dropUnexplained gives up a refresh token of which the server has said nothing, with an empty
// 400: it is the token and not the client that is bad, since the client has a device code by now
// that is polled for. Until then a typo in the client's secret would log everybody out.
func dropUnexplained(o *Owner) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if g := o.Grant(); g != nil && g.doubt == unexplained && !g.Alive() && o.renewal == nil {
		o.lose()
		o.keeper.Spawn("writing to the store", func() { o.remove(o.keeper.ctx, g) })
	}
}

// refreshAhead has g refreshed in the background, since it is used and will end soon.
func (o *Owner) refreshAhead(g *Grant) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.renewal != nil && o.renewal.kind != refreshing {
		g.state.Or(due) // the next call, then
		return
	}
	if o.renewal == nil && o.Grant() == g && g.refresh != "" {
		// An error means that the keeper is closed.
		_, _ = o.start(context.Background(), refreshing, func(ctx context.Context) error { return o.refresh(ctx, g) })
	}
}
