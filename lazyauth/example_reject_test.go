package lazyauth_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

type viewer struct {
	Name string `json:"name"`
}

// An API that speaks GraphQL answers 200, and says in the body that the token is dead. The
// handler passes that on, and sends its query again with the token that there is then.
func ExampleRejectToken() {
	whoami := func(ctx context.Context, _ *mcp.CallToolRequest, _ struct{}) (*mcp.CallToolResult, viewer, error) {
		for {
			res, err := lazyauth.Client(ctx).Post("https://api.example.com/graphql", "application/json", strings.NewReader(`{"query": "{viewer {name}}"}`))
			if err != nil {
				return nil, viewer{}, err
			}
			var reply struct {
				Data   struct{ Viewer viewer }
				Errors []struct{ Extensions struct{ Code string } }
			}
			err = json.NewDecoder(http.MaxBytesReader(nil, res.Body, 1<<20)).Decode(&reply)
			res.Body.Close()
			switch {
			case err != nil:
				return nil, viewer{}, err
			case len(reply.Errors) == 0 || reply.Errors[0].Extensions.Code != "AUTHENTICATION_ERROR":
				return nil, reply.Data.Viewer, nil
			}
			// It ends: after a refresh and a sign-in in vain this is an error.
			if err := lazyauth.RejectToken(ctx, nil); err != nil {
				return nil, viewer{}, err
			}
		}
	}
	_ = whoami // for lazyauth.AddTool
}
