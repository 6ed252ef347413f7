package lazyauth

import (
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Trace is a set of hooks, any of which may be nil, in the manner of
// [net/http/httptrace.ClientTrace]. Hooks are called from many goroutines, must
// not block, and get nothing secret: no token, no device code, no user code.
type Trace struct {
	// Waiting: a call begins to wait for an authorization.
	Waiting func(Event)
	// Prompted: the prompt was handed to a host, or to a caller as text.
	Prompted func(Event)
	// Polled: the authorization server answered a poll, or failed to.
	Polled func(Event)
	// Granted: an authorization succeeded, and its grant is in use. The event tells
	// the whole flight.
	Granted func(Event)
	// Refreshed: an expired grant was replaced without asking anybody.
	Refreshed func(Event)
	// Parked: a running handler waits for the person, and its request was
	// answered (revision 2026-07-28).
	Parked func(Event)
	// Resumed: a parked handler goes on.
	Resumed func(Event)
	// StoreFailed: the grant could not be read from or written to the store; what is
	// in memory still works.
	StoreFailed func(Event)
	// Unidentified: it could not be learnt who signed in.
	Unidentified func(Event)
	// Failed: an authorization or a refresh failed, or was refused by somebody. The
	// event tells the whole flight if that is over.
	Failed func(Event)
}

// An Event is what a hook is told. Fields that do not apply are zero.
type Event struct {
	// Service is the name of the service.
	Service string
	// Principal is whose authorization it is.
	Principal Principal
	// Tool is the tool whose call caused the event.
	Tool string
	// Scopes is what is asked for, or was granted.
	Scopes scopes.Set
	// Channel is how the prompt went out: "url" or "form" (elicitation), "progress",
	// "text", or "caller" (see [Interceptor.Authorize]).
	Channel string
	// Attempt counts the polls of a flight from 1; at its end, all of them.
	Attempt int
	// Prompts is how often the prompt of a flight that ended was shown, and Calls
	// how many calls waited for it.
	Prompts, Calls int
	// Outcome is what a poll brought: "pending", "slow_down", "fault", …
	Outcome string
	// Status is the HTTP status of a poll's answer; 0 if there was none.
	Status int
	// Wait is the time until the next poll, or the life of a new grant.
	Wait time.Duration
	// Took is how long a flight or refresh lasted.
	Took time.Duration
	// Reason is why something failed.
	Reason Reason
	// Err is the cause. What a server wrote appears in it only escaped and
	// shortened, if at all.
	Err error
}

// CombineTraces returns a trace whose hooks call those of each of the traces in turn;
// nil traces and nil hooks are passed over.
func CombineTraces(traces ...*Trace) *Trace {
	all := func(hook func(*Trace) func(Event)) func(Event) {
		var hooks []func(Event)
		for _, t := range traces {
			if t != nil && hook(t) != nil {
				hooks = append(hooks, hook(t))
			}
		}
		if len(hooks) == 0 {
			return nil
		}
		return func(e Event) {
			for _, h := range hooks {
				h(e)
			}
		}
	}
	return &Trace{
		Waiting: all(onWaiting), Prompted: all(onPrompted), Polled: all(onPolled), Granted: all(onGranted),
		Refreshed: all(onRefreshed), Parked: all(onParked), Resumed: all(onResumed), Failed: all(onFailed),
		StoreFailed: all(onStoreFailed), Unidentified: all(onUnidentified),
	}
}

// logTrace returns a trace that writes lines: what operators should see as info,
// failures as warnings, the rest for debugging. The end of each flight is one line.
func logTrace(debug, info, warn func(message string, e Event)) *Trace {
	at := func(write func(string, Event), message string) func(Event) {
		return func(e Event) { write(message, e) }
	}
	return &Trace{
		Waiting:   at(debug, "call waits for authorization"),
		Prompted:  at(info, "prompt shown"),
		Polled:    at(debug, "polled the token endpoint"),
		Granted:   at(info, "authorization granted"),
		Refreshed: at(info, "grant refreshed"),
		Parked:    at(debug, "handler parked"),
		Resumed:   at(debug, "handler resumed"),
		Failed:    at(warn, "authorization failed"),

		StoreFailed:  at(warn, "the grant is in memory only: the store failed"),
		Unidentified: at(warn, "could not learn who signed in"),
	}
}

// fields passes the fields that apply to add, in the order of a log line.
func (e Event) fields(add func(key string, value any)) {
	given := func(applies bool, key string, value any) {
		if applies {
			add(key, value)
		}
	}
	add("service", e.Service)
	add("principal", e.Principal.String())
	given(e.Tool != "", "tool", e.Tool)
	given(!e.Scopes.IsEmpty(), "scopes", e.Scopes.String())
	given(e.Channel != "", "channel", e.Channel)
	given(e.Attempt != 0, "attempt", e.Attempt)
	given(e.Outcome != "", "outcome", e.Outcome)
	given(e.Status != 0, "status", e.Status)
	given(e.Wait != 0, "wait", e.Wait)
	given(e.Took != 0, "took", e.Took)
	given(e.Prompts != 0, "prompts", e.Prompts)
	given(e.Calls != 0, "calls", e.Calls)
	given(e.Reason != "", "reason", string(e.Reason))
	if e.Err != nil {
		add("cause", e.Err.Error())
	}
}

func onWaiting(t *Trace) func(Event)      { return t.Waiting }
func onPrompted(t *Trace) func(Event)     { return t.Prompted }
func onPolled(t *Trace) func(Event)       { return t.Polled }
func onGranted(t *Trace) func(Event)      { return t.Granted }
func onRefreshed(t *Trace) func(Event)    { return t.Refreshed }
func onParked(t *Trace) func(Event)       { return t.Parked }
func onResumed(t *Trace) func(Event)      { return t.Resumed }
func onStoreFailed(t *Trace) func(Event)  { return t.StoreFailed }
func onUnidentified(t *Trace) func(Event) { return t.Unidentified }
func onFailed(t *Trace) func(Event)       { return t.Failed }
