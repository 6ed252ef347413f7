package world

import (
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// A Visitor is a browser at a connect page, without a listener, so that it works in virtual time. It keeps cookies as
// browsers do for one host, and says of its requests what browsers say.
type Visitor struct {
	w       *World
	handler http.Handler
	User    string // who is signed in at the MCP server; empty: nobody
	cookies map[string]*http.Cookie
}

// Visitor returns a browser at which a user is signed in.
func (w *World) Visitor(page http.Handler, user string) *Visitor {
	return &Visitor{w: w, handler: page, User: user, cookies: map[string]*http.Cookie{}}
}

// SignedInAs tells a connect page who sits at a visitor's browser, under this issuer.
func SignedInAs(issuer string) func(*http.Request) (lazyauth.Principal, error) {
	return func(r *http.Request) (lazyauth.Principal, error) {
		c, err := r.Cookie("session")
		if err != nil {
			return lazyauth.Principal{}, err
		}
		return lazyauth.Principal{Issuer: issuer, Subject: c.Value}, nil
	}
}

// A Visit is what came of a request.
type Visit struct {
	Page
	Header   http.Header
	Location string
}

// Do sends a request, with these headers beside a browser's own.
func (v *Visitor) Do(method, address string, form url.Values, header http.Header) Visit {
	v.w.T.Helper()
	u, err := url.Parse(address)
	if err != nil {
		v.w.T.Fatal(err)
	}
	v.w.noteLink(u)
	r := httptest.NewRequestWithContext(v.w.T.Context(), method, address, strings.NewReader(form.Encode()))
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "null")
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	for name, values := range header {
		if r.Header.Del(name); len(values) > 0 {
			r.Header[http.CanonicalHeaderKey(name)] = values
		}
	}
	if v.User != "" {
		r.AddCookie(&http.Cookie{Name: "session", Value: v.User})
	}
	for _, c := range v.cookies {
		r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	answer := httptest.NewRecorder()
	v.handler.ServeHTTP(answer, r)
	res := answer.Result()
	for _, c := range res.Cookies() {
		if c.MaxAge < 0 {
			delete(v.cookies, c.Name)
		} else {
			v.cookies[c.Name] = c
		}
	}
	out := Visit{Page{Status: res.StatusCode, HTML: answer.Body.String()}, res.Header, res.Header.Get("Location")}
	if found := pageName.FindStringSubmatch(out.HTML); found != nil {
		out.Name = found[1]
	}
	return out
}

// Cookies returns those that the page has set, by their names.
func (v *Visitor) Cookies() map[string]*http.Cookie { return v.cookies }

// Get loads an address.
func (v *Visitor) Get(address string) Visit {
	v.w.T.Helper()
	return v.Do(http.MethodGet, address, nil, nil)
}

var hidden = regexp.MustCompile(`name="(f|token)" value="([^"]*)"`)

// Form returns what the form of a page has in it, with this answer.
func (v Visit) Form(answer string) url.Values {
	form := url.Values{"answer": {answer}}
	for _, field := range hidden.FindAllStringSubmatch(v.HTML, -1) {
		form.Set(field[1], html.UnescapeString(field[2]))
	}
	return form
}

var refresh = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`)

// Onward returns where a page leads by itself; empty if it does not.
func (v Visit) Onward() string {
	if found := refresh.FindStringSubmatch(v.HTML); found != nil {
		return html.UnescapeString(found[1])
	}
	return ""
}

// Continues opens a link, continues, and returns where the authorization server is asked.
func (v *Visitor) Continues(link string) string {
	v.w.T.Helper()
	page := v.Get(link)
	if page.Name != "consent" {
		v.w.T.Fatalf("the link shows %q, with status %d: %s", page.Name, page.Status, page.HTML)
	}
	address, _, _ := strings.Cut(link, "?")
	left := v.Do(http.MethodPost, address, page.Form("continue"), nil)
	onward := left.Onward()
	if left.Name != "leaving" || left.Status != http.StatusOK || onward == "" {
		v.w.T.Fatalf("continuing shows %q, with status %d: %s", left.Name, left.Status, left.HTML)
	}
	return onward
}

// SignsIn approves at the authorization server as a subject, and returns where that sends the browser.
func (v *Visitor) SignsIn(onward, subject string) string {
	v.w.T.Helper()
	back, err := v.w.AS.ApproveURLAs(v.w.T.Context(), subject, onward)
	if err != nil {
		v.w.T.Fatal(err)
	}
	return back
}

// ComesBack loads a callback, and the last page if it leads there.
func (v *Visitor) ComesBack(callback string) Visit {
	v.w.T.Helper()
	return v.Follows(v.Get(callback))
}

// Follows loads what a page leads to by a redirect, until there is something to see.
func (v *Visitor) Follows(page Visit) Visit {
	v.w.T.Helper()
	for range 10 {
		if page.Location == "" {
			break
		}
		at := page.Location
		for page = v.Get(at); page.Name == "working"; {
			page = v.Get(at)
		}
	}
	return page
}

// Connects goes all the way from a link, as the user who is signed in.
func (v *Visitor) Connects(link string) Visit {
	v.w.T.Helper()
	return v.ComesBack(v.SignsIn(v.Continues(link), v.User))
}
