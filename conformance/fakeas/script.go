package fakeas

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

// A Behaviour is what one request meets at an operation: the right answer,
// another one, or none. Behaviours are queued with [Server.Script].
type Behaviour struct {
	kind     kind
	delay    time.Duration
	times    int // 0 means once, negative for good
	status   int
	header   http.Header
	body     string
	code     string // of an OAuth error
	interval time.Duration
	edit     func(*http.Request, *Answer)
	redirect func(url.Values)
}

type kind int

const (
	pass kind = iota
	oauthError
	raw
	drop
	reset
	lose
	cut
	stall
)

// Pass answers rightly; it is for waiting out a turn of a script.
func Pass() Behaviour { return Behaviour{kind: pass} }

// Pending answers a poll authorization_pending, whatever the person decided.
func Pending() Behaviour { return Error(http.StatusBadRequest, "authorization_pending") }

// SlowDown answers a poll slow_down (RFC 8628 §3.5). A positive interval is
// sent as the new interval, as GitHub does; zero sends none. Either way the
// server expects the client to wait five seconds longer, or the new interval
// if that is longer still.
func SlowDown(interval time.Duration) Behaviour {
	b := Error(http.StatusBadRequest, "slow_down")
	b.interval = interval
	return b
}

// Error answers with an OAuth error under any HTTP status, 200 included.
func Error(status int, code string) Behaviour {
	return Behaviour{kind: oauthError, status: status, code: code}
}

// Raw answers with exactly this, whatever was asked. A nil header sends none
// but what HTTP needs.
func Raw(status int, header http.Header, body string) Behaviour {
	return Behaviour{kind: raw, status: status, header: header.Clone(), body: body}
}

// Unavailable answers with an HTML error page and no OAuth error under the
// given status, such as 503 or 429. A positive retryAfter is sent as
// Retry-After, in whole seconds.
func Unavailable(status int, retryAfter time.Duration) Behaviour {
	header := http.Header{"Content-Type": {"text/html; charset=utf-8"}}
	if retryAfter > 0 {
		header.Set("Retry-After", strconv.Itoa(wholeSeconds(retryAfter)))
	}
	text := http.StatusText(status)
	return Raw(status, header, "<!doctype html><title>"+text+"</title><h1>"+text+"</h1>\n")
}

// Redirect answers with a redirect under the given status, such as 301.
func Redirect(status int, location string) Behaviour {
	return Raw(status, http.Header{"Location": {location}}, "")
}

// Edit answers rightly, and then lets a dialect change the answer, as
// [Options.Dialect] does for all of them. It is for the endpoints that answer
// in JSON. See [WithoutClientID], [OtherRedirectURIs], [UnaskedSecret], [Huge].
func Edit(dialect func(r *http.Request, a *Answer)) Behaviour {
	return Behaviour{kind: pass, edit: dialect}
}

// EditResponse lets edit change the parameters of an authorization response
// (RFC 6749 §4.1.2) before a browser is sent back with them: code, state, iss
// and error. It is for [Response], where [Error] sends an error back instead of
// a code, and the other behaviours are what the browser meets.
func EditResponse(edit func(parameters url.Values)) Behaviour {
	return Behaviour{kind: pass, redirect: edit}
}

// WithIss sends iss (RFC 9207) with this value, whatever was promised; empty:
// sends none. It is for [Response].
func WithIss(issuer string) Behaviour {
	return EditResponse(func(parameters url.Values) {
		parameters.Set("iss", issuer)
		if issuer == "" {
			parameters.Del("iss")
		}
	})
}

// Drop closes the connection before the request is processed.
func Drop() Behaviour { return Behaviour{kind: drop} }

// Reset is [Drop] with a TCP reset instead of an orderly close.
func Reset() Behaviour { return Behaviour{kind: reset} }

// Lose processes the request and then closes the connection: what was issued
// or consumed stays so, and the client cannot know.
func Lose() Behaviour { return Behaviour{kind: lose} }

// Cut processes the request and closes the connection in the middle of the
// answer's body.
func Cut() Behaviour { return Behaviour{kind: cut} }

// Stall never answers: it ends when the client gives up.
func Stall() Behaviour { return Behaviour{kind: stall} }

// After returns b delayed by d, on top of [Options.Latency].
func (b Behaviour) After(d time.Duration) Behaviour { b.delay = d; return b }

// Times returns b for n requests in a row, at least one; a negative n means
// for good.
func (b Behaviour) Times(n int) Behaviour { b.times = n; return b }

// Script queues behaviours for an operation: each request to it takes the
// next one, and the right answer is back when none is left. The form and the
// pace of the request are judged all the same. Scripting again appends.
func (s *Server) Script(op Operation, behaviours ...Behaviour) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.scripts[op] = slices.Concat(s.scripts[op], behaviours)
}

// next takes the next behaviour of a script.
func (s *Server) next(op Operation) Behaviour {
	s.mu.Lock()
	defer s.mu.Unlock()
	queue := s.scripts[op]
	if len(queue) == 0 {
		return Pass()
	}
	b := queue[0]
	switch {
	case b.times < 0:
	case b.times <= 1:
		s.scripts[op] = queue[1:]
	default:
		queue[0].times--
	}
	return b
}
