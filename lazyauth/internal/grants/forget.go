package grants

import (
	"context"
	"errors"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// drop forgets o's grant, and returns it.
func (o *Owner) drop() *Grant {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.logouts++
	o.lost = scopes.Set{}
	g := o.grant.Swap(nil)
	if g != nil {
		o.rejected = g.token.AccessToken // which a store that fails now must not bring back
		o.changed()
	}
	g.end()
	return g
}

// End forgets o's grant, here alone, and ends the flight that is under way, whose callers get this
// error. It returns the grant, which is not revoked: see [ForgetEnded].
func End(o *Owner, err error) *Grant {
	g := o.drop()
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.flight != nil {
		o.flight.wanted.End(err)
	}
	return g
}

// ForgetEnded is [Owner.Forget] after [End], which has returned this grant.
func ForgetEnded(ctx context.Context, o *Owner, had *Grant) error {
	if g := o.drop(); g != nil { // that came since then
		return errors.Join(o.forget(ctx, g), o.forget(ctx, had))
	}
	return o.forget(ctx, had)
}

// Recheck forgets o's grant, here alone, if the store has had it and has none any more.
func Recheck(ctx context.Context, o *Owner) error {
	g := o.Grant()
	if g == nil || !g.stored.Load() {
		return nil
	}
	found, err := o.record.load(ctx)
	if err == nil && found == nil && o.isCurrent(g) {
		o.drop()
	}
	return err
}

// Forget logs the owner out: the grant is forgotten here and in the store, whatever comes
// then, and the authorization server is told to end its tokens. An error that the tokens
// may be good elsewhere wraps [ErrNotRevoked]. ctx bounds the requests.
func (o *Owner) Forget(ctx context.Context) error { return o.forget(ctx, o.drop()) }

// forget forgets what the store has, and ends the tokens of that and of g, if there is one.
func (o *Owner) forget(ctx context.Context, g *Grant) error {
	kept, err := o.record.forget(ctx)
	if err != nil && kept != nil { // what may still be there must not come back
		o.mu.Lock()
		o.rejected = kept.token.AccessToken
		o.mu.Unlock()
	}
	if also := o.keeper.config.Forgotten; also != nil {
		err = errors.Join(err, also(ctx, o.who))
	}
	for _, old := range []*Grant{g, kept} {
		if old == nil || old.operators || old == kept && g != nil && g.refresh == kept.refresh && g.token.AccessToken == kept.token.AccessToken {
			continue
		}
		err = errors.Join(err, o.keeper.config.Server.revoke(ctx, old))
	}
	return err
}

// Look returns the owner's grant, in this process or in the store; nil if there is none. It
// asks nobody, and refreshes nothing.
func (o *Owner) Look(ctx context.Context) (*Grant, error) {
	g := o.Grant()
	if g == nil && o.usesOperatorToken() {
		if err := o.takeToken(ctx); err != nil {
			return nil, err
		}
		g = o.Grant()
	}
	if g.isStale() {
		if err := restore(ctx, o); err != nil {
			return nil, err
		}
		g = o.Grant()
	}
	if g != nil || o.keeper.config.Store == nil {
		return g, nil
	}
	return o.record.load(ctx)
}
