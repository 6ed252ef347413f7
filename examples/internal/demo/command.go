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
	Two  bool   // there are two authorization servers, each with an API

	// Tell tells the story. An error is the step that did not work, or [ErrEnded].
	Tell func(context.Context, *Stage) error
}

// A Stage is where a story takes place.
type Stage struct {
	*Screen

	AS       *AuthorizationServer
	Other    *AuthorizationServer // nil unless there are two
	User     *Person
	Protocol string // the MCP revision to speak
	Flow     string // by which the user signs in, one of [Flows]

	name string // of the command
	host *Host  // nil before [Stage.StartHost]
}

// ErrEnded ends a story before its end because the person decided so. That is
// no failure: what the tool's caller learns of it has been shown.
var ErrEnded = errors.New("the person ended the story")

// Protocols are the two ways of asking a user, newest first.
var Protocols = []string{"2026-07-28", "2025-11-25"}

// Flows are how a user can be asked to sign in, the one that is taken if none is given first. Either
// needs a browser on this machine here, since nothing else reaches the authorization server.
var Flows = []string{"device", "redirect"}

const help = `%[1]s %[2]s

Usage: go run ./examples/%[1]s [flags]

  -approve           approve by itself, through the pages that a browser shows
  -flow FLOW         how to sign in: device (if not given), by a code that you
                     enter, or redirect, by a link that leads your browser back
  -protocol VERSION  the MCP revision to speak: 2026-07-28 (if not given), or
                     2025-11-25, where the server asks in another way
  -help              this text

Exit codes: 0 the story was told, or ended since you denied or let the code or
link expire; 1 a step did not work; 2 the command line is wrong; 130
interrupted, with Ctrl-C for example.
`

// Exit codes.
const (
	told        = 0
	failed      = 1
	usage       = 2
	interrupted = 130 // as shells have it
)

// Main runs the command as the whole program, until it ends or is interrupted.
func (c Command) Main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	os.Exit(c.Run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// Run parses the arguments, tells the story, and returns the exit code.
func (c Command) Run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet(c.Name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	approve := flags.Bool("approve", false, "")
	protocol := flags.String("protocol", Protocols[0], "")
	flow := flags.String("flow", Flows[0], "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(stdout, help, c.Name, c.Does)
		return told
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%q is not a flag", flags.Arg(0))
	case err == nil && !slices.Contains(Protocols, *protocol):
		err = fmt.Errorf("-protocol %q is not known: give %s or %s", *protocol, Protocols[0], Protocols[1])
	case err == nil && !slices.Contains(Flows, *flow):
		err = fmt.Errorf("-flow %q is not known: give %s or %s", *flow, Flows[0], Flows[1])
	}
	if err != nil {
		fmt.Fprintf(stderr, "%s: %v\nRun it with -help for its flags.\n", c.Name, err)
		return usage
	}

	err = c.tell(ctx, &Stage{Screen: NewScreen(stdout), Protocol: *protocol, Flow: *flow, name: c.Name}, *approve)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintf(stderr, "%s: interrupted\n", c.Name)
		return interrupted
	case err != nil:
		fmt.Fprintf(stderr, "%s: %v\n", c.Name, err)
		return failed
	}
	return told
}

// tell completes the stage and tells the story.
func (c Command) tell(ctx context.Context, stage *Stage, approve bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer stage.settle() // a prompt may still be there when a step fails

	as, err := startAuthorizationServer(ctx)
	if err != nil {
		return err
	}
	defer as.close()
	stage.AS, stage.User = as, &Person{servers: []*AuthorizationServer{as}, out: stage.Screen, flow: stage.Flow}
	if c.Two {
		if stage.Other, err = startAuthorizationServer(ctx); err != nil {
			return err
		}
		defer stage.Other.close()
		stage.User.servers = append(stage.User.servers, stage.Other)
	}
	if approve {
		visit, wait := approveOverHTTP(ctx, cancel)
		defer wait()
		stage.User.visit = visit
	}
	err = c.Tell(ctx, stage)
	if errors.Is(err, ErrEnded) {
		stage.Line("That is what the model is told. To see the call go on, start again.")
		err = nil
	}
	return errors.Join(err, stage.host.Close())
}
