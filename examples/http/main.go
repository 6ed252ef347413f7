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
// Start to read at server/server.go, which is the server; here are its command line
// (flags.go), where grants are kept (store.go), and the commands of operators
// (grants.go). docs/http.md says what matters when it is deployed.
//
//	go run ./examples/http -help
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
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

	notes, err := server.New(cfg.Config)
	if err != nil {
		return misused(stderr, err)
	}
	listener, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		err = errors.Join(err, notes.Close())
	} else {
		err = notes.Serve(ctx, listener, stdout)
	}
	if err != nil {
		fmt.Fprintln(stderr, "http:", err)
		return 1
	}
	return 0
}
