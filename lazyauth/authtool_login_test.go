package lazyauth_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A tool of the program's that has the name of one that is left out, or takes the place of one,
// is listed as it is.
func TestAuthTools_NameOfOneLeftOut(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			lazyauth.AddAuthTools(w.Server, w.Auth, &lazyauth.AuthTools{UpgradeScope: "-"})
			mcp.AddTool(w.Server, &mcp.Tool{Name: "-"}, func(context.Context, *mcp.CallToolRequest, world.Note) (*mcp.CallToolResult, world.Answer, error) {
				return nil, world.Answer{}, nil
			})
			mcp.AddTool(w.Server, &mcp.Tool{Name: "auth_login"}, func(context.Context, *mcp.CallToolRequest, world.Note) (*mcp.CallToolResult, world.Answer, error) {
				return nil, world.Answer{Text: "ours"}, nil
			})
		}})
		h := w.Host(era, world.Accepts)
		if got := fmt.Sprint(h.Tools()); got != "[- auth_login auth_logout auth_status]" {
			t.Errorf("listed: %s", got)
		}
		h.Gets("auth_login", world.Note{Text: "x"}, "ours")
	})
}
