package redirect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	defaultLife = 10 * time.Minute // nobody stands before a sign-in page for longer
	leastLife   = time.Minute
	mostLife    = time.Hour

	defaultLeastPushed = 2 * time.Minute
)

// A Client speaks to an authorization server as one client: *oauth.Client is one.
type Client interface {
	// Endpoints are the server's, with the features that its metadata tells of.
	Endpoints() oauth.Endpoints
	ClientID() string
	// AuthorizationForm returns what the author adds to authorization requests: resource (RFC
	// 8707), audience. Whoever sees a plain link sees it.
	AuthorizationForm() url.Values
	// SetScopes names scopes in an authorization request, as the server has it. Of none it says nothing.
	SetScopes(request url.Values, asked scopes.Set)
	// Exchange presents a code at the token endpoint, once (RFC 6749 §4.1.3, RFC 7636 §4.5). That
	// the server does not accept it is an oauth.ErrCode.
	Exchange(ctx context.Context, code, redirectURI, verifier string, asked scopes.Set) (*oauth.Token, error)
	// Push hands over the parameters of an authorization request (RFC 9126 §2.1).
	Push(ctx context.Context, request url.Values) (*oauth.Pushed, error)
}

// A Config says how people sign in at one authorization server for one client. What is not
// required may be left out.
type Config struct {
	// Client is required, with a client id. Its server must have an authorization endpoint.
	Client Client

	// Name is a name for the client that does not change when its id does, for the
	// path of the redirect URI. Empty means the client id. See [URIOf].
	Name string

	// Service is what people know the service by, for the pages.
	Service string

	// RedirectURI is for servers that compare it: http, on 127.0.0.1, [::1] or localhost. With
	// a port it is used as it stands, and one sign-in at a time can have it; without one the
	// port is another one each time, and the path as it is named. Of localhost both families
	// are listened on, or none. Empty means http://127.0.0.1:{any}/callback/{id}.
	RedirectURI string

	// Life is how long the link is good, between a minute and an hour. Zero means ten minutes.
	Life time.Duration

	// LeastPushed is the shortest life of a pushed request that is shown where a plain link
	// would do as well. Many servers give them a minute or less, which counts on a
	// program that opens the browser at once: a person who reads the prompt first would land
	// on an error page, from which nobody leads them back. Zero means two minutes.
	LeastPushed time.Duration

	// InsecureAssumePKCE goes on where the server's metadata does not list S256
	// (code_challenge_methods_supported), or there is no metadata, as that of Entra does not.
	// The challenge is sent in any case. A server that ignores it accepts codes from whoever
	// has one: somebody who reads a code, in a log or in a browser's history, can have it
	// exchanged in a sign-in of their own. By MCP's authorization specification clients refuse
	// to proceed.
	InsecureAssumePKCE bool

	// Elsewhere says what to do about a wrong account, in words of the author, on the last
	// page: "Run notes logout." Empty means what holds for any program.
	Elsewhere string

	// Listen replaces [net.ListenConfig.Listen]. What it returns must be on loopback.
	Listen func(ctx context.Context, network, address string) (net.Listener, error) `json:"-"`
}

// ErrNoPKCE is an oauth.ErrUnsupported: the metadata does not list S256. See
// [Config.InsecureAssumePKCE].
var ErrNoPKCE = fmt.Errorf("%w: its metadata does not list PKCE with S256", oauth.ErrUnsupported)

// reserved are the parameters that are not an author's, or tell of the person. A prompt that is
// the same for everybody does not.
var reserved = []string{
	"response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope", "state",
	"code_challenge", "code_challenge_method", "request", "request_uri", "login_hint", "id_token_hint",
}

// CheckParams says which of these parameters an author cannot add to authorization requests,
// for when there is no client yet.
func CheckParams(params url.Values) error {
	for name := range params {
		switch plain := strings.ToLower(name); {
		case plain == "login_hint":
			return errors.New("the parameter login_hint cannot be added to authorization requests, since whoever is shown the link would see it: say it by Options.SignInHint")
		case slices.Contains(reserved, plain):
			return fmt.Errorf("the parameter %s cannot be added to authorization requests", plain)
		}
	}
	return nil
}

// A Flow is the way of one client to an authorization server. It is safe for concurrent use
// and has nothing to close but its authorizations.
type Flow struct {
	config    Config
	endpoints oauth.Endpoints
	endpoint  *url.URL   // for authorization
	params    url.Values // the author's
	target    target
	ports     *ports
}

// ports are those that are named, with who has each.
type ports struct {
	mu   sync.Mutex
	open map[int]*Authorization
}

// of returns who has the port, nil if nobody does.
func (p *ports) of(port int) *Authorization {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.open[port]
}

// take notes that a has the port.
func (p *ports) take(port int, a *Authorization) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.open[port] = a
}

// leave notes that a has the port no more.
func (p *ports) leave(port int, a *Authorization) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open[port] == a {
		delete(p.open, port)
	}
}

