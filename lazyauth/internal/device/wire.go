package device

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
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

	// Faults that are asked for.
	tooLarge = "the answer is too large"
	isEmpty  = "the answer is empty"
)

// An answer is what came of one request. There always is one: when no response
// came, it has no status and a fault.
type answer struct {
	status     int
	fields     fields
	json       bool          // the fields were
	verdict    verdict       // by judge; of metadata there is none
	retryAfter time.Duration // 0 if none was asked for

	// fault says, in our words, why there is nothing to go by: neither an OAuth
	// error nor a success with members. Empty if there is.
	fault string

	// trace is the transport's error, which may quote the server: for Detail only.
	trace string

	// What follows is for Detail only, too: the media type and the body, up to maxBody,
	// where a redirect leads, and how the client authenticated if it was refused.
	mediaType, body, location, note string

	// unsent says that the server cannot have seen the request.
	unsent bool
}

// post sends a form as the configured client and reads the answer. Where it is not known
// how the client has to authenticate, and the answer is that it did not, the form is
// sent once more in the other way. A poll is not, which would come too early: the answer
// is then a fault, and the next poll is sent in the other way.
func (c *Client) post(ctx context.Context, endpoint string, form url.Values) *answer {
	style, settled := c.authStyle()
	a := c.send(ctx, endpoint, form, style)
	settled = settled || c.config.ClientSecret == ""
	polls := form.Get("grant_type") == grantType
	switch {
	case !a.refusesClient(style) && (polls || !a.isUnauthorized()):
		c.accepted(style, a)
		return a
	case settled:
		a.note = c.refusal(style)
		return a
	case polls && c.turnTo(otherStyle(style)):
		return &answer{status: a.status, retryAfter: a.retryAfter, fault: "the client authentication was refused; the next poll uses the other method"}
	case polls:
		a.note = c.refusal(otherStyle(style), style)
		return a
	}
	other := otherStyle(style)
	b := c.send(ctx, endpoint, form, other)
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

// send sends a form, with the client authenticated in this way, and reads the answer.
func (c *Client) send(ctx context.Context, endpoint string, form url.Values, style oauth2.AuthStyle) *answer {
	form = maps.Clone(form)
	basic := c.authenticate(form, style)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, endpoint, strings.NewReader(form.Encode()))
	if err != nil {
		return &answer{fault: "the request could not be made", trace: err.Error()}
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if basic {
		// Both are form-encoded before they are joined (RFC 6749 §2.3.1).
		req.SetBasicAuth(url.QueryEscape(c.config.ClientID), url.QueryEscape(c.config.ClientSecret))
	}
	a := roundTrip(c.config.Transport, c.config.UserAgent, req)
	a.judge()
	return a
}

// roundTrip sends one request, directly and not through an http.Client, so that no
// redirect is followed and no cookie kept. It reads the body up to the limit and
// always closes it.
func roundTrip(rt http.RoundTripper, userAgent string, req *http.Request) *answer {
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
		a.status = resp.StatusCode
		return a
	}
	a := &answer{
		status: resp.StatusCode, retryAfter: readRetryAfter(resp.Header, time.Now()),
		mediaType: resp.Header.Get("Content-Type"), location: resp.Header.Get("Location"), body: string(body),
	}
	switch {
	case len(body) > maxBody:
		a.fault = tooLarge
	case len(bytes.TrimSpace(body)) == 0:
		a.fault = isEmpty
	default:
		a.fields, a.json = readFields(a.mediaType, body)
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
	a.unsent = neverSent(err)
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

// passing reports whether the fault may go away by itself: nothing came, or the
// status says try again later.
func (a *answer) passing() bool {
	switch a.status {
	case 0, http.StatusRequestTimeout, http.StatusTooEarly, http.StatusTooManyRequests:
		return true
	}
	return a.status >= 500 || a.trace != ""
}

// longRun finds what may be a token by its looks: one is long, and has digits.
var longRun = regexp.MustCompile(`[A-Za-z0-9_~+=-]{20,}`)

func hideToken(run string) string {
	if strings.ContainsAny(run, "0123456789") {
		return "[secret]"
	}
	return run
}

// maySecret finds what a body might give away if it is quoted: an answer with a token
// that could not be read, say, because it was cut off.
var maySecret = regexp.MustCompile(`(?i)(token|secret)\\?["']?\s*[:=>]|(code|password|assertion)\\?["']?\s*[:=]`)

// hideQuoted returns the text of a transport's error without what may be a token. Of what is
// no HTTP net/http quotes a line, which is all there is of an answer that has lost its head.
func hideQuoted(text string) string {
	before, _, quotes := strings.Cut(text, `"`)
	switch {
	case !quotes || !strings.Contains(before, "malformed"):
		return text
	case maySecret.MatchString(text):
		return before + "[not shown: it may have a token]"
	default:
		return longRun.ReplaceAllStringFunc(text, hideToken)
	}
}

// about describes an answer without an OAuth error, for Detail: what it is, and how it
// begins. What came with a success, or might hold a token, is not shown unless it is a
// page.
func (s secrets) about(a *answer) string {
	var facts []string
	if a.trace != "" {
		facts = append(facts, s.quote(hideQuoted(a.trace)))
	}
	if a.mediaType != "" {
		facts = append(facts, "content type "+s.quote(a.mediaType))
	}
	if a.location != "" {
		facts = append(facts, "redirected to "+s.quote(a.location))
	}
	text := strings.Join(strings.Fields(a.body), " ")
	switch {
	case text == "":
	case !isText(text[:min(len(text), maxQuote)]):
		// Its encoding may hide a token: it may be compressed (1f8b is gzip).
		facts = append(facts, fmt.Sprintf("a body of %d bytes that are not text, and begin with %x", len(a.body), a.body[:min(len(a.body), 4)]))
	case maySecret.MatchString(text[:min(len(text), 4*maxQuote)]),
		a.status < 300 && text[0] != '<' && text[0] != '{':
		facts = append(facts, "a body of "+strconv.Itoa(len(a.body))+" bytes")
	default:
		facts = append(facts, "body "+s.quote(longRun.ReplaceAllStringFunc(s.blot(text), hideToken)))
	}
	return strings.Join(facts, ", ")
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
