package device

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// grantType is that of RFC 8628 §3.4.
const grantType = "urn:ietf:params:oauth:grant-type:device_code"

// mostUnread is how many successes that cannot be read end a login. They will not
// become readable, and the token may be in the next one.
const mostUnread = 3

// An Outcome is what one poll came to.
type Outcome string

// The outcomes of a poll. After the first three polling goes on.
const (
	Pending     Outcome = "pending"      // the person has not decided yet
	SlowDown    Outcome = "slow_down"    // the same, and the interval grows
	Fault       Outcome = "fault"        // no answer, or one that says nothing
	Granted     Outcome = "granted"      // the token is here
	Denied      Outcome = "denied"       // ErrDenied
	Expired     Outcome = "expired"      // ErrExpired, by the server's word
	UnknownCode Outcome = "unknown_code" // ErrUnknownCode
	Interrupted Outcome = "interrupted"  // ErrInterrupted
	Refused     Outcome = "refused"      // ErrRefused
	Unavailable Outcome = "unavailable"  // ErrUnavailable, by the server's word
	Invalid     Outcome = "invalid"      // ErrInvalid: a token that cannot be used
)

// A PollEvent tells an observer about one poll. It holds no secret, and nothing that
// the server wrote but in Detail.
type PollEvent struct {
	Attempt int           // counts the polls, from 1
	Outcome Outcome       // one of the constants
	Code    string        // the OAuth error code as in Error.Code, if there was one
	Status  int           // the HTTP status, 0 if there was no answer
	Fault   string        // of a fault, what went wrong, in words of this package
	Took    time.Duration // from sending the request until its answer was read
	Wait    time.Duration // until the next poll may be sent, 0 if there will be none

	// Detail is for the operator's log, as Error.Detail is: of a fault, what came; of a
	// token, what was left out of its scopes. The Detail of what ends the login is in
	// its Error.
	Detail string
}

// Poll asks once what the person has decided (RFC 8628 §3.4, §3.5). It returns the token; or an error if the login
// has ended; or neither, and it is to be called again at [Authorization.Next]. It is called by one goroutine at a time,
// and not before Next. attempt counts the calls, from 1, for the event. At the code's end it sends nothing, and the event has no
// outcome.
//
// The first poll is sent one interval after the code was issued, each further one
// an interval after the answer to the one before, and later if a Retry-After says
// so (at most 5 minutes). The interval grows by 5 s at slow_down, or to the one the
// server returns with it if that is longer. The last poll is put off until just before
// the code's end, so that an approval in the last moment is noticed. If the interval is
// not shorter than the code's life, that is the only one.
//
// A fault doubles the wait before the retry, to at most 30 s, until there is an answer.
// Faults are: a failed connection, no answer within 30 s, and any answer without a
// token or a verdict. They do not end the login, except the third success that cannot
// be read: it says what is wrong at once, and not at the end that the code has expired.
//
// Every OAuth error other than authorization_pending and slow_down ends it, under
// whatever HTTP status (RFC 8628 §3.5). That holds for server_error and
// temporarily_unavailable as well: servers send them to clients they do not know,
// and a server that is merely busy is not reached or answers without an OAuth
// error. An error that this package does not know ends it if it comes as JSON under a
// 4xx. Under 429, 408 and 425 any other word than these two is taken for slow_down.
//
// Errors: ErrDenied, ErrExpired, ErrUnknownCode (with ErrAnswerLost), ErrInterrupted, ErrRefused,
// ErrUnavailable, ErrInvalid (with ErrTokenType). If ctx ends meanwhile that is a fault. A token that was
// received is returned even if ctx has ended.
func (c *Client) Poll(ctx context.Context, auth *Authorization, attempt int) (*oauth.Token, PollEvent, error) {
	event := PollEvent{Attempt: attempt}
	if auth == nil || auth.code == nil {
		return nil, event, errors.New("device: poll: not an Authorization that Authorize returned")
	}
	code := auth.code
	if !time.Now().Before(code.expires) {
		return nil, event, code.expired()
	}
	token, err := c.poll(ctx, code, auth.UserCode, &event)
	code.fault = nil
	switch event.Outcome {
	case Pending, SlowDown:
		return nil, event, nil
	case Fault:
		code.fault = err
		return nil, event, nil
	case Granted:
		return token, event, nil
	}
	return nil, event, err
}

