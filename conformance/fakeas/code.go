package fakeas

import (
	"net/http"
	"slices"
	"time"
)

// code is an authorization code (RFC 6749 §4.1.2). All but what stands under
// used never changes.
type code struct {
	clientID, redirectURI, challenge, subject string
	scopes                                    []string
	expires                                   time.Time

	// Under the server's mutex.
	used  bool
	lost  bool   // the answer with the token did not get through
	grant *grant // what it gave
}

// redeem answers RFC 6749 §4.1.3 as §4.1.4 says. A code that fits the verifier
// is the client's own: what is wrong beside it is the client's doing. One that
// does not fit may have been put in its way by somebody else, and presenting
// it is no violation.
func (x *exchange) redeem() reply {
	s := x.server
	invalid := func(description string) reply {
		return x.refuse(http.StatusBadRequest, "invalid_grant", description)
	}
	verifier := x.form.Get("code_verifier")
	s.mu.Lock()
	c := s.codes[x.form.Get("code")]
	used, lost := c != nil && c.used, c != nil && c.lost
	s.mu.Unlock()
	if c == nil {
		return invalid("unknown authorization code")
	}
	pkce := s.opts.PKCE != PKCEIgnored
	if s.opts.BurnCodes && (c.clientID != x.client.ID || !own(c, verifier) || x.form.Get("redirect_uri") != c.redirectURI) {
		s.mu.Lock()
		delete(s.codes, x.form.Get("code"))
		s.mu.Unlock()
	}
	switch {
	case c.clientID != x.client.ID:
		if own(c, verifier) {
			x.violate(ForeignCode, "")
		}
		return invalid("a code of another client")
	case c.challenge != "" && verifier == "":
		x.violate(MissingParameter, "code_verifier")
		return invalid("no code_verifier")
	case c.challenge == "" && verifier != "" && pkce:
		// RFC 9700 §4.8.2: else the challenge could be cut out of the request.
		return invalid("a code_verifier for a code without challenge")
	case !own(c, verifier):
		return invalid("the code_verifier does not fit")
	case x.form.Get("redirect_uri") != c.redirectURI:
		x.violate(RedirectMismatch, "")
		return invalid("not the redirect_uri of the authorization request")
	case used:
		if !lost {
			x.violate(CodeReused, "")
		}
		s.mu.Lock()
		c.grant.revoke(time.Time{})
		s.mu.Unlock()
		return invalid("used authorization code")
	case !time.Now().Before(c.expires):
		return invalid("the authorization code has expired")
	}

	s.mu.Lock()
	if c.used { // by a request at the same time
		c.grant.revoke(time.Time{})
		s.mu.Unlock()
		x.violate(CodeReused, "")
		return invalid("used authorization code")
	}
	c.used, c.grant = true, s.newGrant(c.subject, c.clientID)
	members := s.issue(c.grant, slices.Clone(c.scopes), c.scopes, !s.opts.NoRefresh && x.client.mayUse(Refresh))
	s.mu.Unlock()
	x.lost = func() {
		s.mu.Lock()
		c.lost = true
		s.mu.Unlock()
	}
	return x.json(http.StatusOK, members, nil)
}

// own reports whether a code fits the verifier that is presented with it, or has
// no challenge to fit.
func own(c *code, verifier string) bool {
	return c.challenge == "" || verifies(verifier, c.challenge)
}
