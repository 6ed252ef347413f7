package redirect

import (
	"crypto/sha256"
	"net/http"
	"time"
)

// ticketTime is how long a browser keeps what the last page needs: longer than an exchange, and
// what comes after it, can take.
const ticketTime = 5 * time.Minute

// callback takes the authorization response.
func (a *Authorization) callback(w http.ResponseWriter, r *http.Request) {
	got, ok := readAnswer(r.URL.RawQuery)
	if !ok {
		a.show(w, nothing, http.StatusBadRequest)
		return
	}
	cookie := ""
	if c, err := r.Cookie(a.cookie); err == nil {
		cookie = c.Value
	}
	a.mu.Lock()
	at, began := a.find(got.state), a.hasBegun(cookie)
	if at != nil {
		a.reach()
	}
	over := a.over
	a.mu.Unlock()
	endpoints := &a.flow.endpoints
	refuse := func(v view, status int, why string) {
		a.tellRefused(why)
		a.show(w, v, status)
	}
	isBrowser := at != nil && (at.cookie == "" || same(cookie, at.cookie))
	switch {
	case over && !isBrowser:
		a.show(w, ended, http.StatusGone)
	case at == nil:
		refuse(nothing, http.StatusBadRequest, "the state is not that of this sign-in")
	case !isBrowser && at.retired && began: // an older window of it, whose cookie was replaced
		a.show(w, newer, http.StatusGone)
	case !isBrowser:
		refuse(foreign, http.StatusForbidden, "the sign-in was begun in another browser, or this one keeps no cookies")
	// The table of MCP basic/authorization (2026-07-28), "Authorization Response Validation", before
	// anything of the answer is acted on or shown. It has four rows: promised by the metadata
	// (authorization_response_iss_parameter_supported) and present, "Compare to the recorded issuer using
	// simple string comparison"; promised and absent, "Reject the response"; not promised and present,
	// "Compare to the recorded issuer" as well; neither, "Proceed". The recorded issuer is that of "the
	// selected authorization server's validated metadata document".
	case got.iss == "" && endpoints.Features.IssuerInResponse:
		refuse(mixedUp, http.StatusBadRequest, "the answer does not name its issuer, as the metadata promises (RFC 9207)")
	// Where all endpoints were named by hand there is no such document, and so no recorded issuer, which the
	// table does not foresee. The third row has to be met all the same, and nothing is equal to what is not
	// there; RFC 9207 §2.4, too, has clients "discard authorization responses with the iss parameter from
	// authorization servers that do not indicate their support", unless they are configured to accept
	// them: which is to name the issuer.
	case got.iss != "" && endpoints.Issuer == "":
		refuse(mixedUp, http.StatusBadRequest, "the answer names an issuer, and none is configured to compare it with: "+quote(got.iss))
	case got.iss != "" && got.iss != endpoints.Issuer:
		refuse(mixedUp, http.StatusBadRequest, "the answer names another issuer (RFC 9207): "+quote(got.iss))
	default:
		a.submit(w, at, got)
	}
}

// find returns the attempt of a state; a.mu is held. It looks at all of them.
func (a *Authorization) find(state string) *attempt {
	var found *attempt
	for _, at := range a.attempts {
		if same(state, at.state) {
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
		has = at.cookie != "" && same(cookie, at.cookie) || has
	}
	return has
}

// submit hands what a browser brought to Wait, unless it was brought before, and sends the
// browser on to the last page, so that nothing of it stays in the address.
func (a *Authorization) submit(w http.ResponseWriter, at *attempt, got answer) {
	a.mu.Lock()
	key := sha256.Sum256([]byte(got.code + "\x00" + got.error))
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
			s = &submission{attempt: at, code: got.code, ticket: newSecret(), settled: make(chan struct{}), seen: make(chan struct{})}
			if got.code == "" {
				s.failure = got.failure()
			}
			a.codes[key], a.tickets[s.ticket] = s, s
			if s.failure == nil {
				a.tell(Event{What: Came})
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
