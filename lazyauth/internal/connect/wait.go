package connect

import (
	"context"
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// A submission is what a browser brought for an attempt that it claimed, and what came of it.
type submission struct {
	attempt Attempt
	code    string
	failure *oauth.Error // the server's error in place of a code
	settled chan struct{}
	what    view // once settled: the last page, or empty if that depends on how the sign-in ended
}

// submit hands what a browser brought to Wait. It reports false if nothing is accepted any more.
func (a *Authorization) submit(s *submission) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.over || len(a.brought) > mostRefused {
		return false
	}
	a.brought[s.attempt.ID] = s
	a.unsettled++
	if s.failure == nil {
		a.tell(authcode.Event{What: authcode.Came})
	}
	a.arrived <- s // there is room for all of them
	return true
}

// HasCode reports whether a browser has brought something of which it is not known yet what comes of it.
func (a *Authorization) HasCode() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.unsettled > 0 && !a.over
}

// mostRefused is how many codes that were not accepted end a sign-in.
const mostRefused = 5

// Wait returns the token once the person has come back with a code that the server accepts. It ends with ctx, with
// Finish, and by itself once the link has expired. It is to be called once. Whoever brought the code is who was
// asked, by [Config].Who.
//
// A code that the server refuses, or whose answer is lost, ends its attempt and not the sign-in: the page offers to
// try again; the fifth ends it. No code is sent twice (RFC 6749 §4.1.2). What happens is told to observe, on this
// goroutine, unless it is nil.
//
// Errors: oauth.ErrDenied if the person said no; oauth.ErrUnavailable or ErrRefused if the server did;
// authcode.ErrExpired; that of the exchange; that of ctx.
func (a *Authorization) Wait(ctx context.Context, observe func(authcode.Event)) (*oauth.Token, error) {
	if observe == nil {
		observe = func(authcode.Event) {}
	}
	defer a.end()
	expired := time.NewTimer(time.Until(a.expires))
	defer expired.Stop()
	var last error
	for {
		select {
		case e := <-a.events:
			observe(e)
		case s := <-a.arrived:
			token, ends, err := a.settle(ctx, s, observe)
			if ends {
				return token, err
			}
			last = err
		case <-expired.C:
			return nil, authcode.Lapsed(last)
		case <-a.finished:
			return nil, authcode.Lapsed(last)
		case <-ctx.Done():
			return nil, oauth.Ended(ctx, authcode.Op)
		}
	}
}

// settle exchanges what a browser brought, unless it brought an error, and says what came of it. ends is false if
// the person may try again.
func (a *Authorization) settle(ctx context.Context, s *submission, observe func(authcode.Event)) (token *oauth.Token, ends bool, err error) {
	what := unfinished
	defer func() {
		a.mu.Lock()
		a.unsettled--
		a.mu.Unlock()
		s.settle(what)
	}()
	for len(a.events) > 0 { // what came before
		observe(<-a.events)
	}
	if s.failure != nil {
		e := authcode.Event{What: authcode.Failed, Code: s.failure.Code, Detail: s.failure.Detail}
		if errors.Is(s.failure, oauth.ErrDenied) {
			what, e.What = denied, authcode.Denied
		}
		observe(e)
		return nil, true, s.failure
	}
	a.exchanges++
	sent := time.Now()
	token, err = a.request.Client.Exchange(ctx, s.code, a.RedirectURI(), s.attempt.Verifier, a.asked)
	if err != nil && ctx.Err() != nil {
		what = "" // by the outcome
		return nil, true, oauth.Ended(ctx, authcode.Op)
	}
	e := authcode.Exchanged(a.exchanges, time.Since(sent), err)
	observe(e)
	switch {
	case err == nil:
		what = ""
		a.mu.Lock()
		a.granted = true
		a.mu.Unlock()
		return token, true, nil
	case e.What == authcode.Failed || a.exchanges >= mostRefused:
		return nil, true, err
	}
	what = again
	return nil, false, err
}

func (s *submission) settle(what view) {
	s.what = what
	close(s.settled)
}

// end accepts nothing more, closes the link, and answers those who still wait to be looked at. The link is closed once: by
// the next time another sign-in may have it.
func (a *Authorization) end() {
	a.mu.Lock()
	wasOver := a.over
	a.over = true
	a.mu.Unlock()
	if !wasOver {
		ctx, cancel := context.WithTimeout(context.Background(), tableWait)
		defer cancel()
		_ = a.page.table.Close(ctx, a.id) // a table that does not answer lets the link end by its time
	}
	for {
		select {
		case s := <-a.arrived:
			s.settle("")
		default:
			return
		}
	}
}
