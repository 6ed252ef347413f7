package connect

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/webpage"
)

// attemptOf returns the name of the attempt that a state is of.
func attemptOf(state string) (string, bool) {
	id, rest, ok := strings.Cut(state, ".")
	return id, ok && isCode(id, attemptLength) && isCode(rest, 43)
}

// leads sends the browser to another page of these.
func (*Page) leads(w http.ResponseWriter, to string) {
	webpage.Dress(w.Header(), policy)
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// Whoever comes back with what is not theirs to bring is turned away to an address of its own for each of these. What
// they brought would stay in the browser's address and history otherwise: an attacker who sent them to the
// authorization server could talk them into handing it over, and finish with it in the browser that has the cookie. So is who
// brings to an attempt of their own what is of no use any more: nobody has presented that code, and at a server that
// ignores PKCE it is good for whoever reads it.
var turnedAway = map[view]int{
	nothing: http.StatusBadRequest, elsewhere: http.StatusForbidden, mixedUp: http.StatusBadRequest,
	newer: http.StatusGone, already: http.StatusGone, ended: http.StatusGone,
}

func (p *Page) turnAway(w http.ResponseWriter, v view) { p.leads(w, p.config.PublicURL+"/"+string(v)) }

// away serves those addresses, and reports whether there is one at a path.
func (p *Page) away(w http.ResponseWriter, path string, isOurs func(string) bool) bool {
	v := view(path[strings.LastIndexByte(path, '/')+1:])
	status, ok := turnedAway[v]
	if ok = ok && isOurs("/"+string(v)); ok {
		p.show(w, v, status, shown{})
	}
	return ok
}

// callback takes the authorization response. Nothing is asked of a table before the browser has shown, by its
// cookie, that it began this very attempt, that the answer came back on this path, and from that issuer, and that
// the same person sits there.
func (p *Page) callback(w http.ResponseWriter, r *http.Request, path string) {
	if r.Method != http.MethodGet { // and not HEAD: what is looked at is used up
		w.Header().Set("Allow", http.MethodGet)
		p.show(w, nothing, http.StatusMethodNotAllowed, shown{})
		return
	}
	if !webpage.IsNavigation(r.Header, p.origin) {
		p.show(w, nothing, http.StatusBadRequest, shown{})
		return
	}
	got, ok := authcode.ReadAnswer(r.URL.RawQuery)
	id, named := attemptOf(got.State)
	if !ok || !named {
		p.turnAway(w, nothing)
		return
	}
	t, ok := p.ticket(r, id)
	if !ok || !authcode.Same(digest(got.State), t.State) {
		p.turnAway(w, elsewhere)
		return
	}
	tell := func(why string) {
		if a := p.of(digest(t.Link)); a != nil {
			a.tell(authcode.Event{What: authcode.Refused, Detail: why})
		}
	}
	if mixed := got.Mixed(oauth.Endpoints{Issuer: t.Issuer, Features: oauth.Features{IssuerInResponse: t.Promised}}); path != t.Path || mixed != "" {
		if mixed == "" {
			mixed = "the answer came back to the address of another issuer"
		}
		tell(mixed)
		p.turnAway(w, mixedUp)
		return
	}
	who, identity, err := p.who(r)
	if err != nil { // any more: with a session as before the answer is good, if the browser loads it again
		p.show(w, signedOut, http.StatusForbidden, shown{Back: p.field(p.link(t.Link))})
		return
	}
	if !authcode.Same(identity.digest(), t.Person) {
		tell("somebody else is signed in at the browser now")
		p.leads(w, p.link(t.Link)) // which says as whom
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), tableWait)
	defer cancel()
	attempt, err := p.table.Claim(ctx, digest(t.Link), id)
	switch {
	case errors.Is(err, ErrRetired):
		p.turnAway(w, newer)
	case errors.Is(err, ErrClaimed):
		p.turnAway(w, already)
	case errors.Is(err, ErrEnded):
		p.turnAway(w, ended)
	case err != nil: // the answer is good, if the browser loads it again
		p.show(w, unreachable, http.StatusServiceUnavailable, shown{You: p.name(who)})
	default:
		s := &submission{attempt: attempt, code: got.Code, settled: make(chan struct{})}
		if got.Code == "" {
			s.failure = got.Failure()
		}
		if a := p.of(digest(t.Link)); a == nil || !a.submit(s) {
			p.turnAway(w, ended)
			return
		}
		p.leads(w, p.config.PublicURL+donePath+"?a="+id) // so that nothing of the answer stays in the address
	}
}
