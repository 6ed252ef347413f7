package lazyauth

import (
	"context"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A gate is what a gated tool's calls have in common.
type gate struct {
	grants.Gate
	auth   *Interceptor
	tool   string
	onUse  bool // the person is asked only when the handler uses the grant
	offers bool // a suspended call has its host shown the prompt, and goes on whatever comes of it: see AskAtStart
	listed bool // in a policy; of a gate without a need, it says why there is none
}

// newGate also notes that the tool is gated, and what it declares, as part of the limit of
// what challenges may ask for.
func (i *Interceptor) newGate(tool string, need scopes.Requirement) *gate {
	i.raiseLimit(scopes.Ceiling(need))
	i.gated.Store(tool, struct{}{})
	return &gate{Gate: grants.Gate{Need: need}, auth: i, tool: tool}
}

// raiseLimit adds what is declared to what challenges may raise a grant to.
func (i *Interceptor) raiseLimit(declared scopes.Set) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.limit = i.limit.Union(declared)
}

// ceiling returns what challenges may raise a grant to.
func (i *Interceptor) ceiling() scopes.Set {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.limit
}

// mayUseNothing is the error of a handler that asks for a grant although its tool may
// have none.
func (g *gate) mayUseNothing() *Error {
	if g.listed {
		return g.auth.fail(ReasonExceeded, errMayUseNothing)
	}
	return g.auth.fail(ReasonExceeded, errUnlisted)
}

// person returns whose grant a call uses. Of a gate that is passed on use, an
// unknown caller is refused only when the handler uses a grant.
func (g *gate) person(ctx context.Context, req *mcp.CallToolRequest) (*asking.Person, *standIn, error) {
	p, s, err := g.auth.person(ctx, req)
	if err != nil && g.onUse {
		return asking.Nobody(err), nil, nil
	}
	return p, s, err
}

// tellBusy tells the trace if a call ends because there is no room: the error is of nothing that
// was begun, so that nothing else tells of it.
//
//go:noinline
func (g *gate) tellBusy(ctx context.Context, p *asking.Person, err error) {
	if err == nil {
		return
	}
	if e := translate(err); e != nil && e.Reason == ReasonBusy {
		g.auth.observer.failed(ctx, p.Who(), g.tool, ReasonBusy, e.Cause)
	}
}

// A handler runs an author's handler, with its types out of sight.
type handler func(context.Context, *mcp.CallToolRequest) outcome

// run has a request pass the gate, in the manner of its era: the handler runs once there is
// a grant, and what is returned answers the request. Up to revision 2025-11-25 the
// request's goroutine does the waiting and runs the handler; from 2026-07-28 on the call
// can be suspended.
func (g *gate) run(ctx context.Context, req *mcp.CallToolRequest, run handler) outcome {
	if asking.Modern(req.Params.Meta) {
		return g.serve(ctx, req, run)
	}
	c, err := g.admit(ctx, req)
	if err != nil {
		return outcome{err: err}
	}
	out := run(c, req)
	out.result, out.err = c.lost().into(out.result, out.err)
	return out
}

// An outcome is what a handler returned. One that is kept is handed out in
// copies, since the SDK completes what it gets.
type outcome struct {
	result   *mcp.CallToolResult
	output   any
	err      error
	panicked *panicked
}

// panicked is how a handler ended that did not return.
type panicked struct {
	value  any
	handed bool // to one request; guarded by lifecycle.mu
}
