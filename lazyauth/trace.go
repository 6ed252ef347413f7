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
	// Granted: an authorization succeeded, and its grant is in use.
	Granted func(Event)
	// Refreshed: an expired grant was replaced without asking anybody.
	Refreshed func(Event)
	// Parked: a running handler waits for the person, and its request was
	// answered (revision 2026-07-28).
	Parked func(Event)
	// Resumed: a parked handler goes on.
	Resumed func(Event)
	// Failed: an authorization or a refresh failed.
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
	// Channel is how the prompt went out: "elicitation", "input_required",
	// "text" or "caller".
	Channel string
	// Attempt counts the polls of a flight from 1.
	Attempt int
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

// emit calls a hook of the trace if there is one.
func (i *Interceptor) emit(hook func(*Trace) func(Event), e Event) {
	if i.options.Trace == nil {
		return
	}
	if h := hook(i.options.Trace); h != nil {
		e.Service = i.service.Name
		h(e)
	}
}

func onWaiting(t *Trace) func(Event)   { return t.Waiting }
func onPrompted(t *Trace) func(Event)  { return t.Prompted }
func onPolled(t *Trace) func(Event)    { return t.Polled }
func onGranted(t *Trace) func(Event)   { return t.Granted }
func onRefreshed(t *Trace) func(Event) { return t.Refreshed }
func onParked(t *Trace) func(Event)    { return t.Parked }
func onResumed(t *Trace) func(Event)   { return t.Resumed }
func onFailed(t *Trace) func(Event)    { return t.Failed }
