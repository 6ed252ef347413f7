package fakeas

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// device is a device authorization (RFC 8628 §3.2).
type device struct {
	Request
	deviceCode string
	user       string // the user code without its dash
	clientName string
	challenge  string // empty: none
	decision   decision
	granted    []string
	subject    string
	used       bool // the device code was exchanged
}

type decision int

const (
	undecided decision = iota
	approved
	denied
)

// waits reports whether a person can still decide.
func (d *device) waits(now time.Time) bool {
	return d.decision == undecided && now.Before(d.Expires)
}

// authorizeDevice answers RFC 8628 §3.1 as §3.2 says.
func (x *exchange) authorizeDevice() reply {
	s := x.server
	asked := s.scopesOr(x.scopes)
	if len(without(asked, s.opts.Scopes)) > 0 {
		return x.refuse(http.StatusBadRequest, "invalid_scope", "unknown scope")
	}
	challenge, rule, description := readChallenge(s.opts.DevicePKCE, x.form.Get("code_challenge"), x.form.Get("code_challenge_method"))
	if rule != "" {
		x.violate(rule, "")
		return x.refuse(http.StatusBadRequest, "invalid_request", description)
	}
	extra := url.Values{}
	for name, values := range x.form {
		if !slices.Contains(grammars[DeviceAuthorization].allowed, name) {
			extra[name] = slices.Clone(values)
		}
	}

	now := time.Now()
	page := strings.TrimSuffix(x.base, "/") + paths[Page]
	d := &device{deviceCode: "dc_" + rand.Text(), clientName: x.client.Name}
	d.challenge = challenge
	d.ClientID, d.Scopes, d.Extra = x.client.ID, slices.Clone(asked), extra
	d.Expires = now.Add(s.opts.CodeLifetime)
	d.VerificationURI = page
	s.mu.Lock()
	s.prune(now)
	for d.user == "" || s.users[d.user] != nil {
		d.user = newUserCode()
	}
	d.UserCode = d.user[:4] + "-" + d.user[4:]
	d.VerificationURIComplete = page + "?user_code=" + d.UserCode
	s.devices[d.deviceCode], s.users[d.user] = d, d
	s.queue = append(s.queue, d)
	close(s.arrived)
	s.arrived = make(chan struct{})
	s.mu.Unlock()

	return x.json(http.StatusOK, map[string]any{
		"device_code":               d.deviceCode,
		"user_code":                 d.UserCode,
		"verification_uri":          d.VerificationURI,
		"verification_uri_complete": d.VerificationURIComplete,
		"expires_in":                wholeSeconds(s.opts.CodeLifetime),
		"interval":                  wholeSeconds(s.opts.Interval),
	}, nil)
}

// prune forgets what nobody can ask about any more. It costs constant time
// for each device authorization, on average.
func (s *Server) prune(now time.Time) {
	if len(s.devices) < s.pruneAt {
		return
	}
	s.queue = slices.DeleteFunc(s.queue, func(d *device) bool { return !d.waits(now) })
	for code, d := range s.devices {
		if now.After(d.Expires.Add(s.opts.CodeLifetime)) {
			delete(s.devices, code)
			delete(s.users, d.user)
		}
	}
	for key, p := range s.paces {
		if p.inFlight == 0 && now.After(p.stale) {
			delete(s.paces, key)
		}
	}
	for text, t := range s.access {
		if t.expired(now) {
			delete(s.access, text)
		}
	}
	s.pruneAt = max(1024, 2*len(s.devices))
}

// userAlphabet has no vowels and no digits: nothing to misread, no words
// (RFC 8628 §6.1). Eight letters of it are 34 bits.
const userAlphabet = "BCDFGHJKLMNPQRSTVWXZ"

func newUserCode() string {
	code := make([]byte, 0, 8)
	for len(code) < cap(code) {
		var b [1]byte
		rand.Read(b[:])
		if int(b[0]) < 256/len(userAlphabet)*len(userAlphabet) {
			code = append(code, userAlphabet[int(b[0])%len(userAlphabet)])
		}
	}
	return string(code)
}

// readUserCode undoes what people do to codes when they type them: lower
// case, dashes, spaces, dots (RFC 8628 §6.1).
func readUserCode(typed string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case 'a' <= r && r <= 'z':
			return r - 'a' + 'A'
		case 'A' <= r && r <= 'Z', '0' <= r && r <= '9':
			return r
		}
		return -1
	}, typed[:min(len(typed), 64)])
}
