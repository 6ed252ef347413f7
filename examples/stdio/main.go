// Command stdio is a complete MCP server whose tools need somebody else's API:
// the user signs in when a call first needs it, and that very call goes on. For
// people at a terminal it also has the commands login, status and logout, which
// share its grants.
//
// Start to read here; tools.go has the tools, api.go the API they call, help.go and
// flags.go the command line, store.go where grants are kept, and login.go, status.go and
// logout.go the commands.
//
//	go run ./examples/stdio -help
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	os.Exit(process{args: os.Args, getenv: os.Getenv, stdout: os.Stdout, stderr: os.Stderr, openBrowser: lazyauth.OpenBrowser}.run(ctx))
}

// A process is what the program is given.
type process struct {
	args           []string // the first is the program's name
	getenv         func(string) string
	stdout, stderr io.Writer
	openBrowser    func(ctx context.Context, link string) error
	transport      http.RoundTripper // nil but in tests
}

// Exit codes.
const (
	done        = 0   // and, of status, signed in
	failed      = 1   // of status: not signed in
	usage       = 2   // the command line is wrong
	interrupted = 130 // by Ctrl-C or a signal, as shells have it
)

// run is the program: the server, or a command for people. It returns the exit code.
func (p process) run(ctx context.Context) int {
	// Whoever installs it may give it another name, and is told that one.
	name := strings.TrimSuffix(filepath.Base(p.args[0]), ".exe")
	misused := func(err error) int {
		fmt.Fprintf(p.stderr, "%s: %v\nRun %[1]s -help for the flags and an example.\n", name, err)
		return usage
	}
	cfg, err := parseFlags(p.args[1:], p.getenv)
	if errors.Is(err, errHelp) {
		fmt.Fprint(p.stderr, strings.ReplaceAll(help, "{}", name))
		return done
	}
	if err != nil {
		return misused(err)
	}
	cfg.process, cfg.name = p, name
	if err := cfg.openLog(); err != nil {
		return misused(err)
	}
	defer cfg.closeLog()

	auth, err := newAuth(cfg, cfg.options())
	if err != nil {
		return misused(err)
	}
	var code int
	switch cfg.command {
	case loginCommand:
		code = login(ctx, cfg, auth)
	case statusCommand:
		code = status(ctx, cfg, auth)
	case logoutCommand:
		code = logout(ctx, cfg, auth)
	default:
		code = serve(ctx, cfg, auth)
	}
	if err := auth.Close(); err != nil {
		cfg.say("%v", err)
		code = max(code, failed)
	}
	return code
}

// serve is the server. It ends with its input or with ctx. Standard output belongs
// to the protocol: people are told things on stderr.
func serve(ctx context.Context, cfg *config, auth *lazyauth.Interceptor) int {
	err := newServer(cfg, auth).Run(ctx, &mcp.StdioTransport{})
	if err != nil && ctx.Err() == nil { // a signal is, like the end of the input, how a server is meant to end
		cfg.say("%v", err)
		return failed
	}
	return done
}

// serviceName is what people call the service.
const serviceName = "Notes"

// inEverySignIn is what is asked for whatever the tool: /me tells with it who it is.
var inEverySignIn = scopes.Of("profile")

// newAuth returns what keeps the grants, for the server and the commands alike: they
// find the same ones since the service, the store and the account are the same.
// Nothing is dialled or opened before it is needed.
func newAuth(cfg *config, options *lazyauth.Options) (*lazyauth.Interceptor, error) {
	return lazyauth.New(lazyauth.Service{
		Name:          serviceName,
		Issuer:        cfg.issuer,
		Endpoint:      oauth2.Endpoint{DeviceAuthURL: cfg.deviceURL, TokenURL: cfg.tokenURL, AuthStyle: cfg.clientAuth},
		RevocationURL: cfg.revocationURL,
		Flows:         cfg.flows, // it runs where its user sits, as a rule: see flowsOf
		RedirectURI:   cfg.redirectURI,
		ClientID:      cfg.clientID,
		ClientSecret:  cfg.clientSecret,
		Scopes:        inEverySignIn,
		APIOrigins:    []string{cfg.apiOrigin()}, // the token goes nowhere else
		UserInfo:      cfg.api + "/me",           // who signed in
	}, options)
}

// newServer returns the server with its four tools, and those of -mode.
func newServer(cfg *config, auth *lazyauth.Interceptor) *mcp.Server {
	notes := notesAPI{base: cfg.api}
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Title: serviceName, Version: "1.0.0"}, nil)
	mcp.AddTool(server, pingTool, ping) // public: no sign-in, ever
	lazyauth.AddTool(server, auth, whoamiTool, scopes.Of("profile"), notes.whoami)
	lazyauth.AddTool(server, auth, listNotesTool, scopes.Of("notes:read"), notes.list)
	lazyauth.AddTool(server, auth, createNoteTool, scopes.Of("notes:write"), notes.create)
	switch cfg.mode {
	case explicitMode:
		lazyauth.AddAuthTools(server, auth, &lazyauth.AuthTools{HideUntilSignIn: true})
	case eagerMode:
		lazyauth.AskAtStart(server, auth, scopes.Of("notes:read"))
	}
	return server
}
