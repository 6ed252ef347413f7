package fakeas

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// pace is how one client polls with one device code (RFC 8628 §3.5). The
// server keeps it for codes it does not know as well: a client must stop
// after the first refusal, whatever the code.
type pace struct {
	interval  time.Duration
	inFlight  int
	polled    bool
	answered  time.Time // when the last poll was answered or given up
	slack     time.Duration
	timedOut  bool                // the client gave up the last poll
	notBefore time.Time           // from Retry-After
	ended     bool                // an answer was sent that ends polling
	refused   map[AuthMethod]bool // as which the client was refused
	stale     time.Time           // from when on the pace may be forgotten
}

// lag is how much later than the client a listener may notice that the
// client gave up.
const lag = 100 * time.Millisecond

// maxPaces bounds what a client that invents codes can pile up.
const maxPaces = 1 << 18

// slowerBy is what each slow_down adds (RFC 8628 §3.5).
const slowerBy = 5 * time.Second

// paceKey tells apart two clients that poll with one code.
func paceKey(clientID, deviceCode string) string { return clientID + "\x00" + deviceCode }

// arrive judges the moment of a poll. The interval counts from the previous
// answer: a client that counts from its previous request polls a slow server
// back to back.
func (x *exchange) arrive() {
	code := x.form.Get("device_code")
	if code == "" || len(x.form["device_code"]) > 1 || len(code) > 256 {
		return
	}
	now, s := x.entry.Time, x.server
	key := paceKey(x.entry.ClientID, code)
	s.mu.Lock()
	p := s.paces[key]
	if p == nil && len(s.paces) >= maxPaces {
		s.mu.Unlock()
		return
	}
	if p == nil {
		p = &pace{interval: s.opts.Interval, stale: now.Add(2 * s.opts.CodeLifetime)}
		s.paces[key] = p
	}
	waited := now.Sub(p.answered) + p.slack
	var rule Rule
	var detail string
	switch {
	case p.ended && (p.refused == nil || p.refused[x.presented()]):
		rule = PolledAfterEnd
	case p.inFlight > 0:
		rule, detail = PolledEarly, "before the previous poll was answered"
	case now.Before(p.notBefore):
		rule, detail = RetriedEarly, fmt.Sprintf("%v too early", p.notBefore.Sub(now))
	case p.polled && waited < p.interval:
		rule, detail = PolledEarly, fmt.Sprintf("%v after the previous answer, the interval is %v", waited, p.interval)
	case p.timedOut && waited <= p.interval:
		rule, detail = NotBackedOff, fmt.Sprintf("%v after a time-out, the interval is %v", waited, p.interval)
	}
	x.pace, x.early = p, rule == PolledEarly
	p.inFlight++
	s.mu.Unlock()
	if rule != "" {
		x.violate(rule, detail)
	}
}

// slowDown raises the interval of the poll's code by five seconds, or to what
// the answer says if that is more.
func (x *exchange) slowDown(sent time.Duration) {
	if x.pace == nil {
		return
	}
	x.server.mu.Lock()
	x.pace.interval = max(x.pace.interval+slowerBy, sent)
	x.interval = x.pace.interval
	x.server.mu.Unlock()
}

// depart notes what the poll was answered.
func (x *exchange) depart(out reply) {
	now := time.Now()
	code := out.outcome
	if strings.HasPrefix(code, "status ") {
		code = ""
	}
	if out.raw {
		var sent time.Duration
		code, sent = readOutcome(out.body)
		if code == "slow_down" {
			x.slowDown(sent)
		}
	}
	s, p := x.server, x.pace
	s.mu.Lock()
	defer s.mu.Unlock()
	p.inFlight--
	p.polled, p.answered, p.slack = true, now, 0
	p.timedOut = out.ending == gone
	if p.timedOut && !x.at.inProcess {
		p.slack = lag
	}
	if out.ending != answered {
		return
	}
	p.notBefore = retryAfter(out.header, now)
	if !verdict(out.status, code) {
		return
	}
	switch code {
	case "", "authorization_pending", "slow_down":
	case "invalid_client":
		// RFC 8628 §3.5 ends polling at this error like at any other. But a client that
		// polls once more and authenticates in another way did not poll before, as far
		// as the server could know.
		if p.refused == nil && !p.ended {
			p.refused = make(map[AuthMethod]bool)
		}
		if p.refused != nil {
			p.refused[x.presented()] = true
		}
		p.ended = true
	default:
		p.ended, p.refused = true, nil
	}
}

// verdict reports whether a client should take a code for the end of polling, or for
// what it says. Under a status that means "later" it is that of a limit. One that no
// specification has is that of something in between, unless it is under a 4xx, where
// RFC 6749 §5.2 has errors.
func verdict(status int, code string) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return code == OK
	}
	return status >= 400 && status < 500 || specified[code] || code == OK
}

// specified are the error codes of RFC 6749 §4.1.2.1 and §5.2, RFC 8628 §3.5, and how
// GitHub and Entra spell some of them.
var specified = map[string]bool{
	"invalid_request": true, "invalid_client": true, "invalid_grant": true, "unauthorized_client": true,
	"unsupported_grant_type": true, "invalid_scope": true, "server_error": true, "temporarily_unavailable": true,
	"access_denied": true, "expired_token": true,
	"authorization_declined": true, "bad_verification_code": true, "incorrect_device_code": true,
	"incorrect_client_credentials": true, "device_flow_disabled": true, "token_expired": true, "code_expired": true,
}

// readOutcome reads a scripted answer as a client would: an OAuth error code,
// OK for a token, or nothing.
func readOutcome(body []byte) (code string, interval time.Duration) {
	var answer struct {
		Error       string  `json:"error"`
		AccessToken string  `json:"access_token"`
		Interval    float64 `json:"interval"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return "", 0
	}
	if answer.Error == "" && answer.AccessToken != "" {
		return OK, 0
	}
	return answer.Error, time.Duration(min(max(answer.Interval, 0), 3600)) * time.Second
}

// retryAfter reads RFC 9110 §10.2.3.
func retryAfter(header http.Header, now time.Time) time.Time {
	value := header.Get("Retry-After")
	if seconds, err := strconv.Atoi(value); err == nil {
		return now.Add(time.Duration(seconds) * time.Second)
	}
	date, _ := http.ParseTime(value)
	return date
}
