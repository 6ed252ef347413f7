package lazyauth

import (
	"cmp"
	"context"
	"errors"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// revoke ends the tokens of g: the access token, and then the refresh token, whatever
// came of the first. In the other order a server that ends both with the refresh token
// does not know the access token any more, and one of those that answer 400 to that
// (better-auth) could not be told from one that ended nothing.
func (i *keeper) revoke(ctx context.Context, g *grant) error {
	client, err := i.server.client(ctx)
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

// revokeAll ends the tokens of these grants side by side, when the interceptor is
// closed, if that is wanted.
func (i *keeper) revokeAll(grants []*grant) error {
	if i.options.RevokeOnClose == 0 || len(grants) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), i.options.RevokeOnClose)
	defer cancel()
	errs := make([]error, len(grants))
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for n, g := range grants {
		wg.Go(func() {
			slots <- struct{}{}
			errs[n] = i.revoke(ctx, g)
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}

// drop forgets o's grant, and returns it.
func (o *owner) drop() *grant {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.logouts++
	g := o.grant.Swap(nil)
	if g != nil {
		o.refused = g.token.AccessToken // which a store that fails now must not bring back
	}
	g.retire()
	return g
}

// distrust gives up g, which the API does not accept, and reports whether there
// is hope for another one: by a refresh at first, then from the person if a sign-in
// may help, then no more.
func (o *owner) distrust(g *grant, again func() int, signIn bool) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.grant.Load() != g || g.open.Load()&expired != 0 {
		return true // somebody has seen to it
	}
	switch n := again(); {
	case n == 1 && (g.refresh != "" || signIn):
		g.open.Or(expired)
	case n == 2 && g.renewed && signIn:
		o.grant.Store(nil)
		g.retire()
		o.refused = g.token.AccessToken // which a store must not bring back
		o.auth.spawn(func() {
			if err := o.discard(o.auth.ctx, g); err != nil {
				o.storeFailed(err)
			}
		})
	default:
		return false
	}
	return true
}

// correct notes that g has no scopes but those in held, and returns what it then
// holds. The word of an API takes scopes away, and never adds one.
func (o *owner) correct(g *grant, held scopes.Set) scopes.Set {
	var left scopes.Set
	for name := range g.scopes.All() {
		if one := scopes.Of(name); held.Covers(one) {
			left = left.Union(one)
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.errand != nil || o.grant.Load() != g {
		return o.auth.service.Hierarchy.Expand(left)
	}
	corrected := g.reduced(left)
	o.grant.Store(corrected)
	g.retire()
	return corrected.held
}

// ErrNotRevoked means that tokens were forgotten here and may still be good elsewhere,
// until they expire: the authorization server did not say that it ended them. It may not
// have known them any more, which some servers answer in the same way.
var ErrNotRevoked = errors.New("lazyauth: the tokens were not revoked, or the authorization server did not know them")

type notRevoked struct{ cause error }

func (e notRevoked) Error() string { return ErrNotRevoked.Error() + ": " + e.cause.Error() }

func (e notRevoked) Unwrap() []error { return []error{ErrNotRevoked, e.cause} }
