package fakeas

import (
	"net/http"
	"slices"
	"time"
)

// token answers the token endpoint.
func (x *exchange) token() reply {
	switch x.entry.Operation {
	case Refresh:
		return x.refreshToken()
	case Exchange:
		return x.redeem()
	case TokenExchange:
		return x.exchangeToken()
	case Assertion:
		return x.redeemAssertion()
	case ClientCredentials:
		return x.clientCredentials()
	}
	return x.poll()
}

// poll answers RFC 8628 §3.4 as §3.5 says. A denied or expired code is
// answered the same each time; an exchanged one is gone.
func (x *exchange) poll() reply {
	s := x.server
	s.mu.Lock()
	d := s.devices[x.form.Get("device_code")]
	foreign := d != nil && d.ClientID != x.client.ID
	verifier, unverified := x.form.Get("code_verifier"), false
	var code, description string
	var members map[string]any
	switch {
	case d == nil || foreign || d.used:
		code, description = "invalid_grant", "unknown or used device code"
	case !time.Now().Before(d.Expires):
		code, description = "expired_token", "the device code has expired"
	case x.early:
		code, description = "slow_down", "polled too early"
	case d.decision == undecided:
		code, description = "authorization_pending", "the person has not decided yet"
	case d.decision == denied:
		code, description = "access_denied", "the person denied"
	case d.challenge != "" && !verifies(verifier, d.challenge):
		code, description = "invalid_grant", "the code_verifier does not fit"
		unverified = true
	default:
		d.used = true
		members = s.issue(s.newGrant(d.subject, d.ClientID), d.granted, d.granted, !s.opts.NoRefresh && x.client.mayUse(Refresh))
	}
	s.mu.Unlock()
	if foreign {
		x.violate(ForeignCode, "")
	}
	switch {
	case unverified && verifier == "":
		x.violate(MissingParameter, "code_verifier")
	case unverified:
		x.violate(WrongVerifier, "")
	}
	if code == "slow_down" {
		x.slowDown(0)
	}
	if code != "" {
		return x.refuse(http.StatusBadRequest, code, description)
	}
	return x.json(http.StatusOK, members, nil)
}

// refreshToken answers RFC 6749 §6.
func (x *exchange) refreshToken() reply {
	s := x.server
	invalid := func() reply {
		return x.refuse(http.StatusBadRequest, "invalid_grant", "unknown, expired or revoked refresh token")
	}
	s.mu.Lock()
	t := s.refresh[x.form.Get("refresh_token")]
	if t == nil {
		s.mu.Unlock()
		return invalid()
	}
	foreign := t.clientID != x.client.ID
	knownRevoked := t.knownRevoked(x.entry.Time)
	replaced, lost := t.replaced, t.lost
	scopes := t.scopes
	raised := false
	if x.scopes != nil {
		raised = len(without(x.scopes, t.scopes)) > 0
		scopes = x.scopes
	}
	if replaced && s.opts.DetectReuse && !foreign {
		t.grant.revoke(time.Time{})
	}
	var members map[string]any
	if !foreign && !t.isRevoked() && !replaced && !raised {
		members = s.issue(t.grant, slices.Clone(scopes), t.scopes, !s.opts.NoRotation)
		t.replaced = !s.opts.NoRotation
	}
	s.mu.Unlock()

	switch {
	case foreign:
		x.violate(ForeignToken, "refresh token")
	case knownRevoked:
		x.violate(RevokedTokenUsed, "refresh token")
	case replaced && !lost:
		x.violate(RefreshTokenReused, "")
	case raised:
		x.violate(ScopeRaised, "")
		return x.refuse(http.StatusBadRequest, "invalid_scope", "more than was granted")
	}
	if members == nil {
		return invalid()
	}
	x.lost = func() {
		s.mu.Lock()
		t.lost = true
		s.mu.Unlock()
	}
	return x.json(http.StatusOK, members, nil)
}
