package lazyauth

import (
	"math"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// A grant is a token and the scopes it really has. It is never changed, only
// replaced.
type grant struct {
	token   *oauth2.Token // without the refresh token, which no handler needs
	refresh string
	scopes  scopes.Set
	until   time.Duration // since the interceptor's epoch, on the monotonic clock
}

// String keeps tokens out of logs.
func (g *grant) String() string { return "grant of " + g.scopes.String() }

// GoString keeps tokens out of %#v.
func (g *grant) GoString() string { return g.String() }

// good reports whether g serves need at this time. It is on the path of every
// call: see BenchmarkGate.
func (g *grant) good(now time.Duration, need scopes.Set) bool {
	return g != nil && now < g.until && g.scopes.Covers(need)
}

func (i *Interceptor) newGrant(t *device.Token) *grant {
	g := &grant{
		token:   &oauth2.Token{AccessToken: t.Access, TokenType: "Bearer", Expiry: t.Expires},
		refresh: t.Refresh,
		scopes:  t.Scopes,
		until:   math.MaxInt64,
	}
	if !t.Expires.IsZero() {
		// A little early, so that it does not lapse on its way to the API;
		// short-lived tokens lose a fifth of their life at the most.
		life := time.Until(t.Expires)
		g.until = i.now() + life - min(10*time.Second, life/5)
	}
	return g
}
