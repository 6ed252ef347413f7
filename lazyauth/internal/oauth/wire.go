package oauth

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"

	"golang.org/x/oauth2"
)

const (
	// requestTime is how long one request may take, until its body is read.
	requestTime = 30 * time.Second

	// maxBody is the size of the largest answer read; longer ones count as none.
	// The longest real ones, tokens with many claims and the metadata of large
	// servers, have a quarter of it.
	maxBody = 64 << 10

	// retryPause is how long PostAgain waits before its second and last attempt.
	// patientRetry is the longest Retry-After it obeys by waiting: somebody's call
	// is held meanwhile.
	retryPause   = time.Second
	patientRetry = 5 * time.Second

	// Faults that are asked for.
	tooLarge = "the answer is too large"
	isEmpty  = "the answer is empty"
)

// Post sends a form as the configured client and reads the answer. Where it is not known
// how the client has to authenticate, and the answer is that it did not, the form is
// sent once more in the other way. It blocks for at most 30 s a request.
func (c *Client) Post(ctx context.Context, endpoint string, form url.Values) *Answer {
	return c.post(ctx, endpoint, form, kept)
}

// A connection says what becomes of the one that a request used. Servers close connections that have been idle for some
// seconds (Node.js: five), and a request that goes out on one just then is lost.
type connection uint8

const (
	// kept: another request can use it.
	kept connection = iota
	// retried: likewise, and a request that is lost on one that was kept is sent again at once, on another. Its effect,
	// had twice, does no harm.
	retried
	// closed: it is for this request. A code comes some seconds after its request was made, and
	// cannot be presented again. So whatever is sent before it, and with it, leaves no
	// connection behind.
	closed
)

// post is Post, and says what becomes of the connections.
func (c *Client) post(ctx context.Context, endpoint string, form url.Values, then connection) *Answer {
	style, settled := c.authStyle()
	a := c.send(ctx, endpoint, form, style, then)
	settled = settled || c.config.Credentials.Secret == ""
	switch {
	case !a.refusesClient(style) && !a.isUnauthorized():
		c.accepted(style, a)
		return a
	case settled:
		a.note = cmp.Or(c.refusal(style), a.note)
		return a
	}
	other := otherStyle(style)
	b := c.send(ctx, endpoint, form, other, then)
	switch refused := b.refusesClient(other); {
	case !refused && !b.isUnauthorized():
		c.accepted(other, b)
		return b
	case refused && !a.refusesClient(other): // what was said first was about the header
		a = b
	}
	a.note = c.refusal(style, other)
	return a
}

// PostAgain is Post, tried once more where that may go better: after a second, or after
// the server's Retry-After if that is short. It is for requests whose effect, had twice,
// does no harm. It returns when the one that was answered was sent.
func (c *Client) PostAgain(ctx context.Context, endpoint string, form url.Values) (a *Answer, sent time.Time) {
	return c.postAgain(ctx, endpoint, form, retried)
}

// postAgain is PostAgain, and says what becomes of the connections.
func (c *Client) postAgain(ctx context.Context, endpoint string, form url.Values, then connection) (a *Answer, sent time.Time) {
	sent = time.Now()
	a = c.post(ctx, endpoint, form, then)
	if pause := max(retryPause, a.RetryAfter); a.Passes() && pause <= patientRetry && Sleep(ctx, pause) {
		sent = time.Now()
		a = c.post(ctx, endpoint, form, then)
	}
	return a, sent
}

// PostPoll is Post for a request that is sent over and over. One in the other way would
// come too early: where the client is not authenticated, the answer is a fault, and the
// next request is sent in the other way.
func (c *Client) PostPoll(ctx context.Context, endpoint string, form url.Values) *Answer {
	style, settled := c.authStyle()
	a := c.send(ctx, endpoint, form, style, kept)
	switch {
	case !a.refusesClient(style):
		c.accepted(style, a)
	case settled || c.config.Credentials.Secret == "":
		a.note = cmp.Or(c.refusal(style), a.note)
	case c.turnTo(otherStyle(style)):
		return &Answer{Status: a.Status, RetryAfter: a.RetryAfter, Fault: "the client authentication was refused; the next poll uses the other method"}
	default:
		a.note = c.refusal(otherStyle(style), style)
	}
	return a
}

