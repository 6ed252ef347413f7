package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/lazyauth/mcp-lazyauth/examples/internal/logfile"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"go.uber.org/zap"
	"golang.org/x/oauth2"
)

// The commands for people. Without one the program is the server.
const (
	loginCommand  = "login"
	statusCommand = "status"
	logoutCommand = "logout"
)

// Environment variables. What is secret has no place in a command line, which other
// users of the machine see in the list of processes.
const (
	secretVariable  = "NOTES_CLIENT_SECRET"
	keyVariable     = "NOTES_STORE_KEY"
	accountVariable = "NOTES_ACCOUNT"
)

// {} stands for the program's name.
const help = `{} is an MCP server on standard input and output. Its tools (ping,
whoami, list_notes, create_note) call a notes API; all but ping need the user to
sign in, and ask for it when they are first called.

Usage, as the command in a host's configuration:

  {} -issuer URL -client-id ID -api URL [flags]
  {} -device-url URL -token-url URL -client-id ID -api URL [flags]

Usage at a terminal, with the same flags, so that it finds the same grants; the
command may stand before or after them:

  {} login [flags]     sign in ahead of time
  {} status [flags]    who is signed in, for what and until when
  {} logout [flags]    forget a grant and have its tokens ended

Where the user signs in (OAuth 2.0), and how:
  -issuer URL          the authorization server; its endpoints are looked up
  -device-url URL      instead, or where its metadata lacks one or has it wrong:
                       its device authorization endpoint,
  -token-url URL       its token endpoint, and
  -revocation-url URL  its revocation endpoint, if it has one, for logout
  -client-id ID        this server's client identifier there
  -client-secret TEXT  for confidential clients; better set the environment
                       variable NOTES_CLIENT_SECRET
  -client-auth METHOD  how it is sent: basic, in a header, or post, in the body.
                       If not given, as the server's metadata says, or else
                       the one that the server takes. Some servers do not
                       take secrets with / + = and the like in a header
  -flows LIST          redirect: a browser on this machine, which comes back
                       here; device: a code, which can be entered on any
                       machine; or both, the better one first. If not given,
                       redirect,device; with -device-url and -token-url,
                       device. Over SSH, in a container, and where nobody
                       comes back, the code is used, if it is in the list
  -redirect-uri URI    where the browser comes back to, for servers that want
                       to know that exactly, such as
                       http://127.0.0.1:8085/callback; if not given, a free
                       port of 127.0.0.1
  -open-browser        for hosts that show no links: have a call open the
                       sign-in in the browser, without asking before

What the tools call:
  -api URL             base URL of the API: GET /me, GET and POST /notes

Where grants are kept, and whose are used:
  -store KIND          memory (if not given): they end with the server;
                       keychain: in that of your desktop session;
                       file: in files encrypted with a key of yours;
                       unencrypted-file: in files that whoever gets at them can
                       use; or keychain,KIND to fall back to KIND where there
                       is no keychain, which is said on standard error. login,
                       status and logout need something else than memory
  -store-dir DIR       the folder of the files; if not given, notes-mcp/grants
                       in your configuration folder (~/.config, on Linux)
  NOTES_STORE_KEY      environment variable with the key for file: 32 random
                       bytes in base64 or hexadecimal, as from
                       openssl rand -base64 32; several separated by commas to
                       replace one: the first encrypts, all of them decrypt
  -account NAME        which of your accounts to use, such as work; if not
                       given, the environment variable NOTES_ACCOUNT, and
                       without that the account that has no name
  -token-env NAME      use the token in this environment variable, if it is
                       set, for all accounts, and ask nobody to sign in

Of the server:
  -patience DURATION   how long a call waits for the user, such as 2m; 55s if
                       not given, since many hosts end calls after 60s. Hosts
                       that are known by name keep their own time, whatever is
                       given here: see docs/hosts.md

Of login, which opens the browser, or shows a code where there is none:
  -device              show a code in any case, to be entered on any machine
  -scopes "A B"        what to ask for besides profile: notes:read, notes:write
  -no-qr               show no QR code, for screen readers and narrow terminals

Of status and logout:
  -all                 all accounts; for status, that is so without -account

Other:
  -log FILE            append a log of what happens, as JSON lines
  -help                this text

Exit codes: 0 done, or signed in; 1 failed, declined, expired, or not signed in;
2 the command line is wrong; 130 interrupted, with Ctrl-C for example.

URLs are https, or http on a loopback address. To try it out:

  go run ./conformance/cmd/fakeas -addr 127.0.0.1:9070
  {} login -issuer http://127.0.0.1:9070 -client-id notes-cli \
    -api http://127.0.0.1:9070 -store unencrypted-file -store-dir /tmp/grants
`

// errHelp means that the help was asked for.
var errHelp = flag.ErrHelp

