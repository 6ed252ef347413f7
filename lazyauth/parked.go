package lazyauth

import (
	"context"
	"crypto/sha256"
	"hash/maphash"
	"maps"
	"strconv"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// innerLife is how long the state of a handler's own round trip is good.
const innerLife = time.Hour

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
	o, err := g.auth.owner(ctx, req)
	if err != nil {
		return outcome{err: err}
	}
	at := attendance{ctx: ctx, req: req, arrived: g.auth.now()}
	if req.Params.RequestState == "" {
		h := newHeld(g, o, at)
		return h.attend(&h.first, run)
	}
	c := clientOf(req, o.principal)

	b, err := g.binding(req, o, c)
	if err != nil {
		return outcome{err: errState}
	}
	state, err := g.auth.sealer.Open(req.Params.RequestState, b, time.Now())
	if err != nil {
		return outcome{err: errState}
	}
	if state.Call == "" { // a handler's own round trip: a new call for us
		at.req = withState(req, state.Inner, req.Params.InputResponses)
		h := newHeld(g, o, at)
		return h.attend(&h.first, run)
	}
	h := g.auth.calls.get(state.Call)
	if h == nil || h.owner != o || h.host != c || h.gate.tool != g.tool {
		return outcome{err: errState}
	}
	if answer, ok := req.Params.InputResponses[elicit.ResponseKey].(*mcp.ElicitResult); ok {
		h.answered(state.Prompt, answer.Action)
	}
	// What was for us is not the handler's.
	rest := maps.Clone(req.Params.InputResponses)
	delete(rest, elicit.ResponseKey)
	at.req = withState(req, "", rest)
	return h.attend(&at, run)
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
func (g *gate) binding(req *mcp.CallToolRequest, o *owner, c client) (elicit.Binding, error) {
	digest, err := elicit.DigestArguments(req.Params.Arguments)
	if err != nil {
		return elicit.Binding{}, err
	}
	return g.bind(o, c, digest), nil
}

func (g *gate) bind(o *owner, c client, arguments [sha256.Size]byte) elicit.Binding {
	return elicit.Binding{
		Service:   g.auth.service.Name,
		Issuer:    g.auth.service.issuerName(),
		ClientID:  g.auth.service.ClientID,
		Principal: o.principal.key(),
		// Good for this process, as are the calls that states name.
		Client:    strconv.FormatUint(maphash.Comparable(g.auth.seed, c), 36),
		Method:    "tools/call",
		Tool:      g.tool,
		Arguments: arguments,
	}
}

func (g *gate) seal(req *mcp.CallToolRequest, o *owner, c client, s elicit.State) (string, error) {
	b, err := g.binding(req, o, c)
	if err != nil {
		return "", err
	}
	return g.auth.sealer.Seal(s, b)
}

// lease is how long a call that was answered with p is kept: a minute more
// than the code, so that a host that comes back late finds what became of it.
func lease(p *part) time.Time { return p.flight.prompt.Expires.Add(time.Minute) }

// inputRequired is how an asker says that its request must be answered with
// the prompt of the part.
type inputRequired struct{ part *part }

func (inputRequired) Error() string { return "lazyauth: the host's input is required" }

// keep makes sure that the host can come back to the call.
func (h *held) keep(p *part) error {
	if !h.gate.auth.calls.keep(h, lease(p)) {
		return h.gate.auth.fail(Busy, nil)
	}
	return nil
}

// An arriving request asks for a call whose handler has not started.
type arriving struct {
	*held
	at *attendance
}

// left implements asker.
func (a arriving) left() time.Duration { return a.at.left(a.gate.auth) }

// ask implements asker.
func (a arriving) ask(_ context.Context, p *part) error {
	if elicit.ChannelFor(a.at.req) != elicit.RoundTrip {
		return p.inText()
	}
	if err := a.keep(p); err != nil {
		return err
	}
	return inputRequired{p}
}

// client implements asker.
func (h *held) client() client { return h.host }

// tool implements asker.
func (h *held) tool() string { return h.gate.tool }

// left implements asker for a running handler: the patience of the request
// that attends to it counts, and while it is parked there is none to lose.
func (h *held) left() time.Duration {
	if at := h.current(); at != nil {
		return at.left(h.gate.auth)
	}
	return h.gate.auth.options.Patience
}

// ask implements asker for a running handler: it hands the prompt to an
// attending request, which leaves the handler parked.
func (h *held) ask(ctx context.Context, p *part) error {
	if at := h.current(); at != nil && elicit.ChannelFor(at.req) != elicit.RoundTrip {
		return p.inText()
	}
	if err := h.keep(p); err != nil {
		return err
	}
	select {
	case h.bell <- p:
		h.mu.Lock()
		h.parked = true
		h.mu.Unlock()
		h.gate.auth.emit(onParked, Event{Principal: h.owner.principal, Tool: h.gate.tool, Scopes: p.flight.want})
		return nil
	case <-p.flight.over.Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (at *attendance) left(i *Interceptor) time.Duration {
	return at.arrived + i.options.Patience - i.now()
}
