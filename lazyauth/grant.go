package lazyauth

import (
	"sync/atomic"
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

	// open has a bit for each gate that the grant is known to open, so that
	// calls need not compare scopes, and one that a timer sets when the token
	// expires, so that they need not look at the clock.
	open  atomic.Uint64
	timer *time.Timer // nil if the token does not expire
}

// expired is the bit of grant.open that stands for all gates being shut.
const expired = 1 << 63

// String keeps tokens out of logs.
func (g *grant) String() string { return "grant of " + g.scopes.String() }

// GoString keeps tokens out of %#v.
func (g *grant) GoString() string { return g.String() }

// covers reports whether g serves need now.
func (g *grant) covers(need scopes.Set) bool {
	return g != nil && g.open.Load()&expired == 0 && g.scopes.Covers(need)
}

// opens reports whether g serves the calls of a gate now. It is on the path of
// every call: see BenchmarkGate.
func (g *grant) opens(gate *gate) bool {
	if g == nil {
		return false
	}
	if gate.bit != 0 && g.open.Load()&(gate.bit|expired) == gate.bit {
		return true
	}
	if !g.covers(gate.need) {
		return false
	}
	g.open.Or(gate.bit)
	return true
}

func newGrant(t *device.Token) *grant {
	g := &grant{
		token:   &oauth2.Token{AccessToken: t.Access, TokenType: "Bearer", Expiry: t.Expires},
		refresh: t.Refresh,
		scopes:  t.Scopes,
	}
	if !t.Expires.IsZero() {
		// A little early, so that it does not lapse on its way to the API.
		// Servers that count in whole seconds end a token up to one before
		// they said, so short-lived ones lose that at least.
		life := time.Until(t.Expires)
		early := min(10*time.Second, max(life/5, 1500*time.Millisecond), life/2)
		g.timer = time.AfterFunc(life-early, func() { g.open.Or(expired) })
	}
	return g
}

// retire stops the timer of a grant that was replaced.
func (g *grant) retire() {
	if g != nil && g.timer != nil {
		g.timer.Stop()
	}
}
