package lazyauth

import (
	"context"
	"maps"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// A call is one tool call whose handler may run. It is the handler's context,
// so that an authorized call costs one allocation.
type call struct {
	context.Context // the request's, or what outlives it

	owner   *person
	gate    *gate
	req     *mcp.CallToolRequest
	arrived time.Duration           // since the interceptor's epoch
	held    *held                   // nil before revision 2026-07-28
	demands atomic.Pointer[demands] // of the API, once there are any
	// progress is the ledger of a call before revision 2026-07-28, once it has one.
	progress atomic.Pointer[ledger]
}

// callKey is the key under which a call's context holds the call.
type callKey struct{}

// Value implements [context.Context].
func (c *call) Value(key any) any {
	if _, ok := key.(callKey); ok { // cheaper than ==
		return c
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

// admit returns the call of a request up to revision 2025-11-25, once there is
// a grant for it. The request's goroutine does the waiting.
func (g *gate) admit(ctx context.Context, req *mcp.CallToolRequest) (*call, error) {
	o, err := g.owner(ctx, req)
	if err != nil {
		return nil, err
	}
	c := &call{Context: ctx, owner: o, gate: g, req: req, arrived: g.auth.now()}
	if !o.opens(g.bit, g.need) && !g.late {
		if _, err := c.authorize(ctx, g.need); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// authorize returns a grant that covers need, waiting for it if it must.
func (c *call) authorize(ctx context.Context, need scopes.Requirement) (*grant, error) {
	if c.gate.need == nil { // whatever its handler requires
		return nil, c.gate.mayUseNothing()
	}
	if g := c.owner.grant.Load(); g.covers(need) {
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
	if c.held != nil {
		return c.held.authorize(ctx, need)
	}
	return c.owner.authorize(ctx, need, c)
}

// Token implements [oauth2.TokenSource].
func (c *call) Token() (*oauth2.Token, error) {
	g, err := c.current(c)
	if err != nil {
		return nil, err
	}
	return g.token, nil
}

// current returns a grant that covers the tool's scopes, waiting for it if it
// must.
func (c *call) current(ctx context.Context) (*grant, error) {
	if c.owner.opens(c.gate.bit, c.gate.need) {
		if g := c.owner.grant.Load(); g != nil { // it may have been dropped just now
			return g, nil
		}
	}
	return c.authorize(ctx, c.gate.need)
}

// TokenSource returns the source of the access token for the call that ctx
// belongs to, for clients that are not HTTP. A token is valid when it is
// returned and covers the tool's scopes; Token may wait for a person, for as
// long as ctx allows. The token must not be changed. Prefer [Client], which
// also keeps it from being sent elsewhere.
//
// Outside of a call, Token returns an error.
func TokenSource(ctx context.Context) oauth2.TokenSource {
	if c := callFrom(ctx); c != nil {
		return c
	}
	return noCall{}
}

type noCall struct{}

func (noCall) Token() (*oauth2.Token, error) { return nil, errNoCall }

// client implements asker.
func (c *call) client() client { return clientOf(c.req, c.owner.principal) }

// tool implements asker.
func (c *call) tool() string { return c.gate.tool }

// at implements asker.
func (c *call) at() attendance {
	return attendance{ctx: c.Context, req: c.req, arrived: c.arrived}
}

// ledger implements asker.
func (c *call) ledger() *ledger {
	if c.held != nil {
		return c.held.ledger()
	}
	return ledgerIn(&c.progress)
}

// ask implements asker.
func (c *call) ask(_ context.Context, p *part, mode elicit.Channel) error {
	p.request(c.Context, c.req, mode)
	return nil
}

// Require makes sure that the grant of the call that ctx belongs to covers
// need, beyond what its tool declares, for handlers that learn only while they
// run what they will do. It may wait for the person, as [Client] does, and
// returns an [*Error] if the authorization fails.
func Require(ctx context.Context, need scopes.Requirement) error {
	c := callFrom(ctx)
	if c == nil {
		return errNoCall
	}
	_, err := c.authorize(ctx, need)
	return err
}

// named adds to a result whose grant was used, if that is known.
func (c *call) named(result *mcp.CallToolResult) *mcp.CallToolResult {
	g := c.owner.grant.Load()
	if g == nil || g.identity.Name == "" {
		return result
	}
	if result == nil {
		result = new(mcp.CallToolResult)
	}
	if result.InputRequests != nil || result.IsError {
		return result
	}
	meta := mcp.Meta{MetaAccount: g.identity.Name}
	maps.Copy(meta, result.Meta)
	named := *result // the handler's may be everybody's
	named.Meta = meta
	return &named
}
