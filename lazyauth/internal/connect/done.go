package connect

import (
	"net/http"
	"net/url"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
)

// doneTime is how long the last page is held back until it can say how the sign-in ended. After that it says that it
// is under way, and loads itself again.
const doneTime = 4 * time.Second

// done says how the sign-in ended, to the person whose browser brought an answer for this attempt.
func (p *Page) done(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		p.show(w, nothing, http.StatusMethodNotAllowed, shown{})
		return
	}
	id := ""
	if values, err := url.ParseQuery(r.URL.RawQuery); err == nil && len(values["a"]) == 1 && isCode(values["a"][0], attemptLength) {
		id = values["a"][0]
	}
	t, ok := p.ticket(r, id)
	if !ok {
		p.show(w, nothing, http.StatusNotFound, shown{})
		return
	}
	who, identity, err := p.who(r)
	if err != nil {
		p.stranger(w, r)
		return
	}
	if !authcode.Same(identity.digest(), t.Person) {
		p.refuse(w, r, ErrEnded, who)
		return
	}
	you := shown{You: p.name(who)}
	a := p.of(digest(t.Link))
	s := a.submission(id)
	if s == nil {
		p.show(w, ended, http.StatusGone, you)
		return
	}
	timer := time.NewTimer(doneTime)
	defer timer.Stop()
	for _, step := range []<-chan struct{}{s.settled, a.finished} {
		select {
		case <-step:
		case <-timer.C:
			p.show(w, working, http.StatusOK, a.about(you))
			return
		case <-r.Context().Done():
			return
		}
		if s.what != "" {
			saw(a)
			you.Again = p.link(t.Link)
			p.show(w, s.what, http.StatusOK, a.about(you))
			return
		}
	}
	a.mu.Lock()
	o, granted := a.outcome, a.granted
	a.mu.Unlock()
	what := signedIn
	switch {
	case o.ByAnother && !o.Failed:
		what = already
	case o.Failed && !granted:
		what = ended
	case o.Failed:
		what = unfinished
	}
	you.Account = o.Account
	saw(a)
	p.show(w, what, http.StatusOK, a.about(you))
}

// submission returns what was brought for an attempt; nil if nothing was. a may be nil.
func (a *Authorization) submission(attempt string) *submission {
	if a == nil {
		return nil
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.brought[attempt]
}
