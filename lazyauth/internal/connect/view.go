package connect

import (
	"bytes"
	_ "embed"
	"net/http"
	"strconv"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/webpage"
)

// A view is the name of a page, of its template and of data-page in the HTML.
type view string

const (
	consent     view = "consent"     // what is asked for, of whom
	leaving     view = "leaving"     // the way to the authorization server
	notMe       view = "not-me"      // the person said that they are somebody else
	signedIn    view = "signed-in"   // done
	working     view = "working"     // the code is here, and how it ends is not known
	again       view = "again"       // the code was not accepted, or the answer is lost
	denied      view = "denied"      // access_denied
	unfinished  view = "unfinished"  // another error: the application says which
	already     view = "already"     // another answer was accepted before
	ended       view = "ended"       // the sign-in is over, of which this browser had a part
	newer       view = "newer"       // it was begun again, in another window
	foreign     view = "foreign"     // the link is unknown, has ended, or is somebody else's
	signedOut   view = "signed-out"  // nobody is signed in at this browser
	signingIn   view = "signing-in"  // the way to where they do
	notSignedIn view = "unsigned"    // they did not, there
	left        view = "left"        // they have signed out
	elsewhere   view = "elsewhere"   // the cookie of the attempt is missing
	forged      view = "forged"      // the form was not sent from this page
	mixedUp     view = "mixed-up"    // the issuer is another one
	tooOften    view = "too-often"   // begun too often
	unreachable view = "unreachable" // the server, or a table, does not answer
	nothing     view = "nothing"     // everything else

	granted   view = "granted"    // what the person has granted
	details   view = "details"    // one of that
	ending    view = "ending"     // whether it is to end
	endingAll view = "ending-all" // whether all of it is
	over      view = "over"       // it has ended, or it is said what has not
	noGrant   view = "no-grant"   // there is no such grant of theirs
	barred    view = "barred"     // an operator has barred them
	byCode    view = "by-code"    // the sign-in is not by the page
)

var (
	//go:embed page.html
	source string
	//go:embed mine.html
	sourceOfMine string
	pages        = webpage.Parse(source + sourceOfMine)
	// policy is that of all pages but those with a form.
	policy       = webpage.Policy("'none'")
	policyOfForm = webpage.Policy("'self'")
)

// shown is what a page shows. Of the address that was loaded nothing is in it but the code of a link that was found.
type shown struct {
	You    string // who is signed in here
	Page   string // where the page is, for its form
	Host   string // of this page
	SignIn string
	// SignOut is where the person can sign out of this program; empty if that is not known.
	SignOut string
	// Sessions is whether people sign in and out by forms of these pages, and Back what these say of where to go then.
	Sessions bool
	Back     string

	Sign  Shown  // what is asked for
	For   string // of whom: the host of the authorization server
	Code  string // of the link
	Token string // of the form
	To    string // the authorization request

	Account string // of the last page, where it is known
	Again   string // the link

	Mine   []mine // what the person has granted
	One    *mine  // of which is this one
	Partly bool   // there may be more, or what was to end may not have
	All    bool   // all was to end
	Ended  []fate
}

// about adds what a sign-in is about.
func (a *Authorization) about(s shown) shown {
	a.mu.Lock()
	defer a.mu.Unlock()
	s.Sign, s.For = a.shown, a.endpoint.Host
	if s.Sign.Service == "" {
		s.Sign.Service = a.endpoint.Host
	}
	if s.Sign.Host != "" {
		s.Sign.Host = showable(s.Sign.Host, mostHost)
	}
	if s.Sign.Client != "" {
		s.Sign.Client = showable(s.Sign.Client, mostName)
	}
	s.Sign.Account = names.Isolate(s.Sign.Account)
	return s
}

const (
	mostName = 256 // bytes
	mostHost = 80
)

// showable returns a text that somebody else chose as it can be put between other words: cut short, and escaped if
// it is not plain text.
func showable(text string, most int) string {
	more := ""
	if len(text) > most {
		cut := most
		for cut > 0 && text[cut]&0xc0 == 0x80 { // not within a character
			cut--
		}
		text, more = text[:cut], "…"
	}
	if !names.Check(text) {
		return strconv.QuoteToASCII(text) + more
	}
	return names.Isolate(text + more)
}

// show writes a page.
func (p *Page) show(w http.ResponseWriter, v view, status int, s shown) {
	s.Page, s.Host, s.SignIn, s.SignOut = p.config.PublicURL, p.public.Host, p.config.SignIn, p.config.SignOut
	s.Sessions = p.config.Sessions != nil
	s.Account = names.Isolate(s.Account)
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, string(v), s); err != nil {
		panic("connect: page " + string(v) + ": " + err.Error())
	}
	if v == consent || v == details || v == ending || v == endingAll || s.Sessions {
		webpage.Dress(w.Header(), policyOfForm)
	} else {
		webpage.Dress(w.Header(), policy)
	}
	switch status { // the pages say so, too
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", "600") // until the link, or what was begun, is over
	case http.StatusServiceUnavailable, http.StatusBadGateway:
		w.Header().Set("Retry-After", "60")
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v == working {
		w.Header().Set("Refresh", "1")
	}
	w.WriteHeader(status)
	w.Write(page.Bytes())
}
