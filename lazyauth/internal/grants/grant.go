package grants

import (
	"crypto/rand"
	random "math/rand/v2"
	"sync/atomic"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Grant is a token and the scopes that it really has. Once it is adopted these are not
// changed, and the grant is replaced; what its last fields say of it may change.
type Grant struct {
	token     *oauth2.Token // without the refresh token, which no handler needs
	header    []string      // the Authorization header's value
	refresh   string
	refreshed bool       // got by a refresh
	operators bool       // the operator's token …
	told      bool       // … whose scopes the service has told
	source    string     // the name of the Source that gave it: nobody was asked, and it can be got again
	scopes    scopes.Set // as granted
	held      scopes.Set // with what they imply
	asked     scopes.Set // what this program asked for; see Known
	whole     scopes.Set // what the refresh token is good for, as far as that is more; see mayHold
	order     *scopes.Hierarchy
	client    receiver // empty of the operator's
	identity  Identity // who signed in, if that is known
	serial    uint64   // of this program: no two grants have the same; see Gate
	dropped   string   // for the observer: what the server named as scopes that cannot be any

	hosts   []string // what the programs call themselves by which it was asked for, the latest last
	instead bool     // it was asked for to take the place of another one, whatever that had

	id             string    // of all that came of one sign-in, for logs
	since, renewed time.Time // when the person gave it, and when it was last refreshed; zero if that is not known

	stored atomic.Bool   // the store has it
	state  atomic.Uint32 // expired, due and unsure; zero on the path of every call

	// Of the owner's grant alone, from when it is adopted; guarded by Owner.mu.
	dueTimer, endTimer *timer
	doubt              doubt
	watch              watch
}

// A doubt is what is thought of a grant's refresh token, of which the server has not said
// that it is no good any more. It is tried again in any case, once nobody is being asked.
type doubt uint8

const (
	unread      doubt = iota + 1 // it was answered with a success without a token, and may be used up
	useless                      // it brought no token: the person is asked
	unexplained                  // likewise, and nothing was said: it is dropped once the client is known to be good
)

// A receiver is the client that a grant was given to.
type receiver struct {
	id           string
	confidential bool // it has a secret
}

// Bits of Grant.state, which timers set, so that calls need not look at the clock.
const (
	expired = 1 << iota // the token has ended, or is about to
	due                 // the next call should have it refreshed
	ended               // it was given up for good, and nothing that comes of it is taken
	unsure              // it is to be looked at again in the store: see watch
)

var serials atomic.Uint64

func newGrant(order *scopes.Hierarchy, t *oauth.Token, refreshed bool) *Grant {
	g := &Grant{
		token:     &oauth2.Token{AccessToken: t.Access, TokenType: "Bearer", Expiry: t.Expires},
		header:    []string{"Bearer " + t.Access},
		refresh:   t.Refresh,
		refreshed: refreshed,
		scopes:    t.Scopes,
		held:      order.Expand(t.Scopes),
		order:     order,
		client:    receiver{t.ClientID, t.Confidential},
		serial:    serials.Add(1),
		dropped:   t.Dropped,
	}
	g.age()
	return g
}

// like returns a grant of the same token as g, with these scopes and this refresh
// token.
func (g *Grant) like(actual scopes.Set, refresh string) *Grant {
	r := &Grant{
		token: g.token, header: g.header, refresh: refresh, refreshed: g.refreshed, operators: g.operators, told: g.told, source: g.source,
		scopes: actual, held: g.order.Expand(actual), asked: g.asked, whole: g.whole, order: g.order, client: g.client, identity: g.identity, serial: serials.Add(1),
		hosts: g.hosts, id: g.id, since: g.since, renewed: g.renewed,
	}
	r.stored.Store(g.stored.Load())
	r.state.Store(g.state.Load() & expired)
	r.doubt = g.doubt
	r.age()
	return r
}

// withoutRefresh returns g without its refresh token, which is of no use any more.
func (g *Grant) withoutRefresh() *Grant { return g.like(g.scopes, "") }

// String keeps tokens out of logs.
func (g *Grant) String() string { return "grant of " + g.scopes.String() }

// GoString keeps tokens out of %#v.
func (g *Grant) GoString() string { return g.String() }

// Token returns the access token. It must not be changed.
func (g *Grant) Token() *oauth2.Token { return g.token }

// Header returns the value of the Authorization header. It must not be changed.
func (g *Grant) Header() []string { return g.header }

// Scopes returns what was granted, and Held that with what it implies.
func (g *Grant) Scopes() scopes.Set { return g.scopes }

// Held returns what was granted, with what it implies.
func (g *Grant) Held() scopes.Set { return g.held }

// Known returns what of the grant this program asked for, by the names that it asked by.
// An authorization server can grant scopes that nobody asked for, whose names are text of
// its choice, and which it may not accept back: no more than what is known is asked for
// again, or shown to anybody.
func (g *Grant) Known() scopes.Set { return g.asked.Minus(g.lacks(g.asked)) }

// lacks returns what of these scopes g has not.
func (g *Grant) lacks(asked scopes.Set) scopes.Set { return g.order.Missing(g.held, asked) }

// Identity returns who signed in, if that is known.
func (g *Grant) Identity() Identity { return g.identity }

// Dropped returns what the server named as scopes of the token that cannot be any, escaped and
// cut short, for a log.
func (g *Grant) Dropped() string { return g.dropped }

// ID names all that came of one sign-in, as far as that is known.
func (g *Grant) ID() string { return g.id }

// Since returns when the person gave it; zero, as is Renewed, if that is
// not known, or did not happen.
func (g *Grant) Since() time.Time { return g.since }

// Renewed returns when it was last refreshed; see Since.
func (g *Grant) Renewed() time.Time { return g.renewed }

// signedIn notes that the person has given g now.
func (g *Grant) signedIn() { g.id, g.since = rand.Text(), time.Now() }

// Renewable reports whether there is a refresh token.
func (g *Grant) Renewable() bool { return g.refresh != "" }

func (g *Grant) isRenewable() bool { return g != nil && g.Renewable() }

// Source returns the name of the source that it is from, if nobody was asked for it: see
// [Keeper.Unattended].
func (g *Grant) Source() string { return g.source }

// Operators reports whether it is the operator's token.
func (g *Grant) Operators() bool { return g.operators }

// Alive reports whether there is a grant, and it has not expired.
func (g *Grant) Alive() bool { return g != nil && g.state.Load()&expired == 0 }

// Covers reports whether g serves need now.
func (g *Grant) Covers(need scopes.Requirement) bool {
	return g.Alive() && !g.isStale() && g.Holds(need)
}

// Holds reports whether g has the scopes that need asks for. An operator's token of which
// the service does not tell is taken to have them: who gave it had no prompt in mind.
func (g *Grant) Holds(need scopes.Requirement) bool {
	return g.operators && !g.told && need != nil || g.order.Covers(g.held, need)
}

// mayHold is Holds for what a refresh can bring: a server may give a token less than the
// grant has (RFC 6749 §6), and the rest when it is asked for by name.
func (g *Grant) mayHold(need scopes.Requirement) bool {
	return g.Holds(need) || !g.whole.IsEmpty() && g.order.Covers(g.order.Expand(g.whole), need)
}

// refreshKind is the kind of renewal that a refresh of g is.
func (g *Grant) refreshKind() renewalKind {
	if g.whole.IsEmpty() {
		return refreshing
	}
	return byName
}

// A Gate is something that needs a grant, such as a tool. It remembers which grant was
// last found to cover its need, so that scopes are compared once a grant and not once a
// call.
type Gate struct {
	Need   scopes.Requirement // nil: nothing satisfies it
	serial atomic.Uint64      // of that grant
}

// Authorizes reports whether o's grant serves the gate now. It is on the path of every
// call: see BenchmarkGate in package lazyauth.
func (o *Owner) Authorizes(gate *Gate) bool {
	g := o.grant.Load()
	if g == nil {
		return false
	}
	return gate.serial.Load() == g.serial && g.state.Load() == 0 || o.authorizes(g, gate)
}

// authorizes is Authorizes for a grant that the gate does not remember, or that is not
// what it was. It has a grant that is due refreshed, and one that is unsure looked at, in the background.
func (o *Owner) authorizes(g *Grant, gate *Gate) bool {
	if !g.Alive() || !g.Holds(gate.Need) {
		return false
	}
	if old := g.state.And(^uint32(due)); old&due != 0 {
		o.refreshAhead(g)
	}
	if g.state.Load()&unsure != 0 {
		if g.isStale() {
			return false
		}
		lookAhead(o, g)
	}
	gate.serial.Store(g.serial)
	return true
}

// life is how long g can still be used; zero if it does not end, and negative or zero if it
// has.
func (g *Grant) life() (left time.Duration, ends bool) {
	if g.token.Expiry.IsZero() {
		return 0, false
	}
	// A little early, so that it does not lapse on its way to the API.
	// Servers that count in whole seconds end a token up to one before
	// they said, so short-lived ones lose that at least.
	life := time.Until(g.token.Expiry)
	return life - min(10*time.Second, max(life/5, 1500*time.Millisecond), life/2), true
}

// age marks g as expired if it is. Once it is adopted, its timers do.
func (g *Grant) age() {
	if left, ends := g.life(); ends && left <= 0 {
		g.state.Or(expired)
	}
}

// start begins g's time as the owner's grant, and calls ended when it is over; Owner.mu is held.
func (g *Grant) start(ended func()) {
	left, ends := g.life()
	if !ends || left <= 0 {
		g.age()
		return
	}
	g.endTimer = afterFunc(left, func() {
		g.state.Or(expired)
		ended()
	})
	if g.refresh == "" {
		return
	}
	// Ahead of the end, so that nobody waits; at another moment in each process
	// that shares the grant, and for each of the people who signed in together.
	if ahead := min(5*time.Minute, left/4); ahead > 0 {
		ahead = ahead/2 + random.N(ahead/2+1) //nolint:gosec // it spreads load, and guards nothing
		g.dueTimer = afterFunc(left-ahead, g.isDueNow)
	}
}

func (g *Grant) isDueNow() { g.state.Or(due) }

// refreshRetry is how long after a refresh ahead of time that failed, for whatever reason,
// the grant is due again. The next call after that tries once more.
const refreshRetry = 30 * time.Second

// later has g refreshed ahead of time once more; Owner.mu is held.
func (g *Grant) later() {
	if g.dueTimer != nil {
		g.dueTimer.reset(refreshRetry, g.isDueNow)
	}
}

// end is stop for a grant that is given up for good.
func (g *Grant) end() {
	if g != nil {
		g.state.Or(ended)
	}
	g.stop()
}

// hasEnded reports whether g was given up for good.
func (g *Grant) hasEnded() bool { return g.state.Load()&ended != 0 }

// stop ends g's time as the owner's grant, if there is one; Owner.mu is held.
func (g *Grant) stop() {
	if g == nil {
		return
	}
	g.dueTimer.stop()
	g.endTimer.stop()
	g.watch.stop()
}
