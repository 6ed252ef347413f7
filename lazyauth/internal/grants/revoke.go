package grants

import (
	"cmp"
	"context"
	"errors"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// revoke ends the tokens of g (RFC 7009): the access token, and then the refresh token,
// whatever came of the first. In the other order a server that ends both with the refresh
// token does not know the access token any more, and one of those that answer 400 to that
// (better-auth) could not be told from one that ended nothing.
func (as *AuthorizationServer) revoke(ctx context.Context, g *Grant) error {
	client, err := as.of(ctx, g)
	if err != nil {
		return notRevoked{err}
	}
	err = client.Revoke(ctx, g.token.AccessToken, oauth.AccessToken)
	if g.refresh != "" {
		// A server that revokes nothing but refresh tokens has done what it can.
		if refused, ok := errors.AsType[*oauth.Error](err); ok && refused.Code == "unsupported_token_type" {
			err = nil
		}
		err = cmp.Or(client.Revoke(ctx, g.refresh, oauth.RefreshToken), err)
	}
	if err != nil {
		return notRevoked{err}
	}
	return nil
}

// RevokeToken ends the tokens of an answer that nobody gets.
func (as *AuthorizationServer) RevokeToken(ctx context.Context, t *oauth.Token) error {
	return as.revoke(ctx, newGrant(nil, t, false))
}

// revokeAll ends the tokens of all these grants, side by side, within this time; it does nothing
// if there is none.
func (as *AuthorizationServer) revokeAll(grants []*Grant, within time.Duration) error {
	if within == 0 || len(grants) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), within)
	defer cancel()
	errs := make([]error, len(grants))
	slots := make(chan struct{}, 16)
	var wg sync.WaitGroup
	for n, g := range grants {
		wg.Go(func() {
			slots <- struct{}{}
			errs[n] = guard.Call("a revocation", func() error { return as.revoke(ctx, g) })
			<-slots
		})
	}
	wg.Wait()
	return errors.Join(errs...)
}
