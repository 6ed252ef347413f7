package authcode

import (
	"errors"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// What is told of a sign-in.
type What string

// What there is to tell.
const (
	PushFailed  What = "push_failed"  // the link is a plain one, though the server takes pushed requests
	Started     What = "started"      // a browser opened the start page
	Refused     What = "refused"      // a browser came back with what was not accepted; Detail says why
	Came        What = "came"         // a browser brought a code that is accepted
	Granted     What = "granted"      // the token is here
	CodeRefused What = "code_refused" // the server did not accept the code: the person may start again
	AnswerLost  What = "answer_lost"  // no usable answer; the code is not sent again, and the person may start again
	Denied      What = "denied"       // the person said no, and the sign-in ends with that
	Failed      What = "failed"       // the sign-in ends with an error
)

// An Event tells an observer what happened. It holds no secret, and nothing that a peer wrote but
// in Detail.
type Event struct {
	What    What
	Attempt int           // counts the exchanges of codes, from 1; 0 of what is none
	Code    string        // the OAuth error code as in oauth.Error.Code, if there was one
	Status  int           // the HTTP status of the exchange, 0 if there was no answer
	Took    time.Duration // of an exchange
	Detail  string        // for the operator's log, as oauth.Error.Detail is
}

// Detail returns what an operator may read of an error.
func Detail(err error) string {
	e, ok := errors.AsType[*oauth.Error](err)
	if !ok || e.Detail == "" {
		return err.Error()
	}
	return e.Error() + ": " + e.Detail
}

// Exchanged returns what is told of the n-th exchange of a code, which took so long. A code that the server does not
// accept is CodeRefused, one of which there is no usable answer AnswerLost: the person may start again after either.
func Exchanged(n int, took time.Duration, err error) Event {
	e := Event{What: Granted, Attempt: n, Took: took}
	if err == nil {
		return e
	}
	e.What, e.Detail = Failed, Detail(err)
	if o, ok := errors.AsType[*oauth.Error](err); ok {
		e.Code, e.Status = o.Code, o.Status
	}
	switch {
	case errors.Is(err, oauth.ErrCode):
		e.What = CodeRefused
	case errors.Is(err, oauth.ErrUnavailable), errors.Is(err, oauth.ErrUnreadable):
		e.What = AnswerLost
	}
	return e
}

// ErrExpired says that nobody has come back with a code that was accepted before the link expired.
var ErrExpired = errors.New("the link has expired")

// Lapsed returns ErrExpired, with what was wrong with the last code, if there was one.
func Lapsed(last error) error {
	e := &oauth.Error{Op: Op, Kind: ErrExpired}
	if l, ok := errors.AsType[*oauth.Error](last); ok {
		e.Reason, e.Code, e.Status, e.Detail = "the last code was not accepted", l.Code, l.Status, l.Detail
	}
	return e
}
