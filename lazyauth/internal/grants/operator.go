package grants

import (
	"context"
	"errors"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

var (
	errTokenRefused = errors.New("lazyauth: the API refused the operator's token")
	errNoToken      = errors.New("lazyauth: the source returned no token")
)

// usesOperatorToken reports whether o's grant is the operator's token, so that nobody is
// asked.
func (o *Owner) usesOperatorToken() bool { return o.keeper.config.Token != nil && o.who.IsLocal() }

// takeToken takes the operator's token, and learns of it what the service tells.
func (o *Owner) takeToken(ctx context.Context) error {
	token, err := o.keeper.config.Token.Token()
	if err == nil && (token == nil || token.AccessToken == "") {
		err = errNoToken
	}
	if err != nil {
		o.keeper.config.Observer.TokenFailed(ctx, o, err)
		return failure{ErrOperatorToken, err}
	}
	g := newGrant(o.keeper.config.Hierarchy, &oauth.Token{Access: token.AccessToken, Expires: token.Expiry}, false)
	g.operators, g.asked = true, o.keeper.config.Declared()
	o.identify(ctx, g)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.adopt(g)
	return nil
}
