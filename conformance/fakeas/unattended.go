package fakeas

import (
	"crypto/rand"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Unattended are the grants that no person approves. The zero value has none of them.
type Unattended struct {
	// Exchange exchanges access tokens of this server (RFC 8693): for others of the same
	// subject, with the same scopes or fewer, that end with them. Whoever presents them acts for
	// the subject; no policy says who may.
	Exchange bool

	// Audiences are what an exchange may name as audience or resource. Anything else is answered
	// invalid_target. Nil: anything.
	Audiences []string

	// Credentials has the client credentials grant (RFC 6749 §4.4), for clients with a secret.
	Credentials bool

	// Identity makes it an identity provider: it exchanges ID tokens of its own ([Server.IDToken])
	// for ID-JAGs (draft-ietf-oauth-identity-assertion-authz-grant-04 §4.3). ClientIDs are those that its clients
	// have elsewhere, by the audience of the ID-JAG and the client id here; a client that is not
	// in it has the same everywhere.
	Identity  bool
	ClientIDs map[[2]string]string

	// Trusts takes ID-JAGs of these identity providers for access tokens (RFC 7523, §4.4): each
	// issuer with its keys, as [Server.JWKS] has them.
	Trusts map[string][]byte
}

const (
	grantExchange    = "urn:ietf:params:oauth:grant-type:token-exchange"
	grantJWT         = "urn:ietf:params:oauth:grant-type:jwt-bearer"
	grantCredentials = "client_credentials"

	typeAccessToken = "urn:ietf:params:oauth:token-type:access_token"
	typeIDToken     = "urn:ietf:params:oauth:token-type:id_token"
	typeIDJAG       = "urn:ietf:params:oauth:token-type:id-jag"
	profileIDJAG    = "urn:ietf:params:oauth:grant-profile:id-jag"

	jwtIDJAG   = "oauth-id-jag+jwt"
	jwtIDToken = "JWT"

	idJAGLife   = 5 * time.Minute
	idTokenLife = time.Hour

	jwksPath = "/jwks"
)

// grantTypes are those that the server has of them.
func (u *Unattended) grantTypes() []string {
	var types []string
	if u.Exchange || u.Identity {
		types = append(types, grantExchange)
	}
	if len(u.Trusts) > 0 {
		types = append(types, grantJWT)
	}
	if u.Credentials {
		types = append(types, grantCredentials)
	}
	return types
}

// has reports whether the server has the grant of an operation, if it is one of these.
func (u *Unattended) has(op Operation) bool {
	switch op {
	case TokenExchange:
		return u.Exchange || u.Identity
	case Assertion:
		return len(u.Trusts) > 0
	case ClientCredentials:
		return u.Credentials
	}
	return true
}

// metadata adds what the server says of them (ID-JAG §7).
func (u *Unattended) metadata(members map[string]any, base string) {
	if u.Identity {
		members["jwks_uri"] = base + jwksPath
		members["identity_chaining_requested_token_types_supported"] = []string{typeIDJAG}
	}
	if len(u.Trusts) > 0 {
		members["authorization_grant_profiles_supported"] = []string{profileIDJAG}
	}
}

// Issue returns an access token that nobody asked for: such as the one that a caller of another
// server comes with. A zero Expires never comes. It is not in the journal.
func (s *Server) Issue(a Access) string {
	text := "at_" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.access[text] = &token{
		grant: s.newGrant(a.Subject, a.ClientID), scopes: slices.Clone(a.Scopes), expires: a.Expires, audience: slices.Clone(a.Audience),
	}
	return text
}

// IDToken returns an ID token of a subject, for a client (OpenID Connect Core 1.0 §2). It is for
// servers with [Unattended].Identity.
func (s *Server) IDToken(subject, clientID string) string {
	now := time.Now()
	return s.key.sign(jwtIDToken, map[string]any{
		"iss": s.Issuer(), "sub": subject, "aud": clientID, "iat": now.Unix(), "exp": now.Add(idTokenLife).Unix(),
	})
}

// JWKS returns the public keys that this server signs with (RFC 7517); nil without
// [Unattended].Identity.
func (s *Server) JWKS() []byte {
	if s.key == nil {
		return nil
	}
	return s.key.jwks()
}

// keys answers the jwks_uri.
func (x *exchange) keys() reply {
	if x.r.Method != http.MethodGet {
		return notAllowed(http.MethodGet)
	}
	return reply{status: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}, body: x.server.JWKS(), outcome: OK}
}

