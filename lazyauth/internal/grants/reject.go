package grants

import (
	"cmp"
	"context"
	"errors"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Reject gives up g, which the API does not accept, and reports whether there is hope for
// another one: by a refresh at first, then from the person if a sign-in may help, then no
// more. refusal is called where g is still the owner's grant, with its mutex locked, and
// returns how often a token was refused to the call so far, this time included.
func (o *Owner) Reject(g *Grant, refusal func() int, signIn bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Grant() != g || !g.Alive() {
		return true // it was seen to
	}
	switch n := refusal(); {
	case n == 1 && (g.refresh != "" || signIn):
		g.state.Or(expired)
	case n == 2 && g.refreshed && signIn:
		o.lose()
		o.rejected = g.token.AccessToken // which a store must not bring back
		o.keeper.Spawn(func() { o.remove(o.keeper.ctx, g) })
	default:
		return false
	}
	return true
}

// Retake asks the operator's source again after the API has refused g, and reports whether
// it has another token.
func (o *Owner) Retake(ctx context.Context, g *Grant) bool {
	if o.Grant() != g {
		return true
	}
	if o.takeToken(ctx) != nil {
		return false
	}
	now := o.Grant()
	return now != nil && now.token.AccessToken != g.token.AccessToken
}

// Reduce notes that g has no scopes but those in held, and returns what it then holds. The
// word of an API takes scopes away, and never adds one.
func (o *Owner) Reduce(g *Grant, held scopes.Set) scopes.Set {
	var left scopes.Set
	for name := range g.scopes.All() {
		if one := scopes.Of(name); held.Covers(one) {
			left = left.Union(one)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.renewal != nil || o.Grant() != g {
		return o.keeper.config.Hierarchy.Expand(left)
	}
	reduced := g.like(left, g.refresh)
	o.adopt(reduced)
	return reduced.held
}

// drop forgets o's grant, and returns it.
func (o *Owner) drop() *Grant {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.logouts++
	o.lost = scopes.Set{}
	g := o.grant.Swap(nil)
	if g != nil {
		o.rejected = g.token.AccessToken // which a store that fails now must not bring back
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
		u, err = o.update(ctx, func(s stored) decision { return decision{remove: !s.absent, use: s.grant, err: s.err} })
		kept = u.use
		if u.err != nil {
			err = errors.Join(err, notRevoked{u.err})
		}
	}
	for _, old := range []*Grant{g, kept} {
		if old == nil || old.operators || old == kept && g != nil && g.refresh == kept.refresh && g.token.AccessToken == kept.token.AccessToken {
			continue
		}
		err = errors.Join(err, o.keeper.revoke(ctx, old))
	}
	return err
}

// revoke ends the tokens of g (RFC 7009): the access token, and then the refresh token,
// whatever came of the first. In the other order a server that ends both with the refresh
// token does not know the access token any more, and one of those that answer 400 to that
// (better-auth) could not be told from one that ended nothing.
func (k *Keeper) revoke(ctx context.Context, g *Grant) error {
	client, err := k.config.Server.client(ctx)
	if err != nil {
		return notRevoked{err}
	}
	err = client.Revoke(ctx, g.token.AccessToken, device.AccessToken)
	if g.refresh != "" {
		// A server that revokes nothing but refresh tokens has done what it can.
		if refused, ok := errors.AsType[*device.Error](err); ok && refused.Code == "unsupported_token_type" {
			err = nil
		}
		err = cmp.Or(client.Revoke(ctx, g.refresh, device.RefreshToken), err)
	}
	if err != nil {
		return notRevoked{err}
	}
	return nil
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
	return o.load(ctx)
}
