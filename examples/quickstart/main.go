// Command quickstart shows lazyauth with nothing to configure: it starts an
// authorization server on this machine, starts examples/stdio as an MCP host
// would, and is that host, in the terminal. The first call needs a sign-in;
// you approve it in a browser, and that same call goes on.
//
//	go run ./examples/quickstart
//
// It needs Go and nothing else, and leaves nothing behind.
package main

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

const help = `quickstart shows a tool call that signs its user in and then goes on.

Usage: go run ./examples/quickstart [flags]

  -approve           approve by itself, through the pages that a browser shows
  -protocol VERSION  the MCP revision to speak: 2026-07-28 (if not given), or
                     2025-11-25, where the server asks in another way
  -help              this text
`

// protocols are the two ways of asking a user, newest first.
var protocols = []string{"2026-07-28", "2025-11-25"}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// run parses the arguments, tells the story, and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	flags := flag.NewFlagSet("quickstart", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	approve := flags.Bool("approve", false, "")
	protocol := flags.String("protocol", protocols[0], "")
	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprint(stdout, help)
		return 0
	case err == nil && flags.NArg() > 0:
		err = fmt.Errorf("%q is not a flag", flags.Arg(0))
	case err == nil && !slices.Contains(protocols, *protocol):
		err = fmt.Errorf("-protocol %q is not known: give %s or %s", *protocol, protocols[0], protocols[1])
	}
	if err != nil {
		fmt.Fprintf(stderr, "quickstart: %v\nRun it with -help for its flags.\n", err)
		return 2
	}

	err = show(ctx, newScreen(stdout), *protocol, *approve)
	switch {
	case ctx.Err() != nil:
		fmt.Fprintln(stderr, "quickstart: interrupted")
		return 1
	case err != nil:
		fmt.Fprintln(stderr, "quickstart:", err)
		return 1
	}
	return 0
}

// show tells the story; an error is the step that did not work.
func show(ctx context.Context, out *screen, protocol string, approve bool) (err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	defer out.settle() // a prompt may still be there when a step fails

	out.title("1. An authorization server and an API, on this machine only")
	as, err := startAuthorizationServer(ctx)
	if err != nil {
		return err
	}
	defer as.close()
	out.line("listening on %s", as.address)

	out.title("2. The MCP server examples/stdio, started as a host does")
	user := &person{as: as, out: out}
	if approve {
		visit, wait := approveOverHTTP(ctx, cancel)
		defer wait()
		user.visit = visit
	}
	host, err := startHost(ctx, as, protocol, user)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, host.close()) }()
	out.line("It speaks MCP %s. Its tools, listed before anybody has signed in:", protocol)
	if err := host.listTools(ctx, out); err != nil {
		return err
	}

	out.title("3. A call that needs a sign-in")
	if err := host.call(ctx, out, "create_note", map[string]string{"text": "Try lazyauth"}); err != nil {
		return err
	}
	if user.prompts() != 1 {
		return fmt.Errorf("the user was asked %d times, not once", user.prompts())
	}
	out.line("That is the answer to the very call that waited for you.")

	out.title("4. Another call: nobody is asked again")
	if err := host.call(ctx, out, "whoami", map[string]string{}); err != nil {
		return err
	}
	if user.prompts() != 1 {
		return errors.New("the user was asked a second time")
	}

	out.title("5. What the authorization server says about its client")
	if violations := as.Violations(); len(violations) > 0 {
		return fmt.Errorf("the client broke a rule: %v", violations[0])
	}
	out.line("polls until the approval: %d; rules of RFC 8628 broken: none", as.polls())
	return nil
}
