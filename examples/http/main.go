// Command http is an MCP server over streamable HTTP for many people, to copy
// from: each signs in to the notes service when one of their calls first needs
// it, and that very call goes on.
//
// One process, one interceptor and one set of tools are behind two endpoints,
// because the Go SDK's handler serves either kind of client, not both:
//
//   - /mcp is stateless and speaks revision 2026-07-28. Requests of older
//     revisions work there too, but cannot be answered with a prompt: there is
//     no session in which a client could answer. Their person gets link and code in
//     progress messages, or through the model's text.
//   - /mcp/legacy has sessions and speaks the revisions up to 2025-11-25, whose
//     clients are asked by a request from the server. Newer requests are refused
//     there, with the list of what is spoken.
//
// Start to read here; endpoints.go has what is in front of the tools, bearer.go
// who may call them and whose grant is used, connect.go the page by which people
// can sign in, tools.go the tools, store.go where grants are kept, grants.go the
// commands of operators, and flags.go the command line. docs/http.md says what matters when it is deployed.
//
//	go run ./examples/http -help
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/zap"
	"golang.org/x/oauth2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until ctx ends and returns the exit code.
func run(ctx context.Context, args []string, getenv func(string) string, stdout, stderr io.Writer) int {
	if len(args) > 0 && args[0] == "grants" {
		return operate(ctx, args[1:], getenv, stdout, stderr)
	}
	cfg, err := parseFlags(args, getenv)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stdout, help)
		return 0
	}
	if err == nil {
		err = cfg.openLog(stderr)
	}
	if err != nil {
		return misused(stderr, err)
	}
	defer cfg.closeLog()

	counters := new(lazyauth.Counters)
	server, auth, err := newServer(cfg, counters)
	if err != nil {
		return misused(stderr, err)
	}
	if err := serve(ctx, cfg, server, auth, counters, stdout); err != nil {
		fmt.Fprintln(stderr, "http:", err)
		return 1
	}
	return 0
}

// service is what people sign in to, for the server and the commands alike.
func (c *config) service() lazyauth.Service {
	return lazyauth.Service{
		Name:     "Notes",
		Issuer:   c.issuer,
		Endpoint: oauth2.Endpoint{DeviceAuthURL: c.deviceURL, AuthStyle: c.clientAuth}, // the rest is discovered
		// No Flows: the device flow alone, unless there is a connect page. Callers are on other machines.
		ClientID:     c.clientID,
		ClientSecret: c.clientSecret,
		Scopes:       scopes.Of("profile"),    // asked for in every sign-in: verifyUser needs it
		APIOrigins:   []string{c.apiOrigin()}, // the token goes nowhere else
	}
}

// newServer returns the server with its tools. Nothing is dialled: the
// authorization server is asked when a call first needs it.
func newServer(cfg *config, counters *lazyauth.Counters) (*mcp.Server, *lazyauth.Interceptor, error) {
	service := cfg.service()
	if cfg.connect {
		page, err := connectPage(cfg)
		if err != nil {
			return nil, nil, err
		}
		service.Flows, service.ConnectPage, cfg.page = []lazyauth.Flow{lazyauth.FlowRedirect}, page, page
		cfg.redirectURI = page.RedirectURI(service)
	}
	auth, err := lazyauth.New(service, &lazyauth.Options{
		MaxWait:            cfg.patience,
		Hosts:              cfg.hosts(),
		VerifyUser:         verifyUser(cfg.api),
		InsecureSingleUser: cfg.singleUser,
		Store:              cfg.store,
		Audit:              cfg.audit(),
		Trace:              lazyauth.CombineTraces(lazyauth.ZapTrace(cfg.log), counters.Trace()),
	})
	if err != nil {
		return nil, nil, err
	}
	notes := notesAPI{base: cfg.api}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Title: "Notes", Version: "1.0.0"},
		&mcp.ServerOptions{Logger: cfg.sdkLog})
	lazyauth.AddTool(server, auth, whoamiTool, scopes.Of("profile"), notes.whoami)
	lazyauth.AddTool(server, auth, listNotesTool, scopes.Of("notes:read"), notes.list)
	lazyauth.AddTool(server, auth, createNoteTool, scopes.Of("notes:write"), notes.create)
	return server, auth, nil
}

// lastWords bounds how long answers may take once the server is to end.
const lastWords = 10 * time.Second

// serve listens, says where on stdout, and serves until ctx ends. Then calls
// that wait are answered, streams that nobody waits in are closed, and it returns.
func serve(ctx context.Context, cfg *config, server *mcp.Server, auth *lazyauth.Interceptor, counters *lazyauth.Counters,
	stdout io.Writer,
) error {
	listener, err := net.Listen("tcp", cfg.listen)
	if err != nil {
		return errors.Join(err, auth.Close())
	}
	public := cfg.publicURL
	if public == "" {
		public = "http://" + listener.Addr().String()
	}
	web := newWeb(endpoints(ctx, cfg, server, public), cfg.log)
	closed := make(chan error, 1)
	web.RegisterOnShutdown(func() { closed <- auth.Close() }) // the calls that wait are answered
	debug, err := serveDebug(cfg, counters, stdout)
	if err != nil {
		return errors.Join(err, listener.Close(), auth.Close())
	}
	defer debug.Close()

	fmt.Fprintf(stdout, "listens on        %s\n", listener.Addr())
	if cfg.connect {
		fmt.Fprintf(stdout, "redirect URI      %s\n", cfg.redirectURI)
	}
	fmt.Fprintf(stdout, "2026-07-28        %s\n", public+modernPath)
	fmt.Fprintf(stdout, "up to 2025-11-25  %s\n", public+legacyPath)
	ended := make(chan error, 1)
	go func() { ended <- web.Serve(cfg.limiter.Listener(listener)) }()
	select {
	case err := <-ended:
		return errors.Join(err, auth.Close())
	case <-ctx.Done(): // a signal is how a server is meant to end
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	err = web.Shutdown(last)
	if err != nil {
		err = errors.Join(fmt.Errorf("requests did not end: %w", err), web.Close())
	}
	return errors.Join(err, <-closed)
}

// readTime bounds how long a request may take to arrive. Once it has, net/http
// lifts this limit, so that a call can wait for longer.
const readTime = 30 * time.Second

// newWeb returns an HTTP server with time-outs for everything but the time
// between a request and the end of its answer: patience bounds how long a call
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
