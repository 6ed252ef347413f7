package lazyauth_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"os"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

var notes = lazyauth.Service{
	Name: "Notes", Issuer: "https://auth.example.com", ClientID: "notes-mcp", APIOrigins: []string{"https://api.example.com"},
}

// The client adds the token for the service's API, and for nothing else. It refreshes the
// token, or asks the person for more, when the API demands that, and sends the request again.
func ExampleClient() {
	handler := func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://api.example.com/notes", nil)
		if err != nil {
			return nil, nil, err
		}
		res, err := lazyauth.Client(ctx).Do(req)
		if err != nil {
			return nil, nil, err
		}
		defer res.Body.Close()
		return nil, map[string]int{"status": res.StatusCode}, nil
	}
	_ = handler
}

// A handler that learns only while it runs that it needs more says so before it begins
// what cannot be undone.
func ExampleRequire() {
	type args struct {
		Publish bool `json:"publish"`
	}
	handler := func(ctx context.Context, _ *mcp.CallToolRequest, in args) (*mcp.CallToolResult, any, error) {
		if in.Publish {
			if err := lazyauth.Require(ctx, scopes.Of("notes:publish")); err != nil {
				return nil, nil, err // the call's result says what happened
			}
		}
		return nil, map[string]bool{"published": in.Publish}, nil
	}
	_ = handler
}

// Signing in at a terminal, before there is any call.
func ExampleInterceptor_Authorize() {
	auth, err := lazyauth.New(notes, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	err = auth.Authorize(context.Background(), lazyauth.LocalUser, scopes.Of("notes:read"),
		func(_ context.Context, p elicit.Prompt) error {
			fmt.Fprintf(os.Stderr, "Open %s and enter the code %s\n", p.VerificationURI, p.UserCode)
			return nil
		})
	if err != nil {
		log.Fatal(err)
	}
}

// Grants that outlive the process, in the keychain of whoever runs the server. Package store
// has others, and says what each protects from.
func ExampleOptions_store() {
	keychain, err := store.Keychain("notes-mcp")
	if err != nil {
		log.Fatal(err)
	}
	auth, err := lazyauth.New(notes, &lazyauth.Options{Store: keychain})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
}

// What happens, in a log and as numbers, and one hook of one's own.
func ExampleTrace() {
	var counters lazyauth.Counters
	auth, err := lazyauth.New(notes, &lazyauth.Options{
		Trace: lazyauth.CombineTraces(
			lazyauth.SlogTrace(slog.Default()),
			counters.Trace(),
			&lazyauth.Trace{Granted: func(_ context.Context, i lazyauth.GrantedInfo) {
				log.Printf("%s signed in after %v", i.Principal, i.Took)
			}},
		),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
}

// A handler can go on without the service. What it returns of an error becomes the call's
// result, wrapped or not.
func ExampleError() {
	handler := func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, any, error) {
		res, err := lazyauth.Client(ctx).Get("https://api.example.com/notes")
		if e, ok := errors.AsType[*lazyauth.Error](err); ok && e.Reason == lazyauth.ReasonDeclined {
			return nil, map[string]string{"notes": "not signed in: local notes only"}, nil
		}
		if err != nil {
			return nil, nil, err
		}
		defer res.Body.Close()
		return nil, map[string]string{"notes": res.Status}, nil
	}
	_ = handler
}
