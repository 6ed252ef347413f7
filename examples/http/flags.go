package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"github.com/lazyauth/mcp-lazyauth/examples/http/server"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"golang.org/x/oauth2"
)

// Secrets are read from the environment alone: other users of the machine can
// read command lines, and so can whoever may read /debug/vars.
const (
	clientSecretVariable        = "NOTES_CLIENT_SECRET"
	introspectionSecretVariable = "NOTES_INTROSPECTION_SECRET"
)

const help = `http is an MCP server over streamable HTTP. Its tools (whoami, list_notes,
create_note) call a notes API for the person who calls them, who signs in when
one is first called.

Usage:

  http -issuer URL -client-id ID -api URL -introspection-url URL -introspection-id ID [flags]
  http -issuer URL -client-id ID -api URL -single-user [flags]
  http grants -help        list, end, bar, erase and export people's grants

Two endpoints lead to the same tools, and to the same sign-ins:

  /mcp          for hosts that speak MCP 2026-07-28. Older ones can use it, but
                cannot be prompted there: their model is told link and code
  /mcp/legacy   for hosts that speak up to 2025-11-25, which are prompted.
                It refuses the newer revision, and its sessions live in this
                process

Where people sign in to the notes service (OAuth 2.0 device authorization):
  -issuer URL              the authorization server
  -device-url URL          its device authorization endpoint, where its metadata
                           lacks that or has it wrong
  -client-id ID            this server's client identifier there. The secret of
                           a confidential client is in ` + clientSecretVariable + `
  -client-auth METHOD      how the secret is sent: basic, in a header, or post,
                           in the body. If not given, as the server's metadata
                           says, or else the one that the server takes. Some do
                           not take secrets with / + = and the like in a header
  -api URL                 base URL of the API: GET /me, GET and POST /notes

Whose calls these are; one of the three:
  -introspection-url URL   callers have bearer tokens of the same issuer, made
                           out for this server (aud); it says whose they are
                           (RFC 7662)
  -introspection-id ID     client identifier for asking. The secret is in
                           ` + introspectionSecretVariable + `
  -demo-users NAMES        instead, to try it out: each of these names, such as
                           ada,eve, is a bearer token. Loopback only
  -connect                 with -demo-users: have people sign in by a redirect,
                           through a page of this server (/connect), where they
                           say which of the demo users they are. The client has
                           to be registered with the redirect URI that is shown
  -single-user             instead: no bearer tokens, every caller is the one
                           local user. Whoever reaches the port acts with that
                           user's grant. Loopback only

Where grants are kept:
  -store DIR               in files there, so that they survive the process, and
                           http grants finds them. If it is not given: in memory
  -store-key FILE          a file with the key that they are sealed with, which
                           nobody else can read. If it is not given, the key is
                           in ` + storeKeyVariable + `. Make one with:
                           openssl rand -base64 32. Several, with commas,
                           are tried to read with

Where it listens:
  -listen ADDRESS          127.0.0.1:8080 if not given; port 0 takes a free one
  -public-url URL          what hosts see, such as https://mcp.example.com, if a
                           proxy is in front. It must be given to listen on
                           other than loopback; there is no TLS here. With
                           -demo-users or -single-user it is on loopback, too
  -proxies PREFIXES        networks of the proxies in front, such as
                           127.0.0.1/32,::1/128: whom these say they were asked
                           by (X-Forwarded-For) is who is limited. Otherwise
                           all that come by a proxy are limited as one
  -debug ADDRESS           counters there, on loopback: /debug/vars, /metrics

Other:
  -patience DURATION       how long a call waits for its person, such as 2m, of
                           all hosts alike. If it is not given: 55s, and longer
                           for hosts that are known by name, up to 595s. A proxy
                           must wait longer than that
  -log FILE                append a log of what happens, as JSON lines; without
                           it, a shorter one goes to standard error
  -help                    this text

URLs are https, or http on a loopback address. To try it out, in two terminals:

  go run ./conformance/cmd/fakeas -addr 127.0.0.1:9070
  go run ./examples/http -demo-users ada,eve -issuer http://127.0.0.1:9070 \
    -client-id notes-cli -api http://127.0.0.1:9070

and in a third one, as a host that cannot prompt. The answer has a link and a
code; open and approve, then send it again:

  curl -s http://127.0.0.1:8080/mcp -H 'Authorization: Bearer ada' \
  -H 'Content-Type: application/json' \
  -H 'Accept: application/json, text/event-stream' \
  -d '{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"whoami"}}'

docs/http.md goes on from there.
`

