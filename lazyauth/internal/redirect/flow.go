package redirect

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"sync"
	"time"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

const (
	defaultLife = 10 * time.Minute // nobody stands before a sign-in page for longer
	leastLife   = time.Minute
	mostLife    = time.Hour

	defaultLeastPushed = 2 * time.Minute
)

// A Config says how people sign in at one authorization server for one client. What is not
// required may be left out.
type Config struct {
	// Client is required, with a client id. Its server must have an authorization endpoint.
	Client authcode.Client

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

// A Flow is the way of one client to an authorization server. It is safe for concurrent use
// and has nothing to close but its authorizations.
type Flow struct {
	config    Config
	endpoints oauth.Endpoints
	endpoint  *url.URL // for authorization
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
	f := &Flow{config: config, endpoints: config.Client.Endpoints(), ports: &ports{open: make(map[int]*Authorization)}}
	var err error
	if f.endpoint, err = authcode.Endpoint(f.endpoints, config.InsecureAssumePKCE); err != nil {
		return nil, fmt.Errorf("redirect: %w", err)
	}
	if err := authcode.CheckParams(config.Client.AuthorizationForm()); err != nil {
		return nil, err
	}
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
func (f *Flow) As(client authcode.Client) (*Flow, error) {
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
			return nil, 0, oauth.Ended(ctx, authcode.Op)
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
