package grants

import (
	"cmp"
	"context"
	"errors"

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
