// Command fakeas serves the test authorization server of package fakeas, its
// pages and its notes API on a loopback address:
//
//	go run ./conformance/cmd/fakeas -addr 127.0.0.1:9070
//
// The device flow and the authorization code flow are there from the start.
// What more servers have is switched on: -push, -registration, -client-document;
// what some do not have is switched off: -no-device, -no-authorization, -no-iss,
// -pkce ignored.
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
	"net/url"
	"os"
	"os/signal"
	"strings"
	"syscall"

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
	if f.iss != "" {
		as.Script(fakeas.Response, fakeas.WithIss(f.iss).Times(-1))
	}
	describe(out, as, &f.options)

	if err := loopback.Serve(ctx, listener, as); err != nil {
		return err
	}
	fmt.Fprintf(out, "stopped; violations: %d\n", len(as.Violations()))
	return nil
}

// describe prints the addresses.
func describe(out io.Writer, as *fakeas.Server, o *fakeas.Options) {
	line := func(name, value string) { fmt.Fprintf(out, "%-22s%s\n", name, value) }
	line("issuer", as.Issuer())
	line("metadata", as.URL(fakeas.Metadata))
	if !o.NoAuthorization {
		line("authorization", as.URL(fakeas.Authorization))
		if o.Push != fakeas.PushNone {
			line("pushed authorization", as.URL(fakeas.PushedAuthorization))
		}
	}
	if !o.NoDevice {
		line("device authorization", as.URL(fakeas.DeviceAuthorization))
	}
	line("token", as.URL(fakeas.Exchange))
	line("revocation", as.URL(fakeas.Revocation))
	if o.Registration {
		line("registration", as.URL(fakeas.Registration))
	}
	if !o.NoDevice {
		line("device page", as.URL(fakeas.Page))
	}
	if !o.NoAuthorization && o.Push != fakeas.PushRequired && len(o.Demand) == 0 {
		line("authorization page", look(as, o))
	}
	line("notes API", as.API())
	line("", "GET /me, GET and POST /notes")
	client, kind := o.Clients[0], "public"
	if client.Secret != "" {
		kind = "confidential"
	}
	line("client", client.ID+" ("+kind+")")
}

// look is an authorization URL for a person who wants to see the page. Nobody
// listens where it leads to.
func look(as *fakeas.Server, o *fakeas.Options) string {
	client := o.Clients[0]
	request := url.Values{
		"response_type": {"code"}, "client_id": {client.ID}, "redirect_uri": {"http://127.0.0.1/callback"},
		"scope": {strings.Join(o.Scopes, " ")}, "state": {"x"},
		// RFC 7636 Appendix B.
		"code_challenge": {"E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"}, "code_challenge_method": {"S256"},
	}
	if len(client.RedirectURIs) > 0 {
		request.Set("redirect_uri", client.RedirectURIs[0])
	}
	return as.URL(fakeas.Authorization) + "?" + request.Encode()
}