// Sleep waits, and reports whether it was not cut short by the context.
func Sleep(ctx context.Context, d time.Duration) bool {
	if ctx.Err() != nil {
		return false
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// send sends a form, with the client authenticated in this way, and reads the answer.
func (c *Client) send(ctx context.Context, endpoint string, form url.Values, style oauth2.AuthStyle, then connection) *Answer {
	if c.config.Credentials.ID == "" {
		return &Answer{Unsent: true, Verdict: known["invalid_client"], note: "the client is not registered"}
	}
	form = cloneValues(form)
	basic := c.authenticate(form, style)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return &Answer{Fault: "the request could not be made", trace: err.Error()}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		// Both are form-encoded before they are joined (RFC 6749 §2.3.1).
		req.SetBasicAuth(url.QueryEscape(c.config.Credentials.ID), url.QueryEscape(c.config.Credentials.Secret))
	}
	req.Close = then == closed
	if then == retried {
		req.Header["Idempotency-Key"] = nil // sends nothing, and tells http.Transport that it may
	}
	a := roundTrip(c.config.Transport, c.config.UserAgent, req)
	a.lift(c.config.Spelling.TokenMember)
	a.judge()
	return a
}

// roundTrip sends one request, directly and not through an http.Client, so that no
// redirect is followed and no cookie kept. It reads the body up to the limit and
// always closes it.
func roundTrip(rt http.RoundTripper, userAgent string, req *http.Request) *Answer {
	ctx, cancel := context.WithTimeout(req.Context(), requestTime)
	defer cancel()
	// GitHub answers with a form unless it is asked for JSON.
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", cmp.Or(userAgent, DefaultUserAgent()))
	if rt == nil {
		rt = http.DefaultTransport
	}
	resp, err := rt.RoundTrip(req.WithContext(ctx))
	if err != nil || resp == nil {
		return noAnswer(err)
	}
	var body []byte
	if resp.Body != nil {
		defer resp.Body.Close()
		body, err = io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	}
	if err != nil {
		a := noAnswer(err)
		a.Status = resp.StatusCode
		return a
	}
	a := &Answer{
		Status: resp.StatusCode, RetryAfter: readRetryAfter(resp.Header, time.Now()),
		mediaType: resp.Header.Get("Content-Type"), location: resp.Header.Get("Location"), body: string(body),
	}
	switch {
	case len(body) > maxBody:
		a.Fault = tooLarge
	case len(bytes.TrimSpace(body)) == 0:
		a.Fault = isEmpty
	default:
		a.fields, a.json = readFields(a.mediaType, body)
		if a.fields == nil {
			a.Fault = "the answer is neither JSON nor a form"
		}
	}
	return a
}

func noAnswer(err error) *Answer {
	a := &Answer{Fault: "the connection failed"}
	if err == nil {
		return a
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		a.Fault = "no answer in time"
	}
	a.trace = err.Error()
	a.Unsent = neverSent(err)
	return a
}

// neverSent reports whether a transport's error says that no connection was made, so
// that the server has not seen the request. Of any other error it may have.
func neverSent(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	if _, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return true
	}
	return errors.Is(err, syscall.ECONNREFUSED)
}

// maxRetryAfter bounds Retry-After: a server under repair asks for minutes, and
// one that asks for more would outlast the device code anyway.
const maxRetryAfter = 5 * time.Minute

// readRetryAfter reads Retry-After (RFC 9110 §10.2.3) in either form. What is
// absent, malformed or past is 0.
func readRetryAfter(header http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(header.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if wait, ok := parseSeconds(text, 0, maxRetryAfter); ok {
		return wait
	}
	at, err := http.ParseTime(text)
	if err != nil {
		return 0
	}
	// The server's own clock, if it says what it shows, or else ours.
	if date, err := http.ParseTime(header.Get("Date")); err == nil {
		now = date
	}
	return min(max(0, at.Sub(now)), maxRetryAfter)
}