// errHelp means that the help was asked for.
var errHelp = flag.ErrHelp

// A config is what the command line says.
type config struct {
	server.Config
	patience time.Duration
	logFile  string
	storeDir string
	operatorsConfig

	closeLog func() // from openLog
}

// parseFlags returns the settings in args, or an error that says which flag is
// wrong and what would be right. What lazyauth.New checks is left to it.
func parseFlags(args []string, getenv func(string) string) (*config, error) {
	cfg := new(config)
	cfg.ClientSecret, cfg.IntrospectionSecret = getenv(clientSecretVariable), getenv(introspectionSecretVariable)
	flags := flag.NewFlagSet("http", flag.ContinueOnError)
	flags.SetOutput(io.Discard) // run prints the error
	var keyFile string
	cfg.serviceFlags(flags, &keyFile)
	flags.StringVar(&cfg.DeviceURL, "device-url", "", "")
	flags.StringVar(&cfg.API, "api", "", "")
	flags.StringVar(&cfg.IntrospectionURL, "introspection-url", "", "")
	flags.StringVar(&cfg.IntrospectionID, "introspection-id", "", "")
	var proxies []netip.Prefix
	users := flags.String("demo-users", "", "")
	flags.BoolVar(&cfg.SingleUser, "single-user", false, "")
	flags.BoolVar(&cfg.Connect, "connect", false, "")
	flags.StringVar(&cfg.Listen, "listen", "127.0.0.1:8080", "")
	flags.StringVar(&cfg.PublicURL, "public-url", "", "")
	flags.Func("proxies", "", func(text string) (err error) {
		proxies, err = prefixes(text)
		return err
	})
	flags.StringVar(&cfg.Debug, "debug", "", "")
	flags.DurationVar(&cfg.patience, "patience", 0, "")
	if err := flags.Parse(args); err != nil {
		return nil, err
	}
	var limits httplimit.Limits
	if len(proxies) > 0 {
		limits.Address = httplimit.BehindProxies(proxies...)
	}
	cfg.Limiter = httplimit.New(&limits)
	cfg.API = strings.TrimSuffix(cfg.API, "/")
	cfg.PublicURL = strings.TrimSuffix(cfg.PublicURL, "/")
	cfg.DemoUsers = strings.FieldsFunc(*users, func(r rune) bool { return r == ',' })
	if flags.NArg() > 0 {
		return nil, fmt.Errorf("%q is not a flag: give flags only, such as -issuer URL", flags.Arg(0))
	}
	cfg.Options.MaxWait, cfg.Options.Hosts = cfg.patience, cfg.hosts()
	return cfg, errors.Join(cfg.checkService(), cfg.checkCallers(), cfg.checkAddresses(), cfg.openStore(keyFile, getenv(storeKeyVariable)))
}

// serviceFlags adds those that the server and the commands have alike, by which grants are found and revoked.
func (c *config) serviceFlags(flags *flag.FlagSet, keyFile *string) {
	flags.StringVar(&c.Issuer, "issuer", "", "")
	flags.StringVar(&c.ClientID, "client-id", "", "")
	flags.Func("client-auth", "", func(text string) (err error) {
		c.ClientAuth, err = authStyle(text)
		return err
	})
	flags.StringVar(&c.storeDir, "store", "", "")
	flags.StringVar(keyFile, "store-key", "", "")
	flags.StringVar(&c.logFile, "log", "", "")
}

func (c *config) checkService() error {
	switch {
	case c.Issuer == "":
		return errors.New("-issuer is missing: give the URL of the authorization server")
	case c.ClientID == "":
		return errors.New("-client-id is missing: give the identifier that the authorization server issued")
	case c.API == "":
		return errors.New("-api is missing: give the base URL of the notes API, such as https://api.example.com")
	case !isBaseURL(c.API):
		return errors.New("-api is not a base URL: give scheme, host and perhaps a path, such as https://api.example.com/v1")
	case c.patience < 0:
		return errors.New("-patience is negative: give a duration such as 55s")
	}
	return nil
}

