package lazyauth

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// challenges are those of the API that a call has met, or tried to: each is put to
// the person once a call, so that an API that repeats its challenge whatever it
// is given ends nowhere but in the handler.
type challenges struct {
	mu      sync.Mutex    // guards what follows; held over nothing that waits
	reduced *grants.Grant // of which the API said that it has less; of no other one after that
	raised  map[scopes.Requirement]raise

	remedy remedy // for the last token that was rejected by RejectToken
}

// A raise is what came of having a grant raised.
type raise struct {
	from *grants.Grant // the one that did not suffice
	err  error         // why there is no use in trying again
}

// earlier returns the challenges that the call has met so far.
func (c *call) earlier() *challenges {
	if d := c.challenges.Load(); d != nil {
		return d
	}
	c.challenges.CompareAndSwap(nil, &challenges{raised: make(map[scopes.Requirement]raise)})
	return c.challenges.Load()
}

// A sequel is what becomes of a request that the API has refused.
type sequel struct {
	again bool // it is sent again, with the grant that the call has then
	other bool // … because the token was refused as such
}

// Why a demand of the API is not met, for operators; those of type configuration are for
// the model, too.
var (
	errRepeated        = errors.New("lazyauth: the API refused this request each time it was sent")
	errUnnamed         = errors.New("lazyauth: the API demands more scopes and names none, or only such as the grant has: its refusal may have another reason")
	errInVain          = errors.New("lazyauth: the API demands again what was just granted")
	errNewToken        = errors.New("lazyauth: the API does not accept the token, and a new one would not help, was of no use a moment ago, or cannot be had without asking somebody who must not be asked now; if no token was ever accepted, they may be for another API: see Service.Params (audience, resource)")
	errOperatorRefused = errors.New("lazyauth: the API does not accept the token of Options.Token, which has no other")
)

// A refusal is a response of the API that may demand something of the token that its request
// carried. Only what the service's own origins answer is one, and what may be asked for is
// limited by us.
type refusal struct {
	call   *call
	grant  *grants.Grant  // that the request carried
	res    *http.Response // nil if the handler says it
	body   *replay        // of the request
	before sequel         // of the attempt before this one
	demand scopes.Demand
}

// meet deals with what the response demands, and says what becomes of the request. An error
// is for the handler in the place of the response. If there is neither, the response is the
// handler's to deal with.
func (r *refusal) meet(ctx context.Context) (sequel, error) {
	var err error
	if r.demand, err = demandOf(r.res, r.service().Dialect); err != nil { // fail closed: there is no telling what it wants
		return sequel{}, r.unmet(r.call.gate.auth.fail(ReasonUnsupported, err))
	}
	switch d, g := r.demand, r.grant; {
	case d.More && d.Needs != nil && !g.Holds(d.Needs) && !g.Operators():
		return r.stepUp(ctx)
	case d.Fresh:
		return r.another(ctx)
	case d.More && !g.Operators(): // whose scopes no person can be asked for
		return r.stepUp(ctx)
	case d.More:
		return sequel{}, r.unmet(errUnnamed)
	default:
		return sequel{}, nil
	}
}

func (r *refusal) service() *Service { return &r.call.gate.auth.service }

// demandOf returns what res demands. A 401 means the token that was sent (RFC 9110
// §15.5.2), whatever the service's dialect makes of it: one that is silent about it, or
// cannot read it, leaves it to the standard's.
func demandOf(res *http.Response, dialect scopes.Dialect) (scopes.Demand, error) {
	demand, err := dialect(res.StatusCode, res.Header)
	if res.StatusCode != http.StatusUnauthorized {
		return demand, err
	}
	if err != nil || demand.IsZero() {
		demand, err = scopes.BearerDemand(res.StatusCode, res.Header)
	}
	demand.Fresh = true
	return demand, err
}

// another gives up the token that the API does not accept, and has the request sent again
// if there is hope for another one.
func (r *refusal) another(ctx context.Context) (sequel, error) {
	c := r.call
	again := c.holder().Reject(ctx, r.grant, grants.Refusal{
		By: c.arrived, Again: r.before.other, SignIn: r.demand.SignIn, Left: r.left(),
	})
	if !again && r.grant.Source() != "" {
		again = c.standIn.giveUp()
	}
	switch {
	case !again && r.grant.Operators():
		return sequel{}, r.unmet(errOperatorRefused)
	case !again:
		return sequel{}, r.unmet(errNewToken)
	case !r.body.possible():
		return sequel{}, r.unmet(c.gate.auth.fail(ReasonUnsupported, errNoReplay))
	}
	return sequel{again: true, other: true}, nil
}

