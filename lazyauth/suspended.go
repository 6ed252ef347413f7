package lazyauth

import (
	"cmp"
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// attendWait is how long a handler runs on, or waits after its authorization ended, while
// no request serves its call.
const attendWait = 30 * time.Second

// A suspended call is one from protocol revision 2026-07-28 on. It outlives its
// request: requests serve it, one after the other. One that finds the
// person must be asked is answered input_required, and the host's retry, which
// carries the sealed name of the call, serves it again. The handler runs
// once, whatever the host sends how often: before it starts the call waits on
// the serving request's goroutine, then the handler has one of its own.
type suspended struct {
	gate    *gate
	person  *asking.Person
	standIn *standIn // nil: there is none
	client  asking.Client
	lifecycle

	progress atomic.Pointer[asking.Progress] // once there is any
	failed   atomic.Uint32                   // an asking.Reach: what its host declares and does not deliver
	again    bool                            // it is a next round of a handler's own
	moves    bool                            // another process knows it by a state, and may begin it

	// Set by the handler's goroutine before the call is finished, and read after that.
	lost     *Error        // see call.lost
	round    string        // names the call that begins with the next round of the handler's own …
	roundEnd time.Duration // … and when its states end, since the epoch, however often they are sealed
}

func newSuspended(g *gate, p *asking.Person, in *standIn, r asking.Request) *suspended {
	s := &suspended{
		gate: g, person: p, standIn: in, client: asking.ClientOf(r.Call, p.Who()),
		lifecycle: lifecycle{first: request{Request: r}, toRequest: make(chan requestFunc), done: make(chan struct{})},
	}
	s.serving = s.room[:0]
	return s
}

// serve waits for the call on behalf of one request, starting the handler by
// run when it may start, and returns what the request is answered with.
func (s *suspended) serve(r *request, run handler) outcome {
	s.enter(r)
	var err error
	defer func() { s.leave(r, err) }() // also when the handler's panic comes through
	out, err := s.follow(r, run)
	if err != nil {
		return outcome{err: err}
	}
	return out
}

// follow is serve between coming and going. Its error is that of a request
// that broke off.
func (s *suspended) follow(r *request, run handler) (outcome, error) {
	if r == &s.first || !s.hasBegun() {
		var err error
		if !s.standIn.or(s.person).Authorizes(&s.gate.Gate) && !s.gate.onUse && (!s.gate.offers || r == &s.first) {
			err = s.became(r)
			for handedOver := err == nil; handedOver; {
				ctx, stop := s.waits(r)
				if s.gate.offers {
					endOffer(stop)
				}
				a := &arriving{suspended: s, request: r}
				if s.standIn != nil {
					_, err = s.standIn.obtain(ctx, s.person, s.gate.Need, a)
				} else { // on a stack as small as can be: see BenchmarkWaiting
					_, err = s.person.Obtain(ctx, s.gate.Need, a)
				}
				stop(nil)
				if handedOver = errors.Is(err, asking.ErrHandedOver); handedOver && a.isAnswered() {
					return a.answer, nil
				}
			}
		}
		if s.gate.offers && !errors.Is(err, errFinished) {
			err = nil
		}
		pending, waitsNoMore := errors.AsType[*asking.Pending](err)
		switch {
		case errors.Is(err, errFinished):
			return s.collect(r), nil
		case r.Ctx.Err() != nil:
			return outcome{}, context.Cause(r.Ctx)
		case err == nil:
			if unmarked := s.mark(r.Ctx); unmarked != nil {
				return outcome{err: unmarked}, nil //nolint:nilerr // it is the answer
			}
			s.begin(r, run)
		case waitsNoMore && !s.isAlone(): // others can wait longer
			return outcome{err: s.explain(pending, s.gate.Need, r)}, nil
		default:
			s.gate.tellBusy(r.Ctx, s.person, err)
			s.finish(outcome{err: s.explain(err, s.gate.Need, r)})
		}
	}
	for {
		select {
		case <-s.done:
			return s.collect(r), nil
		case do := <-s.toRequest:
			if answer, answered := do(r); answered {
				return answer, nil
			}
		case <-r.Ctx.Done():
			return outcome{}, context.Cause(r.Ctx)
		}
	}
}

// became returns why there is no grant if the authorization ended without one whose prompt
// the host has had. Hosts may come back only when their person has finished in the browser;
// one call asks for what it needs once, and a person who refused it there is not asked again.
//
//go:noinline
func (s *suspended) became(r *request) error {
	d, _ := s.lastShown()
	if r == &s.first || d == nil || !d.Flight().Ended() {
		return nil
	}
	select {
	case <-d.Flight().Done():
	case <-r.Ctx.Done():
		return context.Cause(r.Ctx)
	}
	_, err := s.person.Became(d.Flight(), s.gate.Need)
	return err
}

//go:noinline
func (s *suspended) explain(err error, need scopes.Requirement, r *request) error {
	return s.gate.auth.explain(err, s.standIn.or(s.person), need, r.Call)
}

// leave ends the service of a request; broken is why it did not get an answer. A running
// handler is then given up: after a while if the host can still come back, at
// once if it never got a state.
func (s *suspended) leave(r *request, broken error) {
	if broken == nil {
		s.exit(r, nil, 0)
	} else {
		s.breakOff(r, broken)
	}
	// Progress that is reported from now on finds another request, or none; what has found this
	// one keeps the progress locked until the message is on its way, which is before the answer.
	if p := s.progress.Load(); p != nil && p.Lock() {
		p.Unlock() // it is a wait
	}
}

func (s *suspended) breakOff(r *request, broken error) {
	if _, kept := s.gate.auth.suspended.Get(s.name()); !kept {
		s.exit(r, broken, 0)
		return
	}
	s.exit(r, s.gate.auth.fail(ReasonAbandoned, nil), attendWait)
}

// unnamed is called when no state names the call any more: a handler that runs is given up
// then, since nothing brings a request to it.
func (s *suspended) unnamed() { s.giveUpUnserved(s.gate.auth.fail(ReasonAbandoned, nil)) }

// collect returns a copy of the outcome, since the SDK completes what it is
// given. A handler's own input requests get their state sealed.
func (s *suspended) collect(r *request) outcome {
	out := s.outcome
	if p := out.panicked; p != nil && s.isFirstToLearnOf(p) {
		guard.Rethrow(p.value) // as it was, for middleware that recovers certain values
	}
	out.result, out.err = s.withPrompt(out, r)
	if out.err != nil && !s.again && !s.wasStarted() {
		out.err = denial(s.gate.auth, out.err)
	}
	if out.result == nil {
		return out
	}
	result := *out.result
	result.Meta = maps.Clone(result.Meta)
	result.Content = slices.Clip(result.Content)
	out.result = &result
	if result.InputRequests != nil {
		sealed, err := s.gate.seal(r.Call, s.person, s.client, state.State{
			Call: s.round, Round: true, Inner: result.RequestState, End: s.roundEnd,
		})
		if err != nil {
			return outcome{err: err}
		}
		result.RequestState = sealed
	}
	return out
}

// withPrompt returns what a handler returned, with the prompt in it if it lost that, for the host
// of one request: of several, one that shows prompts itself has none in a text for its model.
func (s *suspended) withPrompt(out outcome, r *request) (*mcp.CallToolResult, error) {
	e := promptErrorIn(out.result, out.err)
	if lost := cmp.Or(e, s.lost); lost != nil && asking.Shows(r.Call, lost.prompt) {
		if e != nil {
			return out.result, e.withoutPrompt()
		}
		return s.lost.withoutPrompt().into(out.result, out.err)
	}
	return s.lost.into(out.result, out.err)
}