func (c *config) checkCallers() error {
	ways := 0
	for _, given := range []bool{c.IntrospectionURL != "", len(c.DemoUsers) > 0, c.SingleUser} {
		if given {
			ways++
		}
	}
	open := len(c.DemoUsers) > 0 || c.SingleUser
	switch {
	case ways == 0:
		return errors.New("it is not said whose calls these are: give -introspection-url, or on loopback -demo-users or -single-user")
	case c.Connect && len(c.DemoUsers) == 0:
		return errors.New("-connect needs -demo-users: whoever copies this has a web sign-in of their own for the page")
	case c.Connect && c.PublicURL == "" && strings.HasSuffix(c.Listen, ":0"):
		return errors.New("-connect needs a -listen with a port, or a -public-url: the redirect URI is registered with it")
	case ways > 1:
		return errors.New("-introspection-url, -demo-users and -single-user exclude each other: give one of them")
	case open && !server.IsLoopback(c.Listen):
		return errors.New("-demo-users and -single-user let in whoever reaches the port: give a loopback -listen, such as 127.0.0.1:8080")
	case open && c.PublicURL != "" && !isOfLoopback(c.PublicURL):
		return errors.New("-demo-users and -single-user let everybody in: give no -public-url with them but one on loopback")
	case c.IntrospectionURL != "" && !isSafeURL(c.IntrospectionURL):
		return errors.New("-introspection-url is neither https nor http on loopback: tokens are sent there")
	case c.IntrospectionURL != "" && (c.IntrospectionID == "" || c.IntrospectionSecret == ""):
		return errors.New("introspection needs credentials (RFC 7662 section 2.1): give -introspection-id, and the secret in " +
			introspectionSecretVariable)
	}
	return nil
}

func (c *config) checkAddresses() error {
	if _, _, err := net.SplitHostPort(c.Listen); err != nil {
		return errors.New("-listen is not an address: give host and port, such as 127.0.0.1:8080")
	}
	switch {
	case c.PublicURL == "" && !server.IsLoopback(c.Listen):
		return errors.New("-public-url is missing: on other than loopback give the https URL that hosts see")
	case c.PublicURL != "" && !isOrigin(c.PublicURL):
		return errors.New("-public-url is not an origin: give https and a host, and no path, such as https://mcp.example.com")
	case c.Debug != "" && !server.IsLoopback(c.Debug):
		return errors.New("-debug is not a loopback address: give one such as 127.0.0.1:8081")
	}
	return nil
}

// hosts is what is known of hosts. A -patience goes for all of them: how long a
// proxy waits is the same for all.
func (c *config) hosts() map[string]lazyauth.Host {
	hosts := lazyauth.KnownHosts()
	if c.patience > 0 {
		for name, host := range hosts {
			host.MaxWait, host.MaxWaitWithProgress = 0, 0
			hosts[name] = host
		}
	}
	return hosts
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

// prefixes reads networks with commas between them.
func prefixes(text string) (all []netip.Prefix, err error) {
	for part := range strings.SplitSeq(text, ",") {
		network, err := netip.ParsePrefix(part)
		if err != nil {
			return nil, errors.New("give networks such as 127.0.0.1/32,::1/128")
		}
		all = append(all, network)
	}
	return all, nil
}

func isBaseURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && u.User == nil && u.RawQuery == "" && u.Fragment == ""
}

// isOrigin reports whether an address is scheme and host alone, and safe.
func isOrigin(text string) bool {
	u, err := url.Parse(text)
	return err == nil && isSafeURL(text) && text == u.Scheme+"://"+u.Host
}

// isSafeURL reports whether a secret may be sent to an address.
func isSafeURL(text string) bool {
	u, err := url.Parse(text)
	return err == nil && u.Host != "" && (u.Scheme == "https" || u.Scheme == "http" && server.IsLoopback(u.Host))
}

// isOfLoopback reports whether the host of an address is this machine by its own account.
func isOfLoopback(address string) bool {
	u, err := url.Parse(address)
	return err == nil && server.IsLoopback(u.Host)
}

// misused reports a mistake on the command line and returns the exit code for
// it.
func misused(stderr io.Writer, err error) int {
	fmt.Fprintf(stderr, "http: %v\nRun http -help for the flags and an example.\n", err)
	return 2
}
