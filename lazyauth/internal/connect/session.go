package connect

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/webpage"
)

// Sessions signs people in at their browsers, and out. Its functions get the request without its body; none is
// called for a request that another site has made a browser send, but Session and Finish, which change nothing that
// was not begun in that browser.
type Sessions interface {
	// Session tells who is signed in, and what the page calls them; an error if nobody is.
	Session(*http.Request) (who Person, name string, err error)
	// Begin returns where the browser is to go, for a sign-in after which it is to load back. Anew says that who is
	// signed in there must not be taken for granted.
	Begin(r *http.Request, back string, anew bool) (to string, cookies []*http.Cookie, err error)
	// Finish takes what the browser came back with, and returns what Begin was told. That stands beside an error,
	// too, if this browser began it. The cookies are set in any case.
	Finish(*http.Request) (back string, cookies []*http.Cookie, err error)
	// End ends the session of the browser, if there is one.
	End(*http.Request) []*http.Cookie
}

// What Sessions can say of a sign-in, beside everything else; compare with errors.Is.
var (
	// ErrElsewhere: it was not begun in this browser, or is over.
	ErrElsewhere = errors.New("the sign-in was not begun in this browser, or is over")
	// ErrUnreached: who would know does not answer.
	ErrUnreached = errors.New("the sign-in service does not answer")
)

const (
	signInPath   = "/sign-in"   // where a sign-in begins, by POST
	signedInPath = "/signed-in" // where browsers come back to from it
	signOutPath  = "/sign-out"  // where a session ends, by POST

	// signInWait is how long a sign-in may take on our side.
	signInWait = 25 * time.Second
)

// SignedInURI returns where browsers come back to from the sign-in of [Sessions].
func SignedInURI(publicURL string) string { return publicURL + signedInPath }

// A guest is who sits at a browser, by the name that the page calls them.
type guest struct {
	Person
	name string
}

// returns are the parts of the page, by what stands behind its address, that a browser may be led to after a
// sign-in, beside the page of a link.
var returns = []string{"", grantsPath}

// backOf returns where a browser that loads an address of the page is to come back to, for the field of a form: what
// stands behind the address of the page.
func backOf(u *url.URL) string {
	if values, err := url.ParseQuery(u.RawQuery); err == nil && len(u.RawQuery) <= maxQuery {
		if code, ok := linkCode(values); ok {
			return "?f=" + code
		}
	}
	for _, path := range returns {
		if path != "" && (strings.HasSuffix(u.Path, path) || strings.Contains(u.Path, path+"/")) {
			return path
		}
	}
	return ""
}

// back returns the address that a form's field names. It is one of the page, whatever was sent.
func (p *Page) back(field string) (string, bool) {
	code, ok := strings.CutPrefix(field, "?f=")
	if !slices.Contains(returns, field) && (!ok || !isCode(code, codeLength)) {
		return "", false
	}
	return p.config.PublicURL + field, true
}

// field returns what back was made of.
func (p *Page) field(back string) string {
	field := strings.TrimPrefix(back, p.config.PublicURL)
	if _, ok := p.back(field); !ok {
		return ""
	}
	return field
}

// bare returns a request for a function of the author's, which may still have it when the answer is written.
func bare(ctx context.Context, r *http.Request) *http.Request {
	asked := r.Clone(ctx)
	asked.Body, asked.ContentLength = http.NoBody, 0
	asked.Form, asked.PostForm, asked.MultipartForm = nil, nil, nil
	return asked
}

// session serves what is at a path of the sign-in's, and reports whether there is one.
func (p *Page) session(w http.ResponseWriter, r *http.Request, isOurs func(string) bool) bool {
	serve, method := p.finish, http.MethodGet // and not HEAD: what is looked at is used up
	is := func(path string) bool { return strings.HasSuffix(r.URL.Path, path) && isOurs(path) }
	switch {
	case p.config.Sessions == nil:
		return false
	case is(signedInPath):
	case is(signInPath):
		serve, method = p.signIn, http.MethodPost
	case is(signOutPath):
		serve, method = p.signOut, http.MethodPost
	default:
		return false
	}
	if r.Method != method {
		w.Header().Set("Allow", method)
		p.show(w, nothing, http.StatusMethodNotAllowed, shown{})
		return true
	}
	serve(w, r)
	return true
}

