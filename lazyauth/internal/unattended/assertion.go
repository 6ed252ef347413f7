package unattended

import (
	"context"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	grantTypeJWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"

	// maxAssertion is the length of the longest assertion that is passed on.
	maxAssertion = 16 << 10
)

// ExchangeForIDJAG has the identity provider, whose client c is, vouch for the person of an
// identity assertion to another authorization server, which is the target's audience (ID-JAG
// §4.3). The answer is for that server alone, and short-lived: it is to be used at once, by
// [Assert]. What scopes it is good for, that server is told by it.
func ExchangeForIDJAG(ctx context.Context, c *oauth.Client, s Subject, t Target, want scopes.Set) (string, error) {
	const op = "token exchange for an ID-JAG"
	a, _, hidden, err := exchange(ctx, c, op, s, IDJAG, t, want)
	if err != nil {
		return "", err
	}
	assertion := a.Text("access_token") // so called for historical reasons (§4.3.4)
	switch {
	case a.Text("issued_token_type") != IDJAG:
		return "", c.Invalid(op, "the issued_token_type is missing, or is not that of an ID-JAG", a, hidden...)
	case !strings.EqualFold(a.Text("token_type"), "N_A"):
		return "", c.Invalid(op, "the token_type is not N_A, as that of an ID-JAG is", a, hidden...)
	case !isJWT(assertion):
		return "", c.Invalid(op, "the ID-JAG is missing, too long, or no JWT", a, hidden...)
	}
	return assertion, nil
}

// Assert gets an access token by an assertion that another server has signed for this one (RFC
// 7523 §2.1, ID-JAG §4.4).
func Assert(ctx context.Context, c *oauth.Client, assertion string, t Target, want scopes.Set) (*oauth.Token, error) {
	const op = "JWT bearer grant"
	form := t.form(grantTypeJWT, want)
	form.Set("assertion", assertion)
	hidden := t.secrets(assertion)
	// Once: servers may remember the jti of an assertion, and refuse a second use of it (RFC
	// 7523 §3).
	sent := time.Now()
	a := c.Post(ctx, c.Endpoints().Token, form)
	if err := c.Check(ctx, op, a, hidden...); err != nil {
		return nil, err
	}
	return read(c, op, a, sent, want, hidden)
}

// isJWT reports whether text has the form of a signed JWT (RFC 7515 §3.1), or an encrypted one.
// Whether it is good is for the server to say that it was made for.
func isJWT(text string) bool {
	if n := strings.Count(text, "."); len(text) > maxAssertion || n != 2 && n != 4 {
		return false
	}
	for _, c := range []byte(text) {
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (c < '0' || c > '9') && c != '-' && c != '_' && c != '.' {
			return false
		}
	}
	return !strings.HasPrefix(text, ".")
}
