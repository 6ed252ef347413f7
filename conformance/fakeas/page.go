package fakeas

import (
	"bytes"
	"embed"
	"html/template"
	"net/http"
	"strconv"
	"strings"
	"time"
)

//go:embed page.html page.css page.js
var pageFiles embed.FS

var (
	pageTemplates = template.Must(template.ParseFS(pageFiles, "page.html"))
	pageStyle, _  = pageFiles.ReadFile("page.css")
	pageScript, _ = pageFiles.ReadFile("page.js")
)

const (
	decisionPath = "/device/decision"
	stylePath    = "/device.css"
	scriptPath   = "/device.js"
)

// view is what a page shows. Its name is the template's, and data-page in the
// HTML.
type view struct {
	name    string
	status  int
	outcome string // for the journal

	Prefix string // path of the issuer
	Person string

	// Of the page that asks for the code.
	Typed, Error string

	// Of the pages about one request.
	ClientID, ClientName string
	Code, Spelled        string
	Minutes              int
	Scopes               []scopeView

	// Of the pages of the authorization endpoint.
	Ticket      string
	Subject     string // of the person
	People      []personView
	ReturnTo    string // empty: this machine
	Problem     string
	Authorizing bool
	nobody      bool   // not said who is signed in
	leadsTo     string // for the policy; see formTarget
}

// scopeView is a scope as people read it.
type scopeView struct{ Name, Words string }

// page serves RFC 8628 §3.3: the code is entered, then the request is shown,
// then it is decided on. A code in the address (§3.3.1) fills in the first
// form and does no more. The first of the people is signed in unless the
// browser is another's since the authorization endpoint; forms from other sites
// are told by their headers.
func (x *exchange) page() reply {
	path := strings.TrimPrefix(x.r.URL.Path, strings.TrimSuffix(x.server.issuer.Path, "/"))
	switch {
	case path == stylePath && x.r.Method == http.MethodGet:
		return x.file(pageStyle, "text/css; charset=utf-8")
	case path == scriptPath && x.r.Method == http.MethodGet:
		return x.file(pageScript, "text/javascript; charset=utf-8")
	case path == paths[Page] && x.r.Method == http.MethodGet:
		typed := x.query.Get("user_code")
		return x.show(view{name: "enter", status: http.StatusOK, outcome: OK, Typed: typed[:min(len(typed), 64)]})
	case path == paths[Page] && x.r.Method == http.MethodPost:
		return x.submit(x.confirmView)
	case path == decisionPath && x.r.Method == http.MethodPost:
		return x.submit(x.decide)
	case path == decisionPath && x.r.Method == http.MethodGet:
		out := x.dress(reply{status: http.StatusSeeOther, outcome: OK})
		out.header.Set("Location", strings.TrimSuffix(x.base, "/")+paths[Page])
		return out
	case path == stylePath, path == scriptPath:
		return notAllowed(http.MethodGet)
	}
	return notAllowed("GET, POST")
}

// submit checks a submitted form, finds what its code stands for, and shows
// what next makes of it.
func (x *exchange) submit(next func(*device) view) reply {
	if x.isCrossOrigin() {
		return x.show(view{name: "foreign", status: http.StatusForbidden, outcome: "cross-origin"})
	}
	if x.form == nil || x.fault {
		return x.show(view{name: "enter", status: http.StatusBadRequest, outcome: "malformed", Error: "That did not arrive whole. Please enter the code again."})
	}
	s, from := x.server, visitor(x.r)
	typed := x.form.Get("user_code")
	again := view{name: "enter", status: http.StatusUnprocessableEntity, Typed: typed[:min(len(typed), 64)]}
	if readUserCode(typed) == "" {
		again.outcome, again.Error = "no-code", "Enter the code that your application shows you."
		return x.show(again)
	}

	now := time.Now()
	s.mu.Lock()
	wait := s.guesses.wait(from, now)
	var d *device
	if wait == 0 {
		if found := s.users[readUserCode(typed)]; found != nil {
			copied := *found
			d = &copied
		} else {
			s.guesses.wrong(from, now)
		}
	}
	s.mu.Unlock()
	switch {
	case wait > 0:
		seconds := strconv.Itoa(wholeSeconds(wait))
		again.status, again.outcome = http.StatusTooManyRequests, "too-many-codes"
		again.Error = "Too many wrong codes. Wait " + seconds + " seconds, then try again."
		out := x.show(again)
		out.header.Set("Retry-After", seconds)
		return out
	case d == nil:
		again.outcome, again.Error = "unknown-code", "This code is not known. Compare it with the one that your application shows you."
		return x.show(again)
	}
	return x.show(next(d))
}

