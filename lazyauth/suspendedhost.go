package lazyauth

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/state"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// seen returns r with what was found out about its host.
func (s *suspended) seen(r asking.Request) asking.Request {
	r.Failed = asking.Reach(s.failed.Load())
	return r
}

// Attended implements [asking.Carrier].
func (s *suspended) Attended() bool { return s.current() != nil }

// ChannelFailed implements [asking.Carrier].
func (s *suspended) ChannelFailed(mode elicit.Channel) {
	s.failed.Or(uint32(asking.Reach(0).With(mode)))
}

// Client implements [asking.Host].
func (s *suspended) Client() asking.Client { return s.client }

// Tool implements [asking.Host].
func (s *suspended) Tool() string { return s.gate.tool }

// Progress implements [asking.Host].
func (s *suspended) Progress() *asking.Progress { return asking.ProgressIn(&s.progress) }

// weight is how many of the calls that may wait this one counts as.
func (s *suspended) weight() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return asking.WeightOf(s.latest)
}

// mayBegin returns why no flight begins for the call: it could not be kept once it was answered
// with the prompt.
func (s *suspended) mayBegin(r asking.Request) error {
	if !r.Reach().Elicits() || s.gate.auth.suspended.HasRoom(s.name(), s.person.QuotaKey(), s.weight()) {
		return nil
	}
	return s.gate.auth.fail(ReasonBusy, nil)
}

// keep makes sure that the host can come back to the call for the prompt of d.
func (s *suspended) keep(d *asking.Delivery) error {
	if s.gate.auth.suspended.Keep(s.name(), s.person.QuotaKey(), s.weight(), s, s.gate.auth.keptFor(d)) {
		return nil
	}
	return s.gate.auth.fail(ReasonBusy, nil)
}

// arriving is the host of a call whose handler has not started: the request that waits.
type arriving struct {
	*suspended
	request *request

	// What the request is to be answered with.
	delivery *asking.Delivery
	slot     asking.Slot
	mode     elicit.Channel
	answer   outcome // once isAnswered
}

// isAnswered reports whether the request is answered with the prompt that it was handed.
//
//go:noinline
func (a *arriving) isAnswered() (ok bool) {
	a.answer, ok = a.answerWith(a.request, a.delivery, a.slot, a.mode, nil)
	return ok
}

// Request implements [asking.Host].
func (a *arriving) Request() asking.Request { return a.seen(a.request.Request) }

// MayBegin implements [asking.Host].
func (a *arriving) MayBegin() error { return a.mayBegin(a.Request()) }

// Show implements [asking.Host]: the request is answered with the prompt.
func (a *arriving) Show(ctx context.Context, d *asking.Delivery, slot asking.Slot, mode elicit.Channel) error {
	if ctx.Err() != nil { // the request, or its call, came to its end at the same moment
		return context.Cause(ctx)
	}
	if err := a.keep(d); err != nil {
		return err
	}
	a.delivery, a.slot, a.mode = d, slot, mode
	return asking.ErrHandedOver
}

// working is the host of a call whose handler runs: whatever request serves it.
type working struct {
	*suspended
	call   *call // that asks: the handler's, or one that has joined it
	parked bool  // it has handed out a prompt
}

// Request implements [asking.Host]. A call that no request serves can be served again
// only by a retry, and while its handler waits for that no time is lost.
func (w *working) Request() asking.Request {
	w.mu.Lock()
	defer w.mu.Unlock()
	if current := w.currentLocked(); current != nil {
		r := current.Request
		r.Again = false // this wait is the handler's, and its first
		return w.seen(r)
	}
	return w.seen(asking.Request{Call: w.latest, Arrived: w.gate.auth.now()})
}

// MayBegin implements [asking.Host].
func (w *working) MayBegin() error { return w.mayBegin(w.Request()) }

