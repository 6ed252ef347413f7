package lazyauth

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
)

// ConnectOptions say where a [ConnectPage] is, and how it recognises people. PublicURL is required, and Who or SignIn.
type ConnectOptions struct {
	// PublicURL is the address of the page as people's browsers see it, such as "https://mcp.example.com/connect",
	// without a query, and without a slash at its end. The handler is to get what comes to it, and what is below it;
	// a proxy may cut off the beginning of the path. The page's cookies belong to its host, and not to its path:
	// whatever else that host serves sees them, so that a path is no boundary between programs.
	//
	// It is https. Only on loopback it may be http, which is for development: there the cookies have neither
	// "__Host-" in their names nor the Secure attribute, and another program of that machine could set them.
	PublicURL string

	// Who tells who is signed in at the browser that sent a request, by whatever web session the program has of its
	// own; an error if nobody is. It gets the request without its body. It is to return the same issuer and subject
	// as the calls of that person have, by their bearer token or [Options].Principal; what it says of an account is
	// passed over. The local user is nobody here.
	//
	// All depends on it: whoever it takes for a person can have that person's calls use a grant of their choice.
	// Its cookies should be HttpOnly, Secure and SameSite=Lax, and its sign-in must be safe from login CSRF. It should
	// honour the request's context, which ends after 10 seconds; so does the wait for it.
	Who func(*http.Request) (Principal, error)

	// SignIn recognises people, and signs them in and out by forms of the page, in place of Who, Name, SignInURL and
	// SignOutURL. Package oidcsignin, a module of its own, has one that does so by OpenID Connect.
	SignIn BrowserSignIn

	// Map returns the identity by which people are compared, exactly, where the two sides know one person by
	// different names: it is asked of the principal of a call, and of what Who returns. Microsoft Entra is the known
	// case: "sub" is another one for each application and "iss" for each version of its tokens, while "tid" and
	// "oid" are the same; have both sides put those into their principals, as package oidcsignin does it, or map here
	// what can be told apart. An
	// error, or the zero Principal, is nobody's, and nobody is connected by it. A Map that takes all for one is an
	// error of [NewConnectPage]. Nil compares issuer and subject.
	Map func(Principal) (Principal, error)

	// Name returns what the page calls a person who is signed in, such as their verified mail address, so that they
	// notice if it is not they. Nothing that people choose for themselves will do: an attacker who has signed the
	// victim's browser in to the attacker's account would be called what the victim is. Nil means the subject.
	Name func(Principal) string

	// SignInURL and SignOutURL are where people sign in to this program in a browser, and out of it, for links on
	// the pages. They get no parameters. Empty means that the page only says what is to be done.
	SignInURL, SignOutURL string
}

// A ConnectPage is the page of an MCP server by which people who call it over HTTP sign in to services with the
// redirect flow: see [Service].ConnectPage. It is an [http.Handler] for its PublicURL and all below that, and can
// serve any number of services. It keeps what is under way in the memory of this process: all requests for it have
// to come to the process that the person's calls came to, or be forwarded there, as package httpforward does it. Where
// processes share a store and forward, the store has the links: all of a person's calls have the same one, and another
// process opens it again for them if the one that had it is gone.
//
// The link of a prompt is a page of it. That says which service, account and access is asked for, what the program that
// asks calls itself, and who is signed in at the browser. It also names the client that the call's bearer token was
// issued to, if the token's verifier has put that into the SDK's TokenInfo.Extra: as "client_id" (RFC 9068 §2.2, RFC
// 7662 §2.2) or "azp". Nothing happens before they continue. It is good for the person alone whose call it is (MCP
// 2026-07-28 client/elicitation, "Phishing"): at the page, and again when the browser comes back from the authorization
// server, for which it must have the cookie that it got when the person continued. What that shows is who sat at the
// browser. It does not show whose account at the service they used, of which the last page and [MetaAccount] tell.
//
// Below it, at "/grants", a person who is signed in sees what they have granted by services that have this page, and can
// sign in again or end it: see docs/http.md.
//
// Links that are unknown, have ended, or are somebody else's look alike: the page says as whom the browser is signed
// in, and never whose link it is. Nobody's browser can be led to continue by another site, in a frame, or by loading
// a link ahead of time.
type ConnectPage struct{ page *connect.Page }

// NewConnectPage checks the options and returns a page. It does no I/O.
func NewConnectPage(o ConnectOptions) (*ConnectPage, error) {
	config := connect.Config{PublicURL: o.PublicURL, SignIn: o.SignInURL, SignOut: o.SignOutURL}
	if o.SignIn != nil {
		if at, want := o.SignIn.RedirectURI(), connect.SignedInURI(o.PublicURL); at != want {
			return nil, fmt.Errorf("lazyauth: ConnectOptions: SignIn comes back to %q, and not to %q, where the page serves it", at, want)
		}
		config.Sessions = sessions{o.SignIn}
	}
	if who := o.Who; who != nil {
		config.Who = func(r *http.Request) (connect.Person, error) {
			p, err := who(r)
			return personOf(p), err
		}
	}
	if identity := o.Map; identity != nil {
		config.Map = func(p connect.Person) (connect.Person, error) {
			mapped, err := identity(Principal{Issuer: p.Issuer, Subject: p.Subject})
			return personOf(mapped), err
		}
	}
	if name := o.Name; name != nil {
		config.Name = func(p connect.Person) string { return name(Principal{Issuer: p.Issuer, Subject: p.Subject}) }
	}
	page, err := connect.New(config)
	if err != nil {
		return nil, fmt.Errorf("lazyauth: ConnectOptions: %w", err)
	}
	return &ConnectPage{page}, nil
}

func personOf(p Principal) connect.Person {
	return connect.Person{Issuer: p.Issuer, Subject: p.Subject}
}

// ServeHTTP implements [http.Handler].
func (c *ConnectPage) ServeHTTP(w http.ResponseWriter, r *http.Request) { c.page.ServeHTTP(w, r) }

// RedirectURI returns where browsers come back to that signed in to this service, which is to be registered at its
// authorization server: another address for each issuer and program (RFC 9700 §4.4), and the same each time.
func (c *ConnectPage) RedirectURI(s Service) string {
	return c.page.RedirectURI(cmp.Or(s.Issuer, s.Endpoint.AuthURL), s.program())
}

// Format writes no key, whatever the verb.
func (c *ConnectPage) Format(f fmt.State, verb rune) { c.page.Format(f, verb) }

// checkConnectPage says what does not go with a connect page.
func (s *Service) checkConnectPage(o *Options) error {
	switch {
	case s.ConnectPage == nil:
		return nil
	case o.InsecureSingleUser:
		return errors.New("lazyauth: Service.ConnectPage is set, and with Options.InsecureSingleUser every caller is the local user, who is not asked by it: set one of them")
	case o.OpenBrowser != nil:
		return errors.New("lazyauth: Service.ConnectPage is set, and Options.OpenBrowser opens links on this machine, where its people do not sit: set one of them")
	}
	return nil
}
