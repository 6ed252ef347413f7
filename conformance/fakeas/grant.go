package fakeas

import (
	"crypto/rand"
	"strings"
	"time"
)

// grant is what a person gave to a client; its tokens end with it.
type grant struct {
	subject  string
	clientID string
	end
}

// token is an access or refresh token.
type token struct {
	*grant
	own     end // of this token alone
	scopes  []string
	expires time.Time // zero: never

	audience []string // nil: any

	// Of refresh tokens.
	replaced bool
	lost     bool // the answer with the replacement did not get through
}

// end says whether a grant or token was revoked, and by whom.
type end struct {
	revoked  bool
	byClient time.Time // zero unless the client itself did
}

// revoke ends it; the zero time says that the client had no part in it.
func (e *end) revoke(byClient time.Time) {
	if !e.revoked {
		e.revoked, e.byClient = true, byClient
	}
}

func (t *token) expired(now time.Time) bool {
	return !t.expires.IsZero() && !now.Before(t.expires)
}

func (t *token) isRevoked() bool { return t.own.revoked || t.grant.revoked }

// knownRevoked reports whether the client had revoked the token itself when
// it sent a request.
func (t *token) knownRevoked(sent time.Time) bool {
	for _, e := range []end{t.own, t.grant.end} {
		if e.revoked && !e.byClient.IsZero() && sent.After(e.byClient) {
			return true
		}
	}
	return false
}

// newGrant returns the grant that an approval belongs to. The caller holds
// the mutex.
func (s *Server) newGrant(subject, clientID string) *grant {
	g := &grant{subject: subject, clientID: clientID}
	if !s.opts.SharedGrant {
		return g
	}
	key := [2]string{subject, clientID}
	if old := s.shared[key]; old != nil && !old.revoked {
		return old
	}
	s.shared[key] = g
	return g
}

// issue makes tokens and the members of the answer that carries them (RFC
// 6749 §5.1). The scope member is there even if nothing was granted: its
// absence would say that everything was. The caller holds the mutex.
func (s *Server) issue(g *grant, access, refresh []string, withRefresh bool) map[string]any {
	t := &token{grant: g, scopes: access}
	members := map[string]any{"token_type": "Bearer", "scope": strings.Join(access, " ")}
	if s.opts.TokenLifetime > 0 {
		t.expires = time.Now().Add(s.opts.TokenLifetime)
		members["expires_in"] = wholeSeconds(s.opts.TokenLifetime)
	}
	text := "at_" + rand.Text()
	s.access[text] = t
	members["access_token"] = text
	if withRefresh {
		text = "rt_" + rand.Text()
		s.refresh[text] = &token{grant: g, scopes: refresh}
		members["refresh_token"] = text
	}
	return members
}
