package lazyauth

import (
	"errors"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
)

// A BrowserSignIn signs people in at their browsers for a [ConnectPage], and out: [ConnectOptions].SignIn. The page
// has the addresses and shows what there is to see; a BrowserSignIn reads requests, and says where to go and which
// cookies to set. Below the page's PublicURL are "/sign-in" and "/sign-out", which take forms of the page's own pages
// alone, and "/signed-in", where a browser comes back to. Nothing is called for what another site makes a browser
// send, except for Session and Finish.
//
// What is true of [ConnectOptions].Who is true of it: all depends on it. Its methods are called concurrently, with a
// request that has no body, and whose context ends after 10 seconds, or 25 for Begin and Finish.
type BrowserSignIn interface {
	// RedirectURI is where browsers come back to: the page's PublicURL and "/signed-in".
	RedirectURI() string
	// Session tells who is signed in at the browser, and what the page calls them, which is their subject if the name
	// is empty; an error if nobody is.
	Session(*http.Request) (who Principal, name string, err error)
	// Begin begins a sign-in, after which the browser is to load back, an address of the page, and returns the https
	// URL that it is led to. Anew says that whoever sits there is not who was signed in: a session that the browser
	// has elsewhere must not sign them in again by itself.
	Begin(r *http.Request, back string, anew bool) (to string, cookies []*http.Cookie, err error)
	// Finish takes the answer, which is in the request's URL, and returns the back of Begin, beside an error as well
	// if this browser began it. Cookies are set in any case. A new sign-in gets a new session: what the browser had
	// before it is of no use any more.
	//
	// Errors: [ErrSignInElsewhere]; [ErrSignInUnreached]; any other for a sign-in that came to nothing. The page shows
	// nothing of their text.
	Finish(*http.Request) (back string, cookies []*http.Cookie, err error)
	// End ends the session of the browser, if it has one: the person signs out, or says that they are somebody else.
	End(*http.Request) []*http.Cookie
}

// What a [BrowserSignIn] can say of a sign-in; compare with [errors.Is].
var (
	// ErrSignInElsewhere says that the sign-in was not begun in this browser, or is over: its answer was used
	// already, or came too late.
	ErrSignInElsewhere = errors.New("lazyauth: the sign-in was not begun in this browser, or is over")
	// ErrSignInUnreached says that whoever signs people in does not answer, so that it helps to try later.
	ErrSignInUnreached = errors.New("lazyauth: whoever signs people in does not answer")
)

// sessions is a BrowserSignIn in the words of package connect.
type sessions struct{ BrowserSignIn }

func (s sessions) Session(r *http.Request) (connect.Person, string, error) {
	who, name, err := s.BrowserSignIn.Session(r)
	return personOf(who), name, err
}

func (s sessions) Begin(r *http.Request, back string, anew bool) (to string, cookies []*http.Cookie, err error) {
	to, cookies, err = s.BrowserSignIn.Begin(r, back, anew)
	return to, cookies, signInError(err)
}

func (s sessions) Finish(r *http.Request) (back string, cookies []*http.Cookie, err error) {
	back, cookies, err = s.BrowserSignIn.Finish(r)
	return back, cookies, signInError(err)
}

func signInError(err error) error {
	switch {
	case errors.Is(err, ErrSignInElsewhere):
		return errors.Join(connect.ErrElsewhere, err)
	case errors.Is(err, ErrSignInUnreached):
		return errors.Join(connect.ErrUnreached, err)
	}
	return err
}
