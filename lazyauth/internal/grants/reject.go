package grants

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Refusal is the API's word that it does not accept a grant.
type Refusal struct {
	// By tells apart the calls to which it was said: when they arrived.
	By time.Duration
	// Again: the call had this grant in the place of one that was refused to it.
	Again bool
	// SignIn: a sign-in by the person may help.
	SignIn bool
	// Left is how much longer the call can wait for a refresh.
	Left time.Duration
}

// refusals are what is remembered of an API that does not accept an owner's grants; but for
// acceptedBy they are guarded by Owner.mu.
type refusals struct {
	noRefresh time.Time // until then none is made because of a refusal: the last was of no use
	noSignIn  time.Time // likewise
	signedIn  time.Time // when a flight last brought a grant

	// acceptedBy tells which call was the first whose request the API accepted, of those since
	// the last flight: when it arrived, and one nanosecond. Zero if there was none.
	acceptedBy atomic.Int64
}

// begin notes that a flight has brought a grant.
func (m *refusals) begin() {
	m.signedIn = time.Now()
	m.acceptedBy.Store(0)
}

// inVain notes that g, which was got because another one was refused, is refused as well.
func (m *refusals) inVain(g *Grant) {
	m.noRefresh = time.Now().Add(coolDown)
	if !g.refreshed {
		m.noSignIn = m.noRefresh
	}
}

func (m *refusals) forget() {
	m.noRefresh, m.noSignIn, m.signedIn = time.Time{}, time.Time{}, time.Time{}
}

// mayRefresh reports whether a refresh may help in the place of g.
func (m *refusals) mayRefresh(g *Grant) bool {
	return (g.refresh != "" || g.operators || g.source != "") && !time.Now().Before(m.noRefresh)
}

// maySignIn reports whether the person may be asked for a sign-in because the API refuses, to
// the call that arrived then, what they gave.
func (m *refusals) maySignIn(by time.Duration) bool {
	first := m.acceptedBy.Load()
	accepted := first != 0 && first != int64(by)+1 // what one call makes of a token is one opinion
	return !time.Now().Before(m.noSignIn) && (accepted || time.Since(m.signedIn) >= coolDown)
}

// Accepted notes that the API has accepted g from the call that arrived then. It is on the
// path of every request: see BenchmarkTransport in package lazyauth.
func (o *Owner) Accepted(g *Grant, by time.Duration) {
	if o.refusals.acceptedBy.Load() == 0 && o.Grant() == g {
		o.refusals.acceptedBy.CompareAndSwap(0, int64(by)+1)
	}
}

// Reject deals with the API's word that it does not accept g, and reports whether to look
// for another grant: there is one, or one is to be had, by a refresh at first and then from
// the person. It asks nobody itself; unless a sign-in may help, it waits for the refresh, so
// that nobody is asked should that fail.
//
// What was of no use is not tried again for a while, whoever is refused: or an API that
// accepts no token would cost a refresh and a sign-in each time. Nor is the person asked for
// another sign-in at once after one of whose grants nothing was accepted: the tokens may be
// for another API.
func (o *Owner) Reject(ctx context.Context, g *Grant, r Refusal) bool {
	o.mu.Lock()
	if o.Grant() != g || !g.Alive() { // it was seen to
		o.mu.Unlock()
		return true
	}
	if r.Again {
		o.refusals.inVain(g)
	}
	signIn := r.SignIn && !g.operators && g.source == ""
	switch renewable := o.refusals.mayRefresh(g); {
	case renewable && !signIn:
		o.mu.Unlock()
		return o.replaced(ctx, g, r.Left)
	case renewable:
		g.state.Or(expired)
	case signIn && o.refusals.maySignIn(r.By):
		o.lose()
		o.rejected = g.token.AccessToken // which a store must not bring back
		o.keeper.Spawn("writing to the store", func() { o.remove(o.keeper.ctx, g) })
	default:
		o.mu.Unlock()
		return false
	}
	o.mu.Unlock()
	return true
}

// replaced has g refreshed, or the operator's token taken again, and reports whether there
// is another token then.
func (o *Owner) replaced(ctx context.Context, g *Grant, left time.Duration) bool {
	kind, run := refreshing, func(ctx context.Context) error { return o.refresh(ctx, g) }
	if g.operators {
		kind, run = fromOperator, o.takeToken
	}
	if g.source != "" {
		kind, run = unattended, func(ctx context.Context) error { return o.drawFor(ctx, g.Known()) }
	}
	ran := false
	for range 4 { // one renewal runs at a time, and this one may have to wait for another kind
		o.mu.Lock()
		now := o.Grant()
		if now != nil && now.token.AccessToken != g.token.AccessToken {
			o.mu.Unlock()
			return now.Alive()
		}
		r := o.renewal
		if now == nil || ran {
			o.refusals.noRefresh = time.Now().Add(coolDown)
			o.mu.Unlock()
			return false
		}
		var err error
		if r == nil {
			r, err = o.start(ctx, kind, run)
		}
		o.mu.Unlock()
		if err != nil || errors.Is(r.wait(ctx, left), ErrNotAnswered) || ctx.Err() != nil {
			return false
		}
		ran = r.kind == kind
	}
	return false
}

// Settle waits for the renewal that is under way, if there is one, whatever comes of it. It
// returns why it could not wait to its end.
func (o *Owner) Settle(ctx context.Context, left time.Duration) error {
	o.mu.Lock()
	r := o.renewal
	o.mu.Unlock()
	if r == nil {
		return nil
	}
	if err := r.wait(ctx, left); errors.Is(err, ErrNotAnswered) || ctx.Err() != nil {
		return err
	}
	return nil
}

// Reduce notes that g has no scopes but those in held, and returns what it then holds. The
// word of an API takes scopes away, and never adds one. It reports false, and notes nothing,
// if there is another grant by now, or may be soon: a renewal is under way.
func (o *Owner) Reduce(g *Grant, held scopes.Set) (scopes.Set, bool) {
	var left scopes.Set
	for name := range g.scopes.All() {
		if one := scopes.Of(name); held.Covers(one) {
			left = left.Union(one)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.renewal != nil || o.Grant() != g {
		return scopes.Set{}, false
	}
	reduced := g.like(left, g.refresh)
	o.adopt(reduced)
	return reduced.held, true
}
