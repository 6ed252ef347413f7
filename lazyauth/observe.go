package lazyauth

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// An observer tells the trace what happens, and what packages grants and asking tell it.
type observer struct {
	service string
	trace   Trace
	// optional are the service's own scopes, which servers may leave out.
	optional  scopes.Set
	hierarchy *scopes.Hierarchy
	changes   *changes // of grants, for lists of tools
	audit     *auditor // nil: there is none
}

// newObserver returns an observer that tells trace; of failures alone, and in the program's
// log, if that is nil.
func newObserver(service *Service, trace *Trace, audit *Audit) observer {
	if trace == nil {
		trace = failuresTrace()
	}
	return observer{service.Name, *CombineTraces(trace), service.Scopes, service.Hierarchy, new(changes), newAuditor(service.Name, audit)} // whose hooks are watched
}

// hookWait is how long a hook may take, which must not block.
const hookWait = time.Second

// watched returns a hook that hook cannot hold up or end the caller by: a panic is caught, and
// while a call has not returned, others are passed over. The program's log has it once, since
// the trace, which failed, is not told.
func watched[Info any](name string, hook func(context.Context, Info)) func(context.Context, Info) {
	var late guard.Late
	var once sync.Once
	return func(ctx context.Context, info Info) {
		if late.Names() != nil {
			return
		}
		// The hook's context may have ended, which does not end the wait.
		_, err := guard.Await(context.Background(), &late, "Trace."+name, hookWait, func(context.Context) (struct{}, error) {
			hook(ctx, info)
			return struct{}{}, nil
		})
		if err != nil {
			once.Do(func() { slog.Default().Error("lazyauth: a hook of the trace failed", "cause", err.Error()) })
		}
	}
}

// emit calls a hook, if there is one.
func emit[Info any](ctx context.Context, hook func(context.Context, Info), info Info) {
	if hook != nil {
		hook(ctx, info)
	}
}

func (o observer) about(who grants.Principal, tool string) About {
	return About{Service: o.service, Principal: Principal(who), Tool: tool}
}

func (o observer) ofFlight(f *grants.Flight) About { return o.about(f.Owner().Who(), f.Tool()) }

// failed tells of a call that failed before, or beside, a flight.
func (o observer) failed(ctx context.Context, who grants.Principal, tool string, reason Reason, err error) {
	emit(ctx, o.trace.Failed, FailedInfo{About: o.about(who, tool), Reason: reason, Err: err})
}

// Waiting implements [grants.Observer].
func (o observer) Waiting(ctx context.Context, owner *grants.Owner, tool string, missing scopes.Set) {
	emit(ctx, o.trace.Waiting, WaitingInfo{About: o.about(owner.Who(), tool), Scopes: missing})
}

// Polled implements [grants.Observer].
func (o observer) Polled(f *grants.Flight, p device.PollEvent) {
	emit(f.Context(), o.trace.Polled, PolledInfo{
		About: o.ofFlight(f), Attempt: p.Attempt, Outcome: string(p.Outcome), Status: p.Status, Wait: p.Wait, Err: pollFault(p),
	})
}

// Redirected implements [grants.Observer].
func (o observer) Redirected(f *grants.Flight, e authcode.Event) {
	info := RedirectedInfo{About: o.ofFlight(f), Outcome: string(e.What), Attempt: e.Attempt, Status: e.Status, Took: e.Took}
	if e.Detail != "" {
		info.Err = errors.New(e.Detail)
	}
	emit(f.Context(), o.trace.Redirected, info)
}

// Ended implements [grants.Observer].
func (o observer) Ended(f *grants.Flight, took time.Duration) {
	o.audit.flight(f)
	stats := FlightStats{Took: took}
	stats.Polls, stats.Prompts, stats.Calls = f.Counts()
	failed := FailedInfo{About: o.ofFlight(f), FlightStats: stats, Scopes: f.Want()}
	switch g, adopted, err := f.Result(); {
	case err != nil:
		if e := translate(err); e != nil {
			err = e
		}
		failed.Reason, failed.Err = causeOf(err)
		emit(f.Context(), o.trace.Failed, failed)
	case !adopted:
		failed.Reason, failed.Granted, failed.Missing = ReasonNarrowed, g.Scopes(), f.Missing()
		emit(f.Context(), o.trace.Failed, failed)
	default:
		flow, _ := f.Flow()
		granted := GrantedInfo{About: failed.About, FlightStats: stats, Flow: Flow(flow), Scopes: g.Scopes(), Asked: f.Want(), Missing: f.Missing().Minus(o.optional)}
		if expiry := g.Token().Expiry; !expiry.IsZero() {
			granted.Life = time.Until(expiry)
		}
		emit(f.Context(), o.trace.Granted, granted)
	}
}

// ClientChosen implements [grants.Observer].
func (o observer) ClientChosen(f *grants.Flight, c grants.ClientChoice) {
	emit(f.Context(), o.trace.ClientChosen, ClientChosenInfo{About: o.ofFlight(f), ClientID: escaped(c.ID, maxStoreText), Source: string(c.Source), Against: c.Against})
}

// Registered implements [registration.Observer].
func (o observer) Registered(ctx context.Context, id, former string, took time.Duration, err error) {
	info := RegisteredInfo{About: aboutService(o.service), ClientID: escaped(id, maxStoreText), Former: escaped(former, maxStoreText), Took: took}
	if err != nil {
		_, info.Err = causeOf(err)
	}
	emit(ctx, o.trace.Registered, info)
}