// posted returns where the form of a page of ours wants the browser to be in the end. It is false if there is no
// such form, and that has been answered.
func (p *Page) posted(w http.ResponseWriter, r *http.Request) (back string, ok bool) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	status := http.StatusForbidden
	if isOwnForm(r.Header, p.origin) {
		if err := r.ParseForm(); err == nil {
			if list := r.PostForm["back"]; len(list) == 1 {
				back, ok = p.back(list[0])
			}
		}
		status = http.StatusBadRequest
	}
	if !ok {
		p.show(w, forged, status, shown{})
	}
	return back, ok
}

// signIn takes the answer to a page at whose browser nobody is signed in, or somebody who says that they are another.
func (p *Page) signIn(w http.ResponseWriter, r *http.Request) {
	back, ok := p.posted(w, r)
	if !ok {
		return
	}
	type begun struct {
		to      string
		cookies []*http.Cookie
	}
	b, err := guard.Await(r.Context(), &p.late, "ConnectOptions.SignIn.Begin", signInWait, func(ctx context.Context) (b begun, err error) {
		b.to, b.cookies, err = p.config.Sessions.Begin(bare(ctx, r), back, r.PostForm.Get("anew") != "")
		return b, err
	})
	to, failed := url.Parse(b.to)
	if err == nil && (failed != nil || to.Host == "" || to.Scheme != "https" && (to.Scheme != "http" || !isLoopback(to.Hostname()))) {
		err = errors.New("the address that the sign-in begins at is no https URL")
	}
	if err != nil {
		p.unsigned(w, err, back)
		return
	}
	for _, c := range b.cookies {
		http.SetCookie(w, c)
	}
	p.show(w, signingIn, http.StatusOK, shown{To: b.to, For: to.Host})
}

// finish takes what a browser came back with from a sign-in, and leads it on to the page that it came from.
func (p *Page) finish(w http.ResponseWriter, r *http.Request) {
	if !webpage.IsNavigation(r.Header, p.origin) {
		p.show(w, nothing, http.StatusBadRequest, shown{})
		return
	}
	type finished struct {
		back    string
		cookies []*http.Cookie
	}
	f, err := guard.Await(r.Context(), &p.late, "ConnectOptions.SignIn.Finish", signInWait, func(ctx context.Context) (f finished, err error) {
		f.back, f.cookies, err = p.config.Sessions.Finish(bare(ctx, r))
		return f, err
	})
	for _, c := range f.cookies {
		http.SetCookie(w, c)
	}
	if err != nil {
		p.unsigned(w, err, f.back)
		return
	}
	p.leads(w, p.config.PublicURL+p.field(f.back))
}

// unsigned tells somebody that they are not signed in, and where it makes sense to try again.
func (p *Page) unsigned(w http.ResponseWriter, err error, back string) {
	p.failed(err)
	s := shown{Back: p.field(back)}
	switch {
	case errors.Is(err, ErrElsewhere):
		p.turnAway(w, elsewhere)
	case errors.Is(err, ErrUnreached), guard.IsMishap(err), errors.Is(err, context.DeadlineExceeded):
		p.show(w, unreachable, http.StatusServiceUnavailable, s)
	default:
		p.show(w, notSignedIn, http.StatusForbidden, s)
	}
}

// signOut ends the session of a browser.
func (p *Page) signOut(w http.ResponseWriter, r *http.Request) {
	if back, ok := p.posted(w, r); ok {
		p.end(w, r)
		p.show(w, left, http.StatusOK, shown{Back: p.field(back)})
	}
}

// end has the browser's session end, if that is this page's to do.
func (p *Page) end(w http.ResponseWriter, r *http.Request) {
	if p.config.Sessions == nil {
		return
	}
	cookies, err := guard.Await(r.Context(), &p.late, "ConnectOptions.SignIn.End", whoWait, func(ctx context.Context) ([]*http.Cookie, error) {
		return p.config.Sessions.End(bare(ctx, r)), nil
	})
	p.failed(err)
	for _, c := range cookies {
		http.SetCookie(w, c)
	}
}
