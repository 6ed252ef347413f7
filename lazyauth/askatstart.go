package lazyauth

import (
	"context"
	"errors"
	"slices"
	"time"
	"weak"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/unattended"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

const (
	// probeWait is how long a session must last before somebody is asked: hosts start servers to
	// see what they have, and end them.
	probeWait = 5 * time.Second
	// offerWait is how long a call that needs no grant waits for a prompt to show.
	offerWait = 4 * time.Second
)

// errOffered ends the wait of a call that needs no grant.
var errOffered = errors.New("lazyauth: the call goes on without a grant")

// endOffer ends such a wait in time; out of line, since calls that wait keep the frame of what has it.
//
//go:noinline
func endOffer(stop context.CancelCauseFunc) {
	time.AfterFunc(offerWait, func() { stop(errOffered) })
}

// AskAtStart has people asked to sign in before anything needs it: once a session, and only
// those without a grant, through hosts that declare that they show prompts (elicitation).
// It panics if need is nil, as [AddTool] does.
//
// Consider not to use it. Hosts start all servers that they know when they start, and each that
// asks then asks somebody who may not want anything of it today; prompts that come for no reason
// that one can see teach people to approve what they do not understand. Without it the
// person is asked at the first call that needs the grant, which waits for them.
//
// Up to protocol revision 2025-11-25 the person is asked five seconds after a session was
// initialized, if it still stands: hosts start servers merely to list their tools, and those that
// do are gone by then. From 2026-07-28 on there is no session, and a server can ask for
// something in its answer to a request alone. The first call of a tool says there that a person
// is at work: if it needs no grant, its answer is the prompt, and when the host comes back for
// the call, that goes on at once, whatever the person makes of it; if it needs one, it asks as ever.
// A person who declines is left alone for a minute, as ever, and not asked at a start again
// while the session lasts, which for callers from HTTP on 2026-07-28 is as long as the process, for
// the latest 4,096 of them.
func AskAtStart(server *mcp.Server, auth *Interceptor, need scopes.Requirement) {
	if need == nil {
		panic("lazyauth.AskAtStart: the requirement is nil; an empty scopes.Set stands for any grant")
	}
	auth.install(server)
	auth.newGate("", need) // counts for the limit of challenges
	s := &starts{auth: auth, need: need, asked: unattended.NewTable[any, struct{}](mostStarts)}
	server.AddReceivingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
		handle := func(ctx context.Context, method string, r mcp.Request) (mcp.Result, error) {
			if call, ok := r.(*mcp.CallToolRequest); ok {
				return s.call(ctx, method, call, next)
			}
			result, err := next(ctx, method, r)
			if started, ok := r.(*mcp.InitializedRequest); ok && err == nil {
				req := &mcp.CallToolRequest{Session: started.Session, Extra: started.Extra, Params: new(mcp.CallToolParamsRaw)}
				whose := listenerOf(ctx, auth, req.Session, req.Extra, nil) // now, while its session stands
				ctx = context.WithoutCancel(ctx)
				time.AfterFunc(probeWait, func() {
					if slices.Contains(slices.Collect(server.Sessions()), req.Session) {
						auth.keeper.Spawn("asking at the start", func() { s.ask(ctx, req, whose) })
					}
				})
			}
			return result, err
		}
		return auth.guarded(handle)
	})
}

// starts are the beginnings of what stands for sessions.
type starts struct {
	auth *Interceptor
	need scopes.Requirement

	asked *unattended.Table[any, struct{}] // by weak.Pointer[mcp.ServerSession] or grants.Principal
}

// mostStarts is through how many clients people are known to have been asked: those of HTTP on
// 2026-07-28 are people, of whom there may be very many.
const mostStarts = 4096

// first reports whether nobody was asked through this client yet, and notes that they are.
func (s *starts) first(c asking.Client) (is bool) {
	key := any(c)
	if session, ok := c.(*mcp.ServerSession); ok {
		key = weak.Make(session)
	}
	s.asked.Get(key, time.Time{}, func() struct{} { is = true; return struct{}{} })
	return is
}

// client returns the client behind a request; nil if that is a person who is not known.
func (s *starts) client(ctx context.Context, req *mcp.CallToolRequest) asking.Client {
	if c, ok := asking.ClientOf(req, grants.Principal{}).(*mcp.ServerSession); ok {
		return c
	}
	if whose := listenerOf(ctx, s.auth, req.Session, req.Extra, req.Params.Meta); whose.known {
		return whose.who
	}
	return nil
}

// lacks reports whether somebody without a grant can be asked for one through this request.
func (s *starts) lacks(ctx context.Context, req *mcp.CallToolRequest, whose listener) bool {
	reach := asking.ReachOf(req)
	if !whose.known || !reach.Elicits() || s.auth.options.OpenBrowser != nil && !reach.Has(elicit.URL) { // no window is opened for nothing
		return false
	}
	open, _ := access(ctx, s.auth, whose, true)
	return !open
}

// ask asks the person of a session that has begun.
func (s *starts) ask(ctx context.Context, req *mcp.CallToolRequest, whose listener) {
	if !s.lacks(ctx, req, whose) || !s.first(asking.ClientOf(req, whose.who)) {
		return
	}
	p := s.auth.personOf(Principal(whose.who))
	c := &call{Context: ctx, person: p, gate: &gate{Gate: grants.Gate{Need: s.need}, auth: s.auth}, req: req, arrived: s.auth.now()}
	_, _ = p.Obtain(ctx, s.need, c) // the trace is told of what it came to
}

// call answers a call: one that needs a grant asks for itself; one that needs none is answered
// with the prompt, from revision 2026-07-28 on, if it is the first of its client.
func (s *starts) call(ctx context.Context, method string, req *mcp.CallToolRequest, next mcp.MethodHandler) (mcp.Result, error) {
	auth := s.auth
	_, gated := auth.gated.Load(req.Params.Name)
	_, own := auth.tools.Load(req.Params.Name)
	c := s.client(ctx, req)
	switch {
	case c == nil: // nobody can be asked
		return next(ctx, method, req)
	case gated || own || !asking.Modern(req.Params.Meta):
		if gated {
			s.first(c)
		}
		return next(ctx, method, req)
	case req.Params.RequestState != "": // it may be that of a call which was answered with the prompt
		if _, _, err := auth.person(ctx, req); err != nil {
			return next(ctx, method, req)
		}
	case !s.lacks(ctx, req, listenerOf(ctx, auth, req.Session, req.Extra, req.Params.Meta)) || !s.first(c):
		return next(ctx, method, req)
	}
	g := &gate{Gate: grants.Gate{Need: s.need}, auth: auth, tool: req.Params.Name, offers: true}
	out := g.run(ctx, req, func(ctx context.Context, req *mcp.CallToolRequest) outcome {
		result, err := next(context.WithValue(ctx, callKey{}, nil), method, req) // the tool has no grant of this
		if called, ok := result.(*mcp.CallToolResult); ok {
			return outcome{result: called, err: err}
		}
		return outcome{output: result, err: err} // some other middleware's
	})
	if out.err == errState { //nolint:errorlint // it is as serve returns it: the state is the tool's own
		return next(ctx, method, req)
	}
	if other, ok := out.output.(mcp.Result); ok && out.err == nil {
		return other, nil
	}
	result, err := out.raw(req)
	if result == nil {
		return nil, err
	}
	return result, err
}
