// Package server is the MCP server of examples/http, to copy from: that program is this package and a
// command line, and examples/replicas runs three of it on one database.
//
// Start to read here; endpoints.go has what is in front of the tools, bearer.go who may call them and whose grant is
// used, connect.go the page by which people can sign in, and tools.go the tools.
package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httpforward"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/zap"
	"golang.org/x/oauth2"
)

// A Config is what a server is made with. [New] trusts it: whoever reads it from somewhere checks it.
type Config struct {
	// Issuer is the authorization server of the notes service, and ClientID and ClientSecret are what this
	// server is there; ClientAuth and DeviceURL are for one whose metadata does not say them.
	Issuer, ClientID, ClientSecret string
	ClientAuth                     oauth2.AuthStyle
	DeviceURL                      string
	// API is the base URL of the notes API, without a slash at its end.
	API string

	// Whose calls these are, one of the three. IntrospectionURL tells whose a bearer token is (RFC 7662), to whoever
	// knows the other two.
	IntrospectionURL, IntrospectionID, IntrospectionSecret string
	// DemoUsers are names that are taken for bearer tokens. Whoever reaches the port can be any of them.
	DemoUsers []string
	// SingleUser takes every caller for the one local user, with whose grant whoever reaches the port acts.
	SingleUser bool

	// Connect has people sign in by a redirect, through a page on which they say which of DemoUsers they are.
	Connect bool
	// PublicURL is what hosts see; empty: the address on which this process listens, which is Listen if that is
	// known before.
	PublicURL, Listen string
	// Debug is a loopback address at which counters are served; empty: nowhere.
	Debug string

	// Options are the interceptor's: where grants are kept, how long calls wait, what other replicas have to have alike.
	// VerifyUser, InsecureSingleUser and Trace are this package's.
	Options lazyauth.Options
	// Limiter is what holds callers within limits; nil means one with the defaults.
	Limiter *httplimit.Limiter
	// Forwarder brings requests to the replica that has their call, where several processes are one server; nil: they
	// are not, or have no addresses.
	Forwarder *httpforward.Forwarder
	// Ready tells why this process cannot do its work for now, at /readyz. Nil: nothing is served there.
	Ready func(context.Context) error
	// Notice and Drain are for one of several, which is to end without anybody's noticing: how long it may take until
	// the proxy has seen that it is not ready, and how long it then serves, at most, what it alone can go on with.
	// Eleven minutes are enough for all, with Connect (docs/scale.md, "Restart"). Zero ends it at once.
	Notice, Drain time.Duration

	Log    *zap.Logger  // nil: there is none
	SDKLog *slog.Logger // what the SDK of MCP has to say; nil: nowhere
}

// Service is what people sign in to, for the server and for commands on its grants alike.
func (c *Config) Service() lazyauth.Service {
	return lazyauth.Service{
		Name:     "Notes",
		Issuer:   c.Issuer,
		Endpoint: oauth2.Endpoint{DeviceAuthURL: c.DeviceURL, AuthStyle: c.ClientAuth}, // the rest is discovered
		// No Flows: the device flow alone, unless there is a connect page. Callers are on other machines.
		ClientID:     c.ClientID,
		ClientSecret: c.ClientSecret,
		Scopes:       scopes.Of("profile"),    // asked for in every sign-in: VerifyUser needs it
		APIOrigins:   []string{c.apiOrigin()}, // the token goes nowhere else
	}
}

