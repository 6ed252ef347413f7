// Command stdio is a complete MCP server whose tools need somebody else's API:
// the user signs in when a call first needs it, and that very call goes on.
// Start to read here; tools.go has the tools, api.go the API they call, and
// flags.go the command line.
//
//	go run ./examples/stdio -help
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stderr))
}

// run serves until the input ends or ctx does, and returns the exit code.
// Standard output belongs to the protocol: people are told things on stderr.
func run(ctx context.Context, args []string, getenv func(string) string, stderr io.Writer) int {
	cfg, err := parseFlags(args, getenv)
	if errors.Is(err, errHelp) {
		fmt.Fprint(stderr, help)
		return 0
	}
	if err == nil {
		err = cfg.openLog()
	}
	if err != nil {
		return misused(stderr, err)
	}
	defer cfg.closeLog()

	server, auth, err := newServer(cfg)
	if err != nil {
		return misused(stderr, err)
	}
	err = server.Run(ctx, &mcp.StdioTransport{})
	if ctx.Err() != nil {
		err = nil // a signal is, like the end of the input, how a server is meant to end
	}
	if err := errors.Join(err, auth.Close()); err != nil {
		fmt.Fprintln(stderr, "stdio:", err)
		return 1
	}
	return 0
}

// newServer returns the server with its four tools. Nothing is dialled: the
// authorization server is asked when a call first needs it.
func newServer(cfg *config) (*mcp.Server, *lazyauth.Interceptor, error) {
	auth, err := lazyauth.New(lazyauth.Service{
		Name:         "Notes",
		Issuer:       cfg.issuer,
		Endpoint:     oauth2.Endpoint{DeviceAuthURL: cfg.deviceURL, TokenURL: cfg.tokenURL},
		ClientID:     cfg.clientID,
		ClientSecret: cfg.clientSecret,
		Scopes:       scopes.Of("profile"),      // asked for in every sign-in
		API:          []string{cfg.apiOrigin()}, // the token goes nowhere else
	}, &lazyauth.Options{
		Patience:  cfg.patience,
		Transport: cfg.transport,
		Trace:     lazyauth.ZapTrace(cfg.log),
	})
	if err != nil {
		return nil, nil, err
	}
	notes := notesAPI{base: cfg.api}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Title: "Notes", Version: "1.0.0"}, nil)
	mcp.AddTool(server, pingTool, ping) // public: no sign-in, ever
	lazyauth.AddTool(server, auth, whoamiTool, scopes.Of("profile"), notes.whoami)
	lazyauth.AddTool(server, auth, listNotesTool, scopes.Of("notes:read"), notes.list)
	lazyauth.AddTool(server, auth, createNoteTool, scopes.Of("notes:write"), notes.create)
	return server, auth, nil
}
