package redirect

import (
	"bytes"
	_ "embed"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/webpage"
)

// A view is the name of a page, of its template and of data-page in the HTML.
type view string

const (
	signedIn        view = "signed-in"   // done
	working         view = "working"     // the code is here, and how it ends is not known
	again           view = "again"       // the code was not accepted, or the answer is lost
	refusedByPerson view = "denied"      // access_denied
	unfinished      view = "unfinished"  // another error: the application says which
	already         view = "already"     // another answer was accepted before
	ended           view = "ended"       // the sign-in is over
	newer           view = "newer"       // it was begun again, in another window
	foreign         view = "foreign"     // the cookie of the start page is missing
	mixedUp         view = "mixed-up"    // the issuer is another one
	tooOften        view = "too-often"   // begun, or answered, too often
	unreachable     view = "unreachable" // the request could not be pushed
	nothing         view = "nothing"     // everything else
)

var (
	//go:embed page.html
	source string
	pages  = webpage.Parse(source)
	policy = webpage.Policy("'none'")
)

// shown is what a page shows. Nothing of it comes from the address that was loaded.
type shown struct {
	Service   string // never empty
	Server    string // the host where people sign in
	Account   string // of the last page, where it is known
	Elsewhere string
	Again     string // where to start again; empty if that is of no use
	Host      string // of the cookie
}

// show writes a page.
func (a *Authorization) show(w http.ResponseWriter, v view, status int) {
	config := &a.flow.config
	s := shown{Service: config.Service, Server: a.flow.endpoint.Host, Elsewhere: config.Elsewhere, Host: a.flow.target.host}
	if s.Service == "" {
		s.Service = s.Server
	}
	a.mu.Lock()
	if !a.over {
		s.Again = startPrefix + a.nonce
	}
	if v == ended && (a.granted || a.isFinished() && !a.outcome.Failed) {
		v = already // here, or by another flow beside this one
	}
	a.mu.Unlock()
	if v == signedIn && len(a.outcome.Account) <= maxAccount && names.Check(a.outcome.Account) {
		s.Account = names.Isolate(a.outcome.Account)
	}
	var page bytes.Buffer
	if err := pages.ExecuteTemplate(&page, string(v), s); err != nil {
		panic("redirect: page " + string(v) + ": " + err.Error())
	}
	webpage.Dress(w.Header(), policy)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	if v == working {
		w.Header().Set("Refresh", "1")
	}
	w.WriteHeader(status)
	w.Write(page.Bytes())
}

const maxAccount = 256 // bytes
