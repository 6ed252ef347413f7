package interop_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"os"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// serveCommand is the first argument that turns this test binary into a server
// with the tools of newServer. It asks for offline_access as well, unless it is told
// other scopes: some authorization servers give refresh tokens to nobody else, and
// examples/stdio does not ask. It keeps its grants in a folder, if it is told one. With a
// way in it has the tools of newOutcomes instead. With a redirect URI it signs people in by that.
const serveCommand = "serve"

// storeKey is the key of every such folder.
var storeKey = []byte("a key for tests, of 32 bytes ...")

// serve serves on standard input and output, and returns the exit code.
func serve(args []string) int {
	if err := serveUntilEnd(args); err != nil {
		fmt.Fprintln(os.Stderr, "serve:", err)
		return 1
	}
	return 0
}

func serveUntilEnd(args []string) (err error) {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	issuer, client, api := flags.String("issuer", "", ""), flags.String("client-id", "", ""), flags.String("api", "", "")
	scope, folder := flags.String("scope", "offline_access", ""), flags.String("store", "", "")
	in, redirect := flags.String("way", "", ""), flags.String("redirect", "", "")
	if err := flags.Parse(args); err != nil {
		return err
	}
	options := &lazyauth.Options{
		MaxWait: patience, // longer than a story: on a busy machine a sign-in takes its time
		Trace:   lazyauth.SlogTrace(slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))),
	}
	if *folder != "" {
		if options.Store, err = store.File(*folder, storeKey); err != nil {
			return err
		}
	}
	service := lazyauth.Service{
		Name: "Notes", Issuer: *issuer, ClientID: *client, APIOrigins: []string{*api}, Scopes: scopes.Of(*scope),
	}
	if *redirect != "" {
		service.Flows, service.RedirectURI = []lazyauth.Flow{lazyauth.FlowRedirect}, *redirect
		service.UserInfo = *api + "/me"
	}
	server, auth, err := newServerBehind(way(*in), service, options)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, auth.Close()) }()
	return server.Run(context.Background(), &mcp.StdioTransport{})
}

// newServerBehind returns the server of newOutcomes that came behind an interceptor in this
// way, or that of newServer for "".
func newServerBehind(w way, service lazyauth.Service, o *lazyauth.Options) (*mcp.Server, *lazyauth.Interceptor, error) {
	if w == "" {
		return newServer(service, o)
	}
	return newOutcomes(w, service, o)
}

// newServer returns a server with two of the tools of examples/stdio, whoami and
// create_note, for the service's first API, and two more: one to log out, which answers once
// the authorization server has ended the grant, and one by which the person says that they
// want to be asked after all. The caller must close the interceptor.
func newServer(service lazyauth.Service, o *lazyauth.Options) (*mcp.Server, *lazyauth.Interceptor, error) {
	auth, err := lazyauth.New(service, o)
	if err != nil {
		return nil, nil, err
	}
	api := service.APIOrigins[0]
	server := mcp.NewServer(&mcp.Implementation{Name: "notes", Version: "1.0.0"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (_ *mcp.CallToolResult, out who, err error) {
			err = fetch(ctx, http.MethodGet, api+"/me", nil, &out)
			return nil, out, err
		})
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "create_note"}, scopes.Of("notes:write"),
		func(ctx context.Context, _ *mcp.CallToolRequest, in newNote) (_ *mcp.CallToolResult, out note, err error) {
			err = fetch(ctx, http.MethodPost, api+"/notes", in, &out)
			return nil, out, err
		})
	mcp.AddTool(server, &mcp.Tool{Name: "log_out"},
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, struct{}, error) {
			return nil, struct{}{}, auth.Revoke(ctx, lazyauth.LocalUser)
		})
	mcp.AddTool(server, &mcp.Tool{Name: "ask_again"},
		func(context.Context, *mcp.CallToolRequest, struct{}) (*mcp.CallToolResult, struct{}, error) {
			auth.ForgetDecline(lazyauth.LocalUser)
			return nil, struct{}{}, nil
		})
	return server, auth, nil
}

type who struct {
	Subject string `json:"sub"`
}

type newNote struct {
	Text string `json:"text"`
}

// fetch sends a tool's request, with in as its body unless that is nil.
func fetch(ctx context.Context, method, url string, in, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return err
	}
	if in == nil {
		body = nil
	}
	req, err := http.NewRequestWithContext(ctx, method, url, bytes.NewReader(body))
	if err != nil {
		return err
	}
	res, err := lazyauth.Client(ctx).Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode/100 != 2 {
		return errors.New("the API says " + res.Status)
	}
	return json.NewDecoder(res.Body).Decode(out)
}