// stepUp raises the grant to what the API demands. It does not if there is nothing to ask
// for by name, or if that was asked for already and did not help.
func (r *refusal) stepUp(ctx context.Context) (sequel, error) {
	c, g, order := r.call, r.grant, r.service().Hierarchy
	auth, need := c.gate.auth, r.demand.Needs
	if need == nil {
		need = c.gate.Need
	}
	earlier, held := c.earlier(), g.Held()
	if r.demand.HeldKnown && !order.Covers(order.Expand(r.demand.Held), g.Scopes()) && earlier.mayReduce(g) {
		// The token has less than it was given: some of it was taken away.
		less, ok := c.holder().Reduce(g, order.Expand(r.demand.Held))
		if !ok { // there is a new one, or will be soon: it is asked for with that
			if !r.body.possible() {
				return sequel{}, r.unmet(auth.fail(ReasonUnsupported, errNoReplay))
			}
			err := c.holder().Settle(ctx, r.left())
			return sequel{again: err == nil}, auth.explain(err, c.person, need, c.req)
		}
		earlier.reduces(g)
		held = less
	}
	missing, ok := order.Narrowest(held, need, auth.ceiling())
	switch {
	case !ok:
		return sequel{}, r.unmet(r.exceeded(need))
	case missing.IsEmpty():
		return sequel{}, r.unmet(errUnnamed)
	case !r.body.possible():
		return sequel{}, r.unmet(auth.fail(ReasonUnsupported, errNoReplay))
	}
	earlier.mu.Lock()
	before, tried := earlier.raised[need]
	if !tried {
		earlier.raised[need] = raise{from: g}
	}
	earlier.mu.Unlock()
	switch {
	case before.err != nil:
		return sequel{}, before.err
	case tried && before.from != g:
		return sequel{}, r.unmet(errInVain)
	}
	discard(r.res, auth.keeper) // the connection need not wait for the person
	known := g.Known()          // no more of what is held is shown, and none of it needs to be kept
	_, err := c.authorize(ctx, known.Minus(order.Missing(held, known)).Union(missing))
	if e, ok := errors.AsType[*Error](err); ok {
		earlier.mu.Lock()
		earlier.raised[need] = raise{from: g, err: e}
		earlier.mu.Unlock()
	}
	return sequel{again: err == nil}, err
}

// left is how much longer the call can wait.
func (r *refusal) left() time.Duration {
	if s := r.call.suspended; s != nil {
		return r.call.person.Left(&working{suspended: s, call: r.call})
	}
	return r.call.person.Left(r.call)
}

// mayReduce reports whether the API may say that g has less than it was given: of one
// grant a call, or it could have the person asked for every request.
func (d *challenges) mayReduce(g *grants.Grant) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.reduced == nil || d.reduced == g
}

// reduces notes that the API said so of g.
func (d *challenges) reduces(g *grants.Grant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reduced = g
}

// unmet tells the trace of a demand that is not earlier. It returns why if that is for the
// handler, in the place of the response.
func (r *refusal) unmet(why error) error {
	auth := r.call.gate.auth
	info := RefusedInfo{About: auth.observer.about(r.call.person.Who(), r.call.gate.tool), Limit: auth.ceiling(), Err: why}
	if r.res != nil {
		info.Status, info.Header = r.res.StatusCode, scopes.Excerpt(r.res.Header, r.grant.Token().AccessToken)
	}
	if r.demand.Needs != nil {
		info.Scopes = first(scopes.Ceiling(r.demand.Needs))
	}
	e, ok := errors.AsType[*Error](why)
	if ok {
		info.Reason, info.Err = e.Reason, e.Cause
	}
	emit(r.call.Context, auth.observer.trace.Refused, info)
	if ok {
		return e
	}
	return nil
}

// first returns as much of a set that a server wrote as should be in a log.
func first(set scopes.Set) scopes.Set {
	const most = 512
	if len(set.String()) <= most {
		return set
	}
	var some scopes.Set
	for name := range set.All() {
		more := some.Union(scopes.Of(name))
		if len(more.String()) > most {
			break
		}
		some = more
	}
	return some
}

// exceeded is the error of a demand for more than the limit. It tells what of it this
// program knows: other names are a server's words.
func (r *refusal) exceeded(need scopes.Requirement) *Error {
	e := r.call.gate.auth.fail(ReasonExceeded, errBeyondLimit)
	e.Required, e.Held = known(need, r.call.gate.auth.ceiling(), r.service()), r.grant.Known()
	return e
}

// known returns as much of need as a program has names for: one with this service, whose
// tools and limit are these. It is nil if that is nothing.
func known(need scopes.Requirement, limit scopes.Set, service *Service) scopes.Requirement {
	if need == nil {
		return nil
	}
	var sets []scopes.Set
	for set := range need.Alternatives() {
		var known scopes.Set
		for name := range set.All() {
			one := scopes.Of(name)
			if _, named := service.ScopeNames[name]; named || limit.Covers(one) || service.Hierarchy.Knows(name) {
				known = known.Union(one)
			}
		}
		if !known.IsEmpty() {
			sets = append(sets, known)
		}
	}
	if len(sets) == 0 {
		return nil
	}
	return scopes.AnyOf(sets...)
}
