package lazyauth

import (
	"context"
	"errors"
	"net/http"
	"sync"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// challenges are those of the API that a call has met, or tried to: each is put to
// the person once a call, so that an API that repeats its challenge whatever it
// is given ends nowhere but in the handler.
type challenges struct {
	mu    sync.Mutex
	fresh int           // how often its token was refused as such
	doubt *grants.Grant // of which the API said that it has less; of no other one after that
	more  map[scopes.Requirement]attempt
}

// first reports whether this is the first time that the call's token is refused.
func (d *challenges) first() bool { return d.again() == 1 }

// again counts how often the call's token was refused.
func (d *challenges) again() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fresh++
	return d.fresh
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

// challenged deals with a refusal of the API to a request that carried g. It
// reports whether the request should be sent again, with the token that the
// call has then; an error is why it must not be. If neither, the response is
// the handler's to deal with.
//
// Only what the service's own origins answer gets here, and what may be asked
// for is limited by us.
func (c *call) challenged(ctx context.Context, g *grants.Grant, res *http.Response, body *replay) (bool, error) {
	auth := c.gate.auth
	demand, err := auth.service.Dialect(res.StatusCode, res.Header)
	if err != nil { // fail closed: there is no telling what it wants
		return false, auth.fail(ReasonUnsupported, err)
	}
	switch {
	case g.Operators(): // nobody can be asked for another one
		return demand.Fresh && body.possible() && c.met().first() && c.person.Retake(ctx, g), nil
	case demand.More && demand.Needs != nil && !g.Holds(demand.Needs):
		return c.stepUp(ctx, g, demand, res, body)
	case demand.Fresh:
		again := c.person.Reject(g, c.met().again, demand.SignIn)
		if again && !body.possible() {
			return false, auth.fail(ReasonUnsupported, errNoReplay)
		}
		return again, nil
	case demand.More:
		return c.stepUp(ctx, g, demand, res, body)
	default:
		return false, nil
	}
}

// stepUp raises the grant to what the API demands of a request that carried g,
// and reports whether that happened. It did not if there is nothing to ask for
// by name, or if it was asked for already and did not help.
func (c *call) stepUp(ctx context.Context, g *grants.Grant, demand scopes.Demand, res *http.Response, body *replay) (bool, error) {
	auth, order := c.gate.auth, c.gate.auth.service.Hierarchy
	need := demand.Needs
	if need == nil {
		need = c.gate.Need
	}
	held := g.Held()
	if demand.HeldKnown && !order.Covers(order.Expand(demand.Held), g.Scopes()) && c.met().doubts(g) {
		// The token has less than it was given: somebody took it away.
		held = c.person.Reduce(g, order.Expand(demand.Held))
	}
	missing, ok := order.Narrowest(held, need, c.gate.auth.ceiling())
	switch {
	case !ok:
		return false, auth.fail(ReasonExceeded, nil)
	case missing.IsEmpty():
		return false, nil
	case !body.possible():
		return false, auth.fail(ReasonUnsupported, errNoReplay)
	}
	met := c.met()
	met.mu.Lock()
	before, tried := met.more[need]
	if !tried {
		met.more[need] = attempt{from: g}
	}
	met.mu.Unlock()
	switch {
	case before.err != nil:
		return false, before.err
	case tried && before.from != g:
		return false, nil // granted, and demanded again
	}
	res.Body.Close()   // and with it the connection, which need not wait for the person
	known := g.Known() // no more of what is held is shown, and none of it needs to be kept
	_, err := c.authorize(ctx, known.Minus(order.Missing(held, known)).Union(missing))
	if e, ok := errors.AsType[*Error](err); ok {
		met.mu.Lock()
		met.more[need] = attempt{from: g, err: e}
		met.mu.Unlock()
	}
	return err == nil, err
}

// doubts reports whether the API may still say that g has less than it was given:
// of one grant a call, or it could have the person asked for every request.
func (d *challenges) doubts(g *grants.Grant) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.doubt == nil {
		d.doubt = g
	}
	return d.doubt == g
}
