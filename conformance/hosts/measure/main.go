// Command measure runs hostcheck on six hosts that are in use, and writes what
// came of it to docs/host-results.md:
//
//	go run -C conformance/hosts ./measure            measure all and write the page
//	go run -C conformance/hosts ./measure -check     fail if the page would change
//	go run -C conformance/hosts ./measure go-sdk     measure one; the page stays
//
// With -out DIR it writes the reports with the recorded conversations, too. The
// hosts on Node.js have to be installed: npm ci --ignore-scripts --prefix
// conformance/hosts/node.
//
// It ends with 1 if a failure of a host has no judgement (judgements.go), or a
// judgement no failure, and if -check finds a difference.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck/report"
)

// page is what is written, from the folder of this module.
const page = "../../docs/host-results.md"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if len(os.Args) > 1 && os.Args[1] == "stub" { // the server that hosts launch
		if err := hostcheck.Stub(ctx, os.Args[len(os.Args)-1], os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	check := flag.Bool("check", false, "compare the page with what would be written, and leave it alone")
	out := flag.String("out", "", "`folder` for the whole reports, one folder a host")
	flag.Parse()
	chosen := hosts
	if name := flag.Arg(0); name != "" {
		i := slices.IndexFunc(hosts, func(h host) bool { return h.name == name })
		if i < 0 {
			return fmt.Errorf("there is no host %q", name)
		}
		chosen = hosts[i : i+1]
	}
	bin, err := os.MkdirTemp("", "measure-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(bin) }()
	if err := install(ctx, bin); err != nil {
		return err
	}
	began := time.Now()
	measured, err := measure(ctx, chosen, bin)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "measured in %v\n", time.Since(began).Round(time.Second))
	if *out != "" {
		for _, m := range measured {
			if err := report.Write(filepath.Join(*out, m.name), m.report, report.Options{}); err != nil {
				return err
			}
		}
	}
	if flag.Arg(0) != "" {
		return report.Text(os.Stdout, measured[0].report, report.Options{Verbose: true})
	}
	return publish(measured, *check)
}

// publish writes the page, or compares it.
func publish(measured []measurement, check bool) error {
	now := []byte(write(measured))
	open := unsettled(measured)
	if check {
		before, err := os.ReadFile(page)
		if err != nil {
			return err
		}
		if !bytes.Equal(before, now) {
			open = append(open, "docs/host-results.md is not what was measured:\n"+difference(string(before), string(now)))
		}
	} else if err := os.WriteFile(page, now, 0o644); err != nil { //nolint:gosec // for everyone to read
		return err
	}
	if len(open) > 0 {
		return errors.New(strings.Join(open, "\n"))
	}
	return nil
}

// difference has the lines that only one of two texts has.
func difference(before, after string) string {
	var b strings.Builder
	was, is := strings.Split(before, "\n"), strings.Split(after, "\n")
	for _, line := range was {
		if !slices.Contains(is, line) {
			b.WriteString("- " + line + "\n")
		}
	}
	for _, line := range is {
		if !slices.Contains(was, line) {
			b.WriteString("+ " + line + "\n")
		}
	}
	return b.String()
}

// A measurement is what a host came to.
type measurement struct {
	host
	version string
	report  *hostcheck.Report
}

// measure runs the suite on the hosts: those that are started for each call, in
// turn, and beside them the others, in turn. A scenario mostly waits, but to
// start a host takes a processor.
func measure(ctx context.Context, chosen []host, bin string) ([]measurement, error) {
	measured := make([]measurement, len(chosen))
	failures := make([]error, len(chosen))
	var lanes sync.WaitGroup
	for _, commandLine := range []bool{true, false} {
		lanes.Go(func() {
			for i, h := range chosen {
				if ctx.Err() == nil && commandLine == (h.template != "") {
					measured[i], failures[i] = h.measure(ctx, bin)
				}
			}
		})
	}
	lanes.Wait()
	if ctx.Err() != nil {
		return nil, errors.New("interrupted")
	}
	return measured, errors.Join(failures...)
}

func (h host) measure(ctx context.Context, bin string) (m measurement, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s: %w", h.name, err)
		}
	}()
	m.host = h
	if m.version, err = h.installed(bin); err != nil {
		return m, err
	}
	config, err := h.config(bin)
	if err != nil {
		return m, err
	}
	if m.report, err = hostcheck.Run(ctx, config); err != nil {
		return m, err
	}
	fmt.Fprintf(os.Stderr, "%s: %d scenarios in %v\n", h.name, len(m.report.Results), m.report.Took.Round(time.Second))
	return m, nil
}