// exchangeToken answers RFC 8693 §2.1. A subject token that is not good is an invalid_request
// (§2.2.2).
func (x *exchange) exchangeToken() reply {
	u := &x.server.opts.Unattended
	requested, of := x.form.Get("requested_token_type"), x.form.Get("subject_token_type")
	switch {
	case x.form.Has("actor_token"):
		return x.refuse(http.StatusBadRequest, "invalid_request", "there are no actors here")
	case requested == typeIDJAG && of == typeIDToken && u.Identity:
		return x.exchangeForIDJAG()
	case (requested == "" || requested == typeAccessToken) && of == typeAccessToken && u.Exchange:
		return x.exchangeAccess()
	}
	return x.refuse(http.StatusBadRequest, "invalid_request", "unsupported types of tokens")
}

// target returns what audience and resource name, and whether that is allowed.
func (x *exchange) target() (names []string, ok bool) {
	names = slices.Concat(x.form["audience"], x.form["resource"])
	allowed := x.server.opts.Unattended.Audiences
	return names, allowed == nil || len(without(names, allowed)) == 0
}

func (x *exchange) exchangeAccess() reply {
	s, now := x.server, time.Now()
	names, ok := x.target()
	if !ok {
		return x.refuse(http.StatusBadRequest, "invalid_target", "unknown audience or resource")
	}
	s.mu.Lock()
	subject := s.access[x.form.Get("subject_token")]
	if subject == nil || subject.isRevoked() || subject.expired(now) {
		s.mu.Unlock()
		return x.refuse(http.StatusBadRequest, "invalid_request", "unknown, expired or revoked subject token")
	}
	scopes := subject.scopes
	if x.scopes != nil {
		scopes = x.scopes
	}
	if len(without(scopes, subject.scopes)) > 0 {
		s.mu.Unlock()
		return x.refuse(http.StatusBadRequest, "invalid_scope", "more than the subject token has")
	}
	members := s.issueUntil(s.newGrant(subject.subject, x.client.ID), without(scopes, s.opts.Withhold), names, subject.expires)
	s.mu.Unlock()
	members["issued_token_type"] = typeAccessToken
	return x.json(http.StatusOK, members, nil)
}

// issueUntil is issue for an access token alone, that ends with another one, and is for this
// audience. The caller holds the mutex.
func (s *Server) issueUntil(g *grant, scopes, audience []string, end time.Time) map[string]any {
	members := s.issue(g, scopes, scopes, false)
	t := s.access[members["access_token"].(string)] //nolint:forcetypeassert // issue has put it there
	t.audience = audience
	if !end.IsZero() && (t.expires.IsZero() || t.expires.After(end)) {
		t.expires = end
		members["expires_in"] = int(time.Until(end) / time.Second)
	}
	return members
}

// exchangeForIDJAG answers ID-JAG §4.3: the subject token must have been issued to the client.
func (x *exchange) exchangeForIDJAG() reply {
	s, now := x.server, time.Now()
	claims, err := verifyJWT(x.form.Get("subject_token"), jwtIDToken, s.JWKS())
	switch {
	case err != nil, claims["iss"] != s.Issuer(), claims["aud"] != x.client.ID, !isBefore(now, claims["exp"]):
		return x.refuse(http.StatusBadRequest, "invalid_request", "no ID token of the client's that is good")
	case len(x.form["audience"]) != 1:
		return x.refuse(http.StatusBadRequest, "invalid_request", "one audience is wanted")
	case x.client.Auth == NoAuth:
		return x.refuse(http.StatusBadRequest, "unauthorized_client", "for clients with a secret alone")
	}
	if _, ok := x.target(); !ok {
		return x.refuse(http.StatusBadRequest, "invalid_target", "unknown audience or resource")
	}
	audience := x.form.Get("audience")
	client := x.client.ID
	if other, ok := s.opts.Unattended.ClientIDs[[2]string{audience, client}]; ok {
		client = other
	}
	issued := map[string]any{
		"jti": rand.Text(), "iss": s.Issuer(), "sub": claims["sub"], "aud": audience, "client_id": client,
		"iat": now.Unix(), "exp": now.Add(idJAGLife).Unix(), "scope": strings.Join(without(x.scopes, s.opts.Withhold), " "),
	}
	if resource := x.form["resource"]; len(resource) > 0 {
		issued["resource"] = resource[0]
	}
	return x.json(http.StatusOK, map[string]any{
		"issued_token_type": typeIDJAG, "access_token": s.key.sign(jwtIDJAG, issued), "token_type": "N_A",
		"scope": issued["scope"], "expires_in": wholeSeconds(idJAGLife),
	}, nil)
}

