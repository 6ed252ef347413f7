// Command agent is the host that hostcheck starts: an agent, by its name.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents/hosted"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "agent:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: agent NAME")
	}
	i := slices.IndexFunc(agents.All, func(a agents.Agent) bool { return a.Name == args[0] })
	if i < 0 {
		return fmt.Errorf("there is no agent %q", args[0])
	}
	return hosted.Run(ctx, agents.All[i])
}