// RegistrationStoreFailed implements [registration.Observer].
func (o observer) RegistrationStoreFailed(ctx context.Context, err error) {
	_, cause := causeOf(err)
	emit(ctx, o.trace.StoreFailed, StoreFailedInfo{About: aboutService(o.service), Err: cause})
}

// Refreshed implements [grants.Observer].
func (o observer) Refreshed(ctx context.Context, owner *grants.Owner, g *grants.Grant, took time.Duration) {
	refreshed := RefreshedInfo{About: o.about(owner.Who(), ""), Scopes: g.Scopes(), Took: took}
	if dropped := g.Dropped(); dropped != "" {
		refreshed.Err = errors.New("scopes: " + dropped)
	}
	emit(ctx, o.trace.Refreshed, refreshed)
}

// RefreshFailed implements [grants.Observer].
func (o observer) RefreshFailed(ctx context.Context, owner *grants.Owner, old *grants.Grant, took time.Duration, err error, ended bool) {
	failed := FailedInfo{About: o.about(owner.Who(), ""), FlightStats: FlightStats{Took: took}, Scopes: old.Scopes(), Reason: ReasonUnavailable}
	if ended {
		failed.Reason = ReasonExpired
	}
	if ended && !errors.Is(err, grants.ErrEndedElsewhere) { // of which whoever did it has told
		o.audit.ended(ctx, Status{Principal: Principal(owner.Who()), Identity: Identity(old.Identity()), Scopes: old.Scopes(), ID: old.ID()}, ender{by: ByAuthorizationServer})
	}
	_, failed.Err = causeOf(err)
	emit(ctx, o.trace.Failed, failed)
}

// TokenFailed implements [grants.Observer].
func (o observer) TokenFailed(ctx context.Context, owner *grants.Owner, err error) {
	o.failed(ctx, owner.Who(), "", ReasonUnavailable, errOperatorToken{err})
}

// Drawn implements [grants.Observer].
func (o observer) Drawn(ctx context.Context, who grants.Principal, source string, g *grants.Grant, want scopes.Set, took time.Duration, err error) {
	info := UnattendedInfo{About: o.about(who, ""), How: source, Asked: want, Took: took}
	if err != nil {
		info.Refused = isRefused(err)
		_, info.Err = causeOf(grants.Cause(err))
	} else {
		info.Scopes, info.Missing = g.Scopes(), o.hierarchy.Missing(g.Held(), want)
		if expiry := g.Token().Expiry; !expiry.IsZero() {
			info.Life = time.Until(expiry)
		}
	}
	emit(ctx, o.trace.Unattended, info)
}

// StoreFailed implements [grants.Observer].
func (o observer) StoreFailed(ctx context.Context, owner *grants.Owner, err error) {
	_, cause := causeOf(err)
	emit(ctx, o.trace.StoreFailed, StoreFailedInfo{About: o.about(owner.Who(), ""), Err: cause})
}

// storeFailed tells of a store that did not keep what is beside somebody's grant.
func (o observer) storeFailed(ctx context.Context, who grants.Principal, err error) {
	_, cause := causeOf(err)
	about := o.about(who, "")
	about.alone = who == grants.Principal{}
	emit(ctx, o.trace.StoreFailed, StoreFailedInfo{About: about, Err: cause})
}

// Unidentified implements [grants.Observer].
func (o observer) Unidentified(ctx context.Context, owner *grants.Owner, err error) {
	emit(ctx, o.trace.Unidentified, UnidentifiedInfo{About: o.about(owner.Who(), ""), Err: err})
}

// Changed implements [grants.Observer].
func (o observer) Changed(owner *grants.Owner) { o.changes.note(owner.Who()) }

// CallbackFailed implements [grants.Observer].
func (o observer) CallbackFailed(ctx context.Context, what string, err error) {
	if p, ok := err.(*guard.Panic); ok { //nolint:errorlint // what is told, as it came
		err = p.WithStack()
	}
	emit(ctx, o.trace.CallbackFailed, CallbackFailedInfo{About: aboutService(o.service), Callback: what, Err: err})
}

// Prompted implements [asking.Observer].
func (o observer) Prompted(ctx context.Context, f *grants.Flight, channel string) {
	flow, against := f.Flow()
	emit(ctx, o.trace.Prompted, PromptedInfo{About: o.ofFlight(f), Scopes: f.Want(), Channel: channel, Flow: Flow(flow), Against: against})
}

// Declined implements [asking.Observer].
func (o observer) Declined(ctx context.Context, f *grants.Flight, channel string) {
	emit(ctx, o.trace.Failed, FailedInfo{About: o.ofFlight(f), Scopes: f.Want(), Channel: channel, Reason: ReasonDeclined})
}

// parked tells of a handler that waits, by resumed or parked.
func (o observer) parked(ctx context.Context, hook func(context.Context, ParkedInfo), who grants.Principal, tool string, set scopes.Set) {
	emit(ctx, hook, ParkedInfo{About: o.about(who, tool), Scopes: set})
}

// causeOf returns what a trace is told of a failure.
func causeOf(err error) (Reason, error) {
	var reason Reason
	if e, ok := errors.AsType[*Error](err); ok {
		reason, err = e.Reason, e.Cause
	}
	if _, ok := errors.AsType[*storeError](err); ok {
		return reason, &foreignError{theStore + ": " + escaped(err.Error(), maxStoreText), err}
	}
	if e, ok := errors.AsType[*oauth.Error](err); ok && e.Detail != "" {
		err = withDetail{err, e.Detail}
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

// withDetail is an error of OAuth with what is for logs only.
type withDetail struct {
	err    error
	detail string
}

func (e withDetail) Error() string { return e.err.Error() + " (" + e.detail + ")" }
func (e withDetail) Unwrap() error { return e.err }
