package fakeas

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"time"
)

// ErrNotWaiting is returned for a user code under which no device
// authorization waits for a decision: unknown, expired or decided.
var ErrNotWaiting = errors.New("fakeas: no device authorization is waiting under this user code")

// Request is a device authorization that waits for a person.
type Request struct {
	UserCode                string
	ClientID                string
	Scopes                  []string // asked for, in the client's order
	VerificationURI         string
	VerificationURIComplete string
	Expires                 time.Time
	Extra                   url.Values // parameters that RFC 8628 does not name, such as resource
}

// Waiting returns the device authorizations that wait for a decision, oldest
// first.
func (s *Server) Waiting() []Request {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	var waiting []Request
	for _, d := range s.queue {
		if d.waits(now) {
			waiting = append(waiting, d.request())
		}
	}
	return waiting
}

// request returns a copy for the caller to keep.
func (d *device) request() Request {
	r := d.Request
	r.Scopes = slices.Clone(r.Scopes)
	r.Extra = maps.Clone(r.Extra)
	return r
}

// WaitForRequest blocks until a device authorization waits for a decision and
// returns the oldest, or the cause of ctx's end.
func (s *Server) WaitForRequest(ctx context.Context) (Request, error) {
	for {
		now := time.Now()
		s.mu.Lock()
		for len(s.queue) > 0 && !s.queue[0].waits(now) {
			s.queue[0] = nil
			s.queue = s.queue[1:]
		}
		if len(s.queue) > 0 {
			defer s.mu.Unlock()
			return s.queue[0].request(), nil
		}
		arrived := s.arrived
		s.mu.Unlock()
		select {
		case <-arrived:
		case <-ctx.Done():
			return Request{}, context.Cause(ctx)
		}
	}
}

// Approve approves as the first of [Options.People], without the page. Without
// granted scopes it grants what was asked for less [Options.Withhold]; with
// some, exactly those. It returns [ErrNotWaiting], or an error for a name
// that is no scope.
func (s *Server) Approve(userCode string, granted ...string) error {
	return s.ApproveAs(s.opts.People[0].Subject, userCode, granted...)
}

// ApproveAs is Approve by another person: GET /me then answers with that
// subject, and the notes are that person's.
func (s *Server) ApproveAs(subject, userCode string, granted ...string) error {
	for _, scope := range granted {
		if !isScope(scope) {
			return fmt.Errorf("fakeas: approving: %q is no scope", scope)
		}
	}
	_, err := s.decide(userCode, approved, subject, granted)
	return err
}

// Deny denies, without the page. It returns [ErrNotWaiting].
func (s *Server) Deny(userCode string) error {
	_, err := s.decide(userCode, denied, "", nil)
	return err
}

// decide takes a person's decision. It returns a copy of what was decided on.
func (s *Server) decide(userCode string, what decision, subject string, granted []string) (device, error) {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	d := s.users[readUserCode(userCode)]
	if d == nil || !d.waits(now) {
		return device{}, ErrNotWaiting
	}
	d.decision, d.subject = what, subject
	if what == approved {
		d.granted = slices.Clone(granted)
		if len(granted) == 0 {
			d.granted = without(d.Scopes, s.opts.Withhold)
		}
	}
	return *d, nil
}

// ExpireAccessTokens ends every access token now; refresh tokens live on.
func (s *Server) ExpireAccessTokens() {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.access {
		if !t.expired(now) {
			t.expires = now
		}
	}
}

// RevokeRefreshTokens revokes every refresh token; access tokens live on.
func (s *Server) RevokeRefreshTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, t := range s.refresh {
		t.own.revoke(time.Time{})
	}
}

// RevokeAll revokes every grant, as a person does in account settings.
func (s *Server) RevokeAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, tokens := range []map[string]*token{s.access, s.refresh} {
		for _, t := range tokens {
			t.grant.revoke(time.Time{})
		}
	}
}

// Restart forgets every device code, authorization code and request, and who
// is signed in where, as a restart of a server that keeps them in memory does.
// Tokens, clients, notes, journal, violations and scripts stay.
func (s *Server) Restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.devices)
	clear(s.users)
	s.queue = nil
	clear(s.authorizations)
	clear(s.codes)
	clear(s.pushes)
	clear(s.sessions)
}
