package lazyauth

import (
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// A grant is a token and the scopes it really has. It is never changed, only
// replaced.
type grant struct {
	token      *oauth2.Token // without the refresh token, which no handler needs
	header     []string      // the Authorization header's value
	refresh    string
	renewed    bool // got by refreshing
	configured bool // the operator's …
	told       bool // … whose scopes the service has told
	scopes     scopes.Set
	held       scopes.Set // with what they imply
	order      *scopes.Hierarchy
	identity   Identity // who signed in, if that is known
	kept       bool     // the store has it

	// open has a bit for each gate that the grant is known to open, so that
	// calls need not compare scopes, and two that timers set when the token
	// expires or should be refreshed, so that they need not look at the clock.
	open   atomic.Uint64
	timers timers
}

// Bits of grant.open that stand for no gate.
const (
	expired = 1 << 63 // all gates are shut
	due     = 1 << 62 // the next call should have the token refreshed
)

// gateBits is how many gates have a bit.
const gateBits = 62

// timers are those of a grant; nil where there is nothing to wait for.
type timers struct{ due, end *time.Timer }

func (t timers) stop() {
	if t.due != nil {
		t.due.Stop()
	}
	if t.end != nil {
		t.end.Stop()
	}
}

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

// holds reports whether g has the scopes that need asks for. An operator's token of which
// the service does not tell is taken to have them: who gave it had no prompt in mind.
func (g *grant) holds(need scopes.Requirement) bool {
	return g.configured && !g.told && need != nil || g.order.Covers(g.held, need)
}

// opens reports whether o's grant serves the calls of a gate now. It is on the path of
// every call: see BenchmarkGate.
//
// What is needed may be nil, which nothing satisfies.
func (o *owner) opens(bit uint64, need scopes.Requirement) bool {
	g := o.grant.Load()
	if g == nil {
		return false
	}
	if bit != 0 && g.open.Load()&(bit|expired|due) == bit {
		return true
	}
	return o.looksCloser(g, bit, need)
}

func (o *owner) looksCloser(g *grant, bit uint64, need scopes.Requirement) bool {
	if !g.covers(need) {
		return false
	}
	if old := g.open.And(^uint64(due)); old&due != 0 {
		o.refreshAhead(g)
	}
	g.open.Or(bit)
	return true
}

// like returns a grant of the same token as g, with these scopes and this refresh
// token.
func (g *grant) like(actual scopes.Set, refresh string) *grant {
	r := &grant{
		token: g.token, header: g.header, refresh: refresh, renewed: g.renewed, configured: g.configured, told: g.told,
		scopes: actual, held: g.order.Expand(actual), order: g.order, identity: g.identity, kept: g.kept,
	}
	r.startTimers()
	r.open.Or(g.open.Load() & expired)
	return r
}

// reduced returns g as it turned out to be, with other scopes than the
// authorization server said.
func (g *grant) reduced(actual scopes.Set) *grant { return g.like(actual, g.refresh) }

// withoutRefresh returns g without its refresh token, which is of no use any more.
func (g *grant) withoutRefresh() *grant { return g.like(g.scopes, "") }

// restarted returns g with its timers running again.
func (g *grant) restarted() *grant { return g.like(g.scopes, g.refresh) }

func (g *grant) startTimers() {
	if g.token.Expiry.IsZero() {
		return
	}
	// A little early, so that it does not lapse on its way to the API.
	// Servers that count in whole seconds end a token up to one before
	// they said, so short-lived ones lose that at least.
	life := time.Until(g.token.Expiry)
	early := min(10*time.Second, max(life/5, 1500*time.Millisecond), life/2)
	end := life - early
	if end <= 0 {
		g.open.Or(expired)
		return
	}
	g.timers.end = time.AfterFunc(end, func() { g.open.Or(expired) })
	if g.refresh != "" {
		// Ahead of the end, so that nobody waits; at another moment in each process
		// that shares the grant, and for each of the people who signed in together.
		ahead := min(5*time.Minute, end/4)
		if ahead > 0 {
			ahead = ahead/2 + rand.N(ahead/2+1) //nolint:gosec // it spreads load, and guards nothing
			g.timers.due = time.AfterFunc(end-ahead, func() { g.open.Or(due) })
		}
	}
}

// later has g refreshed ahead of time once more, after a while.
func (g *grant) later() {
	if g.timers.due != nil {
		g.timers.due.Reset(30 * time.Second)
	}
}

// retire stops the timers of a grant that was replaced.
func (g *grant) retire() {
	if g != nil {
		g.timers.stop()
	}
}
