// Package demo is what the examples share that show something with nothing to
// configure: an authorization server on this machine, an MCP host in the
// terminal, and the host's user.
package demo

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"syscall"
)

// A Command is a program that tells a story in the terminal.
type Command struct {
	Name string // of the program
	Does string // what it shows, in one line, for its help

	// Tell tells the story. An error is the step that did not work.
	Tell func(context.Context, *Stage) error
}

// A Stage is where a story takes place.
type Stage struct {
	*Screen

	AS       *AuthorizationServer
	User     *Person
	Protocol string // the MCP revision to speak

	name string // of the command
}

// Protocols are the two ways of asking a user, newest first.
var Protocols = []string{"2026-07-28", "2025-11-25"}

const help = `%[1]s %[2]s

Usage: go run ./examples/%[1]s [flags]

  -approve           approve by itself, through the pages that a browser shows
  -protocol VERSION  the MCP revision to speak: 2026-07-28 (if not given), or
                     2025-11-25, where the server asks in another way
  -help              this text
`

// Main runs the command as the whole program, until it ends or is interrupted.
func (c Command) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := c.Run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Run parses the arguments, tells the story, and returns the exit code.
func (c Command) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	approve := flags.Bool("approve", false, "")
	protocol := flags.String("protocol", Protocols[0], "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, help, c.Name, c.Does)
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%q is not a flag", flags.Arg(0))
	case err == nil && !slices.Contains(Protocols, *protocol):
		err = fmt.Errorf("-protocol %q is not known: give %s or %s", *protocol, Protocols[0], Protocols[1])
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\nRun it with -help for its flags.\n", c.Name, err)
		return 2
	}

	err = c.tell(ctx, NewScreen(stdout), *protocol, *approve)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "%s: interrupted\n", c.Name)
		return 1
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
		return 1
	}
	return 0
}

// tell sets the stage and tells the story.
func (c Command) tell(ctx context.Context, out *Screen, protocol string, approve bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer out.settle() // a prompt may still be there when a step fails

	as, err := startAuthorizationServer(ctx)
	if err != nil {
		return err
	}
	defer as.close()
	user := &Person{as: as, out: out}
	if approve {
		visit, wait := approveOverHTTP(ctx, cancel)
		defer wait()
		user.visit = visit
	}
	return c.Tell(ctx, &Stage{Screen: out, AS: as, User: user, Protocol: protocol, name: c.Name})
}
