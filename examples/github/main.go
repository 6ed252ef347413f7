// Command github is a small MCP server for GitHub: who the user is, their
// repositories, a new gist, a star. The user signs in with GitHub's device flow
// when a call first needs it, and is asked for no more than that call needs.
// Start to read here; tools.go has the tools, api.go the API they call, and
// flags.go the command line.
//
//	go run ./examples/github -help
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
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stderr)
	stop()
	os.Exit(code)
}

// run serves until the input ends or ctx does, and returns the exit code.
// Standard output belongs to the protocol: people are told things on stderr.
func run(ctx context.Context, args []string, stderr io.Writer) int {
	cfg, err := parseFlags(args)
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
		fmt.Fprintln(stderr, "github:", err)
		return 1
	}
	return 0
}

// Either of these lets a tool work with public repositories. The narrower one is
// what the user is asked for; who has granted the broader one is not asked at
// all. That the broader one is named makes it something that GitHub may demand,
// as it does where a repository turns out to be private.
var publicRepositories = scopes.AnyOf(scopes.Of("public_repo"), scopes.Of("repo"))

// newServer returns the server with its four tools. Nothing is dialled: GitHub
// is asked when a call first needs it.
func newServer(cfg *config) (*mcp.Server, *lazyauth.Interceptor, error) {
	auth, err := lazyauth.New(cfg.at.service, &lazyauth.Options{
		MaxWait:   cfg.patience,
		Transport: cfg.transport,
		Trace:     lazyauth.ZapTrace(cfg.log),
	})
	if err != nil {
		return nil, nil, err
	}
	api := gitHubAPI{base: cfg.at.api}
	server := mcp.NewServer(&mcp.Implementation{Name: "github", Title: cfg.at.service.Name, Version: "1.0.0"}, nil)
	lazyauth.AddTool(server, auth, whoamiTool, scopes.Of("read:user"), api.whoami)
	lazyauth.AddTool(server, auth, listRepositoriesTool, publicRepositories, api.listRepositories)
	lazyauth.AddTool(server, auth, createGistTool, scopes.Of("gist"), api.createGist)
	lazyauth.AddTool(server, auth, starRepositoryTool, publicRepositories, api.starRepository)
	return server, auth, nil
}
