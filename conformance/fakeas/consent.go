package fakeas

import (
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	signInPath  = "/authorize/sign-in"
	consentPath = "/authorize/decision"
)

// personView is an account on the page where one is chosen.
type personView struct {
	Person
	Hinted bool
}

// signInView asks who it is.
func (x *exchange) signInView(a *authorization) view {
	v := x.aboutAuthorization(a)
	v.name, v.status, v.outcome = "signin", http.StatusOK, OK
	v.nobody = true
	hinted, _ := x.server.opts.hinted(a.hint)
	for _, p := range x.server.opts.People {
		v.People = append(v.People, personView{p, p.Subject == hinted.Subject})
	}
	return v
}

// consentView shows who asks for what.
func (x *exchange) consentView(a *authorization, who string) view {
	v := x.aboutAuthorization(a)
	v.name, v.status, v.outcome = "consent", http.StatusOK, OK
	p, _ := x.server.opts.person(who)
	v.Person, v.Subject, v.Scopes = p.Name, p.Subject, viewScopes(a.scopes)
	return v
}

func (x *exchange) aboutAuthorization(a *authorization) view {
	v := view{ClientID: a.client.ID, ClientName: a.client.Name, Ticket: a.ticket, leadsTo: formTarget(a.redirectURI)}
	if u, err := url.Parse(a.redirectURI); err == nil && !isLoopback(a.redirectURI) {
		v.ReturnTo = u.Host
		if v.ReturnTo == "" {
			v.ReturnTo = u.Scheme
		}
	}
	return v
}

// problem is a page that sends nobody back.
func (x *exchange) problem(status int, outcome, text string) reply {
	return x.show(view{name: "problem", status: status, outcome: outcome, Problem: text, nobody: true})
}

// consent takes the forms of the authorization endpoint's pages.
func (x *exchange) consent() reply {
	if x.r.Method != http.MethodPost {
		return notAllowed(http.MethodPost)
	}
	if x.isCrossOrigin() {
		return x.show(view{name: "foreign", status: http.StatusForbidden, outcome: "cross-origin", nobody: true, Authorizing: true})
	}
	if x.form == nil || x.fault {
		return x.problem(http.StatusBadRequest, "malformed", "That did not arrive whole.")
	}
	s := x.server
	browser := x.session(false)
	s.mu.Lock()
	a := s.authorizations[x.form.Get("request")]
	who := ""
	if browser != nil {
		who = browser.subject
	}
	s.mu.Unlock()
	switch {
	case a == nil || !time.Now().Before(a.expires):
		return x.problem(http.StatusGone, "expired-request", "This request is not known any more.")
	case browser == nil || a.session != browser:
		return x.problem(http.StatusForbidden, "other-browser", "This request was begun in another browser, or your browser does not keep cookies.")
	}
	x.pending = a
	x.entry.ClientID = a.client.ID

	if strings.HasSuffix(x.r.URL.Path, signInPath) {
		p, known := s.opts.person(x.form.Get("person"))
		if !known {
			return x.show(x.signInView(a))
		}
		x.signIn(browser, p.Subject)
		return x.ask(a, p.Subject)
	}
	switch x.form.Get("decision") {
	case "approve":
		// Whoever has signed in meanwhile, in another window, was not asked.
		if who == "" || x.form.Get("person") != who {
			return x.show(x.signInView(a))
		}
		return x.conclude(a, approved, who, nil)
	case "deny":
		return x.conclude(a, denied, who, nil)
	case "switch":
		return x.show(x.signInView(a))
	}
	if who == "" {
		return x.show(x.signInView(a))
	}
	return x.ask(a, who)
}
