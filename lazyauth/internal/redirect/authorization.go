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

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	// mostRefused is how many codes that were not accepted end a sign-in. One does not: whoever
	// has seen a link could end it.
	mostRefused = 5

	// linger is how long the last page can be had after the end.
	linger = 5 * time.Second

	// signing is how long a sign-in may take whose link has ended, if the link is a pushed request
	// that ends soon: it was to be opened by then.
	signing = 2 * time.Minute

	// parting is how long what is being sent when the listener closes may take.
	parting = time.Second
)

// errListener is an oauth.ErrUnavailable.
var errListener = fmt.Errorf("%w: the listener for the browser is gone", oauth.ErrUnavailable)

// An Authorization is one sign-in under way, with its listener. However it is formatted, its link does not
// appear, which may have the state in it. Finish must be called, whatever comes of it.
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

	events   chan Event
	arrived  chan *submission
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
	reached  bool
	over     bool // nothing is accepted any more
	granted  bool
	closing  bool
	outcome  Outcome // once finished
}

// A submission is what a browser brought, on its way to Wait, and what came of it.
type submission struct {
	attempt *attempt
	code    string
	failure *oauth.Error // the server's error in place of a code
	ticket  string

	settled chan struct{}
	verdict verdict // once settled
}

// A verdict is what came of a submission, for its page.
type verdict int

const (
	accepted verdict = iota // the token is here
	refused                 // the code was not accepted
	lost                    // the answer did not come
	denied                  // the person said no
	failed                  // the sign-in ended with an error
	late                    // it had ended before
)

// An Outcome is how a sign-in ended, for the last page.
type Outcome struct {
	// Account names who signed in, if that is known: printable text of at most 256 bytes, or it is not
	// shown.
	Account string
	// Failed says that there is no grant in the end: it was given up, say, or the account is not the
	// one that it has to be. False means that the person is signed in, by this flow or
	// another one.
	Failed bool
}

// Begin listens, calls want for what is asked for, and makes the link. It blocks for as
// long as want does, and a pushed request takes where there is one.
//
// Errors: a [PortError]; that of Client.Push where requests must be pushed; that of ctx.
func (f *Flow) Begin(ctx context.Context, request Request, want func(context.Context) scopes.Set) (*Authorization, error) {
	if err := request.check(); err != nil {
		return nil, err
	}
	if ctx.Err() != nil {
		return nil, oauth.Ended(ctx, op)
	}
	listeners, port, err := f.listen(ctx)
	if err != nil {
		return nil, err
	}
	a := &Authorization{
		flow: f, request: request, port: port, uri: f.target.at(port, f.config.RedirectURI),
		nonce: newSecret(), cookie: "lazyauth-" + newSecret()[:11], ticket: "lazyauth-done-" + newSecret()[:11],
		events: make(chan Event, mostEvents), arrived: make(chan *submission, mostRefused+1),
		gone: make(chan struct{}), finished: make(chan struct{}), closed: make(chan struct{}),
		codes: make(map[[sha256.Size]byte]*submission), tickets: make(map[string]*submission),
	}
	a.ctx, a.cancel = context.WithCancel(context.WithoutCancel(ctx))
	begun := false
	defer func() {
		if !begun { // want may have panicked
			a.cancel()
			closeAll(listeners)
		}
	}()
	a.asked = want(ctx)
	if err := a.setLink(ctx); err != nil {
		return nil, err
	}
	begun = true
	if f.target.port != 0 {
		f.mu.Lock()
		f.open[port] = a
		f.mu.Unlock()
	}
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
func (a *Authorization) Reached() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.reached
}

// Format writes no link, whatever the verb.
func (a *Authorization) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "redirect.Authorization{%s, %s link, expires %s}", a.flow.endpoints.Authorization, a.kind, a.expires.Format(time.RFC3339))
}

