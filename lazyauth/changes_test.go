package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/modelcontextprotocol/go-sdk/jsonrpc"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A grant without a refresh token, in a store, of an owner who is idle and forgotten, ends: the
// session is told.
func TestListing_ForgottenOwnerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{
			AS: fakeas.Options{TokenLifetime: 2 * time.Hour, NoRefresh: true},
			Options: lazyauth.Options{Store: store.Memory(), VerifyUser: world.Anybody, Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
				return lazyauth.Principal{Issuer: "i", Subject: "ada"}, nil
			}}, Tools: hides,
		})
		h := listener(w, world.Legacy)
		lists(t, h, before, 0)
		signsIn(w, h, nil).Succeeds(t, "")
		lists(t, h, after, 1)
		world.Later(time.Hour)
		lists(t, h, after, 1)
		world.Later(2 * time.Hour)
		lists(t, h, before, 2)
	})
}

// A host that reads nothing holds up what others are told for no time.
func TestListing_HostThatReadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{InsecureSingleUser: true}, Tools: hides})
		first := listener(w, world.Legacy)
		lists(t, first, before, 0)
		for range 8 {
			here, there := mcp.NewInMemoryTransports()
			if _, err := w.Server.Connect(context.Background(), deaf{there}, nil); err != nil {
				t.Fatal(err)
			}
			h := w.Connect(world.Legacy, world.Manners{Lists: true}, here)
			lists(t, h, before, 0)
		}
		last := listener(w, world.Legacy)
		lists(t, last, before, 0)
		signsIn(w, first, nil).Succeeds(t, "")
		lists(t, last, after, 1)
		first.Gets("auth_logout", nil, "Logged out")
		lists(t, last, before, 2)
	})
}

// deaf is the transport to a host that does not read what it is told of its tools.
type deaf struct{ mcp.Transport }

func (d deaf) Connect(ctx context.Context) (mcp.Connection, error) {
	conn, err := d.Transport.Connect(ctx)
	return deafConn{conn}, err
}

type deafConn struct{ mcp.Connection }

func (d deafConn) Write(ctx context.Context, message jsonrpc.Message) error {
	if req, ok := message.(*jsonrpc.Request); ok && strings.HasSuffix(req.Method, "/list_changed") {
		<-ctx.Done()
		return ctx.Err()
	}
	return d.Connection.Write(ctx, message)
}
