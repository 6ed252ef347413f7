package fakeas

import (
	"crypto/rand"
	"maps"
	"net/http"
	"strings"
)

// session is one browser at the pages of the authorization endpoint.
type session struct {
	id      string // the cookie; changes when somebody signs in
	subject string // empty: nobody is signed in
}

// maxSessions bounds what browsers without cookies can pile up.
const maxSessions = 1 << 14

// cookieName has the port in it: cookies do not tell ports apart (RFC 6265
// §8.5), and two servers on one machine must not sign people out of each other.
func (x *exchange) cookieName() string {
	_, host, _ := strings.Cut(x.base, "://")
	host, _, _ = strings.Cut(host, "/")
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		return "fakeas_session_" + host[i+1:]
	}
	return "fakeas_session"
}

// session returns the browser's session, or nil; if told to begin, a new one.
func (x *exchange) session(begin bool) *session {
	s := x.server
	s.mu.Lock()
	defer s.mu.Unlock()
	if x.fresh != nil {
		return x.fresh
	}
	if cookie, err := x.r.Cookie(x.cookieName()); err == nil {
		if found := s.sessions[cookie.Value]; found != nil {
			return found
		}
	}
	if !begin {
		return nil
	}
	if len(s.sessions) >= maxSessions {
		maps.DeleteFunc(s.sessions, func(_ string, old *session) bool { return old.subject == "" })
	}
	if len(s.sessions) >= maxSessions {
		clear(s.sessions)
	}
	x.fresh = &session{id: rand.Text()}
	s.sessions[x.fresh.id] = x.fresh
	return x.fresh
}

// signIn makes a browser a person's. The cookie is replaced, so that one that
// somebody else has put there is worth nothing.
func (x *exchange) signIn(browser *session, subject string) {
	s := x.server
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sessions, browser.id)
	browser.id, browser.subject = rand.Text(), subject
	s.sessions[browser.id] = browser
	x.fresh = browser
}

// keepSession sends the browser a cookie that it does not have yet.
func (x *exchange) keepSession(header http.Header) {
	if x.fresh == nil {
		return
	}
	x.server.mu.Lock()
	id := x.fresh.id
	x.server.mu.Unlock()
	cookie := http.Cookie{ //nolint:gosec // Secure wherever the server is reached by https
		Name: x.cookieName(), Value: id, Path: strings.TrimSuffix(x.server.issuer.Path, "/") + "/",
		HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: strings.HasPrefix(x.base, "https://"),
	}
	header.Add("Set-Cookie", cookie.String())
}

// SignOut signs everybody out of the pages of the authorization endpoint, in
// every browser. Tokens live on.
func (s *Server) SignOut() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.sessions)
}
