package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/logfile"
	"go.uber.org/zap"
)

const help = `github is an MCP server for GitHub on standard input and output. Its tools
(whoami, list_repositories, create_gist, star_repository) act for the user, who
signs in at GitHub when one of them is first called.

Usage, as the command in a host's configuration:

  github -client-id ID [flags]

  -client-id ID        the client ID of an OAuth app at GitHub; see below
  -host HOST           another GitHub than github.com: an Enterprise Server such
                       as github.example.com, or an Enterprise Cloud such as
                       octocorp.ghe.com
  -patience DURATION   how long a call waits for the user, such as 2m; 55s if
                       not given, since many hosts end calls after 60s. Hosts
                       that are known by name keep their own time, whatever is
                       given here: see docs/hosts.md
  -log FILE            append a log of what happens, as JSON lines
  -help                this text

To get a client ID, once for everybody who is to use the app:

  1. Open https://github.com/settings/applications/new, or on an Enterprise
     Server https://HOST/settings/applications/new. By hand: Settings, Developer
     settings, OAuth apps, New OAuth app.
  2. Give it a name. Its users see that when they approve. Homepage URL and
     callback URL are asked for and not used here: give any page of yours.
  3. Tick "Enable Device Flow". Without it no sign-in can begin.
  4. Register the application, and copy its client ID. It is not a secret. A
     client secret is not needed; make none.

What each tool asks the user for, when it first needs it:

  whoami             read:user
  list_repositories  public_repo; repo as well to list private ones
  create_gist        gist
  star_repository    public_repo; repo as well for a private one
`

// errHelp means that the help was asked for.
var errHelp = flag.ErrHelp

// A config is what the command line says.
type config struct {
	clientID string
	at       address
	patience time.Duration
	logFile  string

	log       *zap.Logger // from openLog
	closeLog  func()
	transport http.RoundTripper // nil but in tests
}

// parseFlags returns the settings in args, or an error that says which flag is
// wrong and what would be right.
func parseFlags(args []string) (*config, error) {
	cfg := &config{}
	flags := flag.NewFlagSet("github", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error
	flags.StringVar(&cfg.clientID, "client-id", "", "")
	host := flags.String("host", "github.com", "")
	flags.DurationVar(&cfg.patience, "patience", 0, "")
	flags.StringVar(&cfg.logFile, "log", "", "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var err error
	cfg.at, err = addressOf(*host, cfg.clientID)
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag: give flags only, such as -client-id ID", flags.Arg(0))
	case cfg.clientID == "":
		return nil, errors.New("-client-id is missing: give the client ID of an OAuth app that has the device flow enabled")
	case cfg.patience < 0:
		return nil, errors.New("-patience is negative: give a duration such as 55s")
	}
	return cfg, err
}

// openLog opens the log file, if one was asked for.
func (c *config) openLog() (err error) {
	if c.log, c.closeLog, err = logfile.Open(c.logFile); err != nil {
		return fmt.Errorf("-log: %w: give a file that can be written", err)
	}
	return nil
}

// misused reports a mistake on the command line and returns the exit code for
// it.
func misused(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "github: %v\nRun github -help for the flags, and for how to get a client ID.\n", err)
	return 2
}