// Show implements [asking.Host]: a serving request is handed the prompt, which leaves the
// handler parked. While there is none others may show it first: one may never come.
func (w *working) Show(ctx context.Context, d *asking.Delivery, slot asking.Slot, mode elicit.Channel) error {
	if err := w.keep(d); err != nil {
		return err
	}
	if err := w.gate.auth.marks().make(ctx, state.Mark(w.name())); err != nil { // before a host has a state
		return err
	}
	if !w.Attended() {
		d.PutBack(slot)
	}
	handed := make(chan struct{})
	select {
	case w.toRequest <- func(r *request) (outcome, bool) {
		w.setPrompted(r, true) // and its time may be over: the handler waits for the next one now
		close(handed)
		answer, ok := w.answerWith(r, d, slot, mode, w.call)
		if !ok {
			w.setPrompted(r, false)
		}
		return answer, ok
	}:
		<-handed
		w.parked = true
		to := w.call.gate.auth.observer
		to.parked(ctx, to.trace.Parked, w.call.person.Who(), w.gate.tool, d.Flight().Want())
		return nil
	case <-d.Flight().Done():
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// authorize is call.authorize for a handler that runs: it parks the handler if
// the person has to be asked, and lets it go on only while a request serves
// the call. Otherwise the person may have given up long ago.
func (s *suspended) authorize(ctx context.Context, c *call, need scopes.Requirement) (*grants.Grant, error) {
	w := &working{suspended: s, call: c}
	var g *grants.Grant
	var err error
	if c.standIn != nil {
		g, err = c.standIn.obtain(ctx, c.person, need, w)
	} else {
		g, err = c.person.Obtain(ctx, need, w)
	}
	if err != nil {
		c.gate.tellBusy(ctx, c.person, err)
		return nil, c.gate.auth.explain(err, c.holder(), need, w.Request().Call)
	}
	timer := time.NewTimer(attendWait)
	defer timer.Stop()
	select {
	case s.toRequest <- bePresent:
		if w.parked {
			to := c.gate.auth.observer
			to.parked(ctx, to.trace.Resumed, c.person.Who(), s.gate.tool, g.Scopes())
		}
		return g, nil
	case <-timer.C:
		e := s.gate.auth.fail(ReasonAbandoned, nil)
		s.giveUp(e)
		return nil, e
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// answerWith answers a request with a prompt, unless the call is finished by now: then it is
// answered with that, and the prompt is left to others. Of several requests, another one may
// have been handed the prompt than was looked at: it shows what its own host can. It reports
// false if another host shows the prompt by now, and the request waits on. c is the call that asks;
// nil while the handler has not begun.
func (s *suspended) answerWith(r *request, d *asking.Delivery, slot asking.Slot, mode elicit.Channel, c *call) (answer outcome, ok bool) {
	auth, person, need := s.gate.auth, s.standIn.or(s.person), s.gate.Need
	if c != nil {
		auth, person, need = c.gate.auth, c.holder(), c.gate.Need
	}
	if own := d.Reach(s.seen(r.Request)); !own.Has(mode) {
		if mode = own.Best(); !asking.Elicits(mode) {
			err := d.FallBackInstead(s.seen(r.Request), slot)
			if _, barred := errors.AsType[*asking.Declined](err); barred {
				s.giveUp(auth.explain(err, person, need, r.Call))
				return outcome{}, false
			}
			return outcome{err: auth.explain(err, person, need, r.Call)}, true
		}
	}
	id, ok := d.Shown(r.Ctx, r.Call, slot, mode, s)
	if !ok {
		return outcome{}, false
	}
	if !s.show(d, id) {
		d.Withdraw(id)
		return s.collect(r), true
	}
	if c == nil {
		if err := s.gate.auth.marks().waits(r.Ctx, s.name(), d.Prompt()); err != nil {
			d.Withdraw(id)
			return outcome{err: err}, true
		}
	}
	sealed, err := s.gate.seal(r.Call, s.person, s.client, state.State{
		Call: s.name(), Prompt: id, Flight: asking.FlightOf(d.Prompt()), Mode: int(mode), End: s.gate.auth.keptFor(d),
	})
	if err != nil {
		d.Withdraw(id)
		return outcome{err: err}, true
	}
	result := inputRequired()
	result.InputRequests = mcp.InputRequestMap{responseKey: asking.Elicitation(auth.wording(r.Call), mode, *d.Prompt(), id)}
	result.RequestState = sealed
	if mode == elicit.URL && !s.again && !s.gate.offers && !s.wasStarted() {
		denies(s.gate.auth, result)
	}
	return outcome{result: result}, true
}

// answered takes the host's answer to the prompt of this id. A refusal ends a
// call that has not begun; a handler learns of it where it waits.
func (s *suspended) answered(id, action string, r *request) {
	d, current := s.lastShown()
	if d == nil || id != current {
		return
	}
	err := d.Answer(id, action, s.seen(r.Request).Reach())
	if err == nil {
		return
	}
	if !s.gate.offers && (err.HostOnly || !s.hasBegun()) {
		s.giveUp(s.explain(err, s.gate.Need, r))
	}
	if err.HostOnly { // not before: no request of this call shows it again
		d.Pass(id)
	}
}
