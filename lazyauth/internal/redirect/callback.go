package redirect

import (
	"crypto/sha256"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"net/http"
	"time"
)

// ticketTime is how long a browser keeps what the last page needs: longer than an exchange, and
// what comes after it, can take.
const ticketTime = 5 * time.Minute

// callback takes the authorization response.
func (a *Authorization) callback(w http.ResponseWriter, r *http.Request) {
	got, ok := authcode.ReadAnswer(r.URL.RawQuery)
	if !ok {
		a.show(w, nothing, http.StatusBadRequest)
		return
	}
	cookie := ""
	if c, err := r.Cookie(a.cookie); err == nil {
		cookie = c.Value
	}
	a.mu.Lock()
	at, began := a.find(got.State), a.hasBegun(cookie)
	if at != nil {
		a.reach()
	}
	over := a.over
	a.mu.Unlock()
	mixed := got.Mixed(a.flow.endpoints)
	refuse := func(v view, status int, why string) {
		a.tellRefused(why)
		a.show(w, v, status)
	}
	isBrowser := at != nil && (at.cookie == "" || authcode.Same(cookie, at.cookie))
	switch {
	case over && !isBrowser:
		a.show(w, ended, http.StatusGone)
	case at == nil:
		refuse(nothing, http.StatusBadRequest, "the state is not that of this sign-in")
	case !isBrowser && at.retired && began: // an older window of it, whose cookie was replaced
		a.show(w, newer, http.StatusGone)
	case !isBrowser:
		refuse(foreign, http.StatusForbidden, "the sign-in was begun in another browser, or this one keeps no cookies")
	case mixed != "": // before anything of the answer is acted on or shown
		refuse(mixedUp, http.StatusBadRequest, mixed)
	default:
		a.submit(w, at, got)
	}
}

// find returns the attempt of a state; a.mu is held. It looks at all of them.
func (a *Authorization) find(state string) *attempt {
	var found *attempt
	for _, at := range a.attempts {
		if authcode.Same(state, at.state) {
			found = at
		}
	}
	return found
}

// hasBegun reports whether a cookie is that of a browser which has begun an attempt; a.mu is held.
// It looks at all of them.
func (a *Authorization) hasBegun(cookie string) bool {
	has := false
	for _, at := range a.attempts {
		has = at.cookie != "" && authcode.Same(cookie, at.cookie) || has
	}
	return has
}

// submit hands what a browser brought to Wait, unless it was brought before, and sends the
// browser on to the last page, so that nothing of it stays in the address.
func (a *Authorization) submit(w http.ResponseWriter, at *attempt, got authcode.Answer) {
	a.mu.Lock()
	key := sha256.Sum256([]byte(got.Code + "\x00" + got.Error))
	s := a.codes[key]
	v, status := ended, http.StatusGone
	if s == nil {
		switch {
		case a.granted:
			v = already
		case a.over:
		case at.retired:
			v = newer
		case len(a.codes) >= mostRefused+1:
			v = tooOften
		default:
			s = &submission{attempt: at, code: got.Code, ticket: authcode.NewSecret(), settled: make(chan struct{}), seen: make(chan struct{})}
			if got.Code == "" {
				s.failure = got.Failure()
			}
			a.codes[key], a.tickets[s.ticket] = s, s
			if s.failure == nil {
				a.tell(authcode.Event{What: authcode.Came})
			}
			a.arrived <- s // there is room for all of them
		}
	}
	a.mu.Unlock()
	if s == nil {
		a.show(w, v, status)
		return
	}
	a.setCookie(w, a.ticket, s.ticket, donePath, ticketTime)
	a.send(w, a.flow.target.origin(a.port)+donePath)
}