// A config is what the command line says.
type config struct {
	command                                    string // empty for the server
	issuer, deviceURL, tokenURL, revocationURL string
	clientID, clientSecret                     string
	clientAuth                                 oauth2.AuthStyle
	flows                                      []lazyauth.Flow
	redirectURI                                string
	opensBrowser, device                       bool
	api                                        string
	patience                                   time.Duration
	account                                    string
	accountGiven                               bool // even as ""
	all                                        bool
	scopes                                     scopes.Set
	noQR                                       bool
	tokenEnv                                   string
	token                                      oauth2.TokenSource // nil if there is none
	store                                      store.Store        // nil: in memory
	logFile                                    string

	process
	name     string      // of the program, for people
	log      *zap.Logger // from openLog
	closeLog func()
	byLink   bool     // of login: the person was last asked by a link, and not by a code
	unkept   error    // of login: why the grant is not in the store
	said     sync.Map // what sayOnce has said
}

// parseFlags returns the settings in args, or an error that says which flag is
// wrong and what would be right. What lazyauth.New checks is left to it.
func parseFlags(args []string, getenv func(string) string) (*config, error) {
	cfg := &config{}
	var list, kinds, dir, wanted string
	flags := flag.NewFlagSet("", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error
	flags.StringVar(&cfg.issuer, "issuer", "", "")
	flags.StringVar(&cfg.deviceURL, "device-url", "", "")
	flags.StringVar(&cfg.tokenURL, "token-url", "", "")
	flags.StringVar(&cfg.revocationURL, "revocation-url", "", "")
	flags.StringVar(&cfg.clientID, "client-id", "", "")
	flags.StringVar(&cfg.clientSecret, "client-secret", getenv(secretVariable), "")
	flags.Func("client-auth", "", func(text string) (err error) {
		cfg.clientAuth, err = authStyle(text)
		return err
	})
	flags.StringVar(&list, "flows", "", "")
	flags.StringVar(&cfg.redirectURI, "redirect-uri", "", "")
	flags.BoolVar(&cfg.opensBrowser, "open-browser", false, "")
	flags.BoolVar(&cfg.device, "device", false, "")
	flags.StringVar(&cfg.api, "api", "", "")
	flags.StringVar(&kinds, "store", memoryStore, "")
	flags.StringVar(&dir, "store-dir", "", "")
	flags.StringVar(&cfg.account, "account", getenv(accountVariable), "")
	flags.StringVar(&cfg.tokenEnv, "token-env", "", "")
	flags.StringVar(&wanted, "scopes", "", "")
	flags.BoolVar(&cfg.noQR, "no-qr", false, "")
	flags.BoolVar(&cfg.all, "all", false, "")
	flags.StringVar(&cfg.logFile, "log", "", "")
	flags.DurationVar(&cfg.patience, "patience", 0, "")
	// Somebody may take the command line of a host and put the command behind it.
	for {
		if err := flags.Parse(args); err != nil {
			return nil, err
		}
		if args = flags.Args(); len(args) == 0 {
			break
		}
		switch command := args[0]; {
		case !slices.Contains([]string{loginCommand, statusCommand, logoutCommand}, command):
			return nil, fmt.Errorf("%q is not a flag, nor one of the commands login, status and logout: give flags, such as -issuer URL", command)
		case cfg.command != "":
			return nil, fmt.Errorf("%s and %s are two commands: give one", cfg.command, command)
		default:
			cfg.command, args = command, args[1:]
		}
	}
	given := make(map[string]bool)
	flags.Visit(func(f *flag.Flag) { given[f.Name] = true })
	cfg.accountGiven = given["account"] || cfg.account != ""
	if cfg.tokenEnv != "" {
		cfg.token = lazyauth.TokenFromEnv(cfg.tokenEnv)
	}
	if err := cfg.check(given); err != nil {
		return nil, err
	}
	var err error
	if cfg.flows, err = cfg.flowsOf(list); err != nil {
		return nil, err
	}
	if cfg.scopes, err = scopes.Parse(wanted); err != nil {
		return nil, errors.New(`-scopes is not a list of scopes: separate them by single blanks, such as "notes:read notes:write"`)
	}
	if cfg.store, err = cfg.newStore(kinds, dir, given["store-dir"], getenv(keyVariable)); err != nil {
		return nil, err
	}
	return cfg, nil
}

// check says what is wrong with the flags, of which these were given.
func (c *config) check(given map[string]bool) error {
	c.api = strings.TrimSuffix(c.api, "/")
	api, err := url.Parse(c.api)
	switch {
	case c.issuer == "" && c.deviceURL == "" && c.tokenURL == "":
		return errors.New("-issuer is missing: give it, or -device-url and -token-url")
	case c.issuer == "" && c.deviceURL == "":
		return errors.New("-device-url is missing: -token-url needs it, unless -issuer is given instead of both")
	case c.issuer == "" && c.tokenURL == "":
		return errors.New("-token-url is missing: -device-url needs it, unless -issuer is given instead of both")
	case c.clientID == "":
		return errors.New("-client-id is missing: give the identifier that the authorization server issued")
	case c.api == "":
		return errors.New("-api is missing: give the base URL of the notes API, such as https://api.example.com")
	case err != nil || api.Host == "" || api.User != nil || api.RawQuery != "" || api.Fragment != "":
		return errors.New("-api is not a base URL: give scheme, host and perhaps a path, such as https://api.example.com/v1")
	case c.patience < 0:
		return errors.New("-patience is negative: give a duration such as 55s")
	case utf8.RuneCountInString(c.account) > 64 || printable(c.account) != c.account:
		return errors.New("-account is not a name: give at most 64 printable characters")
	case (given["scopes"] || given["device"] || given["no-qr"]) && c.command != loginCommand:
		return errors.New("-scopes, -device and -no-qr are for login")
	case c.device && given["flows"]:
		return errors.New("-device and -flows exclude each other: give one of them")
	case c.all && c.command != statusCommand && c.command != logoutCommand:
		return errors.New("-all is for status and logout")
	case c.all && given["account"]:
		return errors.New("-all and -account exclude each other: give one of them")
	}
	return nil
}

// flowsOf returns the flows of a list, or what there is without one.
func (c *config) flowsOf(list string) ([]lazyauth.Flow, error) {
	switch {
	case c.device, list == "" && c.deviceURL != "" && c.tokenURL != "": // all that it needs is there
		list = string(lazyauth.FlowDevice)
	case list == "":
		list = string(lazyauth.FlowRedirect + "," + lazyauth.FlowDevice)
	}
	var flows []lazyauth.Flow
	for name := range strings.SplitSeq(list, ",") {
		flow := lazyauth.Flow(name)
		if flow != lazyauth.FlowRedirect && flow != lazyauth.FlowDevice || slices.Contains(flows, flow) {
			return nil, fmt.Errorf("-flows: %q is not a list of flows: give redirect, device, or redirect,device", list)
		}
		flows = append(flows, flow)
	}
	redirects := slices.Contains(flows, lazyauth.FlowRedirect)
	switch {
	case redirects && c.issuer == "":
		return nil, errors.New("-flows redirect needs -issuer, whose metadata says that the server protects it (PKCE)")
	case c.redirectURI != "" && !redirects:
		return nil, errors.New("-redirect-uri is for -flows redirect")
	case c.opensBrowser && !redirects:
		return nil, errors.New("-open-browser is for -flows redirect")
	}
	return flows, nil
}

// authStyle is the way of sending a client secret that has this name.
func authStyle(name string) (oauth2.AuthStyle, error) {
	switch name {
	case "basic":
		return oauth2.AuthStyleInHeader, nil
	case "post":
		return oauth2.AuthStyleInParams, nil
	}
	return 0, errors.New("give basic, for client_secret_basic, or post, for client_secret_post")
}

// apiOrigin is the part of -api that says who may get the token.
func (c *config) apiOrigin() string {
	u, err := url.Parse(c.api)
	if err != nil {
		return c.api // lazyauth.New refuses it
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String()
}

// options are those of the server or of a command.
func (c *config) options() *lazyauth.Options {
	o := &lazyauth.Options{MaxWait: c.patience, Transport: c.transport, Trace: lazyauth.ZapTrace(c.log)}
	if c.store != nil {
		o.Store = c.store // and not a nil *T in an interface
	}
	if c.command != "" { // it is about the grants that are stored, whatever token takes precedence
		o.Trace = lazyauth.CombineTraces(o.Trace, &lazyauth.Trace{StoreFailed: func(_ context.Context, e lazyauth.StoreFailedInfo) { c.unkept = e.Err }})
		return o
	}
	o.Token = c.token
	if c.opensBrowser {
		o.OpenBrowser = c.openBrowser
	}
	if c.account != "" {
		o.Account = func(context.Context, *mcp.CallToolRequest) (string, error) { return c.account, nil }
	}
	o.Trace = lazyauth.CombineTraces(o.Trace, &lazyauth.Trace{StoreFailed: func(_ context.Context, e lazyauth.StoreFailedInfo) {
		c.sayOnce("the sign-in is kept in memory only: %s", c.explain(e.Err))
	}})
	return o
}

// openLog opens the log file, if one was asked for.
func (c *config) openLog() (err error) {
	if c.log, c.closeLog, err = logfile.Open(c.logFile); err != nil {
		return fmt.Errorf("-log: %w: give a file that can be written", err)
	}
	return nil
}

// say tells the person, or the operator, something beside the result of a command.
func (c *config) say(format string, args ...any) {
	fmt.Fprintf(c.stderr, "%s: %s\n", c.name, fmt.Sprintf(format, args...))
}

// sayOnce is say for what would be repeated with every call.
func (c *config) sayOnce(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if _, again := c.said.LoadOrStore(text, true); !again {
		c.say("%s", text)
	}
}

// printable returns text as it may be written to a terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, text)
}
