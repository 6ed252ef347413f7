package lazyauth

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A lifecycle is all of a suspended call that changes, from its first request to its outcome:
// which requests serve it, whether its handler was started, and that it is finished, each of
// the last two once. It knows neither gate nor grant, and calls nothing that waits.
type lifecycle struct {
	// toRequest has no buffer, and is received from by every request that serves the call: a
	// running handler has one of them call what it sends, and knows then that it is served.
	toRequest chan requestFunc

	done    chan struct{}
	outcome outcome // once done

	// mu is locked under Person.mu of package asking (by Attended), and over no other.
	mu       sync.Mutex
	id       string  // that states name the call by; see name
	first    request // that the call came with; not written while a request serves the call
	started  bool    // the handler was
	finished bool
	fetched  bool // what it came to was, by a request
	serving  []*request
	room     [1]*request             // for serving, in the usual case
	abandon  *time.Timer             // runs while no request serves a call whose handler runs
	cancel   context.CancelCauseFunc // of the handler's context, once started
	latest   *mcp.CallToolRequest    // that came
	shown    *asking.Delivery        // whose prompt the host was last answered with …
	shownID  string                  // … and that prompt's id
}

// A request is one that serves a suspended call.
type request struct {
	asking.Request
	// stop ends its wait for the authorization, while there is one; guarded by
	// lifecycle.mu.
	stop context.CancelCauseFunc
	// prompted says that it is being answered with a handler's prompt, and serves the call no
	// more; guarded by lifecycle.mu.
	prompted bool
}

// A requestFunc is called by a request that serves a call, for the call's handler. It
// reports whether the request is answered by that.
type requestFunc func(*request) (answer outcome, answered bool)

// bePresent is sent by a handler that makes sure that its call is served.
func bePresent(*request) (outcome, bool) { return outcome{}, false }

// errFinished is why a request waits no more for the authorization of a call that came
// to its end meanwhile.
var errFinished = errors.New("lazyauth: the call is finished")

// name returns what states name the call by.
func (l *lifecycle) name() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.id == "" {
		l.id = rand.Text()
	}
	return l.id
}

// enter has r serve the call.
func (l *lifecycle) enter(r *request) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.serving = append(l.serving, r)
	l.latest = r.Call
	if l.abandon != nil {
		l.abandon.Stop()
		l.abandon = nil
	}
}

// exit has r serve the call no more. If r broke off, which is to have a reason, and no other
// request serves a handler that runs, that is given up for this reason once no request has
// come for so long.
func (l *lifecycle) exit(r *request, reason error, after time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := slices.Index(l.serving, r)
	l.serving = slices.Delete(l.serving, n, n+1)
	l.fetched = l.fetched || l.finished && reason == nil
	l.slim()
	l.shed()
	switch {
	case reason == nil || len(l.serving) > 0 || !l.started || l.finished:
	case after == 0:
		l.cancel(reason)
	default:
		l.abandon = time.AfterFunc(after, func() { l.giveUp(reason) })
	}
}

// current returns the latest request that serves the call, or nil.
func (l *lifecycle) current() *request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.currentLocked()
}

func (l *lifecycle) currentLocked() *request {
	for _, r := range slices.Backward(l.serving) {
		if !r.prompted {
			return r
		}
	}
	return nil
}

// isAlone reports whether at most one request serves the call.
func (l *lifecycle) isAlone() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.serving) <= 1
}

func (l *lifecycle) setPrompted(r *request, prompted bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.prompted = prompted
}

// waits returns the context of r's wait for the authorization. It ends with the request,
// by stop, or with the call: the decline of a host that speaks for itself, say, is the
// answer to all requests that wait in its call.
//
//go:noinline
func (l *lifecycle) waits(r *request) (ctx context.Context, stop context.CancelCauseFunc) {
	ctx, stop = context.WithCancelCause(r.Ctx)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.finished {
		stop(errFinished)
	}
	r.stop = stop
	return ctx, stop
}

// show notes that the host is answered with the prompt of d. It reports false if the call is
// finished.
func (l *lifecycle) show(d *asking.Delivery, id string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.finished {
		return false
	}
	l.shown, l.shownID = d, id
	return true
}

// lastShown returns the prompt that the host was last answered with, or nil.
func (l *lifecycle) lastShown() (d *asking.Delivery, id string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.shown, l.shownID
}

// hasBegun reports whether the handler was started, or never will be.
func (l *lifecycle) hasBegun() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started || l.finished
}

// wasStarted reports whether the handler was started.
func (l *lifecycle) wasStarted() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started
}

// stage reports how far the call has come: whether its handler was started, or may be at any moment, since a request
// serves the call; whether it is finished; and whether what it came to was fetched.
func (l *lifecycle) stage() (starts, finished, fetched bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.started || len(l.serving) > 0, l.finished, l.fetched
}

// start is called before the handler runs, with the cancel function of its context. It
// reports false if the handler was started before, or the call is finished: then it must not
// run.
func (l *lifecycle) start(cancel context.CancelCauseFunc) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.started || l.finished {
		return false
	}
	l.started, l.cancel = true, cancel
	return true
}

// finish settles what the call is answered with, now and whenever its state is
// presented again.
func (l *lifecycle) finish(out outcome) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finishLocked(out)
}

func (l *lifecycle) finishLocked(out outcome) {
	if l.finished {
		return
	}
	l.finished, l.outcome = true, out
	for _, r := range l.serving { // once all is there that they are answered with
		if r.stop != nil {
			r.stop(errFinished)
		}
	}
	if l.abandon != nil {
		l.abandon.Stop()
	}
	l.slim()
	close(l.done)
}

// slim forgets what a finished call needs no more, while it is kept for its
// outcome. l.mu is held.
func (l *lifecycle) slim() {
	if l.finished && len(l.serving) == 0 {
		l.first, l.latest, l.shown = request{}, nil, nil
	}
}

// shed forgets what the next request brings again, while a call whose handler was not started has
// none: its host may never come back. A decoded request keeps the whole text that it was decoded
// from, and the session that was made for it alone: 20 KiB a call. l.mu is held.
func (l *lifecycle) shed() {
	if l.started || l.finished || len(l.serving) > 0 || l.first.Call == nil {
		return
	}
	params := l.first.Call.Params
	l.latest = nil
	l.first = request{Request: asking.Request{Call: &mcp.CallToolRequest{Params: &mcp.CallToolParamsRaw{
		RequestState: strings.Clone(params.RequestState), InputResponses: params.InputResponses, // see suspended.begin
	}}}}
}

// giveUp ends the call with this error: a handler that runs has its context cancelled,
// and a call whose handler was never started is finished.
func (l *lifecycle) giveUp(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.giveUpLocked(err)
}

// giveUpUnserved is giveUp for a call that no request serves.
func (l *lifecycle) giveUpUnserved(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.serving) == 0 && !l.finished {
		l.giveUpLocked(err)
	}
}

func (l *lifecycle) giveUpLocked(err error) {
	if l.started {
		l.cancel(err)
		return
	}
	l.finishLocked(outcome{err: err})
}

// isFirstToLearnOf reports whether no request was handed the handler's panic before.
func (l *lifecycle) isFirstToLearnOf(p *panicked) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := !p.handed
	p.handed = true
	return first
}
