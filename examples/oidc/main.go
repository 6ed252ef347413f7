// Command oidc is an MCP server over streamable HTTP for the people of one OpenID Connect issuer, to copy from. Their
// hosts call with bearer tokens of that issuer, which are JWTs for this server; at the connect page they sign in at
// the same issuer, and from there to the notes service. It is a module of its own, since it needs go-oidc.
//
// It is what examples/http leaves open, and leaves out what examples/http has: hosts that speak revisions before 2026-07-28,
// introspection, logs and counters. Start to read here; bearer.go says whose call it is, keys.go asks for the keys that it takes
// to know, and tools.go has the tools.
//
//	go run . -help
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/modelcontextprotocol/go-sdk/oauthex"
)

// secretVariable has the secret of -client-id: other users of the machine can read command lines.
const secretVariable = "OIDC_CLIENT_SECRET"

const help = `oidc is an MCP server over streamable HTTP for the people of one OpenID Connect
issuer. Its tools (whoami, list_notes) call a notes API for the person who calls
them, who signs in through a page of this server when one is first called.

  oidc -public-url URL -issuer URL -client-id ID -service-client-id ID -api URL [flags]

  -public-url URL           what hosts and browsers see, such as
                            https://mcp.example.com. Hosts are to have bearer
                            tokens for URL/mcp
  -issuer URL               who issues bearer tokens (JWTs), and signs people in
  -client-id ID             this server's client there, for signing people in at
                            the page. Its secret is in ` + secretVariable + `
  -identity HOW             what is the same in a bearer token and a sign-in:
                            subject, entra, or claim:NAME
  -service-issuer URL       where people sign in to the notes service; -issuer, if
                            it is not given
  -service-client-id ID     this server's client there, a public one
  -api URL                  base URL of the notes API: GET /me, GET /notes
  -listen ADDRESS           127.0.0.1:8080 if not given. There is no TLS here: a
                            proxy has it
  -proxies PREFIXES         networks of the proxies in front, such as
                            127.0.0.1/32,::1/128: whom these say they were asked
                            by (X-Forwarded-For) is who is limited. Otherwise
                            all that come by a proxy are limited as one
  -help                     this text

It prints the two redirect URIs that are to be registered. docs/http.md has the
rest.
`

// A config is what the command line says.
type config struct {
	publicURL, issuer, clientID, clientSecret string
	identity                                  oidcsignin.Identity
	serviceIssuer, serviceClientID, api       string
	listen                                    string
	proxies                                   []netip.Prefix
}

func parseFlags(args []string, getenv func(string) string) (*config, error) {
	cfg := &config{clientSecret: getenv(secretVariable)}
	flags := flag.NewFlagSet("oidc", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error
	flags.StringVar(&cfg.publicURL, "public-url", "", "")
	flags.StringVar(&cfg.issuer, "issuer", "", "")
	flags.StringVar(&cfg.clientID, "client-id", "", "")
	flags.StringVar(&cfg.serviceIssuer, "service-issuer", "", "")
	flags.StringVar(&cfg.serviceClientID, "service-client-id", "", "")
	flags.StringVar(&cfg.api, "api", "", "")
	flags.StringVar(&cfg.listen, "listen", "127.0.0.1:8080", "")
	flags.Func("proxies", "", func(text string) error {
		for part := range strings.SplitSeq(text, ",") {
			network, err := netip.ParsePrefix(part)
			if err != nil {
				return errors.New("give networks such as 127.0.0.1/32,::1/128")
			}
			cfg.proxies = append(cfg.proxies, network)
		}
		return nil
	})
	flags.Func("identity", "", func(how string) error {
		claim, byClaim := strings.CutPrefix(how, "claim:")
		switch {
		case how == "subject":
			cfg.identity = oidcsignin.BySubject()
		case how == "entra":
			cfg.identity = oidcsignin.ByEntra()
		case byClaim:
			cfg.identity = oidcsignin.ByClaim(claim)
		default:
			return errors.New("give subject, entra, or claim:NAME")
		}
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	u, err := url.Parse(cfg.publicURL)
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag", flags.Arg(0))
	case err != nil || cfg.publicURL != u.Scheme+"://"+u.Host || u.Host == "":
		return nil, errors.New("-public-url is no origin: give scheme and host, such as https://mcp.example.com")
	case cfg.serviceClientID == "":
		return nil, errors.New("-service-client-id is missing")
	case cfg.api == "":
		return nil, errors.New("-api is missing")
	}
	if cfg.serviceIssuer == "" {
		cfg.serviceIssuer = cfg.issuer
	}
	return cfg, nil
}

// limiter bounds what callers can have this server hold. Without the proxies they are told apart by their connections.
func (c *config) limiter() *httplimit.Limiter {
	var limits httplimit.Limits
	if len(c.proxies) > 0 {
		limits.Address = httplimit.BehindProxies(c.proxies...)
	}
	return httplimit.New(&limits)
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, getenv)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Fprint(stdout, help)
		return 0
	}
	if err == nil {
		err = serve(ctx, cfg, stdout)
	}
	if err != nil {
		fmt.Fprintf(stderr, "oidc: %v\n", err)
		return 1
	}
	return 0
}