// apiOrigin is the part of API that says who may get the token.
func (c *Config) apiOrigin() string {
	u, err := url.Parse(c.API)
	if err != nil {
		return c.API // lazyauth.New refuses it
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

// A Server is the tools, and what keeps the grants that they need.
type Server struct {
	cfg         Config
	mcp         *mcp.Server
	auth        *lazyauth.Interceptor
	counters    *lazyauth.Counters
	page        *lazyauth.ConnectPage // nil without Connect
	redirectURI string
}

// New returns the server with its tools; the caller must have it serve, or close it. Nothing is dialled: the
// authorization server is asked when a call first needs it. Its errors are those of [lazyauth.New].
func New(cfg Config) (*Server, error) {
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	if cfg.Limiter == nil {
		cfg.Limiter = httplimit.New(nil)
	}
	s := &Server{cfg: cfg, counters: new(lazyauth.Counters)}
	service := cfg.Service()
	if cfg.Connect {
		page, err := connectPage(&cfg)
		if err != nil {
			return nil, err
		}
		service.Flows, service.ConnectPage, s.page = []lazyauth.Flow{lazyauth.FlowRedirect}, page, page
		s.redirectURI = page.RedirectURI(service)
	}
	options := cfg.Options
	options.VerifyUser, options.InsecureSingleUser = VerifyUser(cfg.API), cfg.SingleUser
	options.Trace = lazyauth.CombineTraces(lazyauth.ZapTrace(cfg.Log), s.counters.Trace())
	var err error
	if s.auth, err = lazyauth.New(service, &options); err != nil {
		return nil, err
	}
	notes := notesAPI{base: cfg.API}
	s.mcp = mcp.NewServer(&mcp.Implementation{Name: "notes", Title: "Notes", Version: "1.0.0"},
		&mcp.ServerOptions{Logger: cfg.SDKLog})
	lazyauth.AddTool(s.mcp, s.auth, whoamiTool, scopes.Of("profile"), notes.whoami)
	lazyauth.AddTool(s.mcp, s.auth, listNotesTool, scopes.Of("notes:read"), notes.list)
	lazyauth.AddTool(s.mcp, s.auth, createNoteTool, scopes.Of("notes:write"), notes.create)
	return s, nil
}

// Close ends a server that does not serve.
func (s *Server) Close() error { return s.auth.Close() }

// Serve says on stdout where the server is to be found, and serves until ctx ends. Then it drains, if it is to, calls that wait are
// answered, streams that nobody waits in are closed, and it returns; the listener is closed, and so is the server.
func (s *Server) Serve(ctx context.Context, listener net.Listener, stdout io.Writer) error {
	public := s.cfg.PublicURL
	if public == "" {
		public = "http://" + listener.Addr().String()
	}
	streams, endStreams := context.WithCancel(context.WithoutCancel(ctx)) // in which hosts only listen
	defer endStreams()
	web := newWeb(s.endpoints(ctx, streams, public), s.cfg.Log)
	debug, err := s.serveDebug(stdout)
	if err != nil {
		return errors.Join(err, listener.Close(), s.auth.Close())
	}
	defer debug.Close()

	fmt.Fprintf(stdout, "listens on        %s\n", listener.Addr())
	if s.page != nil {
		fmt.Fprintf(stdout, "redirect URI      %s\n", s.redirectURI)
	}
	fmt.Fprintf(stdout, "2026-07-28        %s\n", public+ModernPath)
	fmt.Fprintf(stdout, "up to 2025-11-25  %s\n", public+LegacyPath)
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(s.cfg.Limiter.Listener(listener)) }()
	select {
	case err := <-ended:
		return errors.Join(err, s.auth.Close())
	case <-ctx.Done(): // a signal is how a server is meant to end
	}
	return s.end(context.WithoutCancel(ctx), web, endStreams)
}

// readTime bounds how long a request may take to arrive. Once it has, net/http
// lifts this limit, so that a call can wait for longer.
const readTime = 30 * time.Second

// newWeb returns an HTTP server with time-outs for everything but the time
// between a request and the end of its answer: MaxWait bounds how long a call
// waits for its person. A WriteTimeout would end such calls.
func newWeb(handler http.Handler, log *zap.Logger) *http.Server {
	complaints, err := zap.NewStdLogAt(log.Named("net/http"), zap.WarnLevel)
	if err != nil {
		panic(err) // the level is a constant
	}
	return &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       readTime,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          complaints,
	}
}
