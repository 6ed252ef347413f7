package connect

import (
	"context"
	"errors"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
)

// isOwnForm reports whether a browser says that a POST comes from a page of this origin. Under the referrer policy
// of these pages Origin is "null", so that Fetch Metadata decides where there is any.
func isOwnForm(h http.Header, origin string) bool {
	if site := h.Values("Sec-Fetch-Site"); len(site) > 0 {
		return len(site) == 1 && site[0] == "same-origin"
	}
	return h.Get("Origin") == origin
}

// readForm reads a form that a browser says is of these pages. It has answered if it returns false.
func (p *Page) readForm(w http.ResponseWriter, r *http.Request) bool {
	if !isOwnForm(r.Header, p.origin) {
		p.show(w, forged, http.StatusForbidden, shown{})
		return false
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		p.show(w, forged, http.StatusBadRequest, shown{})
		return false
	}
	return true
}

// goOn takes the answer to the page: it makes a new attempt, in place of the one before, and leads to the
// authorization server. That is by a page, and not by a redirect, to which browsers would apply form-action over
// all the servers that it leads to in the end.
func (p *Page) goOn(w http.ResponseWriter, r *http.Request) {
	if !p.readForm(w, r) {
		return
	}
	who, identity, err := p.who(r)
	if err != nil {
		p.stranger(w, r)
		return
	}
	you := shown{You: p.name(who)}
	code, ok := linkCode(r.PostForm)
	if !ok || !p.sealer.isFormToken(r.PostForm.Get("token"), code, identity) {
		p.show(w, forged, http.StatusForbidden, you)
		return
	}
	a, err := p.find(r.Context(), code, identity)
	if err != nil {
		p.refuse(w, r, err, who)
		return
	}
	switch answers := r.PostForm["answer"]; {
	case len(answers) == 1 && answers[0] == "not-me":
		a.tell(authcode.Event{What: authcode.Refused, Detail: "the person at the browser says that they are somebody else: another person may have signed them in, and sent them the link"})
		p.end(w, r)
		you.Back = "?f=" + code
		p.show(w, notMe, http.StatusOK, you)
	case len(answers) == 1 && answers[0] == "continue":
		p.begin(w, r, a, identity, you)
	default:
		p.show(w, forged, http.StatusBadRequest, you)
	}
}

// attemptLength is that of the name of an attempt, with which its state begins.
const attemptLength = 16

// begin begins an attempt in this browser.
func (p *Page) begin(w http.ResponseWriter, r *http.Request, a *Authorization, identity Person, you shown) {
	attempt := Attempt{ID: authcode.NewNonce()[:attemptLength], Verifier: authcode.NewSecret()}
	state := attempt.ID + "." + authcode.NewSecret()
	request := authcode.Request{
		RedirectURI: a.RedirectURI(), State: state, Verifier: attempt.Verifier, Asked: a.asked,
		LoginHint: a.request.LoginHint, Prompt: a.request.Prompt,
	}
	form := request.Form(a.request.Client)
	// Before anything is pushed, so that what one link can have the server asked for is bounded.
	ctx, cancel := context.WithTimeout(r.Context(), tableWait)
	err := p.table.Begin(ctx, a.id, attempt)
	cancel()
	switch {
	case errors.Is(err, ErrOften):
		p.show(w, tooOften, http.StatusTooManyRequests, a.about(you))
		return
	case errors.Is(err, ErrEnded):
		p.show(w, foreign, http.StatusForbidden, you)
		return
	case err != nil:
		p.show(w, unreachable, http.StatusServiceUnavailable, a.about(you))
		return
	}
	if err := a.mark(r.Context(), markOfAttempt(attempt.ID)); err != nil {
		p.show(w, unreachable, http.StatusServiceUnavailable, a.about(you))
		return
	}
	if a.endpoints.Features.PushedOnly {
		ctx, cancel := context.WithTimeout(r.Context(), pushTime)
		defer cancel()
		pushed, err := a.request.Client.Push(ctx, form)
		if err != nil {
			a.tell(authcode.Event{What: authcode.PushFailed, Detail: authcode.Detail(err)})
			p.show(w, unreachable, http.StatusBadGateway, a.about(you))
			return
		}
		form = authcode.By(a.request.Client, pushed)
	}
	a.reach()
	a.tell(authcode.Event{What: authcode.Started})
	p.keep(w, r, attempt.ID, ticket{
		Link: a.code, State: digest(state), Person: identity.digest(), Path: a.path,
		Issuer: a.endpoints.Issuer, Promised: a.endpoints.Features.IssuerInResponse,
		Ends: a.expires.Add(linger).Unix(),
	})
	you.To = authcode.Address(a.endpoint, form)
	p.show(w, leaving, http.StatusOK, a.about(you))
}

// reach notes that the person has gone on from the page.
func (a *Authorization) reach() {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.Reached() {
		close(a.here)
	}
}
