package lazyauth

import (
	"context"
	"hash/maphash"
	"maps"
	"strconv"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// innerLife is how long the state of a handler's own round trip is good.
const innerLife = 15 * time.Minute

// errState answers a requestState that is not good for its request. The code
// is our choice: MCP 2026-07-28 says only that it must be rejected.
var errState = &jsonrpc.Error{
	Code:    jsonrpc.CodeInvalidParams,
	Message: "requestState was not issued for this request, or is no longer valid; call the tool again without it",
}

// A handler runs an author's handler, with its types out of sight.
type handler func(context.Context, *mcp.CallToolRequest) outcome

// serve answers one request of revision 2026-07-28 or later.
func (g *gate) serve(ctx context.Context, req *mcp.CallToolRequest, run handler) outcome {
	o, err := g.owner(ctx, req)
	if err != nil {
		return outcome{err: err}
	}
	if req.Params.RequestState == "" {
		h := newHeld(g, o, attendance{ctx: ctx, req: req, arrived: g.auth.now()})
		return h.attend(&h.first, run)
	}
	h, at, err := g.retry(ctx, req, o)
	if err != nil {
		return outcome{err: err}
	}
	return h.attend(at, run)
}

// retry returns the call that the request's state names, and the request as the call
// sees it. It is apart from serve so that a call that waits does not keep its stack.
func (g *gate) retry(ctx context.Context, req *mcp.CallToolRequest, o *person) (*held, *attendance, error) {
	at := &attendance{ctx: ctx, req: req, arrived: g.auth.now(), again: true}
	c := clientOf(req, o.principal)
	b, err := g.binding(req, o, c)
	if err != nil {
		return nil, nil, errState
	}
	state, err := g.auth.sealer.Open(req.Params.RequestState, b, time.Now())
	if err != nil {
		return nil, nil, errState
	}
	h := g.auth.calls.get(state.Call)
	if state.Leg { // a handler's own round trip: a new call for us, once
		at.again = false
		at.req = withState(req, state.Inner, req.Params.InputResponses)
		if h = g.auth.calls.leg(state, newHeld(g, o, *at)); h == nil {
			return nil, nil, g.auth.fail(Busy, nil)
		}
	}
	if h == nil || h.owner != o || h.host != c || h.gate.tool != g.tool {
		return nil, nil, errState
	}
	if answer, ok := req.Params.InputResponses[elicit.ResponseKey].(*mcp.ElicitResult); ok {
		h.answered(state.Prompt, answer.Action, *at)
	}
	// What was for us is not the handler's.
	rest := maps.Clone(req.Params.InputResponses)
	delete(rest, elicit.ResponseKey)
	at.req = withState(req, "", rest)
	return h, at, nil
}

// withState returns a copy of req with this state and these responses.
func withState(req *mcp.CallToolRequest, state string, responses mcp.InputResponseMap) *mcp.CallToolRequest {
	params := *req.Params
	params.RequestState, params.InputResponses = state, responses
	copied := *req
	copied.Params = &params
	return &copied
}

// binding says what a state for req is good for.
func (g *gate) binding(req *mcp.CallToolRequest, o *person, c client) (elicit.Binding, error) {
	digest, err := elicit.DigestArguments(req.Params.Arguments)
	if err != nil {
		return elicit.Binding{}, err
	}
	return elicit.Binding{
		Service:   g.auth.service.Name,
		Issuer:    g.auth.service.issuerName(),
		ClientID:  g.auth.service.ClientID,
		Principal: o.principal.key(),
		// Good for this process, as are the calls that states name.
		Client:    strconv.FormatUint(maphash.Comparable(g.auth.seed, c), 36),
		Method:    "tools/call",
		Tool:      g.tool,
		Arguments: digest,
	}, nil
}

func (g *gate) seal(req *mcp.CallToolRequest, o *person, c client, s elicit.State) (string, error) {
	b, err := g.binding(req, o, c)
	if err != nil {
		return "", err
	}
	return g.auth.sealer.Seal(s, b)
}

// lease is how long a call that was answered with p is kept: a minute more
// than the code, so that a host that comes back late finds what became of it.
func lease(p *part) time.Time { return p.flight.prompt.Expires.Add(time.Minute) }

// inputRequired is a prompt that a request must be answered with.
type inputRequired struct {
	part *part
	mode elicit.Channel
}

// keep makes sure that the host can come back to the call.
func (h *held) keep(p *part) error {
	if h.gate.auth.calls.keep(h, lease(p)) {
		return nil
	}
	h.gate.auth.emit(onFailed, Event{Principal: h.owner.principal, Tool: h.gate.tool, Reason: Busy})
	return h.gate.auth.fail(Busy, nil)
}

// An arriving request asks for a call whose handler has not started.
type arriving struct {
	*held
	request *attendance
	shows   inputRequired // what was handed over
}

// at implements asker.
func (a *arriving) at() attendance { return a.seen(*a.request) }

// ask implements asker.
func (a *arriving) ask(ctx context.Context, p *part, mode elicit.Channel) error {
	if ctx.Err() != nil { // the request, or its call, came to its end at the same moment
		return context.Cause(ctx)
	}
	if err := a.keep(p); err != nil {
		return err
	}
	a.shows = inputRequired{p, mode}
	return errHandedOver
}

// client implements asker.
func (h *held) client() client { return h.host }

// A working handler asks in the middle of what it does.
type working struct {
	*held
	parked bool // it has handed out a prompt
}

// at implements asker. A handler that nobody attends to can be attended to again
// only by a retry, and while it is parked there is no patience to lose.
func (h *working) at() attendance {
	if current := h.current(); current != nil {
		at := *current
		at.again = false // this wait is the handler's, and its first
		return h.seen(at)
	}
	return h.seen(attendance{req: h.request(), arrived: h.gate.auth.now()})
}

// ledger implements asker.
func (h *held) ledger() *ledger { return ledgerIn(&h.progress) }

// tool implements asker.
func (h *held) tool() string { return h.gate.tool }

// ask implements asker for a running handler: it hands the prompt to an
// attending request, which leaves the handler parked.
func (h *working) ask(ctx context.Context, p *part, mode elicit.Channel) error {
	if err := h.keep(p); err != nil {
		return err
	}
	select {
	case h.bell <- &inputRequired{p, mode}:
		h.parked = true
		h.gate.auth.emit(onParked, Event{Principal: h.owner.principal, Tool: h.gate.tool, Scopes: p.flight.want})
		return nil
	case <-p.flight.over.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
