package lazyauth

import (
	"context"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Trace is a set of hooks, any of which may be nil, in the manner of
// [net/http/httptrace.ClientTrace]. Hooks are called from many goroutines, must
// not block, and get nothing secret: no token, no device code, no user code.
//
// The context of a hook has the values of the request that it reports, or that caused the
// flight or the refresh that it reports, so that a span can be tied to it. It may have
// ended.
type Trace struct {
	// Waiting: a call begins to wait for an authorization.
	Waiting func(context.Context, WaitingInfo)
	// Prompted: the prompt was handed to a host, or to a caller as text.
	Prompted func(context.Context, PromptedInfo)
	// ClientChosen: an authorization is asked for as this client.
	ClientChosen func(context.Context, ClientChosenInfo)
	// Registered: this program has registered itself as a client, or could not; see [Registration].
	Registered func(context.Context, RegisteredInfo)
	// Polled: the authorization server answered a poll, or failed to.
	Polled func(context.Context, PolledInfo)
	// Redirected: in the redirect flow, a browser came to this program, or something came of that.
	Redirected func(context.Context, RedirectedInfo)
	// Granted: an authorization succeeded, and its grant is in use.
	Granted func(context.Context, GrantedInfo)
	// Refreshed: an expired grant was replaced without asking anybody.
	Refreshed func(context.Context, RefreshedInfo)
	// Unattended: a grant was got without asking anybody, or could not be; see [Unattended].
	Unattended func(context.Context, UnattendedInfo)
	// Parked: a running handler waits for the person, and its request was
	// answered (revision 2026-07-28).
	Parked func(context.Context, ParkedInfo)
	// Resumed: a parked handler goes on.
	Resumed func(context.Context, ParkedInfo)
	// StoreFailed: the grant could not be read from, written to or removed from the store;
	// what is in memory still counts.
	StoreFailed func(context.Context, StoreFailedInfo)
	// Unidentified: it could not be learnt who signed in.
	Unidentified func(context.Context, UnidentifiedInfo)
	// Refused: the API refused a request, and what it demands cannot be met.
	Refused func(context.Context, RefusedInfo)
	// Warned: something is probably not as the program's author meant it.
	Warned func(context.Context, WarnedInfo)
	// CallbackFailed: a function of the program's own, given in [Options] or [Service],
	// panicked, or did not return in time; or this library or the MCP SDK panicked. It was
	// caught, and the call that it was for has failed or gone on without it.
	CallbackFailed func(context.Context, CallbackFailedInfo)
	// Failed: an authorization or a refresh failed, or was refused.
	Failed func(context.Context, FailedInfo)
}

// About says whose authorization a hook reports.
type About struct {
	Service   string    // its name
	Principal Principal // whose authorization it is
	Tool      string    // whose call caused it; empty for a refresh, and for [Interceptor.Authorize]

	alone bool // of the service and of nobody's authorization: Principal says nothing
}

// aboutService is what hooks report of the service alone.
func aboutService(name string) About { return About{Service: name, alone: true} }

// FlightStats is how much happened in a flight that has come to its end.
type FlightStats struct {
	Took    time.Duration // how long it lasted
	Polls   int           // of the authorization server
	Prompts int           // that were shown, the same one again included
	Calls   int           // that waited
}

// A WaitingInfo is of a call that begins to wait.
type WaitingInfo struct {
	About
	Scopes scopes.Set // that are missing
}

// A PromptedInfo is of a prompt that goes out.
type PromptedInfo struct {
	About
	Scopes scopes.Set // that are asked for
	// Channel is how: "url" or "form" (elicitation), "progress", "text", "browser" (see
	// Options.OpenBrowser), or "caller" (see [Interceptor.Authorize]).
	Channel string
	Flow    Flow // by which the person is to sign in
	// Against says why others of Service.Flows were not taken, or not in their order; nil if
	// there is nothing to say.
	Against error
}

// A ClientChosenInfo is of who this program is to the authorization server in a sign-in.
type ClientChosenInfo struct {
	About
	ClientID string // escaped and shortened, if it is not plain
	// Source is "environment" ([EnvClientID]), "host" (its capabilities), "configured"
	// ([Service].ClientID) or "registered".
	Source string
	// Against says why client ids that come before it were not taken; nil if there was none.
	// What a host wrote appears in it only checked.
	Against error
}

// A RegisteredInfo is of one registration (RFC 7591).
type RegisteredInfo struct {
	About           // the service alone
	ClientID string // escaped and shortened, if it is not plain
	Former   string // that it takes the place of; empty if there was none
	Took     time.Duration
	// Err is why there is none. What a server wrote appears in it only escaped and shortened.
	Err error
}

// A PolledInfo is of one poll (RFC 8628 §3.4).
type PolledInfo struct {
	About
	Attempt int           // of this flight, from 1
	Outcome string        // "pending", "slow_down", "fault", …
	Status  int           // of HTTP; 0 if there was no answer
	Wait    time.Duration // until the next one
	// Err is what was wrong with the answer. What the server wrote appears in it only
	// escaped and shortened.
	Err error
}

// A RedirectedInfo is of a browser in the redirect flow.
type RedirectedInfo struct {
	About
	// Outcome is "started" (a browser opened the start page), "came" (one brought an answer),
	// "granted", "refused" (what one brought was not accepted), "code_refused" and "answer_lost"
	// (the person may start again), "denied" (by the person), "failed", or "push_failed" (RFC
	// 9126: the link is a plain one).
	Outcome string
	Attempt int           // of exchanging a code, from 1; 0 if that was none
	Status  int           // of HTTP, of such an attempt; 0 if there was no answer
	Took    time.Duration // of such an attempt
	// Err is what was wrong. What a server wrote appears in it only escaped and shortened.
	Err error
}

// A GrantedInfo is of a flight that succeeded.
type GrantedInfo struct {
	About
	FlightStats
	Flow   Flow       // that brought it
	Scopes scopes.Set // that were granted
	// Asked is what was asked for, and Missing what of it was not granted, the service's
	// own scopes left out, which nobody needs. Empty: nothing is missing.
	Asked, Missing scopes.Set
	Life           time.Duration // of the access token; 0 if the server does not say, or it has no end
}

// A RefreshedInfo is of a refresh that succeeded (RFC 6749 §6).
type RefreshedInfo struct {
	About
	Scopes scopes.Set    // that the grant has now
	Took   time.Duration // how long it lasted
	// Err is nil, or says what of the answer was left out: names that cannot be scopes,
	// escaped and shortened.
	Err error
}

// An UnattendedInfo is of a grant that nobody was asked for.
type UnattendedInfo struct {
	About
	// How is "exchange", "identity", "credentials" or "token": the field of [Unattended].
	How     string
	Scopes  scopes.Set    // that were granted
	Asked   scopes.Set    // what was asked for
	Missing scopes.Set    // what of that was not granted
	Life    time.Duration // until it ends; 0 if it has no end
	Took    time.Duration
	// Err is why there is none, and Refused says that the authorization server has said no: it
	// does not pass by itself. What a server wrote appears in Err only escaped and shortened.
	Err     error
	Refused bool
}

// A ParkedInfo is of a handler that waits, or goes on.
type ParkedInfo struct {
	About
	Scopes scopes.Set // that are asked for, or were granted
}

// A StoreFailedInfo is of a store that failed.
type StoreFailedInfo struct {
	About
	Err error // without anything of a grant
}

// An UnidentifiedInfo is of a sign-in whose person is not known.
type UnidentifiedInfo struct {
	About
	Err error
}

// A RefusedInfo is of a request that the API refused and that was not sent again, or of a
// handler that says so ([RejectToken]). What the handler does then, it alone knows.
type RefusedInfo struct {
	About
	Status int        // of HTTP; 0 if the handler says it
	Scopes scopes.Set // that the API demands, by the names that it has for them: the first few, if there are many
	Limit  scopes.Set // what it may demand; see [Options.MaxScopes]
	Header string     // what the API said, escaped and shortened; see [scopes.Excerpt]
	Reason Reason     // of the error that the handler gets; empty if it gets the response
	Err    error      // why the demand was not met
}

// A WarnedInfo is of what should be looked at.
type WarnedInfo struct {
	About
	Err error // says what is wrong, where, and what to do
}

// A CallbackFailedInfo is of a callback that did not return as it should.
type CallbackFailedInfo struct {
	About
	Callback string // such as "Options.VerifyUser"
	// Err says how, and where. What it panicked with is told only of an error of the Go
	// runtime, since it may be anything.
	Err error
}

// A FailedInfo is of what failed.
type FailedInfo struct {
	About
	FlightStats            // of a flight, if it is over; Took alone of a refresh
	Scopes      scopes.Set // that were asked for
	Granted     scopes.Set // where that was too little …
	Missing     scopes.Set // … and what of the others it lacks
	Channel     string     // of the prompt that was declined
	Reason      Reason
	// Err is the cause. What a server wrote appears in it only escaped and
	// shortened, if at all.
	Err error
}

// CombineTraces returns a trace whose hooks call those of each of the traces in turn;
// nil traces and nil hooks are passed over.
func CombineTraces(traces ...*Trace) *Trace {
	return &Trace{
		Waiting:        all("Waiting", traces, func(t *Trace) func(context.Context, WaitingInfo) { return t.Waiting }),
		Prompted:       all("Prompted", traces, func(t *Trace) func(context.Context, PromptedInfo) { return t.Prompted }),
		ClientChosen:   all("ClientChosen", traces, func(t *Trace) func(context.Context, ClientChosenInfo) { return t.ClientChosen }),
		Registered:     all("Registered", traces, func(t *Trace) func(context.Context, RegisteredInfo) { return t.Registered }),
		Polled:         all("Polled", traces, func(t *Trace) func(context.Context, PolledInfo) { return t.Polled }),
		Redirected:     all("Redirected", traces, func(t *Trace) func(context.Context, RedirectedInfo) { return t.Redirected }),
		Granted:        all("Granted", traces, func(t *Trace) func(context.Context, GrantedInfo) { return t.Granted }),
		Refreshed:      all("Refreshed", traces, func(t *Trace) func(context.Context, RefreshedInfo) { return t.Refreshed }),
		Unattended:     all("Unattended", traces, func(t *Trace) func(context.Context, UnattendedInfo) { return t.Unattended }),
		Parked:         all("Parked", traces, func(t *Trace) func(context.Context, ParkedInfo) { return t.Parked }),
		Resumed:        all("Resumed", traces, func(t *Trace) func(context.Context, ParkedInfo) { return t.Resumed }),
		StoreFailed:    all("StoreFailed", traces, func(t *Trace) func(context.Context, StoreFailedInfo) { return t.StoreFailed }),
		Unidentified:   all("Unidentified", traces, func(t *Trace) func(context.Context, UnidentifiedInfo) { return t.Unidentified }),
		Refused:        all("Refused", traces, func(t *Trace) func(context.Context, RefusedInfo) { return t.Refused }),
		Warned:         all("Warned", traces, func(t *Trace) func(context.Context, WarnedInfo) { return t.Warned }),
		CallbackFailed: all("CallbackFailed", traces, func(t *Trace) func(context.Context, CallbackFailedInfo) { return t.CallbackFailed }),
		Failed:         all("Failed", traces, func(t *Trace) func(context.Context, FailedInfo) { return t.Failed }),
	}
}

// all returns the hook that calls those of all traces: one that panics keeps none of the
// others from being called.
func all[Info any](name string, traces []*Trace, hook func(*Trace) func(context.Context, Info)) func(context.Context, Info) {
	var hooks []func(context.Context, Info)
	for _, t := range traces {
		if t != nil && hook(t) != nil {
			hooks = append(hooks, watched(name, hook(t)))
		}
	}
	if len(hooks) == 0 {
		return nil
	}
	return func(ctx context.Context, info Info) {
		for _, h := range hooks {
			h(ctx, info)
		}
	}
}