func isBefore(now time.Time, claim any) bool {
	end, ok := claim.(float64)
	return ok && now.Before(time.Unix(int64(end), 0))
}

// redeemAssertion answers RFC 7523 §2.1 for an ID-JAG (§4.4): it must be made out for this
// server and this client, and is good once.
func (x *exchange) redeemAssertion() reply {
	s, now := x.server, time.Now()
	invalid := func(why string) reply { return x.refuse(http.StatusBadRequest, "invalid_grant", why) }
	var claims map[string]any
	for issuer, keys := range s.opts.Unattended.Trusts {
		if found, err := verifyJWT(x.form.Get("assertion"), jwtIDJAG, keys); err == nil && found["iss"] == issuer && issuer != s.Issuer() {
			claims = found
		}
	}
	id, _ := claims["jti"].(string)
	subject, _ := claims["sub"].(string)
	scope, _ := claims["scope"].(string)
	granted, ok := parseScope(scope)
	switch {
	case claims == nil:
		return invalid("no ID-JAG of an identity provider that is trusted")
	case claims["aud"] != s.Issuer():
		return invalid("made out for another authorization server")
	case claims["client_id"] != x.client.ID:
		return invalid("made out for another client")
	case id == "" || subject == "" || !ok || !isBefore(now, claims["exp"]):
		return invalid("expired, or incomplete")
	}
	if x.scopes != nil { // MCP enterprise-managed authorization §7.2.1: the intersection
		granted = slices.DeleteFunc(slices.Clone(x.scopes), func(name string) bool { return !slices.Contains(granted, name) })
	}
	var audience []string
	if resource, ok := claims["resource"].(string); ok {
		audience = []string{resource}
	}
	s.mu.Lock()
	maps.DeleteFunc(s.assertions, func(_ string, end time.Time) bool { return !now.Before(end) })
	if _, used := s.assertions[id]; used {
		s.mu.Unlock()
		x.violate(AssertionReused, "")
		return invalid("used before")
	}
	s.assertions[id] = now.Add(2 * idJAGLife)
	members := s.issueUntil(s.newGrant(subject, x.client.ID), granted, audience, time.Time{})
	s.mu.Unlock()
	return x.json(http.StatusOK, members, nil)
}

// clientCredentials answers RFC 6749 §4.4.2: the token is the client's own, whose subject it is.
func (x *exchange) clientCredentials() reply {
	s := x.server
	names, ok := x.target()
	switch {
	case x.client.Auth == NoAuth:
		return x.refuse(http.StatusBadRequest, "unauthorized_client", "for clients with a secret alone")
	case !ok:
		return x.refuse(http.StatusBadRequest, "invalid_target", "unknown audience or resource")
	}
	scopes := s.scopesOr(x.scopes)
	if len(without(scopes, s.opts.Scopes)) > 0 {
		return x.refuse(http.StatusBadRequest, "invalid_scope", "unknown scope")
	}
	s.mu.Lock()
	members := s.issueUntil(s.newGrant(x.client.ID, x.client.ID), without(scopes, s.opts.Withhold), names, time.Time{})
	s.mu.Unlock()
	return x.json(http.StatusOK, members, nil)
}
