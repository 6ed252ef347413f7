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

// When the server asks the user to sign in.
const (
	lazyMode     = "lazy"     // when a tool first needs it
	explicitMode = "explicit" // when auth_login is called, too
	eagerMode    = "eager"    // when a session begins
)

// Environment variables. What is secret has no place in a command line, which other
// users of the machine see in the list of processes.
const (
	secretVariable  = "NOTES_CLIENT_SECRET"
	keyVariable     = "NOTES_STORE_KEY"
	accountVariable = "NOTES_ACCOUNT"
)

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
	mode                                       string
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
	flags.StringVar(&cfg.mode, "mode", lazyMode, "")
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
	case !slices.Contains([]string{lazyMode, explicitMode, eagerMode}, c.mode):
		return fmt.Errorf("-mode: %q is not a mode: give lazy, explicit or eager", c.mode)
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

// flowsOf returns the flows of a list, or what there is without one: the redirect first, since a
// host starts the server where its user sits. They need not compare codes then, and a link that
// somebody sends them gives nothing away. Where there is no browser the code will do.
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
	o.UnsharedSignIns = c.command == loginCommand // whoever runs it sits there: what they break off leaves nothing
	if c.command != "" {                          // it is about the grants that are stored, whatever token takes precedence
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