// poll sends one poll, says in event what came of it, and sets the time of the
// next. The error is nil after Granted, Pending and SlowDown.
func (c *Client) poll(ctx context.Context, code *deviceCode, userCode string, event *PollEvent) (*oauth.Token, *oauth.Error) {
	// Nothing is waited for beyond the expiry.
	limited, cancel := context.WithDeadline(ctx, code.expires)
	defer cancel()
	form := c.oauth.TokenForm(grantType)
	form.Set("device_code", code.text)
	code.proof.add(form, c.oauth)
	sent := time.Now()
	a := c.oauth.PostPoll(limited, c.oauth.Endpoints().Token, form)
	heed(a)
	received := time.Now()
	event.Status, event.Took, event.Code = a.Status, received.Sub(sent), a.Verdict.Code
	var hidden []string // from what is told; nothing is while the person has not decided
	if a.Verdict.Means != oauth.MeansPending {
		hidden = []string{code.text, code.proof.verifier, userCode, strings.NewReplacer("-", "", " ", "").Replace(userCode)}
	}

	var token *oauth.Token
	var err *oauth.Error
	switch end := ends[a.Verdict.Means]; {
	case a.Verdict.Means == oauth.MeansPending:
		event.Outcome = Pending
	case end != nil:
		switch {
		case code.lost && code.isVerdictOn(a, received):
			end = ErrAnswerLost
		case code.doubt && (a.Verdict.Means == oauth.MeansGone || a.Verdict.Means == oauth.MeansUnknown):
			end = ErrInterrupted
		}
		err = c.oauth.Fail("poll", end, a, hidden...)
		event.Outcome = outcomeOf(end)
	case a.Verdict.Means != oauth.MeansNothing:
		event.Outcome = SlowDown
		if a.Verdict.Means == oauth.MeansLater {
			event.Detail = c.oauth.Detail(a, hidden...)
		}
	case a.Fault == "" && a.Text("access_token") != "":
		event.Outcome = Granted
		if token, err = c.oauth.ReadToken("poll", a, sent, code.asked, hidden...); err != nil {
			event.Outcome = Invalid
		} else if token.Dropped != "" {
			event.Detail = "scopes: " + token.Dropped
		}
	default:
		event.Outcome = Fault
		if a.Fault == "" {
			a.Fault = "the answer has neither a token nor an error"
		}
		err = c.oauth.Fail("poll", oauth.ErrUnavailable, a, hidden...)
		event.Fault, event.Detail = a.Fault, err.Detail
		if code.unread >= mostUnread-1 && isUnread(a) {
			event.Outcome = Invalid
			err.Kind, err.Reason = oauth.ErrInvalid, "three successes could not be read: "+a.Fault
		}
	}
	event.Wait = code.schedule(event.Outcome, a, received, event.Took)
	return token, err
}

// isVerdictOn reports whether a verdict is one that servers have for a code that was used:
// they delete it, and say of it what they say of any that they do not know.
func (code *deviceCode) isVerdictOn(a *oauth.Answer, now time.Time) bool {
	switch a.Verdict.Means {
	case oauth.MeansDenied, oauth.MeansGone, oauth.MeansUnknown:
		return true
	case oauth.MeansExpired: // not by our clock
		return now.Add(code.interval + margin).Before(code.expires)
	}
	return false
}

// isUnread reports whether an answer that came says that all went well, and no more.
func isUnread(a *oauth.Answer) bool { return a.Success() && !a.Broken() }

// isLost reports whether a fault may be all that is left of a token: the request
// arrived, and its answer did not, or not in a form to be read.
func isLost(a *oauth.Answer) bool {
	switch a.Status {
	case 0:
		return !a.Unsent
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return true // lost behind a gateway
	}
	return a.Broken() || isUnread(a)
}

// outcomeOf returns what a poll came to that ended the login.
func outcomeOf(end error) Outcome {
	switch {
	case errors.Is(end, oauth.ErrDenied):
		return Denied
	case errors.Is(end, ErrExpired):
		return Expired
	case errors.Is(end, ErrInterrupted):
		return Interrupted
	case errors.Is(end, ErrUnknownCode): // ErrAnswerLost, too
		return UnknownCode
	case errors.Is(end, oauth.ErrUnavailable):
		return Unavailable
	}
	return Refused
}
