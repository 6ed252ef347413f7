package device

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Saved authorization is what another process needs to show the same prompt and to go on
// polling for it. It is secret: who has the device code gets the token. However it is formatted,
// no code appears; in JSON they do.
type Saved struct {
	DeviceCode              string     `json:"device_code"`
	UserCode                string     `json:"user_code"`
	VerificationURI         string     `json:"verification_uri"`
	VerificationURIComplete string     `json:"verification_uri_complete,omitempty"`
	Scopes                  scopes.Set `json:"scopes"` // that were asked for

	Expires time.Time     `json:"expires"`
	Life    time.Duration `json:"life"` // until then, from when it was asked for

	Interval time.Duration `json:"interval"`
	Next     time.Time     `json:"next"` // when the next poll may be sent
	Rare     bool          `json:"rare,omitempty"`
	BackOff  time.Duration `json:"backoff,omitempty"`
	Unread   int           `json:"unread,omitempty"`
	Lost     bool          `json:"lost,omitempty"`
	// Doubt says that whoever polled before may have sent a poll of which nothing is known. If the
	// server does not know the code then, that is an [ErrInterrupted].
	Doubt bool `json:"doubt,omitempty"`

	Verifier string `json:"verifier,omitempty"` // of PKCE
	ClientID bool   `json:"client_id,omitempty"`
}

// Format writes no code, whatever the verb.
func (s Saved) Format(f fmt.State, _ rune) { fmt.Fprintf(f, "device.Saved{%s}", s.VerificationURI) }

// Save returns what a process needs to go on with a. Nobody polls for a meanwhile.
func (a *Authorization) Save() Saved {
	code := a.code
	return Saved{
		DeviceCode: code.text, UserCode: a.UserCode,
		VerificationURI: a.VerificationURI, VerificationURIComplete: a.VerificationURIComplete, Scopes: code.asked,
		Expires: code.expires.Round(0), Life: code.life,
		Interval: code.interval, Next: code.next.Round(0), Rare: code.rare, BackOff: code.backOff,
		Unread: code.unread, Lost: code.lost, Doubt: code.doubt,
		Verifier: code.proof.verifier, ClientID: code.proof.clientID,
	}
}

// errSaved: what was saved is not what Save returns.
var errSaved = errors.New("device: what was saved cannot be an authorization")

// Resume returns the authorization that was saved, which the same client had from the same
// server. It believes no more of it than of a server's answer. A clock that was set back makes no
// wait longer than the code's life.
func (c *Client) Resume(s Saved) (*Authorization, error) {
	now := time.Now()
	switch {
	case s.DeviceCode == "", len(s.DeviceCode) > maxDeviceCode, checkUserCode(s.UserCode) != "":
		return nil, errSaved
	case s.Life <= 0, s.Life > mostLifetime, s.Interval < leastInterval, s.Interval > mostLifetime:
		return nil, errSaved
	case s.BackOff < 0, s.BackOff > mostBackOff, s.Unread < 0, s.Unread >= mostUnread:
		return nil, errSaved
	case s.Verifier != "" && !isVerifier(s.Verifier):
		return nil, errSaved
	}
	expires := earlier(s.Expires, now.Add(s.Life))
	a := &Authorization{UserCode: s.UserCode, Expires: expires, Interval: s.Interval, code: &deviceCode{
		text: s.DeviceCode, asked: s.Scopes, expires: expires, life: s.Life, proof: proof{s.Verifier, s.ClientID},
		interval: s.Interval, rare: s.Rare, backOff: s.BackOff, next: earlier(s.Next, expires),
		unread: s.Unread, lost: s.Lost, doubt: s.Doubt,
	}}
	if why := c.setVerification(a, s.VerificationURI, s.VerificationURIComplete); why != "" {
		return nil, errSaved
	}
	return a, nil
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// isVerifier reports whether text is a verifier (RFC 7636 §4.1).
func isVerifier(text string) bool {
	if len(text) < 43 || len(text) > 128 {
		return false
	}
	for i := range len(text) {
		if !isAlphanumeric(text[i]) && strings.IndexByte("-._~", text[i]) < 0 {
			return false
		}
	}
	return true
}
