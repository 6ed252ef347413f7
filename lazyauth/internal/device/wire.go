package device

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
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

	tooLarge = "the answer is too large" // a fault
)

// An answer is what came of one request. There always is one: when no response
// came, it has no status and a fault.
type answer struct {
	status     int
	fields     fields
	retryAfter time.Duration // 0 if none was asked for

	// fault says, in our words, why there is nothing to go by: neither an OAuth
	// error nor a success with members. Empty if there is.
	fault string

	// trace is the transport's error, which may quote the server: for Detail only.
	trace string
}

// post sends a form as the configured client and reads the answer.
func (c *Client) post(ctx context.Context, endpoint string, form url.Values) *answer {
	var basic bool
	switch {
	case c.config.ClientSecret == "":
		form.Set("client_id", c.config.ClientID)
	case c.config.AuthStyle == oauth2.AuthStyleInParams:
		form.Set("client_id", c.config.ClientID)
		form.Set("client_secret", c.config.ClientSecret)
	default:
		// One authentication method a request (RFC 6749 §2.3): nothing in the body.
		basic = true
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return &answer{fault: "the request could not be made", trace: err.Error()}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		// Both are form-encoded before they are joined (RFC 6749 §2.3.1).
		req.SetBasicAuth(url.QueryEscape(c.config.ClientID), url.QueryEscape(c.config.ClientSecret))
	}
	a := roundTrip(c.config.Transport, req)
	switch {
	case a.fields.text("error") != "":
		// The body decides: an OAuth error is one under any status.
	case a.status >= 300 && a.status < 400:
		// Followed, it would take the device code or a secret somewhere else.
		a.fault = "the answer is a redirect, which is not followed"
	case a.fault == "" && (a.status < 200 || a.status >= 300):
		a.fault = "the answer carries no OAuth error"
	}
	return a
}

// roundTrip sends one request, directly and not through an http.Client, so that no
// redirect is followed and no cookie kept. It reads the body up to the limit and
// always closes it.
func roundTrip(rt http.RoundTripper, req *http.Request) *answer {
	ctx, cancel := context.WithTimeout(req.Context(), requestTime)
	defer cancel()
	// GitHub answers with a form unless it is asked for JSON.
	req.Header.Set("Accept", "application/json")
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
		a.status = resp.StatusCode
		return a
	}
	a := &answer{status: resp.StatusCode, retryAfter: readRetryAfter(resp.Header, time.Now())}
	switch {
	case len(body) > maxBody:
		a.fault = tooLarge
	case len(body) == 0:
		a.fault = "the answer is empty"
	default:
		a.fields = readFields(resp.Header.Get("Content-Type"), body)
		if a.fields == nil {
			a.fault = "the answer is neither JSON nor a form"
		}
	}
	return a
}

func noAnswer(err error) *answer {
	a := &answer{fault: "the connection failed"}
	if err == nil {
		return a
	}
	var timeout net.Error
	if errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout() {
		a.fault = "no answer in time"
	}
	a.trace = err.Error()
	return a
}

// passing reports whether the fault may go away by itself: nothing came, or the
// status says try again later.
func (a *answer) passing() bool {
	switch a.status {
	case 0, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return a.status >= 500 || a.trace != ""
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
