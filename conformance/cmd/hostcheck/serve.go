package main

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net"
	"strconv"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/loopback"
)

const serveHelp = `hostcheck serve [flags]

For hosts that a person works by hand. It prints the address of a page on this
machine. The page says which server to add to the host's configuration and then
what to do, one scenario after the other, and shows the verdicts as they fall.
Ctrl-C ends it, with a summary; --out keeps the report. Exit status: 0 nothing
failed; 1 a check failed; 2 wrong usage or configuration.

  hostcheck serve --protocol 2025-11-25 --transport http --out report
`

// serve is the command serve.
func serve(ctx context.Context, args []string, std streams) (int, error) {
	set := flag.NewFlagSet("serve", flag.ContinueOnError)
	t := &task{}
	what := selection{protocol: hostcheck.Modern, transport: hostcheck.Stdio}
	what.add(set, false)
	port := set.Int("port", 0, "`port` of the page on 127.0.0.1 (default: a free one)")
	set.StringVar(&t.out, "out", "", "`folder` for the report, written at the end")
	set.BoolVar(&t.options.Strict, "strict", false, "warnings fail, too")
	set.BoolVar(&t.options.OfficialIDs, "official-ids", false, "in results/*/checks.json, name checks as the official suite does where\nit makes them, too")
	if err := parse(set, args, std, serveHelp); err != nil {
		return 0, err
	}
	if set.NArg() > 0 {
		return 0, fmt.Errorf("serve: unexpected argument %q; the host is started by you, not by hostcheck", set.Arg(0))
	}
	t.options.Width = width()
	c, err := what.config(false)
	if err != nil {
		return 0, err
	}
	listener, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(*port)))
	if err != nil {
		return 0, fmt.Errorf("--port: %w", err)
	}
	defer func() { _ = listener.Close() }() // the server has closed it, unless there was none
	g, err := hostcheck.NewGuide(c)
	if err != nil {
		return 0, err
	}
	defer func() { _ = g.Close() }() // what it held is gone either way

	p := &page{guide: g, protocol: c.Protocols[0], transport: c.Transports[0], options: t.options,
		host: listener.Addr().String(), token: rand.Text()}
	fmt.Fprintf(std.out, "Open this page in a browser; Ctrl-C here ends the check:\n\n  http://%s/%s/\n\n", p.host, p.token)
	if err := p.serve(ctx, listener); err != nil {
		return 0, err
	}
	g.Finish()
	r := g.Snapshot()
	if err := t.write(&r, std); err != nil {
		return 0, err
	}
	if !r.OK(t.options.Strict) {
		return statusFailed, nil
	}
	return statusOK, nil
}

// serve serves the page until ctx ends.
func (p *page) serve(ctx context.Context, listener net.Listener) error {
	// Streams of events end with ctx, so that shutting down does not wait for
	// them.
	return loopback.Serve(ctx, listener, p)
}

// A guide is a [hostcheck.Guide].
type guide interface {
	Server() hostcheck.Server
	Connected() bool
	Checklist() []hostcheck.Step
	Start(scenario string) error
	Finish()
	Answer(scenario, check string, yes bool) error
	Snapshot() hostcheck.Report
	Changed() <-chan struct{}
}

// A page is what a person sees of a guided check. It answers only under its
// host and below its token, which only the terminal knows: other programs' and
// other sites' requests cannot press its buttons.
type page struct {
	guide               guide
	protocol, transport string
	options             report.Options
	host, token         string
}
