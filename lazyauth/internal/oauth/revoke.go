package oauth

import (
	"context"
	"net/http"
	"net/url"
	"strings"
)

// A TokenKind tells the authorization server what it is given (RFC 7009 §2.1).
type TokenKind string

// The kinds of tokens.
const (
	AccessToken  TokenKind = "access_token"
	RefreshToken TokenKind = "refresh_token"
)

// NoRevocation is the reason of an error of Revoke.
const NoRevocation = "the server has no revocation endpoint"

// CanRevoke reports whether the server has a revocation endpoint.
func (c *Client) CanRevoke() bool { return c.config.Endpoints.Revocation != "" }

// Revoke ends a token (RFC 7009 §2). What else that ends is the server's choice: for a
// refresh token its access tokens, by §2.1; for an access token the whole grant on some.
//
// It is done if the server says so: by 200, as §2.2 has it, or 204. By §2.2 the body of
// a 200 means nothing. Here it must not say anything else: a page, or an object that
// speaks of an error or of anything but success, is that of something in between, and
// whoever logs out relies on the answer.
//
// There is one request, of at most 30 s, and once more only if a connection that was kept is
// closed under it. Without a revocation endpoint nothing is sent,
// and the error is ErrRefused.
//
// Errors: ErrUnavailable if it may help to try again; ErrRefused if this client is not
// accepted; ErrNotRevoked for everything else, also for what a server says of a token
// that it does not know, though §2.2 asks for 200; that of ctx.
func (c *Client) Revoke(ctx context.Context, token string, kind TokenKind) error {
	const op = "revocation"
	if !c.CanRevoke() {
		return &Error{Op: op, Kind: ErrRefused, Reason: NoRevocation}
	}
	a := c.post(ctx, c.config.Endpoints.Revocation, url.Values{
		"token":           {token},
		"token_type_hint": {string(kind)},
	}, retried)
	switch end := comesTo[a.Verdict.Means].revoke; {
	case a.trace != "" && ctx.Err() != nil:
		return Ended(ctx, op)
	case end != nil:
		return c.Fail(op, end, a, token)
	case a.Passes():
		return c.Fail(op, ErrUnavailable, a, token)
	case a.affirms():
		return nil
	}
	return c.Fail(op, ErrNotRevoked, a, token)
}

// affirms reports whether an answer says that what was asked for is done: by its status,
// with no body, or one that says nothing else.
func (a *Answer) affirms() bool {
	if a.Status != http.StatusOK && a.Status != http.StatusNoContent || a.trace != "" {
		return false
	}
	text := strings.TrimSpace(a.body)
	if !a.json {
		return text == "" || isYes(strings.Trim(text, `"`)) || text == "null"
	}
	done := len(a.fields) == 0
	for name, f := range a.fields {
		switch name {
		case "error", "errors", "error_code", "error_description", "exception", "fault":
			return false
		case "status", "result", "success", "ok", "revoked", "code":
			if !isYes(f.text + f.other) {
				return false
			}
			done = true
		}
	}
	return done
}

// isYes reports whether a word or a number says that something is done.
func isYes(text string) bool {
	switch strings.ToLower(text) {
	case "ok", "true", "success", "successful", "succeeded", "done", "revoked", "200", "204":
		return true
	}
	return false
}
