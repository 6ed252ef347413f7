package lazyauth

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// A call is one tool call whose handler may run. It is the handler's context,
// so that an authorized call costs one allocation. Up to revision 2025-11-25 it is a
// blocking one, whose request waits on its own goroutine; otherwise it belongs to a
// suspended call.
type call struct {
	context.Context // the request's, or what outlives it

	person     *asking.Person
	standIn    *standIn // nil: there is none
	gate       *gate
	req        *mcp.CallToolRequest
	arrived    time.Duration                // since the interceptor's epoch
	suspended  *suspended                   // nil before revision 2026-07-28
	challenges atomic.Pointer[challenges]   // of the API, once there are any
	joins      bool                         // another interceptor's call, of the same request
	answered   atomic.Pointer[grants.Grant] // with which the last response of the API came
	// progress is that of a blocking call, once it has any.
	progress atomic.Pointer[asking.Progress]
	// prompted is the error whose prompt belongs into the call's result, if its handler
	// was given one.
	prompted atomic.Pointer[Error]
}

// holder is whose grant the call uses now.
func (c *call) holder() *asking.Person { return c.standIn.or(c.person) }

// callKey is the key under which a call's context holds the call.
type callKey struct{}

// Value implements [context.Context].
func (c *call) Value(key any) any {
	switch key := key.(type) { // cheaper than ==
	case callKey:
		return c
	case *Interceptor: // whose call is asked for: see callOf
		if key == c.gate.auth {
			return c
		}
	}
	return c.Context.Value(key)
}

// callFrom returns the call that ctx belongs to, or nil.
func callFrom(ctx context.Context) *call {
	if c, ok := ctx.(*call); ok { // as handlers get it
		return c
	}
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// admit returns the blocking call of a request, once there is a grant for it.
func (g *gate) admit(ctx context.Context, req *mcp.CallToolRequest) (*call, error) {
	p, s, err := g.person(ctx, req)
	if err != nil {
		return nil, denial(g.auth, err)
	}
	c := &call{Context: ctx, person: p, standIn: s, gate: g, req: req, arrived: g.auth.now()}
	if !s.or(p).Authorizes(&g.Gate) && !g.onUse {
		if _, err := c.authorize(ctx, g.Need); err != nil {
			return nil, denial(g.auth, err)
		}
	}
	return c, nil
}

// authorize returns a grant that covers need, waiting for it if it must.
func (c *call) authorize(ctx context.Context, need scopes.Requirement) (*grants.Grant, error) {
	if c.gate.Need == nil { // whatever its handler requires
		return nil, c.gate.mayUseNothing()
	}
	if g := c.holder().Grant(); g.Covers(need) {
		return g, nil
	}
	// A request's context need not come from the call's: the wait ends with
	// either.
	if c.Err() != nil {
		return nil, context.Cause(c)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer context.AfterFunc(c, func() { cancel(context.Cause(c)) })()
	g, err := c.wait(ctx, need)
	if e, ok := errors.AsType[*Error](err); ok && e.prompt != nil {
		c.prompted.Store(e)
	}
	return g, err
}

// wait waits for a grant in the manner of the call's era.
func (c *call) wait(ctx context.Context, need scopes.Requirement) (*grants.Grant, error) {
	if c.suspended != nil {
		return c.suspended.authorize(ctx, c, need)
	}
	if c.standIn != nil {
		g, err := c.standIn.obtain(ctx, c.person, need, c)
		c.gate.tellBusy(ctx, c.person, err)
		return g, c.gate.auth.explain(err, c.holder(), need, c.req)
	}
	g, err := c.person.Obtain(ctx, need, c)
	c.gate.tellBusy(ctx, c.person, err)
	return g, c.gate.auth.explain(err, c.person, need, c.req)
}

// lost returns the error that the call's handler was given and whose prompt is for the
// call's result, unless what was missing has been granted meanwhile.
func (c *call) lost() *Error {
	if e := c.prompted.Load(); e != nil && !c.holder().Grant().Covers(e.Required) {
		return e
	}
	return nil
}

// Token implements [oauth2.TokenSource].
func (c *call) Token() (*oauth2.Token, error) {
	g, err := c.current(c)
	if err != nil {
		return nil, err
	}
	return g.Token(), nil
}

// current returns a grant that covers the tool's scopes, waiting for it if it
// must.
func (c *call) current(ctx context.Context) (*grants.Grant, error) {
	if p := c.holder(); p.Authorizes(&c.gate.Gate) {
		if g := p.Grant(); g != nil { // it may have been dropped just now
			return g, nil
		}
	}
	return c.authorize(ctx, c.gate.Need)
}

// TokenSource returns the source of the access token for the call that ctx
// belongs to, for clients that are not HTTP. A token is valid when it is
// returned and covers the tool's scopes; Token may wait for a person, for as
// long as ctx allows. The token must not be changed. Prefer [Client], which
// also keeps it from being sent elsewhere.
//
// Outside of a call, and in one that has the grants of several services ([Also]), Token
// returns an error.
func TokenSource(ctx context.Context) oauth2.TokenSource {
	if c := callFrom(ctx); c != nil && !c.joins { // without a detour
		return c
	}
	return sourceOf(theCall(ctx))
}

// noCall is the source of who has no call.
type noCall struct{ err error }

func (n noCall) Token() (*oauth2.Token, error) { return nil, n.err }

// Require makes sure that the grant of the call that ctx belongs to covers
// need, beyond what its tool declares, for handlers that learn only while they
// run what they will do. It may wait for the person, as [Client] does, and
// returns an [*Error] if the authorization fails. In a call that has the grants of several services
// ([Also]) it refuses.
func Require(ctx context.Context, need scopes.Requirement) error {
	c, err := theCall(ctx)
	if err == nil {
		_, err = c.authorize(ctx, need)
	}
	return err
}

// Client implements [asking.Host].
func (c *call) Client() asking.Client { return asking.ClientOf(c.req, c.person.Who()) }

// Tool implements [asking.Host].
func (c *call) Tool() string { return c.gate.tool }

// Request implements [asking.Host].
func (c *call) Request() asking.Request {
	return asking.Request{Ctx: c.Context, Call: c.req, Arrived: c.arrived}
}

// Progress implements [asking.Host].
func (c *call) Progress() *asking.Progress {
	switch first := callFrom(c.Context); {
	case c.suspended != nil:
		return c.suspended.Progress()
	case first != nil && first.req == c.req: // which c has joined: the request has one progress
		return first.Progress()
	}
	return asking.ProgressIn(&c.progress)
}

// MayBegin implements [asking.Host]: a blocking call needs nothing that is limited.
func (c *call) MayBegin() error { return nil }

// Show implements [asking.Host]: a blocking call has the prompt shown by a request of its
// own to the host.
func (c *call) Show(_ context.Context, d *asking.Delivery, slot asking.Slot, mode elicit.Channel) error {
	d.Request(c.Context, c.req, slot, mode)
	return nil
}