// New checks the configuration. It does not dial, and listens to nothing. Its errors are for
// the author of the configuration, and quote none of it; one that is an oauth.ErrUnsupported
// says what the server lacks.
func New(config Config) (*Flow, error) {
	if config.Client == nil || config.Client.ClientID() == "" {
		return nil, errors.New("redirect: the client or its id is missing")
	}
	f := &Flow{config: config, endpoints: config.Client.Endpoints(), params: config.Client.AuthorizationForm(), ports: &ports{open: make(map[int]*Authorization)}}
	if err := f.checkServer(); err != nil {
		return nil, err
	}
	if err := CheckParams(f.params); err != nil {
		return nil, err
	}
	var err error
	if f.target, err = config.check(); err != nil {
		return nil, err
	}
	if config.RedirectURI == "" {
		f.target.path = callbackPath(f.issuer(), cmp.Or(config.Name, config.Client.ClientID()))
	}
	f.config.Life = cmp.Or(config.Life, defaultLife)
	f.config.LeastPushed = cmp.Or(config.LeastPushed, defaultLeastPushed)
	return f, nil
}

// As returns the same way for another client of the server. Where a port is named, it is one sign-in's
// at a time of all that were made of each other.
func (f *Flow) As(client Client) (*Flow, error) {
	config := f.config
	config.Client = client
	other, err := New(config)
	if err != nil {
		return nil, err
	}
	other.ports = f.ports
	return other, nil
}

// Check says what is wrong with what an author has configured, before there is a client. Its errors
// quote none of it.
func (c Config) Check() error {
	_, err := c.check()
	return err
}

// check returns where a browser comes back to, of which the path is left open if none is named.
func (c Config) check() (target, error) {
	switch {
	case c.Life != 0 && (c.Life < leastLife || c.Life > mostLife):
		return target{}, errors.New("redirect: Life is not between a minute and an hour")
	case c.LeastPushed < 0:
		return target{}, errors.New("redirect: LeastPushed is negative")
	case !names.Check(c.Service) || !names.Check(c.Elsewhere):
		return target{}, errors.New("redirect: Service or Elsewhere cannot be shown")
	case c.RedirectURI == "":
		return target{host: "127.0.0.1"}, nil
	}
	t, err := parseTarget(c.RedirectURI)
	if err != nil {
		return target{}, fmt.Errorf("redirect: %w", err)
	}
	return t, nil
}

// Lacks says what a server with these endpoints and features lacks for this flow, by an
// oauth.ErrUnsupported: it can be oauth.DiscoverOptions.Want. assumePKCE is
// [Config.InsecureAssumePKCE].
func Lacks(e oauth.Endpoints, assumePKCE bool) error {
	switch {
	case e.Authorization == "" || e.Features.NoCode:
		return &oauth.Error{Op: op, Kind: oauth.ErrUnsupported, Reason: "there is no authorization endpoint for codes"}
	case !e.Features.S256 && !assumePKCE:
		return &oauth.Error{Op: op, Kind: ErrNoPKCE}
	case e.Features.PushedOnly && e.PushedAuthorization == "":
		return &oauth.Error{Op: op, Kind: oauth.ErrUnsupported, Reason: "requests must be pushed, and there is no endpoint for it"}
	}
	return nil
}

// checkServer says what the server lacks, or has that cannot be used.
func (f *Flow) checkServer() error {
	if err := Lacks(f.endpoints, f.config.InsecureAssumePKCE); err != nil {
		return err
	}
	endpoint, why := oauth.CheckURL(f.endpoints.Authorization, true)
	if why != "" {
		return errors.New("redirect: the authorization endpoint " + why)
	}
	own := endpoint.Query()
	for _, name := range reserved {
		if own.Has(name) {
			return fmt.Errorf("redirect: the authorization endpoint has the parameter %s in its query", name)
		}
	}
	f.endpoint = endpoint
	return nil
}

// issuer names the server: by its endpoint if its issuer is not known.
func (f *Flow) issuer() string {
	return cmp.Or(f.endpoints.Issuer, f.endpoints.Authorization)
}

// takeOver is how long a port that is named is waited for whose sign-in has ended, and has not been
// said how: it is being found out whose account that is.
const takeOver = 5 * time.Second

// listen opens the listeners of a new authorization. A port that is named is taken over from
// one that has ended and lingers for its last page.
func (f *Flow) listen(ctx context.Context) ([]net.Listener, int, error) {
	if former := f.ports.of(f.target.port); former != nil { // none at port 0
		timer := time.NewTimer(takeOver)
		defer timer.Stop()
		if !former.isOver() {
			timer.Reset(0)
		}
		select {
		case <-former.finished:
			former.shut()
		case <-timer.C:
			return nil, 0, &PortError{Address: f.target.host + ":" + strconv.Itoa(f.target.port), Ours: true, cause: errOurs}
		case <-ctx.Done():
			return nil, 0, oauth.Ended(ctx, op)
		}
	}
	return listen(ctx, f.target, f.config.Listen)
}

// Format writes none of the parameters, whatever the verb.
func (f *Flow) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "redirect.Flow{%q at %q}", f.config.Client.ClientID(), f.endpoints.Authorization)
}

// Format leaves the client to itself, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) { fmt.Fprintf(s, "redirect.Config{for %q}", c.Service) }