// Wait returns the token once a browser has come back with a code that the server accepts. It
// ends with ctx, and by itself once the link has expired. It is to be called once.
//
// A code that the server refuses (oauth.ErrCode), or whose answer is lost, does not end it: anybody who has
// seen a link can bring one. The page offers to start again; the fifth ends it. No
// code is sent twice (RFC 6749 §4.1.2: the server would revoke what it gave for it).
//
// What happens is told to observe, on this goroutine, unless it is nil.
//
// Errors: oauth.ErrDenied if the person said no; oauth.ErrUnavailable or ErrRefused if the server did; [ErrExpired];
// that of the exchange; that of ctx. A token that was received is returned even if ctx has ended
// meanwhile.
func (a *Authorization) Wait(ctx context.Context, observe func(Event)) (*oauth.Token, error) {
	if observe == nil {
		observe = func(Event) {}
	}
	defer a.told(observe)
	defer a.end()
	expired := time.NewTimer(time.Until(a.until))
	defer expired.Stop()
	var last error
	for exchanges := 0; ; {
		select {
		case e := <-a.events:
			observe(e)
		case s := <-a.arrived:
			exchanges++
			a.told(observe) // what came before
			token, ends, err := a.settle(ctx, s, exchanges, observe)
			if ends || exchanges >= mostRefused && err != nil {
				return token, err
			}
			last = err
		case <-a.gone:
			return nil, errListener
		case <-expired.C:
			return nil, a.lapsed(last)
		case <-ctx.Done():
			return nil, oauth.Ended(ctx, op)
		}
	}
}

// told tells observe what there is to tell.
func (a *Authorization) told(observe func(Event)) {
	for {
		select {
		case e := <-a.events:
			observe(e)
		default:
			return
		}
	}
}

// ErrExpired says that nobody has come back with a code that was accepted before the link expired.
var ErrExpired = errors.New("the link has expired")

// lapsed returns ErrExpired, with what was wrong with the last code, if there was one.
func (a *Authorization) lapsed(last error) error {
	e := &oauth.Error{Op: op, Kind: ErrExpired}
	if l, ok := errors.AsType[*oauth.Error](last); ok {
		e.Reason, e.Code, e.Status, e.Detail = "the last code was not accepted", l.Code, l.Status, l.Detail
	}
	return e
}

// settle exchanges what a browser brought, unless it brought an error, and says what came of it.
// ends is false if the person may start again.
func (a *Authorization) settle(ctx context.Context, s *submission, n int, observe func(Event)) (token *oauth.Token, ends bool, err error) {
	v := failed
	defer func() { s.settle(v) }()
	if s.failure != nil {
		if errors.Is(s.failure, oauth.ErrDenied) {
			v = denied
		}
		observe(Event{What: Failed, Code: s.failure.Code, Detail: s.failure.Detail})
		return nil, true, s.failure
	}
	sent := time.Now()
	token, err = a.flow.config.Client.Exchange(ctx, s.code, a.uri, s.attempt.verifier, a.asked)
	e := Event{What: Granted, Attempt: n, Took: time.Since(sent)}
	if err == nil {
		v = accepted
		a.mu.Lock()
		a.granted = true
		a.mu.Unlock()
		observe(e)
		return token, true, nil
	}
	e.What, e.Detail = Failed, detail(err)
	if o, ok := errors.AsType[*oauth.Error](err); ok {
		e.Code, e.Status = o.Code, o.Status
	}
	switch {
	case ctx.Err() != nil:
		return nil, true, oauth.Ended(ctx, op)
	case errors.Is(err, oauth.ErrCode):
		v, e.What = refused, CodeRefused
	case errors.Is(err, oauth.ErrUnavailable), errors.Is(err, oauth.ErrUnreadable):
		v, e.What = lost, AnswerLost
	}
	if n >= mostRefused {
		v = failed
	}
	observe(e)
	return nil, v == failed, err
}

// settle tells the page what came of s.
func (s *submission) settle(v verdict) {
	s.verdict = v
	close(s.settled)
}

// end accepts nothing more, and answers those who still wait to be looked at.
func (a *Authorization) end() {
	a.mu.Lock()
	a.over = true
	a.mu.Unlock()
	for {
		select {
		case s := <-a.arrived:
			s.settle(late)
		default:
			return
		}
	}
}

// Finish says how the sign-in ended, keeps the last page for some seconds if a browser has
// been here, closes the listener and waits until all of it has ended. It blocks for at most six seconds,
// or one once ctx has ended. Of several calls the first one's outcome is shown.
func (a *Authorization) Finish(ctx context.Context, outcome Outcome) {
	a.end()
	a.mu.Lock()
	if !a.isFinished() {
		a.outcome = outcome
		close(a.finished)
	}
	reached := a.reached
	a.mu.Unlock()
	if reached {
		timer := time.NewTimer(linger)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-ctx.Done():
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

func (a *Authorization) isFinished() bool {
	select {
	case <-a.finished:
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
	a.server.SetKeepAlivesEnabled(false)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(a.ctx), parting)
	defer cancel()
	if a.server.Shutdown(ctx) != nil {
		a.server.Close()
	}
	a.cancel()
	a.served.Wait()
	a.flow.mu.Lock()
	if a.flow.open[a.port] == a {
		delete(a.flow.open, a.port)
	}
	a.flow.mu.Unlock()
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
