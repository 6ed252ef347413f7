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
	header  []string      // the Authorization header's value
	refresh string
	renewed bool // got by refreshing
	scopes  scopes.Set
	held    scopes.Set // with what they imply
	order   *scopes.Hierarchy

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
func (g *grant) covers(need scopes.Requirement) bool {
	return g.alive() && g.holds(need)
}

// alive reports whether there is a grant, and it has not expired.
func (g *grant) alive() bool { return g != nil && g.open.Load()&expired == 0 }

// holds reports whether g has the scopes that need asks for.
func (g *grant) holds(need scopes.Requirement) bool { return g.order.Covers(g.held, need) }

// opens reports whether g serves the calls of a gate now. It is on the path of
// every call: see BenchmarkGate.
//
// What is needed may be nil, which nothing satisfies.
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

func (i *Interceptor) newGrant(t *device.Token, renewed bool) *grant {
	g := &grant{
		token:   &oauth2.Token{AccessToken: t.Access, TokenType: "Bearer", Expiry: t.Expires},
		header:  []string{"Bearer " + t.Access},
		refresh: t.Refresh,
		renewed: renewed,
		scopes:  t.Scopes,
		held:    i.service.Hierarchy.Expand(t.Scopes),
		order:   i.service.Hierarchy,
	}
	g.startTimer()
	return g
}

// reduced returns g as it turned out to be, with other scopes than the
// authorization server said.
func (g *grant) reduced(actual scopes.Set) *grant {
	r := &grant{
		token: g.token, header: g.header, refresh: g.refresh, renewed: g.renewed,
		scopes: actual, held: g.order.Expand(actual), order: g.order,
	}
	r.startTimer()
	return r
}

func (g *grant) startTimer() {
	if !g.token.Expiry.IsZero() {
		// A little early, so that it does not lapse on its way to the API.
		// Servers that count in whole seconds end a token up to one before
		// they said, so short-lived ones lose that at least.
		life := time.Until(g.token.Expiry)
		early := min(10*time.Second, max(life/5, 1500*time.Millisecond), life/2)
		g.timer = time.AfterFunc(life-early, func() { g.open.Or(expired) })
	}
}

// retire stops the timer of a grant that was replaced.
func (g *grant) retire() {
	if g != nil && g.timer != nil {
		g.timer.Stop()
	}
}
