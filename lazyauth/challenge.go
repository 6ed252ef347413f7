package lazyauth

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// challenges are those of the API that a call has met, or tried to: each is put to
// the person once a call, so that an API that repeats its challenge whatever it
// is given ends nowhere but in the handler.
type challenges struct {
	mu    sync.Mutex
	doubt *grants.Grant // of which the API said that it has less; of no other one after that
	more  map[scopes.Requirement]attempt

	remedy remedy // for the last token that was rejected by RejectToken
}

// An attempt is one to raise a grant.
type attempt struct {
	from *grants.Grant // the one that did not suffice
	err  error         // why there is no use in trying again
}

// met returns what the call has met so far.
func (c *call) met() *challenges {
	if d := c.challenges.Load(); d != nil {
		return d
	}
	c.challenges.CompareAndSwap(nil, &challenges{more: make(map[scopes.Requirement]attempt)})
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

// challenged deals with the refusal of a request that carried g, and says what becomes of
// it. An error is for the handler in the place of the response. If there is neither, the
// response is the handler's to deal with.
//
// Only what the service's own origins answer gets here, and what may be asked
// for is limited by us.
func (c *call) challenged(ctx context.Context, g *grants.Grant, res *http.Response, body *replay, before sequel) (sequel, error) {
	demand, err := c.gate.auth.demandOf(res)
	if err != nil { // fail closed: there is no telling what it wants
		return sequel{}, c.refused(g, res, demand, c.gate.auth.fail(ReasonUnsupported, err))
	}
	switch {
	case demand.More && demand.Needs != nil && !g.Holds(demand.Needs) && !g.Operators():
		return c.stepUp(ctx, g, demand, res, body)
	case demand.Fresh:
		return c.another(ctx, g, demand, res, body, before)
	case demand.More && !g.Operators(): // of those nobody can be asked for
		return c.stepUp(ctx, g, demand, res, body)
	case demand.More:
		return sequel{}, c.refused(g, res, demand, errUnnamed)
	default:
		return sequel{}, nil
	}
}

// demandOf returns what res demands. A 401 means the token that was sent (RFC 9110
// §15.5.2), whatever the service's dialect makes of it: one that is silent about it, or
// cannot read it, leaves it to the standard's.
func (i *Interceptor) demandOf(res *http.Response) (scopes.Demand, error) {
	demand, err := i.service.Dialect(res.StatusCode, res.Header)
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
func (c *call) another(ctx context.Context, g *grants.Grant, demand scopes.Demand, res *http.Response, body *replay, before sequel) (sequel, error) {
	again := c.person.Reject(ctx, g, grants.Refusal{
		By: c.arrived, Again: before.other, SignIn: demand.SignIn, Left: c.person.Left(c.host()),
	})
	switch {
	case !again && g.Operators():
		return sequel{}, c.refused(g, res, demand, errOperatorRefused)
	case !again:
		return sequel{}, c.refused(g, res, demand, errNewToken)
	case !body.possible():
		return sequel{}, c.refused(g, res, demand, c.gate.auth.fail(ReasonUnsupported, errNoReplay))
	}
	return sequel{again: true, other: true}, nil
}

// stepUp raises the grant to what the API demands of a request that carried g. It does not
// if there is nothing to ask for by name, or if that was asked for already and did not
// help.
func (c *call) stepUp(ctx context.Context, g *grants.Grant, demand scopes.Demand, res *http.Response, body *replay) (sequel, error) {
	auth, order := c.gate.auth, c.gate.auth.service.Hierarchy
	need := demand.Needs
	if need == nil {
		need = c.gate.Need
	}
	met, held := c.met(), g.Held()
	if demand.HeldKnown && !order.Covers(order.Expand(demand.Held), g.Scopes()) && met.mayDoubt(g) {
		// The token has less than it was given: somebody took it away.
		less, ok := c.person.Reduce(g, order.Expand(demand.Held))
		if !ok { // there is a new one, or will be soon: it is asked for with that
			if !body.possible() {
				return sequel{}, c.refused(g, res, demand, auth.fail(ReasonUnsupported, errNoReplay))
			}
			err := c.person.Settle(ctx, c.person.Left(c.host()))
			return sequel{again: err == nil}, auth.explain(err, c.person, need, c.req)
		}
		met.doubts(g)
		held = less
	}
	missing, ok := order.Narrowest(held, need, auth.ceiling())
	switch {
	case !ok:
		return sequel{}, c.refused(g, res, demand, auth.exceeded(g, need))
	case missing.IsEmpty():
		return sequel{}, c.refused(g, res, demand, errUnnamed)
	case !body.possible():
		return sequel{}, c.refused(g, res, demand, auth.fail(ReasonUnsupported, errNoReplay))
	}
	met.mu.Lock()
	before, tried := met.more[need]
	if !tried {
		met.more[need] = attempt{from: g}
	}
	met.mu.Unlock()
	switch {
	case before.err != nil:
		return sequel{}, before.err
	case tried && before.from != g:
		return sequel{}, c.refused(g, res, demand, errInVain)
	}
	auth.discard(res)  // the connection need not wait for the person
	known := g.Known() // no more of what is held is shown, and none of it needs to be kept
	_, err := c.authorize(ctx, known.Minus(order.Missing(held, known)).Union(missing))
	if e, ok := errors.AsType[*Error](err); ok {
		met.mu.Lock()
		met.more[need] = attempt{from: g, err: e}
		met.mu.Unlock()
	}
	return sequel{again: err == nil}, err
}

// mayDoubt reports whether the API may say that g has less than it was given: of one
// grant a call, or it could have the person asked for every request.
func (d *challenges) mayDoubt(g *grants.Grant) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.doubt == nil || d.doubt == g
}

func (d *challenges) doubts(g *grants.Grant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.doubt = g
}

// refused tells the trace of a demand that is not met. It returns why if that is the
// handler's, and not the response.
func (c *call) refused(g *grants.Grant, res *http.Response, demand scopes.Demand, why error) error {
	auth := c.gate.auth
	info := RefusedInfo{About: auth.observer.about(c.person.Who(), c.gate.tool), Limit: auth.ceiling(), Err: why}
	if res != nil {
		info.Status, info.Header = res.StatusCode, scopes.Excerpt(res.Header, g.Token().AccessToken)
	}
	if demand.Needs != nil {
		info.Scopes = first(scopes.Ceiling(demand.Needs))
	}
	e, ok := errors.AsType[*Error](why)
	if ok {
		info.Reason, info.Err = e.Reason, e.Cause
	}
	tell(c.Context, auth.observer.trace.Refused, info)
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
func (i *Interceptor) exceeded(g *grants.Grant, need scopes.Requirement) *Error {
	e := i.fail(ReasonExceeded, errBeyondLimit)
	e.Required, e.Held = i.known(need), g.Known()
	return e
}

// known returns as much of need as this program has names for; nil if that is nothing.
func (i *Interceptor) known(need scopes.Requirement) scopes.Requirement {
	if need == nil {
		return nil
	}
	limit := i.ceiling()
	var sets []scopes.Set
	for set := range need.Alternatives() {
		var known scopes.Set
		for name := range set.All() {
			one := scopes.Of(name)
			if _, named := i.service.ScopeNames[name]; named || limit.Covers(one) || i.service.Hierarchy.Knows(name) {
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

// host returns through whom the call's person can be reached.
func (c *call) host() asking.Host {
	if c.suspended != nil {
		return &working{suspended: c.suspended}
	}
	return c
}
