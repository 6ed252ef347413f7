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
	g.stop()
	return g
}

// Forget logs the owner out: the grant is forgotten here and in the store, whatever comes
// then, and the authorization server is told to end its tokens. An error that the tokens
// may be good elsewhere wraps [ErrNotRevoked]. ctx bounds the requests.
func (o *Owner) Forget(ctx context.Context) error {
	g := o.drop()
	var kept *Grant
	var err error
	if o.keeper.config.Store != nil {
		// What is stored may be newer than what is at hand. What cannot be read cannot be
		// revoked, but it can be forgotten.
		var u update
		u, err = o.record.update(ctx, func(s stored) decision { return decision{remove: !s.absent, use: s.grant, err: s.err} })
		if kept = u.use; err != nil && !u.made && !errors.As(err, new(errStoreSlow)) {
			// It cannot be written, and perhaps it can be read.
			if found, failed := o.record.load(ctx); failed == nil && found != nil {
				kept = found
			}
		}
		if err != nil && kept != nil { // what may still be there must not come back
			o.mu.Lock()
			o.rejected = kept.token.AccessToken
			o.mu.Unlock()
		}
		if u.err != nil {
			err = errors.Join(err, notRevoked{u.err})
		}
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
	if g != nil || o.keeper.config.Store == nil {
		return g, nil
	}
	return o.record.load(ctx)
}
