// Command measure runs MCP hosts that are in use, and writes what came of it to
// docs/host-results.md: whether a sign-in comes through in agents and other
// hosts as they are installed, and what hostcheck finds in those that can be
// scripted.
//
//	go run -C conformance/hosts ./measure install [FOLDER…]   install agents; without names, all
//	go run -C conformance/hosts ./measure                     measure all and write the page
//	go run -C conformance/hosts ./measure -check              fail if the page would change, but for times
//	go run -C conformance/hosts ./measure -part hostcheck go-sdk
//	go run -C conformance/hosts ./measure -part signin -check codex-tui
//
// With names it measures those alone. Of sign-ins it then compares the rows, with
// -check; of hostcheck it prints the report. The page stays. With -out DIR it
// leaves there the reports with the recorded conversations, and the sessions of
// agents: what they printed, their screens, and the wire. -part hostcheck -from DIR
// writes the page from such reports, so that a new judgement needs no new run.
//
// Agents run in a network that has loopback alone. Where there is none to be had
// for a user without privileges, it needs root; -insecure-network runs them in
// the network as it is, where they reach whatever their makers want them to.
//
// It ends with 1 if a failure of a host has no judgement (judgements.go), or a
// judgement no failure, if an agent did not call the tool, and if -check finds a
// difference.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"syscall"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/hosts/agents"
)

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
	status, err := run(ctx, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "measure:", err)
		os.Exit(1)
	}
	os.Exit(status)
}

// What is measured.
const (
	partSignIn    = "signin"
	partHostcheck = "hostcheck"
)

// An order is what the command line asks for.
type order struct {
	part   string // empty means both
	check  bool
	out    string
	from   string // where -out has left reports, which are judged again
	atOnce int
	open   bool // the network is left as it is
	names  []string
}

// parse reads the command line.
func parse(args []string) (o order, err error) {
	flags := flag.NewFlagSet("measure", flag.ContinueOnError)
	flags.StringVar(&o.part, "part", "", "`signin` or hostcheck alone; both if not given")
	flags.BoolVar(&o.check, "check", false, "compare with the page, and leave it alone")
	flags.StringVar(&o.out, "out", "", "`folder` for the recorded conversations")
	flags.StringVar(&o.from, "from", "", "with -part hostcheck: judge what -out has left in a `folder`, and run nothing")
	flags.IntVar(&o.atOnce, "at-once", 3, "how many agents sign in at a time")
	flags.BoolVar(&o.open, "insecure-network", false, "run agents in the network as it is")
	if err := flags.Parse(args); err != nil {
		return o, err
	}
	o.names = flags.Args()
	switch {
	case o.part != "" && o.part != partSignIn && o.part != partHostcheck:
		return o, fmt.Errorf("there is no part %q", o.part)
	case len(o.names) > 0 && o.part == "":
		return o, errors.New("with names, say which -part")
	case o.from != "" && o.part != partHostcheck:
		return o, errors.New("-from goes with -part hostcheck")
	case o.atOnce < 1:
		return o, errors.New("-at-once has to be one at least")
	}
	return o, nil
}

// run does what the command line asks for, and returns an exit status.
func run(ctx context.Context, args []string) (int, error) {
	if len(args) > 0 && args[0] == "install" {
		folders := args[1:]
		if len(folders) == 0 {
			folders = agents.Folders()
		}
		return 0, agents.Install(ctx, folders, os.Stderr)
	}
	o, err := parse(args)
	if errors.Is(err, flag.ErrHelp) {
		return 0, nil
	}
	if err != nil {
		return 2, err
	}
	bin, remove, err := programs(ctx)
	if err != nil {
		return 1, err
	}
	defer remove()
	if !o.open && o.part != partHostcheck {
		if status, done, err := agents.Alone(ctx); err != nil {
			return 1, fmt.Errorf("%w; see -insecure-network", err)
		} else if done {
			return status, nil
		}
	}
	return 0, o.measure(ctx, bin)
}

// built is in the environment of the process that runs in a network of its own:
// where what was built for it is.
const built = "LAZYAUTH_MEASURE_PROGRAMS"

// programs builds what is needed into a folder, which is removed in the end.
func programs(ctx context.Context) (bin string, remove func(), err error) {
	if bin := os.Getenv(built); bin != "" {
		return bin, func() {}, nil
	}
	bin, err = os.MkdirTemp("", "measure-")
	if err != nil {
		return "", nil, err
	}
	remove = func() { _ = os.RemoveAll(bin) } //nolint:gosec // that very folder
	if err := install(ctx, bin); err != nil {
		remove()
		return "", nil, err
	}
	return bin, remove, os.Setenv(built, bin)
}

func (o order) measure(ctx context.Context, bin string) error {
	var open []error
	if o.part != partHostcheck {
		open = append(open, o.signIns(ctx, bin))
	}
	if o.part != partSignIn {
		open = append(open, o.hostchecks(ctx, bin))
	}
	return errors.Join(open...)
}

// named are those of a list that the command line names, or all. Several may have the same name.
func named[T any](names []string, all []T, name func(T) string) ([]T, error) {
	if len(names) == 0 {
		return all, nil
	}
	for _, n := range names {
		if !slices.ContainsFunc(all, func(v T) bool { return name(v) == n }) {
			return nil, fmt.Errorf("there is nothing to measure of the name %q", n)
		}
	}
	var out []T
	for _, v := range all {
		if slices.Contains(names, name(v)) {
			out = append(out, v)
		}
	}
	return out, nil
}
