package device

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	defaultInterval = 5 * time.Second // RFC 8628 §3.2
	leastInterval   = time.Second     // no server means less; a hostile one might

	// A server that counts milliseconds says 5000. That is believed only of an interval
	// that exceeds the code's life, which makes no sense in seconds, and if it comes to
	// no more than this.
	mostThousandth = time.Minute

	// margin is added to each wait: servers that keep whole seconds, or measure
	// before we do, otherwise see a poll that comes too early.
	margin = 250 * time.Millisecond

	// A device code without a stated lifetime, which RFC 8628 §3.2 requires, gets
	// the one that is usual. Nobody stands before a sign-in page for an hour.
	defaultLifetime = 15 * time.Minute
	mostLifetime    = time.Hour

	maxUserCode   = 32   // bytes; RFC 8628 §6.1 recommends about 8 characters
	maxDeviceCode = 4096 // bytes
)

// An Authorization is a device code that waits for a person's decision, with what
// the person has to be shown (RFC 8628 §3.2). However it is formatted, neither the
// device code nor the user code appears; neither does in JSON.
type Authorization struct {
	// UserCode is at most 32 ASCII letters and digits, with single dashes, dots,
	// underscores or spaces between them.
	UserCode string `json:"-"`

	// VerificationURI is where the person enters the code: an absolute https URL
	// in ASCII, or http on loopback when the server itself is on loopback. It does not
	// contain the code, unless VerificationURIComplete is the same.
	VerificationURI string

	// VerificationURIComplete contains the code; see [Options.UseComplete]. It is of
	// the same origin as VerificationURI, or empty.
	VerificationURIComplete string `json:"-"`

	// Expires is when the code lapses, and with it [Client.Poll]: never later than
	// the server's own account of it, and within an hour.
	Expires time.Time

	// Interval is what the server asked for between polls, between one second and
	// one hour. Poll keeps its own account; changing this changes nothing.
	Interval time.Duration

	code *deviceCode
}

// Format writes no code, whatever the verb.
func (a Authorization) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "device.Authorization{%s, expires %s}", a.VerificationURI, a.Expires.Format(time.RFC3339))
}

// Authorize asks for a device code for the given scopes (RFC 8628 §3.1). An empty
// set leaves the choice to the server.
//
// It blocks for at most two requests of 30 s, each of them sent twice where it has to
// be found out how the client authenticates: when it may go better the next time (a
// reset connection, a 503, a 429), it tries once more after a second, or after the
// server's Retry-After if that is short. The first request may have had an effect; a
// code that nobody sees just lapses. A request that the server finds malformed is sent
// again, once without PKCE and once with client_id beside the header, if it had the one and
// not the other.
//
// Errors: ErrRefused, ErrUnavailable, ErrInvalid, or that of ctx.
func (c *Client) Authorize(ctx context.Context, asked scopes.Set) (*Authorization, error) {
	const op = "device authorization"
	a, sent, proof := c.request(ctx, asked)
	if err := c.oauth.Check(ctx, op, a); err != nil {
		return nil, err
	}
	auth, why := c.readAuthorization(a, sent, asked)
	if why != "" {
		return nil, c.oauth.Invalid(op, why, a)
	}
	auth.code.proof = proof
	return auth, nil
}

// readAuthorization checks the answer of RFC 8628 §3.2. If it cannot be used, the
// second result says why, in our words.
func (c *Client) readAuthorization(a *oauth.Answer, sent time.Time, asked scopes.Set) (*Authorization, string) {
	code := &deviceCode{
		text:  a.Text("device_code"),
		asked: asked,
	}
	switch {
	case code.text == "":
		return nil, "the device code is missing"
	case len(code.text) > maxDeviceCode:
		return nil, "the device code is too long"
	}
	auth := &Authorization{UserCode: strings.TrimSpace(a.Text("user_code")), code: code}
	if why := checkUserCode(auth.UserCode); why != "" {
		return nil, "the user code " + why
	}
	text := a.Text("verification_uri")
	if text == "" {
		text = a.Text("verification_url") // Google
	}
	if why := c.setVerification(auth, text, a.Text("verification_uri_complete")); why != "" {
		return nil, "the verification URI " + why
	}
	stated, ok := a.Seconds("expires_in", 0, oauth.MostLife)
	if !ok {
		stated = defaultLifetime
	}
	lifetime := min(stated, mostLifetime)
	if code.interval, ok = interval(a, stated); !ok {
		code.interval = defaultInterval
	}
	now := time.Now()
	code.life, code.expires = lifetime, sent.Add(lifetime)
	if code.rare = code.interval >= lifetime; code.rare {
		code.next = code.last(now.Sub(sent))
	} else {
		code.next = code.plan(now, now.Sub(sent), 0)
	}
	auth.Expires, auth.Interval = code.expires, code.interval
	return auth, ""
}

// interval reads the time that has to pass between polls, of a code with this life.
func interval(a *oauth.Answer, life time.Duration) (time.Duration, bool) {
	stated, ok := a.Seconds("interval", leastInterval, oauth.MostLife)
	if thousandth := stated / 1000; ok && stated >= life && thousandth >= leastInterval && thousandth <= mostThousandth {
		// It may have meant seconds all the same: then five are the least that every
		// client is allowed (RFC 8628 §3.2).
		return max(thousandth, defaultInterval), true
	}
	return min(stated, mostLifetime), ok
}

// setVerification sets where the person goes (RFC 8628 §3.2), or says why they cannot.
func (c *Client) setVerification(auth *Authorization, text, completeText string) string {
	endpoint, _ := oauth.CheckURL(c.oauth.Endpoints().DeviceAuthorization, true) // as oauth.New did
	auth.VerificationURI = resolve(endpoint, text)
	uri, why := oauth.CheckURL(auth.VerificationURI, oauth.IsLoopback(endpoint))
	if why != "" {
		return why
	}
	complete := resolve(endpoint, completeText)
	if plain, has := withoutCode(uri, auth.UserCode); has {
		// Twitch. It is a complete one, and may be shown as such only.
		if complete == "" {
			complete = auth.VerificationURI
		}
		switch {
		case plain != "":
			auth.VerificationURI = plain
		case !c.options.UseComplete:
			return "contains the user code, and is of use only where links may contain it"
		}
	}
	if c.options.UseComplete {
		// It is optional, so an unsafe one is just not used.
		if parsed, why := oauth.CheckURL(complete, oauth.IsLoopback(endpoint)); why == "" && oauth.SameOrigin(uri, parsed) {
			auth.VerificationURIComplete = complete
		}
	}
	return ""
}

// checkUserCode says why a user code cannot be shown, or "". It appears between our
// own words, to people and to models, so it must not be able to continue them.
func checkUserCode(code string) string {
	switch {
	case code == "":
		return "is missing"
	case len(code) > maxUserCode:
		return "is too long to be typed"
	}
	for i := range len(code) {
		if isAlphanumeric(code[i]) {
			continue
		}
		inside := i > 0 && i < len(code)-1 && isAlphanumeric(code[i-1])
		if strings.IndexByte("-._ ", code[i]) < 0 || !inside {
			return "has a character that does not belong in one"
		}
	}
	return ""
}

func isAlphanumeric(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}