// serve serves until ctx ends. What could not work for anybody is an error before that.
func serve(ctx context.Context, cfg *config, stdout io.Writer) (err error) {
	signIn, err := oidcsignin.New(oidcsignin.Options{
		Issuer: cfg.issuer, ClientID: cfg.clientID, ClientSecret: cfg.clientSecret,
		PublicURL: cfg.publicURL + connectPath, Identity: cfg.identity,
	})
	if err != nil {
		return err
	}
	if err := signIn.Check(ctx); err != nil {
		return err
	}
	verify, err := verifier(ctx, cfg, signIn)
	if err != nil {
		return err
	}
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: cfg.publicURL + connectPath, SignIn: signIn})
	if err != nil {
		return err
	}
	service := lazyauth.Service{
		Name: "Notes", Issuer: cfg.serviceIssuer, ClientID: cfg.serviceClientID, APIOrigins: []string{origin(cfg.api)},
		Flows: []lazyauth.Flow{lazyauth.FlowRedirect}, ConnectPage: page,
	}
	interceptor, err := lazyauth.New(service, &lazyauth.Options{})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, interceptor.Close()) }()
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Title: "Notes", Version: "1.0.0"}, nil)
	notes := notesAPI{base: strings.TrimSuffix(cfg.api, "/")}
	lazyauth.AddTool(server, interceptor, whoamiTool, scopes.Of("profile"), notes.whoami)
	lazyauth.AddTool(server, interceptor, listNotesTool, scopes.Of("notes:read"), notes.list)

	limiter := cfg.limiter()
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return err
	}
	web := &http.Server{
		Handler:           endpoints(cfg, server, page, verify, limiter),
		ReadHeaderTimeout: 10 * time.Second, ReadTimeout: 30 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 32 << 10,
	}
	fmt.Fprintf(stdout, "sign-in   %s\nservice   %s\nlistens   %s\n", signIn.RedirectURI(), page.RedirectURI(service), listener.Addr())
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(limiter.Listener(listener)) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done(): // a signal is how a server is meant to end
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	closed := make(chan error, 1)
	go func() { closed <- interceptor.Close() }() // the calls that wait are answered
	if err = web.Shutdown(last); err != nil {
		err = errors.Join(err, web.Close())
	}
	return errors.Join(err, <-closed)
}

const (
	mcpPath     = "/mcp"
	connectPath = "/connect"
	// metadataPath comes before a resource's path (RFC 9728 §3.1).
	metadataPath = "/.well-known/oauth-protected-resource"
)

// endpoints returns everything that is served.
func endpoints(cfg *config, server *mcp.Server, page http.Handler, verify auth.TokenVerifier, limiter *httplimit.Limiter) http.Handler {
	handler := mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return server }, &mcp.StreamableHTTPOptions{
		Stateless: true, DisableLocalhostProtection: true, MaxRequestBodyBytes: 1 << 20, PropagateRequestCancellation: true,
	})
	resource := cfg.publicURL + mcpPath
	mux := http.NewServeMux()
	mux.Handle(mcpPath, auth.RequireBearerToken(verify, &auth.RequireBearerTokenOptions{
		ResourceMetadataURL: cfg.publicURL + metadataPath + mcpPath,
	})(limiter.ByPerson(nil, handler)))
	mux.Handle(metadataPath+mcpPath, auth.ProtectedResourceMetadataHandler(&oauthex.ProtectedResourceMetadata{
		Resource: resource, ResourceName: "Notes", AuthorizationServers: []string{cfg.issuer}, BearerMethodsSupported: []string{"header"},
	}))
	pages := limiter.Pages(page)
	mux.Handle(connectPath, pages)
	mux.Handle(connectPath+"/", pages)
	name := strings.TrimPrefix(strings.TrimPrefix(cfg.publicURL, "https://"), "http://")
	known := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { // against DNS rebinding
		if r.Host != name {
			http.Error(w, "this server has another name", http.StatusForbidden)
			return
		}
		mux.ServeHTTP(w, r)
	})
	return limiter.ByAddress(http.NewCrossOriginProtection().Handler(known))
}

// origin is the part of an address that says who may get the token.
func origin(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return address // lazyauth.New refuses it
	}
	return u.Scheme + "://" + u.Host
}
