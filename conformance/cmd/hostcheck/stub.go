package main

import (
	"context"
	"errors"
	"flag"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
)

const stubHelp = `hostcheck stub --control URL

What hosts launch as their stdio server: it connects to the hostcheck that
checks them, which plays the server. People have no use for it.
`

func stub(ctx context.Context, args []string, std streams) error {
	set := flag.NewFlagSet("stub", flag.ContinueOnError)
	control := set.String("control", "", "the `URL` to connect to")
	if err := parse(set, args, std, stubHelp); err != nil {
		return err
	}
	if *control == "" || set.NArg() > 0 {
		return errors.New("stub: it takes --control URL, and hosts start it; see \"hostcheck run -h\"")
	}
	return hostcheck.Stub(ctx, *control, std.in, std.out)
}
