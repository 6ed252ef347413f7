package device

import (
	"context"
	"net/url"
)

// A TokenKind tells the authorization server what it is given (RFC 7009 §2.1).
type TokenKind string

// The kinds of tokens.
const (
	AccessToken  TokenKind = "access_token"
	RefreshToken TokenKind = "refresh_token"
)

// CanRevoke reports whether the server has a revocation endpoint.
func (c *Client) CanRevoke() bool { return c.config.Endpoints.Revocation != "" }

// Revoke ends a token (RFC 7009 §2). What else that ends is the server's choice: for a
// refresh token its access tokens, by §2.1; for an access token the whole grant on some.
// A token that the server does not know is as good as revoked, and no error, whatever
// the server makes of it: §2.2 asks for 200, and some answer 400.
//
// There is one request, of at most 30 s. Without a revocation endpoint nothing is sent,
// and the error is ErrRefused.
//
// Errors: ErrUnavailable if it may help to try again; ErrRefused if this client or this
// kind of token is not accepted; that of ctx.
func (c *Client) Revoke(ctx context.Context, token string, kind TokenKind) error {
	const op = "revocation"
	if !c.CanRevoke() {
		return &Error{Op: op, Kind: ErrRefused, reason: "the server has no revocation endpoint"}
	}
	a := c.post(ctx, c.config.Endpoints.Revocation, url.Values{
		"token":           {token},
		"token_type_hint": {string(kind)},
	})
	if a.status >= 200 && a.status < 300 && a.fields.text("error") == "" {
		return nil // the body is of no interest, and mostly empty
	}
	switch code := a.fields.text("error"); {
	case a.fault != "" && ctx.Err() != nil:
		return ended(ctx, op)
	case a.fault != "" && a.passing():
		return c.fail(op, ErrUnavailable, a, token)
	case a.status == 429, a.status == 408, code == "slow_down":
		return c.fail(op, ErrUnavailable, a, token)
	case code == "invalid_client", code == "unauthorized_client", code == "unsupported_token_type":
		return c.fail(op, ErrRefused, a, token)
	case code != "" && understand(code).means == meansTrouble:
		return c.fail(op, ErrUnavailable, a, token)
	case a.status >= 400 && a.status < 500 && a.status != 401 && a.status != 403 && a.status != 404 && a.status != 405:
		return nil // it does not know the token
	}
	return c.fail(op, ErrRefused, a, token)
}
