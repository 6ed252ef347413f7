package redirect

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// linger is how long the last page can be had after the end.
	linger = 5 * time.Second

	// parting is how long what is being sent when the listener closes may take.
	parting = time.Second
)

// An Authorization is one sign-in under way, with its listener. However it is formatted, its
// link does not appear, which may have the state in it. Finish must be called, whatever comes
// of it.
type Authorization struct {
	flow    *Flow
	request Request
	asked   scopes.Set
	uri     string // the redirect URI
	port    int
	kind    Kind
	link    string
	expires time.Time // of the link
	until   time.Time // of the sign-in

	nonce  string // of the start page
	cookie string // the name of the cookie that the start page sets
	ticket string // the name of the one that /done needs

	events   chan authcode.Event
	arrived  chan *submission
	here     chan struct{} // closed under mu when a browser has been here
	gone     chan struct{} // closed when a listener fails
	fail     sync.Once
	finished chan struct{} // closed by Finish

	server *http.Server
	ctx    context.Context // of its requests
	cancel context.CancelFunc
	served sync.WaitGroup
	closed chan struct{}

	mu       sync.Mutex // guards what follows; nothing waits under it
	attempts []*attempt
	starts   int
	refusals int
	codes    map[[sha256.Size]byte]*submission
	tickets  map[string]*submission
	over     bool // nothing is accepted any more
	granted  bool
	closing  bool
	outcome  Outcome // once finished
}

// An Outcome is how a sign-in ended, for the last page.
type Outcome struct {
	// Account names who signed in, if that is known: printable text of at most 256 bytes, or it
	// is not shown.
	Account string
	// Failed says that there is no grant in the end: it was given up, say, or the account is
	// not the one that it has to be. False means that the person is signed in, by this flow or
	// another one.
	Failed bool
	// ByAnother says that the grant came by another flow: what this one's browser brought was not used.
	ByAnother bool
}

// Begin listens, calls want for what is asked for, and makes the link. It blocks for as
// long as want does, and a pushed request takes where there is one.
//
// Errors: a [PortError]; that of Client.Push where requests must be pushed, or an oauth.ErrInvalid if
// what is pushed ends before anybody could open it; that of ctx.
func (f *Flow) Begin(ctx context.Context, request Request, want func(context.Context) scopes.Set) (*Authorization, error) {
	if err := request.Check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, oauth.Ended(ctx, authcode.Op)
	}
	listeners, port, err := f.listen(ctx)
	if err != nil {
		return nil, err
	}
	a := &Authorization{
		flow: f, request: request, port: port, uri: f.target.at(port, f.config.RedirectURI),
		nonce: authcode.NewNonce(), cookie: "lazyauth-" + authcode.NewSecret()[:11], ticket: "lazyauth-done-" + authcode.NewSecret()[:11],
		events: make(chan authcode.Event, mostEvents), arrived: make(chan *submission, mostRefused+1),
		here: make(chan struct{}), gone: make(chan struct{}), finished: make(chan struct{}), closed: make(chan struct{}),
		codes: make(map[[sha256.Size]byte]*submission), tickets: make(map[string]*submission),
	}
	a.ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	begun := false
	defer func() {
		if !begun { // want may have panicked
			a.cancel()
			closeAll(listeners)
			f.ports.leave(port, a)
		}
	}()
	if f.target.port != 0 {
		f.ports.take(port, a)
	}
	a.asked = want(ctx)
	if err := a.setLink(ctx); err != nil {
		return nil, err
	}
	begun = true
	a.serve(listeners)
	return a, nil
}

// Link is where the person goes.
func (a *Authorization) Link() string { return a.link }

// Kind returns what the link is.
func (a *Authorization) Kind() Kind { return a.kind }

// Expires is when the link stops working, and Wait with it; Wait may go on for two minutes after
// a pushed request that had to be pushed, and ends sooner than others do.
func (a *Authorization) Expires() time.Time { return a.expires }

// RedirectURI is where the browser comes back to.
func (a *Authorization) RedirectURI() string { return a.uri }

// Reached reports whether a browser has been here: on the start page, or with the answer to this
// sign-in, whatever came of it. As long as none has, the person may have their
// browser on another machine.
func (a *Authorization) Reached() bool { return isClosed(a.here) }

// Here returns a channel that is closed once Reached is true.
func (a *Authorization) Here() <-chan struct{} { return a.here }

// reach notes that a browser has been here; a.mu is held.
func (a *Authorization) reach() {
	if !a.Reached() {
		close(a.here)
	}
}

// Format writes no link, whatever the verb.
func (a *Authorization) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "redirect.Authorization{%s, %s link, expires %s}", a.flow.endpoints.Authorization, a.kind, a.expires.Format(time.RFC3339))
}

// Finish says how the sign-in ended, keeps the last page for some seconds if a browser has been
// here, closes the listener and waits until all of it has ended. It blocks for at most six
// seconds, or three once ctx has ended, which are for a browser that was sent to the last page and
// has not loaded it yet. Of several calls the first one's outcome is shown.
func (a *Authorization) Finish(ctx context.Context, outcome Outcome) {
	a.end()
	a.mu.Lock()
	if !a.isFinished() {
		a.outcome = outcome
		close(a.finished)
	}
	a.mu.Unlock()
	if a.Reached() {
		timer := time.NewTimer(linger)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
			a.awaitLast()
		case <-a.closed: // the next one needs the port
		}
	}
	a.shut()
}

func (a *Authorization) isOver() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.over
}

func (a *Authorization) isFinished() bool { return isClosed(a.finished) }

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// shut closes the listener and waits for everything that runs. The first to call it does; others
// wait for that.
func (a *Authorization) shut() {
	a.mu.Lock()
	first := !a.closing
	a.closing = true
	a.mu.Unlock()
	if !first {
		<-a.closed
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), parting)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		a.server.Close()
	}
	a.cancel()
	a.served.Wait()
	a.flow.ports.leave(a.port, a)
	close(a.closed)
}

// serve answers on these listeners until shut.
func (a *Authorization) serve(listeners []net.Listener) {
	a.server = newServer(a.ctx, a)
	for _, l := range listeners {
		a.served.Go(func() {
			if err := a.server.Serve(bound(l)); !errors.Is(err, http.ErrServerClosed) {
				a.fail.Do(func() { close(a.gone) })
			}
		})
	}
}
