// Command hostcheck finds out whether an MCP host can take part in lazy
// authorization: it plays the server, has the host call tools that ask a person
// to open a page, and compares what happens with the specification.
//
//	hostcheck list                        what is checked, and where it is written
//	hostcheck run [flags] -- HOST ARG...  check a host that runs unattended
//	hostcheck serve [flags]               check a host that a person works by hand
//	hostcheck version                     which hostcheck this is
//
// Each has a -h. The exit status of run and serve is
//
//	0    nothing failed, or only what was expected to
//	1    a check failed, or an expected failure did not happen
//	2    wrong usage or configuration, or a file that cannot be read or written
//	130  interrupted; what had ended until then is reported
//
// A run that is interrupted reports the scenarios that had ended. Interrupting
// is how serve normally ends, and its status then tells of the checks.
//
// docs/hostcheck.md has the rest: a first report, adapters, templates,
// baselines, how verdicts come about.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/lazyauth/mcp-lazyauth/conformance/hostcheck"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/process"
)

// The exit statuses.
const (
	statusOK          = 0
	statusFailed      = 1
	statusUsage       = 2
	statusInterrupted = 130
)

func main() {
	ctx := interruptible()
	status := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	process.KillAll() // what the hosts left behind, and End could not tell from what others started
	os.Exit(status)
}

// interruptible returns a context that ends with the first signal that asks this
// program to end; the second one ends the program at once, and the hosts with it.
func interruptible() context.Context {
	asked := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup has it
		asked = append(asked, syscall.SIGHUP)
	}
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, asked...)
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-signals
		cancel()
		<-signals
		process.KillAll()
		os.Exit(statusInterrupted)
	}()
	return ctx
}

// streams are the standard streams.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

// modulePath is where this program is.
const modulePath = "github.com/lazyauth/mcp-lazyauth"

const usage = `hostcheck checks an MCP host for what lazy authorization needs of it.

  hostcheck list                        what is checked, and where it is written
  hostcheck run [flags] -- HOST ARG...  check a host that runs unattended
  hostcheck serve [flags]               check a host that a person works by hand
  hostcheck version                     which hostcheck this is

"hostcheck COMMAND -h" tells more. A first report, of the reference host:

  go install ` + modulePath + `/conformance/cmd/...@latest
  hostcheck run --out report -- refhost

What a host has to do to be checked is in
https://` + modulePath + `/blob/main/docs/hostcheck.md
`

// run runs one of the commands and returns the exit status.
func run(ctx context.Context, args []string, std streams) int {
	name := ""
	if len(args) > 0 {
		name, args = args[0], args[1:]
	}
	var status int
	var err error
	switch name {
	case "list":
		err = list(args, std)
	case "run":
		status, err = check(ctx, args, std)
	case "serve":
		status, err = serve(ctx, args, std)
	case "version", "-version", "--version":
		fmt.Fprintln(std.out, "hostcheck", hostcheck.Version())
	case "guard":
		err = guard(args, std)
	case "stub":
		err = stub(ctx, args, std)
	case "-h", "-help", "--help", "help":
		fmt.Fprint(std.out, usage)
	case "":
		fmt.Fprint(std.err, usage)
		return statusUsage
	default:
		err = fmt.Errorf("there is no command %q; there are list, run, serve and version", name)
	}
	switch {
	case errors.Is(err, flag.ErrHelp):
		return statusOK
	case errors.Is(err, errUsage):
		return statusUsage
	case err != nil:
		fmt.Fprintln(std.err, "hostcheck:", strings.TrimPrefix(err.Error(), "hostcheck: "))
		return statusUsage
	}
	return status
}

// errUsage says that the flag package has reported the error.
var errUsage = errors.New("usage")

// parse parses the flags of a command. Help goes to standard output, what is
// wrong to standard error.
func parse(set *flag.FlagSet, args []string, std streams, help string) error {
	set.SetOutput(io.Discard)
	set.Usage = func() {}
	err := set.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(std.out, help, "\nFlags (with one dash or two):\n")
		set.SetOutput(std.out)
		set.PrintDefaults()
		return err
	case err != nil:
		fmt.Fprintf(std.err, "hostcheck: %s: %v\n\"hostcheck %s -h\" lists the flags.\n", set.Name(), err, set.Name())
		return errUsage
	}
	return nil
}
