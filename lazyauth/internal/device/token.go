package device

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// maxToken is the length of the longest token accepted. Servers refuse headers
	// well below it.
	maxToken = 16 << 10

	// mostTokenLife bounds expires_in: beyond it time arithmetic would overflow,
	// and nobody would notice the difference.
	mostTokenLife = 10 * 365 * 24 * time.Hour
)

// A Token is what the server granted (RFC 6749 §5.1). However it is formatted, the
// tokens themselves do not appear; neither do they in JSON.
type Token struct {
	// Access is the access token: visible ASCII, fit to be put in a header.
	Access string `json:"-"`

	// Refresh is the refresh token, empty if there is none.
	Refresh string `json:"-"`

	// Type is always "Bearer" (RFC 6750); other types are refused.
	Type string

	// Expires is when the access token lapses, by our clock and never later than
	// by the server's; zero if the server did not say.
	Expires time.Time

	// Scopes is what was granted, which may be less or other than what was asked
	// for. A server that names none has granted what was asked for (RFC 6749 §5.1).
	Scopes scopes.Set
}

// Format writes no token, whatever the verb.
func (t Token) Format(s fmt.State, _ rune) {
	expires := "no expiry"
	if !t.Expires.IsZero() {
		expires = "expires " + t.Expires.Format(time.RFC3339)
	}
	fmt.Fprintf(s, "device.Token{%s, scopes %q, %s}", t.Type, t.Scopes.String(), expires)
}

// Refresh exchanges a refresh token for a new access token (RFC 6749 §6). The
// scopes held so far are not sent, which by §6 means unchanged; they are what the
// token is taken to have when the answer names none. If the server does not rotate
// refresh tokens, the given one is in the result again.
//
// There is one request, of at most 30 s, and no retry: a server that has rotated
// the token and whose answer was lost takes a second use of it for theft. One that has
// refused the client has not looked at the token; see [Config.AuthStyle].
//
// Errors: ErrRevoked when the person has to sign in again; ErrUnavailable when the
// refresh token may well be good still; ErrRefused, ErrInvalid, or that of ctx.
func (c *Client) Refresh(ctx context.Context, refreshToken string, held scopes.Set) (*Token, error) {
	const op = "refresh"
	if refreshToken == "" {
		return nil, errors.New("device: refresh: no refresh token")
	}
	sent := time.Now()
	a := c.post(ctx, c.config.Endpoints.Token, url.Values{
		"grant_type":    {"refresh_token"},
		"refresh_token": {refreshToken},
	})
	switch {
	case a.fault != "" && ctx.Err() != nil:
		return nil, ended(ctx, op)
	case a.fault != "" && a.passing():
		return nil, c.fail(op, ErrUnavailable, a, refreshToken)
	case a.fault != "" && a.status != 400 && a.status != 401:
		return nil, c.fail(op, ErrUnavailable, a, refreshToken) // a page of something in between is no verdict
	case a.fault != "":
		return nil, c.fail(op, ErrInvalid, a, refreshToken)
	}
	if code := a.fields.text("error"); code != "" {
		kind := ErrRefused
		switch understand(code).means {
		case meansGone, meansExpired, meansPerson:
			kind = ErrRevoked
		case meansTrouble, meansSlowDown:
			kind = ErrUnavailable
		}
		return nil, c.fail(op, kind, a, refreshToken)
	}
	token, why := readToken(a, sent, held)
	if why != "" {
		return nil, c.invalid(op, why, a, refreshToken)
	}
	if token.Refresh == "" {
		token.Refresh = refreshToken
	}
	return token, nil
}

// unfit says why the token cannot be used, in our words, if it cannot.
func (t *Token) unfit() string {
	switch {
	case t.Access == "":
		return "the access token is missing"
	case len(t.Access) > maxToken || len(t.Refresh) > maxToken:
		return "a token is too long"
	case !isPrintable(t.Access) || strings.Contains(t.Access, " "):
		return "the access token has a character that does not belong in a header"
	case !isPrintable(t.Refresh):
		return "the refresh token has a character that does not belong in one"
	}
	return ""
}

// Check reports whether a token that comes from somewhere else, such as a store, is one
// that a server could have granted. Its error quotes nothing of it.
func (t *Token) Check() error {
	if why := t.unfit(); why != "" {
		return errors.New("device: " + why)
	}
	return nil
}

// readToken checks the answer of RFC 6749 §5.1. If it cannot be used, the second
// result says why, in our words. An unfit refresh token or scope is not just left
// out: then the grant would be less than it seems, and nobody would know.
func readToken(a *answer, sent time.Time, asked scopes.Set) (*Token, string) {
	token := &Token{
		Access:  a.fields.text("access_token"),
		Refresh: a.fields.text("refresh_token"),
		Type:    "Bearer",
		Scopes:  asked,
	}
	if why := token.unfit(); why != "" {
		return nil, why
	}
	// The type is case-insensitive (RFC 6749 §5.1), and some servers leave it out.
	if kind := a.fields["token_type"].text; kind != "" && !strings.EqualFold(kind, "Bearer") {
		return nil, "the token is of another type than Bearer"
	}
	if granted, stated := a.fields["scope"]; stated {
		set, err := scopes.Parse(granted.text)
		if err != nil {
			return nil, "the granted scope is malformed"
		}
		token.Scopes = set
	}
	if life, ok := a.fields.seconds("expires_in", 0, mostTokenLife); ok {
		token.Expires = sent.Add(life)
	}
	return token, ""
}
