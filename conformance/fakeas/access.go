package fakeas

import (
	"slices"
	"time"
)

// Access is what an access token is good for.
type Access struct {
	Subject  string // the person who approved
	ClientID string
	Scopes   []string
	Expires  time.Time // zero: never
	Audience []string  // what it was made out for by name; nil: nothing in particular
}

// Introspect returns what an access token is good for, or false if it is
// unknown, expired or revoked. It is for tests whose API is not the notes: like
// the endpoint of RFC 7662, it tells a resource server whether to answer.
func (s *Server) Introspect(accessToken string) (Access, bool) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.access[accessToken]
	if t == nil || t.isRevoked() || t.expired(now) {
		return Access{}, false
	}
	return Access{Subject: t.subject, ClientID: t.clientID, Scopes: slices.Clone(t.scopes), Expires: t.expires, Audience: slices.Clone(t.audience)}, true
}
