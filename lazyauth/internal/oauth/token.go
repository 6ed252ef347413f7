package oauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// maxToken is the length of the longest token accepted. Servers refuse headers
	// well below it.
	maxToken = 16 << 10

	// MostLife bounds expires_in: beyond it time arithmetic would overflow,
	// and nobody would notice the difference.
	MostLife = 10 * 365 * 24 * time.Hour
)

// A Token is what the server granted (RFC 6749 §5.1). However it is formatted, the
// tokens themselves do not appear; neither do they in JSON.
type Token struct {
	// Access is the access token: visible ASCII, fit to be put in a header.
	Access string `json:"-"`

	// Refresh is the refresh token, empty if there is none.
	Refresh string `json:"-"`

	// Type is always "Bearer" (RFC 6750); see [Config.BearerNames].
	Type string

	// Expires is when the access token lapses, by our clock and never later than
	// by the server's; zero if the server did not say.
	Expires time.Time

	// Scopes is what was granted, as far as it could be read, which may be less, more
	// or other than what was asked for. A server that names none has granted what was
	// asked for (RFC 6749 §5.1).
	Scopes scopes.Set

	// Missing is what was asked for, or held before a refresh, and is not in Scopes.
	// A server may narrow a token at a refresh without narrowing the grant (RFC 6749
	// §6): see [Client.RefreshFor].
	Missing scopes.Set

	// ClientID is that of the client which it was issued to, and which alone can refresh it
	// (RFC 6749 §6), and Confidential says that it has a secret to do that with.
	ClientID     string
	Confidential bool

	// Dropped is for the operator's log: what the server named as scopes that cannot be
	// any, escaped to ASCII and cut short. Empty if there was none.
	Dropped string
}

// Format writes no token, whatever the verb.
func (t Token) Format(s fmt.State, _ rune) {
	expires := "no expiry"
	if !t.Expires.IsZero() {
		expires = "expires " + t.Expires.Format(time.RFC3339)
	}
	fmt.Fprintf(s, "oauth.Token{%s, scopes %q, %s}", t.Type, t.Scopes.String(), expires)
}

// Refresh exchanges a refresh token for a new access token (RFC 6749 §6). The
// scopes held so far are not sent, which by §6 means unchanged; they are what the
// token is taken to have when the answer names none, or is empty of them. If the
// server does not rotate refresh tokens, the given one is in the result again.
//
// There is one request, of at most 30 s, and no retry: a server that has rotated
// the token and whose answer was lost takes a second use of it for theft. One that has
// refused the client has not looked at the token; see [Config.AuthStyle].
//
// Errors: ErrRevoked when the grant has ended; that is the only one that ends it.
// ErrUnavailable when the same may succeed later. ErrUnreadable, a success without a
// token: after one more try the person has to be asked. ErrRefused, ErrUnexplained,
// ErrTokenType and any other ErrInvalid: the person has to be asked, and the grant
// stays until they have signed in. Or that of ctx.
func (c *Client) Refresh(ctx context.Context, refreshToken string, held scopes.Set) (*Token, error) {
	return c.refresh(ctx, refreshToken, held, scopes.Set{})
}

// RefreshFor is Refresh for these scopes by name. It is for a grant whose last token
// has fewer of them than it ([Token.Missing]). A scope that was never granted must not
// be among them (RFC 6749 §6). What [Params.Refresh] names is asked for all the same.
func (c *Client) RefreshFor(ctx context.Context, refreshToken string, granted scopes.Set) (*Token, error) {
	return c.refresh(ctx, refreshToken, granted, granted)
}

