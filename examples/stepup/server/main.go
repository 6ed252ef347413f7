// Command server is an MCP server with a tool that learns in its middle that it
// needs more than it declares. It is what examples/stepup starts; start to read
// here, notes.go has the tools.
//
//	go run ./examples/stepup/server -issuer URL -client-id ID -api URL
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := serve(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
}

// A config is what the command line says.
type config struct {
	issuer, clientID, api string
	flows                 []lazyauth.Flow
	patience              time.Duration

	transport http.RoundTripper // nil but in tests
}

// serve reads the flags and serves standard input and output until the input
// ends or ctx does.
func serve(ctx context.Context) error {
	var cfg config
	flag.StringVar(&cfg.issuer, "issuer", "", "`URL` of the authorization server")
	flag.StringVar(&cfg.clientID, "client-id", "", "this server's client `identifier` there")
	flag.StringVar(&cfg.api, "api", "", "base `URL` of the notes API: GET and POST /notes")
	flag.Func("flows", "how the user may sign in, the best first: device (if not given), redirect, or both with a comma between", func(list string) error {
		cfg.flows = nil
		for name := range strings.SplitSeq(list, ",") {
			cfg.flows = append(cfg.flows, lazyauth.Flow(name)) // which New judges
		}
		return nil
	})
	flag.DurationVar(&cfg.patience, "patience", 0, "how long a call waits for the user of a host that is not known by name; 0 means 55s")
	flag.Parse()

	server, auth, err := newServer(cfg)
	if err != nil {
		return err
	}
	err = server.Run(ctx, &mcp.StdioTransport{})
	if ctx.Err() != nil {
		err = nil // a signal is, like the end of the input, how a server is meant to end
	}
	return errors.Join(err, auth.Close())
}

// newServer returns the server with its three tools.
func newServer(cfg config) (*mcp.Server, *lazyauth.Interceptor, error) {
	base, err := url.Parse(strings.TrimSuffix(cfg.api, "/"))
	if err != nil {
		return nil, nil, fmt.Errorf("-api: %w", err)
	}
	auth, err := lazyauth.New(lazyauth.Service{
		Name:       "Notes",
		Issuer:     cfg.issuer,
		Flows:      cfg.flows,
		ClientID:   cfg.clientID,
		APIOrigins: []string{base.Scheme + "://" + base.Host},
	}, &lazyauth.Options{
		// ensure_note does not declare this scope, since it seldom needs it.
		// That the API may ask for it has to be said somewhere: whatever else
		// a challenge names is refused.
		MaxScopes: scopes.Of("notes:write"),
		MaxWait:   cfg.patience,
		Transport: cfg.transport,
	})
	if err != nil {
		return nil, nil, err
	}
	notes := &notesAPI{base: base.String()}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Title: "Notes", Version: "1.0.0"}, nil)
	lazyauth.AddTool(server, auth, listNotesTool, scopes.Of("notes:read"), notes.list)
	lazyauth.AddTool(server, auth, ensureNoteTool, scopes.Of("notes:read"), notes.ensure)
	mcp.AddTool(server, startsTool, notes.countStarts)
	return server, auth, nil
}
