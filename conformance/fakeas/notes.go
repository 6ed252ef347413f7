package fakeas

import (
	"bytes"
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"
)

// note is one note of the API.
type note struct {
	ID   int    `json:"id"`
	Text string `json:"text"`
}

const (
	maxNote  = 4096   // bytes of one text
	maxNotes = 10_000 // of one person
)

// me answers GET /me.
func (x *exchange) me() reply {
	if x.r.Method != http.MethodGet {
		return notAllowed(http.MethodGet)
	}
	t, refused := x.protect(scopeProfile)
	if t == nil {
		return refused
	}
	p, _ := x.server.opts.person(t.subject)
	return x.json(http.StatusOK, map[string]any{"sub": p.Subject, "name": p.Name}, nil)
}

// listNotes answers GET /notes.
func (x *exchange) listNotes() reply {
	if x.r.Method != http.MethodGet {
		return notAllowed("GET, POST")
	}
	t, refused := x.protect(scopeRead)
	if t == nil {
		return refused
	}
	s := x.server
	s.mu.Lock()
	notes := append([]note{}, s.notes[t.subject]...)
	s.mu.Unlock()
	return x.json(http.StatusOK, map[string]any{"notes": notes}, nil)
}

// createNote answers POST /notes.
func (x *exchange) createNote() reply {
	t, refused := x.protect(scopeWrite)
	if t == nil {
		return refused
	}
	if mediaType, _, _ := mime.ParseMediaType(x.r.Header.Get("Content-Type")); mediaType != "application/json" {
		return x.refuse(http.StatusUnsupportedMediaType, "unsupported_media_type", "application/json is wanted")
	}
	if x.fault {
		return x.refuse(http.StatusRequestEntityTooLarge, "too_large", "the body is too large")
	}
	var in struct {
		Text string `json:"text"`
	}
	dec := json.NewDecoder(bytes.NewReader(x.body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil || dec.Decode(new(any)) != io.EOF || in.Text == "" ||
		len(in.Text) > maxNote || !utf8.ValidString(in.Text) {
		return x.refuse(http.StatusBadRequest, "bad_note", `{"text": …} with 1 to 4096 bytes is wanted`)
	}
	s := x.server
	s.mu.Lock()
	notes := s.notes[t.subject]
	full := len(notes) == maxNotes
	n := note{ID: len(notes) + 1, Text: in.Text}
	if !full {
		s.notes[t.subject] = append(notes, n)
	}
	s.mu.Unlock()
	if full {
		return x.refuse(http.StatusInsufficientStorage, "full", "no room for more notes")
	}
	return x.json(http.StatusCreated, map[string]any{"id": n.ID, "text": n.Text}, nil)
}

// protect checks the bearer token (RFC 6750 §2.1, §3). A nil token comes with
// the challenge to send.
func (x *exchange) protect(scope string) (*token, reply) {
	x.accepted = []string{scope}
	challenge := func(status int, code, attributes string) reply {
		members := map[string]any{"error": code}
		if code == "" {
			members["error"] = "unauthorized" // §3.1: the challenge names no error then
		}
		header := http.Header{"Www-Authenticate": {`Bearer realm="notes"` + attributes}}
		return x.json(status, members, header)
	}
	if x.bearer == "" {
		return nil, challenge(http.StatusUnauthorized, "", `, scope="`+scope+`"`)
	}
	if x.query.Has("access_token") {
		return nil, challenge(http.StatusBadRequest, "invalid_request", `, error="invalid_request"`)
	}
	s, now := x.server, time.Now()
	s.mu.Lock()
	t := s.access[x.bearer]
	knownRevoked := t != nil && t.knownRevoked(x.entry.Time)
	valid := t != nil && !t.isRevoked() && !t.expired(now) && (t.audience == nil || slices.Contains(t.audience, s.opts.API))
	s.mu.Unlock()
	if t != nil {
		x.entry.ClientID = t.clientID
	}
	if knownRevoked {
		x.violate(RevokedTokenUsed, "access token")
	}
	if valid {
		x.held = append([]string{}, t.scopes...) // not nil: the token is valid, though it may have none
	}
	switch {
	case !valid:
		return nil, challenge(http.StatusUnauthorized, "invalid_token", `, error="invalid_token", scope="`+scope+`"`)
	case !slices.Contains(t.scopes, scope):
		return nil, challenge(http.StatusForbidden, "insufficient_scope", `, error="insufficient_scope", scope="`+scope+`"`)
	}
	return t, reply{}
}
