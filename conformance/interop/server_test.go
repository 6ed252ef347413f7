package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// serveCommand is the first argument that turns this test binary into a server
// with one tool, whoami, that asks for offline_access as well: some authorization
// servers give refresh tokens to nobody else, and examples/stdio does not ask.
const serveCommand = "serve"

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
	if err := flags.Parse(args); err != nil {
		return err
	}
	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: *issuer, ClientID: *client, API: []string{*api},
		Scopes: scopes.Of("offline_access"),
	}, nil)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, auth.Close()) }()
	server := mcp.NewServer(&mcp.Implementation{Name: "whoami", Version: "1.0.0"}, nil)
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"),
		func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, who, error) {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, *api+"/me", nil)
			if err != nil {
				return nil, who{}, err
			}
			res, err := lazyauth.Client(ctx).Do(req)
			if err != nil {
				return nil, who{}, err
			}
			defer res.Body.Close()
			if res.StatusCode != http.StatusOK {
				return nil, who{}, errors.New("the API says " + res.Status)
			}
			var out who
			err = json.NewDecoder(res.Body).Decode(&out)
			return nil, out, err
		})
	return server.Run(context.Background(), &mcp.StdioTransport{})
}

type who struct {
	Subject string `json:"sub"`
}
