package device

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// grantType is that of RFC 8628 §3.4.
const grantType = "urn:ietf:params:oauth:grant-type:device_code"

const (
	// slowDownStep is added to the interval at each slow_down (RFC 8628 §3.5).
	slowDownStep = 5 * time.Second

	// mostBackOff is where the doubling of the interval after faults ends, unless
	// the server wants a longer one.
	mostBackOff = 30 * time.Second

	// lead is how long before the code's end the last poll is sent. Servers that count
	// whole seconds end a code up to one early.
	lead = 2 * time.Second

	// mostLead is the longest, for a server that is slow to answer.
	mostLead = 10 * time.Second

	// mostUnread is how many successes that cannot be read end a login. They will not
	// become readable, and the token may be in the next one.
	mostUnread = 3
)

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
	Refused     Outcome = "refused"      // ErrRefused
	Unavailable Outcome = "unavailable"  // ErrUnavailable, by the server's word
	Invalid     Outcome = "invalid"      // ErrInvalid: a token that cannot be used
)

// A PollEvent tells an observer about one poll. It holds no secret, and nothing that
// the server wrote but in Detail.
type PollEvent struct {
	Attempt int           // counts the polls of this call of Poll, from 1
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

// deviceCode is the part of an Authorization that is nobody's business, and the
// account that Poll keeps of it.
type deviceCode struct {
	text    string
	asked   scopes.Set
	expires time.Time
	life    time.Duration // until then, from when it was asked for

	// turn holds a token while somebody polls, so that two calls of Poll do not
	// come closer together than one. It guards the fields below.
	turn     chan struct{}
	interval time.Duration // only ever grows
	rare     bool          // the server asked for an interval that is not shorter than the life
	backOff  time.Duration // after a fault, for the retry; 0 once there is an answer
	next     time.Time     // when the next poll may be sent
	unread   int           // successes that could not be read since the last answer
	lost     bool          // since the last answer a poll was sent whose answer never came
}

// Poll waits for the person's decision (RFC 8628 §3.4, §3.5) and returns the
// token. It blocks until the server has decided, the code expires or ctx ends, and
// leaves nothing behind. It may be called again for the same authorization, also
// at the same time: it then goes on where the other call is or was.
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
// After each poll observe is called on the same goroutine, unless it is nil; it
// should return soon.
//
// Errors: ErrDenied, ErrExpired, ErrUnknownCode (with ErrAnswerLost), ErrRefused,
// ErrUnavailable, ErrInvalid (with ErrTokenType), or that of ctx. A token that was
// received is returned even if ctx has ended meanwhile.
func (c *Client) Poll(ctx context.Context, auth *Authorization, observe func(PollEvent)) (*Token, error) {
	if auth == nil || auth.code == nil {
		return nil, errors.New("device: poll: not an Authorization that Authorize returned")
	}
	code := auth.code
	select {
	case code.turn <- struct{}{}:
		defer func() { <-code.turn }()
	case <-ctx.Done():
		return nil, ended(ctx, "poll")
	}
	var lastFault *Error
	for attempt := 1; ; attempt++ {
		if err := code.wait(ctx, lastFault); err != nil {
			return nil, err
		}
		event := PollEvent{Attempt: attempt}
		token, err := c.pollOnce(ctx, code, auth.UserCode, &event)
		if err != nil && event.Outcome == Fault && ctx.Err() != nil {
			return nil, ended(ctx, "poll")
		}
		if observe != nil {
			observe(event)
		}
		switch event.Outcome {
		case Pending, SlowDown:
			lastFault = nil
		case Fault:
			lastFault = err
		case Granted:
			return token, nil
		default:
			return nil, err
		}
	}
}

// wait returns nil when the next poll may be sent. If there is none before the code
// expires, it waits for that: until then the person's prompt is still true.
func (code *deviceCode) wait(ctx context.Context, lastFault *Error) error {
	until := code.next
	if until.After(code.expires) {
		until = code.expires
	}
	if !sleep(ctx, time.Until(until)) {
		return ended(ctx, "poll")
	}
	if time.Now().Before(code.expires) {
		return nil
	}
	e := &Error{Op: "poll", Kind: ErrExpired}
	if lastFault != nil {
		// Perhaps the person did approve and we could not hear of it.
		e.reason = "the last poll got no usable answer"
		e.Status, e.Detail = lastFault.Status, lastFault.Detail
	}
	return e
}

// pollOnce sends one poll, says in event what came of it, and sets the time of the
// next. The error is nil after Granted, Pending and SlowDown.
func (c *Client) pollOnce(ctx context.Context, code *deviceCode, userCode string, event *PollEvent) (*Token, *Error) {
	// Nothing is waited for beyond the expiry.
	limited, cancel := context.WithDeadline(ctx, code.expires)
	defer cancel()
	sent := time.Now()
	a := c.post(limited, c.config.Endpoints.Token, url.Values{
		"grant_type":  {grantType},
		"device_code": {code.text},
	})
	a.heed()
	received := time.Now()
	event.Status, event.Took, event.Code = a.status, received.Sub(sent), a.verdict.code
	hidden := []string{code.text, userCode, strings.NewReplacer("-", "", " ", "").Replace(userCode)}

	var token *Token
	var err *Error
	switch end := comesTo[a.verdict.means].poll; {
	case a.verdict.means == meansPending:
		event.Outcome = Pending
	case end != nil:
		if code.lost && a.isOfCode(code, received) {
			end = ErrAnswerLost
		}
		err = c.fail("poll", end, a, hidden...)
		event.Outcome = outcomeOf(end)
	case a.verdict.means != meansNothing:
		event.Outcome = SlowDown
		if a.verdict.means == meansLater {
			event.Detail = c.detail(a, hidden...)
		}
	case a.fault == "" && a.fields.text("access_token") != "":
		event.Outcome = Granted
		if token, err = c.readToken("poll", a, sent, code.asked, hidden...); err != nil {
			event.Outcome = Invalid
		} else if token.Dropped != "" {
			event.Detail = "scopes: " + token.Dropped
		}
	default:
		event.Outcome = Fault
		if a.fault == "" {
			a.fault = "the answer has neither a token nor an error"
		}
		err = c.fail("poll", ErrUnavailable, a, hidden...)
		event.Fault, event.Detail = a.fault, err.Detail
		if code.unread >= mostUnread-1 && a.isUnread() {
			event.Outcome = Invalid
			err.Kind, err.reason = ErrInvalid, "three successes could not be read: "+a.fault
		}
	}
	event.Wait = code.schedule(event.Outcome, a, received, event.Took)
	return token, err
}

// isOfCode reports whether a verdict is one that servers have for a code that was used:
// they delete it, and say of it what they say of any that they do not know.
func (a *answer) isOfCode(code *deviceCode, now time.Time) bool {
	switch a.verdict.means {
	case meansDenied, meansGone, meansUnknown:
		return true
	case meansExpired: // not by our clock
		return now.Add(code.interval + margin).Before(code.expires)
	}
	return false
}

// isUnread reports whether an answer that came says that all went well, and no more.
func (a *answer) isUnread() bool { return a.success() && a.trace == "" }

// isLost reports whether a fault may be all that is left of a token: the request
// arrived, and its answer did not, or not in a form to be read.
func (a *answer) isLost() bool {
	switch a.status {
	case 0:
		return !a.unsent
	case http.StatusBadGateway, http.StatusGatewayTimeout:
		return true // lost behind a gateway
	}
	return a.trace != "" || a.isUnread()
}

// schedule takes account of what came of a poll and sets the time of the next. It
// returns how long that is from now, 0 if there will be none.
func (code *deviceCode) schedule(outcome Outcome, a *answer, now time.Time, took time.Duration) time.Duration {
	if outcome == Fault {
		code.backOff = min(2*max(code.interval, code.backOff), mostBackOff)
		code.lost = code.lost || a.isLost()
		if a.isUnread() {
			code.unread++
		}
	} else {
		code.backOff = 0
	}
	if outcome == SlowDown {
		code.interval += slowDownStep
		if stated, ok := a.fields.interval(code.life); ok && stated >= code.life {
			code.rare = true
		} else if ok {
			code.interval = max(code.interval, stated)
		}
	}
	if a.verdict.means == meansPending || a.verdict.means == meansSlowDown {
		code.unread, code.lost = 0, false
	}
	// Set after the last poll as well: somebody may call Poll again.
	code.next = code.plan(now, took, a.retryAfter)
	switch outcome {
	case Pending, SlowDown, Fault:
		if code.next.Before(code.expires) {
			return code.next.Sub(now)
		}
	}
	return 0
}

// last returns when the last poll is sent, if it takes as long as the one before.
func (code *deviceCode) last(took time.Duration) time.Time {
	return code.expires.Add(-max(min(lead, code.life/10), min(2*took, mostLead)))
}

// plan returns when the next poll is sent, counted from the answer to the one before:
// after the interval, or later. If it would be the last one, it is put off until just
// before the end.
func (code *deviceCode) plan(now time.Time, took, retryAfter time.Duration) time.Time {
	least := now.Add(max(code.interval, retryAfter))
	last := code.last(took)
	switch next := now.Add(max(code.interval+margin, code.backOff+margin, retryAfter)); {
	case code.rare && least.After(last):
		return code.expires // there is none
	case code.rare:
		return last
	case next.Add(took + code.interval + margin).After(last):
		if last.After(least) {
			return last
		}
		return least
	default:
		return next
	}
}

// outcomeOf returns what a poll came to that ended the login.
func outcomeOf(end error) Outcome {
	switch {
	case errors.Is(end, ErrDenied):
		return Denied
	case errors.Is(end, ErrExpired):
		return Expired
	case errors.Is(end, ErrUnknownCode): // ErrAnswerLost, too
		return UnknownCode
	case errors.Is(end, ErrUnavailable):
		return Unavailable
	}
	return Refused
}
