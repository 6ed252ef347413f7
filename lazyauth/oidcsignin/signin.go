package oidcsignin

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// A SignIn signs people in at one issuer, for one connect page. It is safe for concurrent use.
type SignIn struct {
	options Options
	client  *http.Client
	sealer  sealer
	cookies cookies
	life    time.Duration

	attempts spent // by id, whose answer has been taken
	sessions spent // by id, that have ended before their time

	turn  chan struct{} // holds one: whoever has it reads and writes found, and may ask the issuer
	found *provider
}

var _ lazyauth.BrowserSignIn = (*SignIn)(nil)

// New checks the options and returns a sign-in. It does no I/O: [SignIn.Check] asks the issuer whether all this can
// work, or else the first person to sign in does.
func New(o Options) (*SignIn, error) {
	if err := o.check(); err != nil {
		return nil, fmt.Errorf("oidcsignin: Options: %w", err)
	}
	if o.Scopes == nil {
		o.Scopes = []string{"profile", "email"}
	}
	o.Scopes = slices.DeleteFunc(slices.Clone(o.Scopes), func(name string) bool { return name == "openid" })
	o.NameClaims = slices.Clone(o.NameClaims)
	sealer, err := newSealer(o.Keys, o.PublicURL, o.Issuer, o.ClientID, o.Identity.String())
	if err != nil {
		return nil, fmt.Errorf("oidcsignin: Options: Keys: %w", err)
	}
	o.Keys = nil
	return &SignIn{
		options: o, client: newClient(o.Transport), sealer: sealer, life: cmp.Or(o.SessionLife, defaultLife),
		cookies: newCookies(digest(o.PublicURL, o.Issuer, o.ClientID), strings.HasPrefix(o.PublicURL, "https:")),
		turn:    make(chan struct{}, 1),
	}, nil
}

// Format writes no secret, whatever the verb.
func (s *SignIn) Format(f fmt.State, verb rune) { s.options.Format(f, verb) }

func (s *SignIn) log() *slog.Logger {
	if s.options.Log != nil {
		return s.options.Log
	}
	return slog.Default()
}

// RedirectURI is where the issuer sends browsers back to, and is to be registered there, exactly.
func (s *SignIn) RedirectURI() string { return s.options.PublicURL + "/signed-in" }

// Check asks the issuer for its metadata and says what people would stumble over: it is for when a program starts.
// Where it is not called, or the issuer did not answer, the first sign-in asks.
//
// Errors: [lazyauth.ErrSignInUnreached] if the issuer does not answer, which may pass. Any other is a mistake of the
// configuration: the metadata is another issuer's; it does not let people sign in by a code that comes back in a
// query; Identity is by the subject, and subjects are pairwise.
func (s *SignIn) Check(ctx context.Context) error {
	if _, err := s.provider(ctx); err != nil {
		return fmt.Errorf("oidcsignin: %w", err)
	}
	return nil
}

// Principal returns the person whom the claims of a bearer token are of, by [Options].Identity, so that it is the one
// that they are when they sign in. The claims must have been verified, with an "iss" that is trusted: an
// introspection response may lack it, and it then has to be put there.
func (s *SignIn) Principal(verified Claims) (lazyauth.Principal, error) {
	p, err := s.options.Identity.Of(verified)
	if err != nil {
		return lazyauth.Principal{}, fmt.Errorf("oidcsignin: %w", err)
	}
	return p, nil
}

// A session is what the cookie of a browser says that is signed in, sealed.
type session struct {
	ID      string `json:"id"` // the same of no two
	Issuer  string `json:"i"`
	Subject string `json:"s"`
	Name    string `json:"n"`
	Ends    int64  `json:"e"`
}

var errNobody = errors.New("oidcsignin: nobody is signed in at this browser")

// current returns the session of a browser.
func (s *SignIn) current(r *http.Request) (session, error) {
	var now session
	value, ok := s.cookies.one(r, s.cookies.session)
	if !ok || !s.sealer.open(value, &now, s.cookies.session) || time.Now().Unix() >= now.Ends || s.sessions.has(now.ID) {
		return session{}, errNobody
	}
	return now, nil
}

// Session implements [lazyauth.BrowserSignIn]. It asks nobody.
func (s *SignIn) Session(r *http.Request) (who lazyauth.Principal, name string, err error) {
	now, err := s.current(r)
	return lazyauth.Principal{Issuer: now.Issuer, Subject: now.Subject}, now.Name, err
}

// End implements [lazyauth.BrowserSignIn]. A copy of the cookie is good for nothing any more, in this process: other
// processes with the same Keys take it until it ends by itself. The person stays signed in at the issuer.
func (s *SignIn) End(r *http.Request) []*http.Cookie {
	if now, err := s.current(r); err == nil {
		s.sessions.spend(now.ID, time.Unix(now.Ends, 0))
	}
	return []*http.Cookie{s.cookies.drop(s.cookies.session)}
}

// open returns the cookie of a new session.
func (s *SignIn) open(who lazyauth.Principal, name string) (*http.Cookie, error) {
	value, err := s.sealer.seal(session{
		ID: newSecret()[:idLength+6], Issuer: who.Issuer, Subject: who.Subject, Name: name, Ends: time.Now().Add(s.life).Unix(),
	}, s.cookies.session)
	if err != nil {
		return nil, err
	}
	return s.cookies.set(s.cookies.session, value, s.life), nil
}
