// Command fakeas serves the test authorization server of package fakeas, its
// device page and its notes API on a loopback address:
//
//	go run ./conformance/cmd/fakeas -addr 127.0.0.1:9070
//
// It prints what it serves and then one line for each request and for each
// violation of the protocol by a client. SIGINT or SIGTERM ends it; the exit
// status is then 0. See -help for what it can be told.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/conformance/internal/loopback"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2)
	case err != nil:
		fmt.Fprintln(os.Stderr, "fakeas:", strings.TrimPrefix(err.Error(), "fakeas: "))
		os.Exit(1)
	}
}

// errUsage says that the flag package has reported the error.
var errUsage = errors.New("usage")

// run serves until ctx ends. What it serves goes to out, the log to log.
func run(ctx context.Context, args []string, out, log io.Writer) error {
	f, err := parse(args, log)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", f.addr)
	if err != nil {
		return err
	}
	if f.options.Issuer == "" {
		f.options.Issuer = "http://" + listener.Addr().String()
	}
	if !f.quiet {
		f.options.Logger = slog.New(slog.NewTextHandler(log, nil))
	}
	as := fakeas.New(&f.options)
	describe(out, as, f.options.Clients[0])

	if err := loopback.Serve(ctx, listener, as); err != nil {
		return err
	}
	fmt.Fprintf(out, "stopped; violations: %d\n", len(as.Violations()))
	return nil
}

// describe prints the addresses.
func describe(out io.Writer, as *fakeas.Server, client fakeas.Client) {
	kind := "public"
	if client.Secret != "" {
		kind = "confidential"
	}
	fmt.Fprintf(out, "issuer                %s\n", as.Issuer())
	fmt.Fprintf(out, "metadata              %s\n", as.URL(fakeas.Metadata))
	fmt.Fprintf(out, "device authorization  %s\n", as.URL(fakeas.DeviceAuthorization))
	fmt.Fprintf(out, "token                 %s\n", as.URL(fakeas.Token))
	fmt.Fprintf(out, "revocation            %s\n", as.URL(fakeas.Revocation))
	fmt.Fprintf(out, "device page           %s\n", as.URL(fakeas.Page))
	fmt.Fprintf(out, "notes API             %s\n", as.API())
	fmt.Fprintf(out, "client                %s (%s)\n", client.ID, kind)
}

// flags are the parsed command line.
type flags struct {
	addr    string
	quiet   bool
	options fakeas.Options
}

func parse(args []string, log io.Writer) (*flags, error) {
	f, o := &flags{}, &fakeas.Options{}
	set := flag.NewFlagSet("fakeas", flag.ContinueOnError)
	set.SetOutput(log)
	set.Usage = func() {
		fmt.Fprintln(log, "fakeas serves a test authorization server, its device page and a small notes API.")
		set.PrintDefaults()
	}
	client := fakeas.Client{}
	var remote, post bool
	var scopes, withhold string
	set.StringVar(&f.addr, "addr", "127.0.0.1:9070", "`address` to listen on; port 0 takes a free one")
	set.BoolVar(&remote, "allow-remote", false, "accept an -addr that is not loopback. Whoever can reach it can then approve\n"+
		"any code, as the page asks for no password, and whoever is on the way can read\nevery code and token, as there is no TLS")
	set.StringVar(&o.Issuer, "issuer", "", "base `URL` to announce; requests for another host are refused (default: http:// and\nthe address listened on)")
	set.StringVar(&client.ID, "client-id", fakeas.DefaultClientID, "client `ID`")
	set.StringVar(&client.Secret, "client-secret", "", "client `secret`; empty for a public client. Other users of this machine can read\ncommand lines")
	set.BoolVar(&post, "client-secret-post", false, "the client authenticates in the body instead of the header")
	set.StringVar(&client.Name, "client-name", "", "`name` of the client on the device page (default: its ID)")
	set.DurationVar(&o.Interval, "interval", 5*time.Second, "least time between polls, in whole seconds")
	set.DurationVar(&o.CodeLifetime, "expires-in", 10*time.Minute, "lifetime of a device code, in whole seconds")
	set.DurationVar(&o.TokenLifetime, "token-ttl", time.Hour, "lifetime of an access token, in whole seconds; 0 for ever")
	set.DurationVar(&o.Latency, "latency", 0, "wait before every answer")
	set.StringVar(&scopes, "scopes", "profile,notes:read,notes:write", "supported scopes, separated by commas; the first is the default")
	set.StringVar(&withhold, "withhold", "", "scopes that an approval leaves out, separated by commas")
	set.BoolVar(&o.NoRefresh, "no-refresh", false, "issue no refresh tokens")
	set.BoolVar(&o.NoRotation, "no-rotation", false, "refresh tokens stay valid after use")
	set.BoolVar(&o.DetectReuse, "detect-reuse", false, "reuse of a replaced refresh token revokes the grant")
	set.BoolVar(&o.OpenID, "openid", false, "serve the metadata as an OpenID configuration too")
	set.BoolVar(&f.quiet, "quiet", false, "do not log requests and violations")
	if err := set.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil, err
		}
		return nil, errUsage
	}
	if set.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", set.Arg(0))
	}

	if err := checkAddr(f.addr, remote); err != nil {
		return nil, err
	}
	if o.Interval < time.Second || o.CodeLifetime < time.Second {
		return nil, errors.New("-interval and -expires-in are at least 1s")
	}
	if o.Latency < 0 {
		return nil, errors.New("-latency is not negative")
	}
	if post {
		client.Auth = fakeas.PostAuth
	}
	o.Clients = []fakeas.Client{client}
	o.Scopes = split(scopes)
	o.Withhold = split(withhold)
	if err := o.Validate(); err != nil {
		return nil, err
	}
	f.options = *o
	return f, nil
}

// checkAddr refuses addresses that are not loopback unless they are allowed.
func checkAddr(addr string, remote bool) error {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("-addr: %w", err)
	}
	ip := net.ParseIP(host)
	if loopback := host == "localhost" || ip != nil && ip.IsLoopback(); !loopback && !remote {
		return fmt.Errorf("-addr %s is not a loopback address; see -allow-remote", addr)
	}
	return nil
}

func split(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' || r == ' ' })
}
