package connect

import (
	"net/http"
	"net/url"
	"time"
)

// A Sealer seals cookies as a page at this address does.
type Sealer struct{ p *Page }

// NewSealer returns one with a key of its own.
func NewSealer(address string, who func(*http.Request) (Person, error)) Sealer {
	p, err := New(Config{PublicURL: address, Who: who})
	if err != nil {
		panic(err)
	}
	return Sealer{p}
}

// Cookie returns the name and value of the cookie of an attempt of a link.
func (s Sealer) Cookie(attempt, link string, ends time.Time) (name, value string) {
	name = s.p.cookieName(attempt)
	return name, s.p.sealer.seal(ticket{Link: link, Ends: ends.Unix()}, "cookie", name)
}

// Opens reports whether a request has the cookie of an attempt, and of which link it is.
func (s Sealer) Opens(r *http.Request, attempt string) (link string, ok bool) {
	t, ok := s.p.ticket(r, attempt)
	return t.Link, ok
}

// Keep is keep.
func (s Sealer) Keep(w http.ResponseWriter, r *http.Request, attempt, link string, ends time.Time) {
	s.p.keep(w, r, attempt, ticket{Link: link, Ends: ends.Unix()})
}

// LinkCode is linkCode of a query.
func LinkCode(query string) (string, bool) {
	values, err := url.ParseQuery(query)
	if err != nil {
		return "", false
	}
	return linkCode(values)
}

// AttemptOf is attemptOf.
func AttemptOf(state string) (string, bool) { return attemptOf(state) }

// NewMemory is newMemory.
func NewMemory(all, each int) Table { return newMemory(all, each) }

// Showable is showable.
func Showable(text string, most int) string { return showable(text, most) }
