package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/logfile"
	"go.uber.org/zap"
)

const secretVariable = "NOTES_CLIENT_SECRET"

const help = `stdio is an MCP server on standard input and output. Its tools (ping, whoami,
list_notes, create_note) call a notes API; all but ping need the user to sign
in, and ask for it when they are first called.

Usage, as the command in a host's configuration:

  stdio -issuer URL -client-id ID -api URL [flags]
  stdio -device-url URL -token-url URL -client-id ID -api URL [flags]

Where the user signs in (OAuth 2.0 device authorization):
  -issuer URL          the authorization server; its endpoints are looked up
  -device-url URL      instead: its device authorization endpoint, and
  -token-url URL       its token endpoint
  -client-id ID        this server's client identifier there
  -client-secret TEXT  for confidential clients. Other users of this machine
                       see it in the list of processes; better set the
                       environment variable ` + secretVariable + `

What the tools call:
  -api URL             base URL of the API: GET /me, GET and POST /notes

Other:
  -patience DURATION   how long a call waits for the user, such as 2m; 55s if
                       not given, since many hosts end calls after 60s
  -log FILE            append a log of what happens, as JSON lines
  -help                this text

URLs are https, or http on a loopback address. To try it out:

  go run ./conformance/cmd/fakeas -addr 127.0.0.1:9070
  stdio -issuer http://127.0.0.1:9070 -client-id notes-cli -api http://127.0.0.1:9070
`

// errHelp means that the help was asked for.
var errHelp = flag.ErrHelp

// A config is what the command line says.
type config struct {
	issuer, deviceURL, tokenURL string
	clientID, clientSecret      string
	api                         string
	patience                    time.Duration
	logFile                     string

	log       *zap.Logger // from openLog
	closeLog  func()
	transport http.RoundTripper // nil but in tests
}

// parseFlags returns the settings in args, or an error that says which flag is
// wrong and what would be right. What lazyauth.New checks is left to it.
func parseFlags(args []string, getenv func(string) string) (*config, error) {
	cfg := &config{}
	flags := flag.NewFlagSet("stdio", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error
	flags.StringVar(&cfg.issuer, "issuer", "", "")
	flags.StringVar(&cfg.deviceURL, "device-url", "", "")
	flags.StringVar(&cfg.tokenURL, "token-url", "", "")
	flags.StringVar(&cfg.clientID, "client-id", "", "")
	flags.StringVar(&cfg.clientSecret, "client-secret", getenv(secretVariable), "")
	flags.StringVar(&cfg.api, "api", "", "")
	flags.StringVar(&cfg.logFile, "log", "", "")
	flags.DurationVar(&cfg.patience, "patience", 0, "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	cfg.api = strings.TrimSuffix(cfg.api, "/")
	api, err := url.Parse(cfg.api)
	switch {
	case flags.NArg() > 0:
		return nil, fmt.Errorf("%q is not a flag: give flags only, such as -issuer URL", flags.Arg(0))
	case cfg.issuer == "" && cfg.deviceURL == "" && cfg.tokenURL == "":
		return nil, errors.New("-issuer is missing: give it, or -device-url and -token-url")
	case cfg.issuer != "" && (cfg.deviceURL != "" || cfg.tokenURL != ""):
		return nil, errors.New("-issuer and -device-url or -token-url exclude each other: give -issuer alone, or the two without it")
	case cfg.issuer == "" && cfg.deviceURL == "":
		return nil, errors.New("-device-url is missing: -token-url needs it, unless -issuer is given instead of both")
	case cfg.issuer == "" && cfg.tokenURL == "":
		return nil, errors.New("-token-url is missing: -device-url needs it, unless -issuer is given instead of both")
	case cfg.clientID == "":
		return nil, errors.New("-client-id is missing: give the identifier that the authorization server issued")
	case cfg.api == "":
		return nil, errors.New("-api is missing: give the base URL of the notes API, such as https://api.example.com")
	case err != nil || api.Host == "" || api.User != nil || api.RawQuery != "" || api.Fragment != "":
		return nil, errors.New("-api is not a base URL: give scheme, host and perhaps a path, such as https://api.example.com/v1")
	case cfg.patience < 0:
		return nil, errors.New("-patience is negative: give a duration such as 55s")
	}
	return cfg, nil
}

// apiOrigin is the part of -api that says who may get the token.
func (c *config) apiOrigin() string {
	u, err := url.Parse(c.api)
	if err != nil {
		return c.api // lazyauth.New refuses it
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
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
	fmt.Fprintf(stderr, "stdio: %v\nRun stdio -help for the flags and an example.\n", err)
	return 2
}
