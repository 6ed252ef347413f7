package device

import (
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

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
)

// deviceCode is the part of an Authorization that is nobody's business, and the
// account that Poll keeps of it.
type deviceCode struct {
	text    string
	asked   scopes.Set
	expires time.Time
	life    time.Duration // until then, from when it was asked for
	proof   proof

	// The account, of whoever polls.
	interval time.Duration // only ever grows
	rare     bool          // the server asked for an interval that is not shorter than the life
	backOff  time.Duration // after a fault, for the retry; 0 once there is an answer
	next     time.Time     // when the next poll may be sent
	fault    *oauth.Error  // what came of the last poll, if that was a fault
	unread   int           // successes that could not be read since the last answer
	lost     bool          // since the last answer a poll was sent whose answer never came
	doubt    bool          // since the last answer another process may have sent one; see Saved.Doubt
}

// Next returns when [Client.Poll] is to be called: when the next poll may be sent, or at the code's end if that
// is earlier: until then the person's prompt is still true.
func (a *Authorization) Next() time.Time { return earlier(a.code.next, a.code.expires) }

// Expired returns the error of a code that has expired.
func (a *Authorization) Expired() error { return a.code.expired() }

func (code *deviceCode) expired() *oauth.Error {
	e := &oauth.Error{Op: "poll", Kind: ErrExpired}
	if code.fault != nil {
		// Perhaps the person did approve and we could not hear of it.
		e.Reason = "the last poll got no usable answer"
		e.Status, e.Detail = code.fault.Status, code.fault.Detail
	}
	return e
}

// schedule takes account of what came of a poll and sets the time of the next. It
// returns how long that is from now, 0 if there will be none.
func (code *deviceCode) schedule(outcome Outcome, a *oauth.Answer, now time.Time, took time.Duration) time.Duration {
	if outcome == Fault {
		code.backOff = min(2*max(code.interval, code.backOff), mostBackOff)
		code.lost = code.lost || isLost(a)
		if isUnread(a) {
			code.unread++
		}
	} else {
		code.backOff = 0
	}
	if outcome == SlowDown {
		code.interval += slowDownStep
		if stated, ok := interval(a, code.life); ok && stated >= code.life {
			code.rare = true
		} else if ok {
			code.interval = max(code.interval, stated)
		}
	}
	if a.Verdict.Means == oauth.MeansPending || a.Verdict.Means == oauth.MeansSlowDown {
		code.unread, code.lost, code.doubt = 0, false, false
	}
	// Set after the last poll as well: somebody may call Poll again.
	code.next = code.plan(now, took, a.RetryAfter)
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