func (c *Client) refresh(ctx context.Context, refreshToken string, held, named scopes.Set) (*Token, error) {
	const op = "refresh"
	if refreshToken == "" {
		return nil, errors.New("oauth: refresh: no refresh token")
	}
	form := cloneValues(c.config.Params.Refresh)
	if !named.IsEmpty() && !form.Has("scope") {
		c.SetScopes(form, named)
	}
	form.Set("grant_type", "refresh_token")
	form.Set("refresh_token", refreshToken)
	sent := time.Now()
	a := c.Post(ctx, c.config.Endpoints.Token, form)
	switch end := comesTo[a.Verdict.Means].refresh; {
	case a.trace != "" && ctx.Err() != nil:
		return nil, Ended(ctx, op)
	case end != nil:
		return nil, c.Fail(op, end, a, refreshToken)
	case a.Success() && a.fields.text("access_token") == "":
		return nil, c.Fail(op, ErrUnreadable, a, refreshToken)
	case a.Status == http.StatusBadRequest && a.Fault == isEmpty:
		return nil, c.Fail(op, ErrUnexplained, a, refreshToken)
	case a.Fault != "": // something in between is no verdict
		return nil, c.Fail(op, ErrUnavailable, a, refreshToken)
	}
	if f := a.fields["scope"]; strings.Trim(f.text, ", \t\r\n") == "" && f.other == "" {
		delete(a.fields, "scope") // GitHub, of a token without scopes: it has none to lose
	}
	token, err := c.ReadToken(op, a, sent, held, refreshToken)
	if err != nil {
		return nil, err
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
	case !isPrintable(t.ClientID) || len(t.ClientID) > maxClientID:
		return "the client id is too long, or not printable ASCII"
	case !isPrintable(t.Refresh):
		return "the refresh token has a character that does not belong in one"
	}
	return ""
}

// Check reports whether a token that comes from somewhere else, such as a store, is one
// that a server could have granted. Its error quotes nothing of it.
func (t *Token) Check() error {
	if why := t.unfit(); why != "" {
		return errors.New("oauth: " + why)
	}
	return nil
}

// ReadToken checks the answer of RFC 6749 §5.1. An unfit refresh token is not just left
// out: then the grant would be less than it seems, and nobody would know.
func (c *Client) ReadToken(op string, a *Answer, sent time.Time, asked scopes.Set, hidden ...string) (*Token, *Error) {
	token := &Token{
		Access:  a.fields.text("access_token"),
		Refresh: a.fields.text("refresh_token"),
		Type:    "Bearer",

		ClientID: c.ClientID(), Confidential: c.config.Credentials.Secret != "",
	}
	if why := token.unfit(); why != "" {
		return nil, c.Invalid(op, why, a, hidden...)
	}
	// Some servers leave the type out, though it is required.
	if a.fields.has("token_type") && !c.isBearer(a.fields["token_type"]) {
		e := c.Invalid(op, "", a, hidden...)
		e.Kind = ErrTokenType
		return nil, e
	}
	token.Scopes = asked
	if f, stated := a.fields["scope"]; stated {
		var dropped []string
		token.Scopes, dropped = f.scopes()
		if len(dropped) > 0 {
			token.Dropped = fmt.Sprintf("%d that cannot be scopes: %s", len(dropped), c.secrets(a, hidden...).quote(strings.Join(dropped, " ")))
		}
	}
	token.Missing = asked.Minus(token.Scopes)
	if life, ok := a.fields.seconds("expires_in", 0, MostLife); ok {
		token.Expires = sent.Add(life)
	}
	return token, nil
}

// isBearer reports whether a token type is Bearer, which is case-insensitive (RFC 6749
// §5.1), or another name for it.
func (c *Client) isBearer(f field) bool {
	name := strings.TrimSpace(f.text)
	is := func(other string) bool { return strings.EqualFold(name, other) }
	switch {
	case f.literal || f.other != "":
		return false
	case name == "" || is("Bearer"):
		return true
	}
	return slices.ContainsFunc(c.config.BearerNames, is)
}

// scopes reads what was granted, and returns what of it cannot be scopes. What is
// malformed has no part in the set: it must not count as all that was asked for.
func (f field) scopes() (granted scopes.Set, dropped []string) {
	if f.literal {
		return scopes.Set{}, []string{f.text}
	}
	granted, n := scopes.ParseGranted(f.text)
	if n > 0 {
		for _, name := range strings.FieldsFunc(f.text, func(r rune) bool { return strings.ContainsRune(" ,\t\r\n", r) }) {
			if one, _ := scopes.ParseGranted(name); one.IsEmpty() || !granted.Covers(one) {
				dropped = append(dropped, name)
			}
		}
	}
	if f.other != "" {
		dropped = append(dropped, f.other)
	}
	return granted, dropped
}
