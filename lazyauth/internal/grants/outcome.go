package grants

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
)

// land has the outcome settled, of which everybody is told.
func (f *Flight) land(r result) {
	o := f.owner
	f.landing = new(landing)
	defer o.keeper.Release("a sign-in")
	defer f.done.End(nil)
	ctx, cancel := context.WithCancelCause(f.Context())
	defer cancel(nil)
	defer context.AfterFunc(o.keeper.ctx, func() { cancel(ErrClosed) })()
	defer f.wanted.End(nil)
	var g *Grant
	var logouts int
	guard.Then("a sign-in", func() (err error) {
		g, logouts, err = f.receive(ctx, r)
		return err
	}, func(err error) { f.conclude(ctx, g, logouts, err) })
}

// conclude settles the outcome, and tells everybody.
func (f *Flight) conclude(ctx context.Context, g *Grant, logouts int, err error) {
	o := f.owner
	o.mu.Lock()
	switch {
	case err != nil:
	case o.keeper.ctx.Err() != nil:
		err = ErrClosed
	case o.logouts != logouts:
		o.revokeLate(g)
		err = cmp.Or(context.Cause(&f.wanted), ErrLoggedOut)
	}
	if err != nil {
		err = o.setbacks.ended(f.shown.Load() != nil, f.link != LinkOpened, err)
	}
	if f.err = err; err == nil {
		f.grant = g
		o.setbacks.granted(f.Missing())
		if f.adopted = g.instead || improves(o, g, f.want); f.adopted {
			o.adopt(g)
			o.refusals.begin()
		}
	}
	o.flight, f.endedAt = nil, time.Now()
	f.ended.Store(true)
	hooks := f.before
	o.mu.Unlock()
	o.keeper.signIns.Give(o.who.Person())

	if f.adopted && !f.elsewhere {
		o.save(ctx, g)
	}
	if f.signIn != nil { // after the grant is stored, so that others find it there
		f.signIn.ends(o.keeper.ctx, outcomeOf(f), func(end func()) { o.keeper.Go("the last page of a sign-in", end) })
	}
	o.keeper.config.Observer.Ended(f, time.Since(f.began))
	for _, hook := range hooks {
		o.keeper.call("the end of a sign-in", hook)
	}
}

// revokeLate ends the tokens of a grant that nobody gets, as far as the server lets it.
func (o *Owner) revokeLate(g *Grant) {
	o.keeper.Spawn("a revocation", func() { _ = o.keeper.config.Server.revoke(o.keeper.ctx, g) })
}

// receive returns the grant of a token, and makes sure whose it is. The number is that of the owner's logouts when
// the token came.
func (f *Flight) receive(ctx context.Context, r result) (*Grant, int, error) {
	o, config := f.owner, &f.owner.keeper.config
	if r.way != nil {
		f.shown.Store(&shown{f.Prompt(), r.way.Flow(), f.signIn.objections(r.way)})
	}
	switch {
	case errors.Is(r.err, ErrAbandoned):
		return nil, 0, ErrAbandoned
	case errors.Is(r.err, pending.ErrElsewhere):
		f.elsewhere = true
		return takenOver(ctx, o)
	case r.err != nil:
		return nil, 0, r.err
	}
	g := newGrant(config.Hierarchy, r.token, false)
	g.signedIn()
	o.mu.Lock()
	follow(g, f)
	logouts := o.logouts
	o.mu.Unlock()
	if config.Verify != nil && !o.who.IsLocal() {
		if err := config.Verify(ctx, o.who, g.token, r.passed); err != nil {
			return nil, 0, failure{ErrUnverified, err}
		}
	}
	o.identify(ctx, g)
	return g, logouts, nil
}
