package lazyauth

import (
	"context"
	"errors"
	"hash/maphash"
	"maps"
	"strconv"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// responseKey is the key of the prompt in an InputRequiredResult, and of the
// host's answer in the retry (MCP 2026-07-28 basic/patterns/mrtr).
const responseKey = "authorization"

// roundLife is how long the state of a handler's own round is good.
const roundLife = 15 * time.Minute

// errState answers a requestState that is not good for its request. The code
// is our choice: MCP 2026-07-28 says only that it must be rejected.
var errState = &jsonrpc.Error{
	Code:    jsonrpc.CodeInvalidParams,
	Message: "requestState was not issued for this request, or is no longer valid; call the tool again without it",
}

// keptFor is until when, since the epoch, a call that was answered with the prompt is kept: a
// minute longer than the code is good, so that a host that comes back late finds what became
// of it.
func (i *Interceptor) keptFor(d *asking.Delivery) time.Duration {
	return d.Prompt().Expires.Sub(i.epoch) + time.Minute
}

// serve answers one request of revision 2026-07-28 or later.
func (g *gate) serve(ctx context.Context, req *mcp.CallToolRequest, run handler) outcome {
	p, in, err := g.person(ctx, req)
	if err != nil {
		return outcome{err: denialOf(g.auth, req, err)}
	}
	if req.Params.RequestState == "" {
		s := g.begins(ctx, req, p, in)
		return s.serve(&s.first, run)
	}
	s, r, err := g.retry(ctx, req, p, in)
	if err != nil {
		return outcome{err: err}
	}
	return s.serve(r, run)
}

// begins returns the call of a first request. It is kept out of line: see BenchmarkWaiting.
//
//go:noinline
func (g *gate) begins(ctx context.Context, req *mcp.CallToolRequest, p *asking.Person, in *standIn) *suspended {
	return newSuspended(g, p, in, asking.Request{Ctx: ctx, Call: req, Arrived: g.auth.now()})
}

// retry returns the call that the request's state names, and the request as the call
// sees it. It is apart from serve so that a call that waits does not keep its stack.
func (g *gate) retry(ctx context.Context, req *mcp.CallToolRequest, p *asking.Person, in *standIn) (*suspended, *request, error) {
	r := &request{Request: asking.Request{Ctx: ctx, Call: req, Arrived: g.auth.now(), Again: true}}
	c := asking.ClientOf(req, p.Who())
	opened, err := g.open(req, p, c, r.Arrived)
	if err != nil {
		return nil, nil, errState
	}
	s, _ := g.auth.suspended.Get(opened.Call)
	// What was for us is not the handler's.
	rest := maps.Clone(req.Params.InputResponses)
	delete(rest, responseKey)
	action := ""
	if answer, ok := req.Params.InputResponses[responseKey].(*mcp.ElicitResult); ok {
		action = answer.Action
	}
	moved := s == nil && !g.auth.sealer.Own(*opened)
	switch {
	case moved && g.auth.replicas == nil:
		return nil, nil, errState
	case opened.Round: // a handler's own: a new call for us, once
		r.Again = false
		r.Call = withState(req, opened.Inner, req.Params.InputResponses)
	case moved:
		r.Call = withState(req, "", rest)
	}
	if opened.Round || moved {
		fresh := newSuspended(g, p, in, r.Request)
		fresh.id, fresh.again, fresh.moves = opened.Call, opened.Round, true // which no other goroutine has yet
		if s, err = g.auth.suspended.Begin(*opened, p.QuotaKey(), asking.WeightOf(req), fresh); errors.Is(err, state.ErrFull) {
			return nil, nil, g.auth.fail(ReasonBusy, nil)
		}
	}
	if s == nil || s.person != p || s.client != c || s.gate.tool != g.tool {
		return nil, nil, errState
	}
	if !g.auth.suspended.Grow(opened.Call, asking.WeightOf(req)) {
		return nil, nil, g.auth.fail(ReasonBusy, nil)
	}
	if moved {
		if err := g.auth.marks().against(ctx, opened.Call); err != nil {
			s.finish(outcome{err: err})
		}
	}
	if opened.Round && !s.hasBegun() { // what it goes on with, another process does not have
		if err := s.mark(ctx); err != nil {
			return nil, nil, err
		}
	}
	if !g.auth.sealer.Own(*opened) {
		r.Shown = shownElsewhere(*opened, action)
	} else if action != "" {
		s.answered(opened.Prompt, action, r)
	}
	r.Call = withState(req, "", rest)
	return s, r, nil
}

// open returns what the request's state says. It is apart from retry so that what opening takes of a
// stack is not on top of what that takes: there may be very many who come back, and wait.
//
//go:noinline
func (g *gate) open(req *mcp.CallToolRequest, p *asking.Person, c asking.Client, now time.Duration) (*state.State, error) {
	b, err := g.binding(req, p, c)
	if err != nil {
		return nil, err
	}
	opened, err := g.auth.sealer.Open(req.Params.RequestState, b, now)
	return &opened, err
}

// withState returns a copy of req with this state and these responses.
func withState(req *mcp.CallToolRequest, text string, responses mcp.InputResponseMap) *mcp.CallToolRequest {
	params := *req.Params
	params.RequestState, params.InputResponses = text, responses
	copied := *req
	copied.Params = &params
	return &copied
}

// binding says what a state for req is good for.
func (g *gate) binding(req *mcp.CallToolRequest, p *asking.Person, c asking.Client) (state.Binding, error) {
	digest, err := state.DigestArguments(req.Params.Arguments)
	if err != nil {
		return state.Binding{}, err
	}
	return state.Binding{
		Service:   g.auth.service.Name,
		Issuer:    g.auth.service.issuerName(),
		ClientID:  g.auth.service.program(),
		Principal: p.Who().Key(),
		Client:    g.auth.bound(c),
		Method:    "tools/call",
		Tool:      g.tool,
		Arguments: digest,
	}, nil
}

func (g *gate) seal(req *mcp.CallToolRequest, p *asking.Person, c asking.Client, s state.State) (string, error) {
	b, err := g.binding(req, p, c)
	if err != nil {
		return "", err
	}
	return g.auth.sealer.Seal(s, b, g.auth.now())
}

// bound is what a state is bound to of a client: of one that is a principal no more than that, since
// every process knows it by the same name; of a session, which one process has, what is good for
// this process alone.
func (i *Interceptor) bound(c asking.Client) string {
	if _, everywhere := c.(grants.Principal); everywhere {
		return "everywhere"
	}
	return strconv.FormatUint(maphash.Comparable(i.seed, c), 36)
}

// inputRequired returns a result that says resultType "input_required" on the
// wire.
func inputRequired() *mcp.CallToolResult { return ofType(`{"resultType":"input_required"}`) }

// complete returns a result that says resultType "complete" on the wire. From
// revision 2026-07-28 on every result must have a type, and hosts refuse one that
// has none: the TypeScript SDK's version 2, for one.
func complete() *mcp.CallToolResult { return ofType(`{"resultType":"complete"}`) }

// ofType returns a result with a type. The SDK gives one to what tool handlers
// return, and to nothing that a middleware returns (go-sdk v1.8.0, issue 1225);
// this way round it can go when it does.
func ofType(object string) *mcp.CallToolResult {
	result := new(mcp.CallToolResult)
	if err := result.UnmarshalJSON([]byte(object)); err != nil {
		panic(err) // a constant
	}
	return result
}