// isCrossOrigin reports whether a form was sent from another site.
func (x *exchange) isCrossOrigin() bool {
	r := *x.r
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	return http.NewCrossOriginProtection().Check(&r) != nil
}

// person is who is signed in at the device page.
func (x *exchange) person() Person {
	if browser := x.session(false); browser != nil {
		x.server.mu.Lock()
		subject := browser.subject
		x.server.mu.Unlock()
		if subject != "" {
			p, _ := x.server.opts.person(subject)
			return p
		}
	}
	return x.server.opts.People[0]
}

// confirmView shows who asks for what.
func (x *exchange) confirmView(d *device) view {
	v := aboutDevice(d)
	v.name, v.status, v.outcome = "confirm", http.StatusOK, OK
	v.Scopes = viewScopes(d.Scopes)
	v.Minutes = int(time.Until(d.Expires).Round(time.Minute) / time.Minute)
	switch {
	case d.decision != undecided:
		v.name, v.status, v.outcome = "enter", http.StatusUnprocessableEntity, "used-code"
		v.Typed, v.Error = d.UserCode, "This code has been used already. If you need to, start again in your application to get a new one."
	case !d.waits(time.Now()):
		v.name, v.status, v.outcome = "enter", http.StatusUnprocessableEntity, "expired-code"
		v.Typed, v.Error = d.UserCode, "This code has expired. Start again in your application to get a new one."
	}
	return v
}

// decide takes the decision. The same decision sent again, as a reloaded page
// does, shows the same page again.
func (x *exchange) decide(d *device) view {
	var what decision
	switch x.form.Get("decision") {
	case "approve":
		what = approved
	case "deny":
		what = denied
	default:
		return x.confirmView(d)
	}
	after, err := x.server.decide(d.UserCode, what, x.person().Subject, nil)
	if err != nil {
		after = *d
	}
	v := aboutDevice(&after)
	v.status = http.StatusOK
	switch {
	case after.decision == what && what == approved:
		v.name, v.outcome = "approved", "approved"
		v.Scopes = viewScopes(after.granted)
	case after.decision == what:
		v.name, v.outcome = "denied", "denied"
	case after.decision == undecided:
		v.name, v.status, v.outcome = "expired", http.StatusGone, "expired-code"
	default:
		return x.confirmView(&after)
	}
	return v
}

func aboutDevice(d *device) view {
	return view{
		ClientID:   d.ClientID,
		ClientName: d.clientName,
		Code:       d.UserCode,
		Spelled:    strings.Join(strings.Split(d.user[:4], ""), " ") + ", " + strings.Join(strings.Split(d.user[4:], ""), " "),
	}
}

func viewScopes(names []string) []scopeView {
	var views []scopeView
	for _, name := range names {
		words := inWords[name]
		if words == "" {
			words = "Use the permission"
		}
		views = append(views, scopeView{name, words})
	}
	return views
}

// show renders a view.
func (x *exchange) show(v view) reply {
	v.Prefix = strings.TrimSuffix(x.server.issuer.Path, "/")
	if v.Person == "" && !v.nobody {
		v.Person = x.person().Name
	}
	var body bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&body, v.name, v); err != nil {
		panic("fakeas: page " + v.name + ": " + err.Error())
	}
	out := x.dress(reply{status: v.status, body: body.Bytes(), outcome: v.outcome})
	if v.leadsTo != "" {
		policy := out.header.Get("Content-Security-Policy")
		out.header.Set("Content-Security-Policy", strings.Replace(policy, "form-action 'self'", "form-action 'self' "+v.leadsTo, 1))
	}
	x.keepSession(out.header)
	out.header.Set("Content-Type", "text/html; charset=utf-8")
	return out
}

// file is a file that the pages load.
func (x *exchange) file(body []byte, contentType string) reply {
	out := x.dress(reply{status: http.StatusOK, body: body, outcome: OK})
	out.header.Set("Content-Type", contentType)
	return out
}

// dress adds the headers that keep a page to itself.
func (x *exchange) dress(out reply) reply {
	out.header = http.Header{}
	for name, value := range map[string]string{
		"Content-Security-Policy":      "default-src 'none'; style-src 'self'; script-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
		"Referrer-Policy":              "same-origin", // no-referrer would turn a form's Origin into null
		"X-Content-Type-Options":       "nosniff",
		"X-Frame-Options":              "DENY",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Cache-Control":                "no-store",
	} {
		out.header.Set(name, value)
	}
	return out
}
