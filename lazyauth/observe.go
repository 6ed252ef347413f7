package lazyauth

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// An observer tells the trace what happens, and what packages grants and asking tell it.
type observer struct {
	service string
	trace   *Trace // nil: nobody is told
}

// emit calls a hook of the trace if there is one.
func (o observer) emit(hook func(*Trace) func(Event), e Event) {
	if o.trace == nil {
		return
	}
	if h := hook(o.trace); h != nil {
		e.Service = o.service
		h(e)
	}
}

func (i *Interceptor) emit(hook func(*Trace) func(Event), e Event) { i.observer.emit(hook, e) }

// ofFlight returns an event that is about a flight.
func ofFlight(f *grants.Flight) Event {
	return Event{Principal: Principal(f.Owner().Who()), Tool: f.Tool(), Scopes: f.Want()}
}

// Waiting implements [grants.Observer].
func (o observer) Waiting(_ context.Context, owner *grants.Owner, tool string, missing scopes.Set) {
	o.emit(onWaiting, Event{Principal: Principal(owner.Who()), Tool: tool, Scopes: missing})
}

// Polled implements [grants.Observer].
func (o observer) Polled(f *grants.Flight, p device.PollEvent) {
	e := ofFlight(f)
	e.Scopes = scopes.Set{}
	e.Attempt, e.Outcome, e.Status, e.Wait, e.Err = p.Attempt, string(p.Outcome), p.Status, p.Wait, pollFault(p)
	o.emit(onPolled, e)
}

// Ended implements [grants.Observer].
func (o observer) Ended(f *grants.Flight, took time.Duration) {
	e := ofFlight(f)
	e.Took = took
	e.Attempt, e.Prompts, e.Calls = f.Counts()
	switch g, adopted, err := f.Result(); {
	case err != nil:
		e.Reason, e.Err = causeOf(translate(err))
		o.emit(onFailed, e)
	case !adopted:
		e.Reason, e.Scopes = ReasonNarrowed, g.Scopes()
		o.emit(onFailed, e)
	default:
		e.Scopes = g.Scopes()
		if expiry := g.Token().Expiry; !expiry.IsZero() {
			e.Wait = time.Until(expiry)
		}
		o.emit(onGranted, e)
	}
}

// Refreshed implements [grants.Observer].
func (o observer) Refreshed(_ context.Context, owner *grants.Owner, g *grants.Grant, took time.Duration) {
	o.emit(onRefreshed, Event{Principal: Principal(owner.Who()), Scopes: g.Scopes(), Took: took})
}

// RefreshFailed implements [grants.Observer].
func (o observer) RefreshFailed(_ context.Context, owner *grants.Owner, old *grants.Grant, took time.Duration, err error, ended bool) {
	e := Event{Principal: Principal(owner.Who()), Scopes: old.Scopes(), Took: took, Reason: ReasonUnavailable}
	if ended {
		e.Reason = ReasonExpired
	}
	_, e.Err = causeOf(err)
	o.emit(onFailed, e)
}

// TokenFailed implements [grants.Observer].
func (o observer) TokenFailed(_ context.Context, owner *grants.Owner, err error) {
	o.emit(onFailed, Event{Principal: Principal(owner.Who()), Reason: ReasonUnavailable, Err: errOperatorToken{err}})
}

// StoreFailed implements [grants.Observer].
func (o observer) StoreFailed(_ context.Context, owner *grants.Owner, err error) {
	o.emit(onStoreFailed, Event{Principal: Principal(owner.Who()), Err: err})
}

// Unidentified implements [grants.Observer].
func (o observer) Unidentified(_ context.Context, owner *grants.Owner, err error) {
	o.emit(onUnidentified, Event{Principal: Principal(owner.Who()), Err: err})
}

// Prompted implements [asking.Observer].
func (o observer) Prompted(_ context.Context, f *grants.Flight, channel string) {
	e := ofFlight(f)
	e.Channel = channel
	o.emit(onPrompted, e)
}

// ReasonDeclined implements [asking.Observer].
func (o observer) Declined(_ context.Context, f *grants.Flight, channel string) {
	e := ofFlight(f)
	e.Channel, e.Reason = channel, ReasonDeclined
	o.emit(onFailed, e)
}

// causeOf returns what a trace is told of a failure.
func causeOf(err error) (Reason, error) {
	var reason Reason
	if e, ok := errors.AsType[*Error](err); ok {
		reason, err = e.Reason, e.Cause
	}
	if e, ok := errors.AsType[*device.Error](err); ok && e.Detail != "" {
		err = withDetail{e}
	}
	return reason, err
}

// pollFault is what a trace is told of a poll that brought no answer, or an odd one.
func pollFault(e device.PollEvent) error {
	switch {
	case e.Detail == "" && e.Fault == "":
		return nil
	case e.Detail == "":
		return errors.New(e.Fault)
	case e.Fault == "":
		return errors.New(e.Detail)
	}
	return errors.New(e.Fault + " (" + e.Detail + ")")
}

// withDetail is a device error with what is for logs only.
type withDetail struct{ err *device.Error }

func (e withDetail) Error() string { return e.err.Error() + " (" + e.err.Detail + ")" }
func (e withDetail) Unwrap() error { return e.err }
