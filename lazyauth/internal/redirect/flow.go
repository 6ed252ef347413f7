package redirect

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
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

	// leastPushed is the shortest life of a pushed request that is shown where a plain link
	// would do as well. Many servers give them a minute or less, which counts on a
	// program that opens the browser at once: a person who reads the prompt first would land
	// on an error page, from which nobody leads them back.
	leastPushed = 2 * time.Minute
)

// A Server is an authorization server, as one client speaks to it. *oauth.Client is one.
type Server interface {
	// Exchange presents a code at the token endpoint, once (RFC 6749 §4.1.3, RFC 7636 §4.5).
	Exchange(ctx context.Context, code, redirectURI, verifier string, asked scopes.Set) (*oauth.Token, error)
	// Push sends the parameters of an authorization request (RFC 9126 §2.1), and returns the
	// request URI in their place, and when it ends.
	Push(ctx context.Context, request url.Values) (requestURI string, expires time.Time, err error)
}

// A Config says how people sign in at one authorization server for one client. What is not
// required may be left out.
type Config struct {
	// Server and ClientID are required. Endpoints must have an authorization endpoint; the
	// Features of the metadata say what is asked for there.
	Server    Server
	Endpoints oauth.Endpoints
	ClientID  string

	// Client is a name for the client that does not change when its id does, for the
	// path of the redirect URI. Empty means ClientID. See [URIOf].
	Client string

	// Service is what people know the service by, for the pages.
	Service string

	// RedirectURI is for servers that compare it: http, on 127.0.0.1, [::1] or localhost. With a port it
	// is used as it stands, and one sign-in at a time can have it; without one the port is
	// another one each time, and the path as it is named. Of localhost both families
	// are listened on, or none. Empty means http://127.0.0.1:{any}/callback/{id}.
	RedirectURI string

	// Params are added to each authorization request: resource (RFC 8707), audience. They may be seen
	// by whoever sees the link, and cannot replace the protocol's own parameters.
	Params url.Values `json:"-"`

	// Life is how long the link is good, between a minute and an hour. Zero means ten minutes.
	Life time.Duration

	// InsecureAssumePKCE goes on where the server's metadata does not list S256
	// (code_challenge_methods_supported), or there is no metadata, as that of Entra
	// does not. The challenge is sent in any case. A server that ignores it accepts codes from whoever
	// has one: somebody who reads a code, in a log or in a browser's history, can have it
	// exchanged in a sign-in of their own. By MCP's authorization specification clients refuse to proceed.
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

// reserved are the parameters that are not an author's, or tell of the person.
var reserved = []string{
	"response_type", "response_mode", "client_id", "client_secret", "redirect_uri", "scope", "state",
	"code_challenge", "code_challenge_method", "request", "request_uri", "login_hint", "id_token_hint", "prompt",
}

// A Flow is the way of one client to an authorization server. It is safe for concurrent use
// and has nothing to close but its authorizations.
type Flow struct {
	config   Config
	endpoint *url.URL
	target   target

	mu   sync.Mutex
	open map[int]*Authorization // by port, of those whose port is named
}

// New checks the configuration. It does not dial, and listens to nothing. Its errors are for the author of the
// configuration, and quote none of it; one that is an oauth.ErrUnsupported says what the
// server lacks.
func New(config Config) (*Flow, error) {
	f := &Flow{config: config, open: make(map[int]*Authorization)}
	if config.Endpoints.Authorization == "" || config.Endpoints.Features.NoCode {
		return nil, &oauth.Error{Op: op, Kind: oauth.ErrUnsupported, Reason: "there is no authorization endpoint for codes"}
	}
	if !config.Endpoints.Features.S256 && !config.InsecureAssumePKCE {
		return nil, &oauth.Error{Op: op, Kind: ErrNoPKCE}
	}
	var why string
	if f.endpoint, why = oauth.CheckURL(config.Endpoints.Authorization, true); why != "" {
		return nil, errors.New("redirect: the authorization endpoint " + why)
	}
	if config.Endpoints.Features.PushedOnly && config.Endpoints.PushedAuthorization == "" {
		return nil, &oauth.Error{Op: op, Kind: oauth.ErrUnsupported, Reason: "requests must be pushed, and there is no endpoint for it"}
	}
	if config.Server == nil || config.ClientID == "" {
		return nil, errors.New("redirect: the server or the client id is missing")
	}
	own := f.endpoint.Query()
	for _, name := range reserved {
		if own.Has(name) {
			return nil, fmt.Errorf("redirect: the authorization endpoint has the parameter %s in its query", name)
		}
	}
	f.config.Params = make(url.Values, len(config.Params))
	for name, values := range config.Params {
		if slices.Contains(reserved, name) {
			return nil, fmt.Errorf("redirect: the parameter %s cannot be given in Params", name)
		}
		f.config.Params[name] = slices.Clone(values)
	}
	switch {
	case config.Life == 0:
		f.config.Life = defaultLife
	case config.Life < leastLife || config.Life > mostLife:
		return nil, errors.New("redirect: Life is not between a minute and an hour")
	}
	if !names.Check(config.Service) || !names.Check(config.Elsewhere) {
		return nil, errors.New("redirect: Service or Elsewhere cannot be shown")
	}
	if config.Client == "" {
		f.config.Client = config.ClientID
	}
	f.target = target{host: "127.0.0.1", path: callbackPath(f.issuer(), f.config.Client)}
	if config.RedirectURI != "" {
		var err error
		if f.target, err = parseTarget(config.RedirectURI); err != nil {
			return nil, fmt.Errorf("redirect: %w", err)
		}
	}
	return f, nil
}

// issuer names the server: by its endpoint if its issuer is not known.
func (f *Flow) issuer() string {
	if f.config.Endpoints.Issuer != "" {
		return f.config.Endpoints.Issuer
	}
	return f.config.Endpoints.Authorization
}

// listen opens the listeners of a new authorization. A port that is named is taken over from
// one that has ended and lingers for its last page.
func (f *Flow) listen(ctx context.Context) ([]net.Listener, int, error) {
	port := f.target.port
	if port == 0 {
		return listen(ctx, f.target, f.config.Listen)
	}
	f.mu.Lock()
	former := f.open[port]
	f.mu.Unlock()
	if former != nil {
		if !former.isFinished() {
			return nil, 0, &PortError{Address: f.target.host + ":" + strconv.Itoa(port), Ours: true, cause: errOurs}
		}
		former.shut()
	}
	return listen(ctx, f.target, f.config.Listen)
}

// Format writes none of the parameters, whatever the verb.
func (c Config) Format(s fmt.State, _ rune) {
	fmt.Fprintf(s, "redirect.Config{%q at %q}", c.ClientID, c.Endpoints.Authorization)
}

// Format writes what [Config.Format] writes.
func (f *Flow) Format(s fmt.State, verb rune) { f.config.Format(s, verb) }
