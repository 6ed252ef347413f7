package redirect

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

const (
	// mostRefused is how many codes that were not accepted end a sign-in. One does not: whoever
	// has seen a link could end it.
	mostRefused = 5

	// signing is how long a sign-in may take whose link has ended, if the link is a pushed request
	// that ends soon: it was to be opened by then.
	signing = 2 * time.Minute
)

// errListener is an oauth.ErrUnavailable.
var errListener = fmt.Errorf("%w: the listener for the browser is gone", oauth.ErrUnavailable)

// A submission is what a browser brought, on its way to Wait, and what came of it.
type submission struct {
	attempt *attempt
	code    string
	failure *oauth.Error // the server's error in place of a code
	ticket  string

	settled chan struct{}
	verdict verdict // once settled

	seen   chan struct{} // closed once the last page has said so
	looked sync.Once
}

// A verdict is what came of a submission, for its page.
type verdict int

const (
	accepted verdict = iota // the token is here
	refused                 // the code was not accepted
	lost                    // the answer did not come
	denied                  // the person said no
	failed                  // the sign-in ended with an error
	late                    // it had ended before, or was ended meanwhile: by another flow, it may be
)

// Wait returns the token once a browser has come back with a code that the server accepts. It
// ends with ctx, with Finish, and by itself once the link has expired. It is to be called once.
//
// A code that the server refuses (oauth.ErrCode), or whose answer is lost, does not end it:
// anybody who has seen a link can bring one. The page offers to start again; the fifth ends it.
// No code is sent twice (RFC 6749 §4.1.2: the server would revoke what it gave for it).
//
// What happens is told to observe, on this goroutine, unless it is nil.
//
// Errors: oauth.ErrDenied if the person said no; oauth.ErrUnavailable or ErrRefused if the
// server did; authcode.ErrExpired; that of the exchange; that of ctx. A token that was received is
// returned even if ctx has ended meanwhile.
func (a *Authorization) Wait(ctx context.Context, observe func(authcode.Event)) (*oauth.Token, error) {
	if observe == nil {
		observe = func(authcode.Event) {}
	}
	defer a.told(observe)
	defer a.end()
	expired := time.NewTimer(time.Until(a.until))
	defer expired.Stop()
	var last error
	for exchanges := 1; ; exchanges++ {
		s, err := a.next(ctx, expired.C, observe)
		if errors.Is(err, authcode.ErrExpired) {
			return nil, authcode.Lapsed(last)
		} else if err != nil {
			return nil, err
		}
		a.told(observe) // what came before
		token, ends, err := a.settle(ctx, s, exchanges, observe)
		if ends {
			return token, err
		}
		last = err
	}
}

// next returns what a browser has brought, or why nothing comes any more. What came in time is
// looked at, however late it has become meanwhile.
func (a *Authorization) next(ctx context.Context, expired <-chan time.Time, observe func(authcode.Event)) (*submission, error) {
	for {
		select {
		case s := <-a.arrived:
			return s, nil
		default:
		}
		if a.isOver() {
			return nil, authcode.ErrExpired
		}
		select {
		case e := <-a.events:
			observe(e)
		case s := <-a.arrived:
			return s, nil
		case <-a.gone:
			return nil, errListener
		case <-expired:
			a.refuseMore() // and once more around, for what came before
		case <-a.finished: // and so over
		case <-ctx.Done():
			return nil, oauth.Ended(ctx, authcode.Op)
		}
	}
}

// told tells observe what there is to tell.
func (a *Authorization) told(observe func(authcode.Event)) {
	for {
		select {
		case e := <-a.events:
			observe(e)
		default:
			return
		}
	}
}

// settle exchanges what a browser brought, unless it brought an error, and says what came of it.
// ends is false if the person may start again.
func (a *Authorization) settle(ctx context.Context, s *submission, n int, observe func(authcode.Event)) (token *oauth.Token, ends bool, err error) {
	v := failed
	defer func() { s.settle(v) }()
	if s.failure != nil {
		what := authcode.Failed
		if errors.Is(s.failure, oauth.ErrDenied) {
			v, what = denied, authcode.Denied
		}
		observe(authcode.Event{What: what, Code: s.failure.Code, Detail: s.failure.Detail})
		return nil, true, s.failure
	}
	sent := time.Now()
	token, err = a.flow.config.Client.Exchange(ctx, s.code, a.uri, s.attempt.verifier, a.asked)
	e := authcode.Exchanged(n, time.Since(sent), err)
	switch {
	case err == nil:
		v = accepted
		a.mu.Lock()
		a.granted = true
		a.mu.Unlock()
		observe(e)
		return token, true, nil
	case ctx.Err() != nil:
		v = late
		return nil, true, oauth.Ended(ctx, authcode.Op)
	case e.What == authcode.CodeRefused:
		v = refused
	case e.What == authcode.AnswerLost:
		v = lost
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

// refuseMore accepts nothing more of browsers.
func (a *Authorization) refuseMore() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.over = true
}

// end accepts nothing more, and answers those who still wait to be looked at.
func (a *Authorization) end() {
	a.refuseMore()
	for {
		select {
		case s := <-a.arrived:
			s.settle(late)
		default:
			return
		}
	}
}
