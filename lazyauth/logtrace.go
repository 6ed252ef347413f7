package lazyauth

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A line is what is logged of one event, whichever it is. Fields that do not apply are
// zero.
type line struct {
	About
	FlightStats
	scopes   scopes.Set
	limit    scopes.Set
	asked    scopes.Set
	missing  scopes.Set
	header   string
	channel  string
	flow     Flow
	client   string
	former   string
	source   string
	attempt  int
	outcome  string
	status   int
	wait     time.Duration
	life     time.Duration
	reason   Reason
	err      error
	callback string
}

// fields passes the fields that apply to add, in their order.
func (l line) fields(add func(key string, value any)) {
	given := func(applies bool, key string, value any) {
		if applies {
			add(key, value)
		}
	}
	add("service", l.Service)
	given(!l.alone, "principal", l.Principal.String())
	given(l.Tool != "", "tool", l.Tool)
	given(!l.scopes.IsEmpty(), "scopes", l.scopes.String())
	given(!l.limit.IsEmpty(), "limit", l.limit.String())
	given(l.header != "", "header", l.header)
	given(!l.asked.IsEmpty(), "asked", l.asked.String())
	given(!l.missing.IsEmpty(), "missing", l.missing.String())
	given(l.channel != "", "channel", l.channel)
	given(l.flow != "", "flow", string(l.flow))
	given(l.client != "", "client", l.client)
	given(l.former != "", "former", l.former)
	given(l.source != "", "source", l.source)
	given(l.attempt != 0, "attempt", l.attempt)
	given(l.outcome != "", "outcome", l.outcome)
	given(l.status != 0, "status", l.status)
	given(l.wait != 0, "wait", l.wait)
	given(l.life != 0, "life", l.life)
	given(l.Took != 0, "took", l.Took)
	given(l.Prompts != 0, "prompts", l.Prompts)
	given(l.Calls != 0, "calls", l.Calls)
	given(l.reason != "", "reason", string(l.reason))
	given(l.callback != "", "callback", l.callback)
	if l.err != nil {
		add("cause", l.err.Error())
	}
}

// A writer writes one line to a log.
type writer func(ctx context.Context, message string, l line)

// logTrace returns a trace that writes lines: what operators should see as info,
// failures as warnings, the rest for debugging. The end of each flight is one line.
func logTrace(debug, info, warn writer) *Trace {
	return &Trace{
		Waiting: func(ctx context.Context, i WaitingInfo) {
			debug(ctx, "call waits for authorization", line{About: i.About, scopes: i.Scopes})
		},
		Prompted: func(ctx context.Context, i PromptedInfo) {
			info(ctx, "prompt shown", line{About: i.About, scopes: i.Scopes, channel: i.Channel, flow: i.Flow, err: i.Against})
		},
		ClientChosen: func(ctx context.Context, i ClientChosenInfo) {
			info(ctx, "client chosen", line{About: i.About, client: i.ClientID, source: i.Source, err: i.Against})
		},
		Registered: func(ctx context.Context, i RegisteredInfo) {
			l := line{About: i.About, FlightStats: FlightStats{Took: i.Took}, client: i.ClientID, former: i.Former, err: i.Err}
			if i.Err != nil {
				warn(ctx, "the client could not be registered", l)
				return
			}
			info(ctx, "client registered", l)
		},
		Polled: func(ctx context.Context, i PolledInfo) {
			debug(ctx, "polled the token endpoint", line{About: i.About, attempt: i.Attempt, outcome: i.Outcome, status: i.Status, wait: i.Wait, err: i.Err})
		},
		Redirected: func(ctx context.Context, i RedirectedInfo) {
			l := line{About: i.About, FlightStats: FlightStats{Took: i.Took}, attempt: i.Attempt, outcome: i.Outcome, status: i.Status, err: i.Err}
			if i.Err != nil && i.Outcome != string(authcode.Denied) { // which the flight's end tells
				warn(ctx, "a browser came back, and something was wrong", l)
				return
			}
			debug(ctx, "a browser came back", l)
		},
		Granted: func(ctx context.Context, i GrantedInfo) {
			l := line{About: i.About, flow: i.Flow, FlightStats: i.FlightStats, scopes: i.Scopes, attempt: i.Polls, life: i.Life}
			if i.Missing.IsEmpty() {
				info(ctx, "authorization granted", l)
				return
			}
			l.asked, l.missing = i.Asked, i.Missing
			warn(ctx, "authorization granted for less than was asked for", l)
		},
		Refreshed: func(ctx context.Context, i RefreshedInfo) {
			info(ctx, "grant refreshed", line{About: i.About, scopes: i.Scopes, FlightStats: FlightStats{Took: i.Took}, err: i.Err})
		},
		Unattended: func(ctx context.Context, i UnattendedInfo) {
			l := line{About: i.About, FlightStats: FlightStats{Took: i.Took}, scopes: i.Scopes, source: i.How, life: i.Life, err: i.Err}
			switch {
			case i.Err != nil:
				l.scopes = i.Asked
				warn(ctx, "a grant could not be had without the person", l)
			case !i.Missing.IsEmpty():
				l.asked, l.missing = i.Asked, i.Missing
				warn(ctx, "a grant was had without the person, for less than was asked for", l)
			default:
				info(ctx, "a grant was had without the person", l)
			}
		},
		Parked: func(ctx context.Context, i ParkedInfo) {
			debug(ctx, "handler parked", line{About: i.About, scopes: i.Scopes})
		},
		Resumed: func(ctx context.Context, i ParkedInfo) {
			debug(ctx, "handler resumed", line{About: i.About, scopes: i.Scopes})
		},
		StoreFailed: func(ctx context.Context, i StoreFailedInfo) {
			warn(ctx, "the store of grants failed: what is in memory is what counts", line{About: i.About, err: i.Err})
		},
		Unidentified: func(ctx context.Context, i UnidentifiedInfo) {
			warn(ctx, "could not learn who signed in", line{About: i.About, err: i.Err})
		},
		Refused: func(ctx context.Context, i RefusedInfo) {
			warn(ctx, "the API refused a request", line{About: i.About, scopes: i.Scopes, limit: i.Limit, header: i.Header, status: i.Status, reason: i.Reason, err: i.Err})
		},
		Warned: func(ctx context.Context, i WarnedInfo) {
			warn(ctx, "this may not be meant so", line{About: i.About, err: i.Err})
		},
		CallbackFailed: func(ctx context.Context, i CallbackFailedInfo) {
			warn(ctx, "a callback failed", line{About: i.About, callback: i.Callback, err: i.Err})
		},
		Failed: func(ctx context.Context, i FailedInfo) {
			l := line{About: i.About, FlightStats: i.FlightStats, scopes: i.Scopes, channel: i.Channel, attempt: i.Polls, reason: i.Reason, err: i.Err}
			if !i.Missing.IsEmpty() {
				l.scopes, l.asked, l.missing = i.Granted, i.Scopes, i.Missing
			}
			if errors.Is(i.Err, grants.ErrClosed) { // which the program wanted
				info(ctx, "authorization ended by Close", l)
				return
			}
			warn(ctx, "authorization failed", l)
		},
	}
}
