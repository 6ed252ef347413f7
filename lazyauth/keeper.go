package lazyauth

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"golang.org/x/oauth2"
)

// A keeper keeps the grants of one service: it knows OAuth, and neither hosts nor calls.
type keeper struct {
	service Service
	options Options
	server  *authorizationServer
	epoch   time.Time
	signIn  atomic.Pointer[string] // the name of the prompt for the person who changes their mind

	// ctx ends with Close; every goroutine and every wait here hangs on it.
	ctx    context.Context
	cancel context.CancelCauseFunc

	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup // goes up only under mu, and not once closed
}

// now is the time since the interceptor was made, on the monotonic clock.
func (i *keeper) now() time.Duration { return time.Since(i.epoch) }

// spawn runs f on a goroutine that Close waits for. It reports false, and runs
// nothing, once the interceptor is closed.
func (i *keeper) spawn(f func()) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.closed {
		return false
	}
	i.wg.Go(f)
	return true
}

// fail returns an error of this service.
func (i *keeper) fail(reason Reason, cause error) *Error {
	return &Error{Reason: reason, Cause: cause, service: i.service.Name, signIn: i.signIn.Load()}
}

// emit calls a hook of the trace if there is one.
func (i *keeper) emit(hook func(*Trace) func(Event), e Event) {
	if i.options.Trace == nil {
		return
	}
	if h := hook(i.options.Trace); h != nil {
		e.Service = i.service.Name
		h(e)
	}
}

func (i *keeper) newGrant(t *device.Token, renewed bool) *grant {
	g := &grant{
		token:   &oauth2.Token{AccessToken: t.Access, TokenType: "Bearer", Expiry: t.Expires},
		header:  []string{"Bearer " + t.Access},
		refresh: t.Refresh,
		renewed: renewed,
		scopes:  t.Scopes,
		held:    i.service.Hierarchy.Expand(t.Scopes),
		order:   i.service.Hierarchy,
	}
	g.startTimers()
	return g
}

// deviceError gives an error of the authorization server its reason.
func (i *keeper) deviceError(err error) *Error {
	reason := Unavailable
	switch {
	case errors.Is(err, device.ErrDenied):
		reason = Denied
	case errors.Is(err, device.ErrExpired):
		reason = Expired
	case unsupported(err):
		reason = Unsupported
	}
	return i.fail(reason, err)
}
