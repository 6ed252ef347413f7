// Command relay stands between an agent and the server that it starts:
//
//	relay FILE -- SERVER…
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/relay"
)

func main() {
	if len(os.Args) < 4 || os.Args[2] != "--" {
		fmt.Fprintln(os.Stderr, "usage: relay FILE -- SERVER…")
		os.Exit(2)
	}
	status, err := relay.Run(context.Background(), os.Args[1], os.Args[3:], os.Stdin, os.Stdout, os.Stderr)
	if err != nil {
		fmt.Fprintln(os.Stderr, "relay:", err)
	}
	os.Exit(status)
}
