package unattended

import (
	"context"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Credentials gets an access token for the client itself, and for no person (RFC 6749 §4.4).
func Credentials(ctx context.Context, c *oauth.Client, t Target, want scopes.Set) (*oauth.Token, error) {
	const op = "client credentials"
	hidden := t.secrets()
	a, sent, err := post(ctx, c, op, t.form("client_credentials", want), hidden)
	if err != nil {
		return nil, err
	}
	return read(c, op, a, sent, want, hidden)
}
