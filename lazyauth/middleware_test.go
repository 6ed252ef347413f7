package lazyauth_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// A program holds its server and its interceptor, whose hooks are the program's own. When all
// of it is let go of, nothing that was done for the server keeps it.
func TestMiddleware_LetsGoOfTheServer(t *testing.T) {
	collected := make(chan struct{})
	func() {
		as := fakeas.New(nil)
		var program struct {
			server *mcp.Server
			warned int
		}
		auth, err := lazyauth.New(lazyauth.Service{
			Name: "Notes", Issuer: as.Issuer(), ClientID: fakeas.DefaultClientID, APIOrigins: []string{as.API()},
		}, &lazyauth.Options{Trace: &lazyauth.Trace{Warned: func(context.Context, lazyauth.WarnedInfo) { program.warned++ }}})
		if err != nil {
			t.Fatal(err)
		}
		program.server = mcp.NewServer(&mcp.Implementation{Name: "notes"}, nil)
		runtime.AddCleanup(program.server, func(collected chan struct{}) { close(collected) }, collected)
		lazyauth.AddTool(program.server, auth, &mcp.Tool{Name: "whoami"}, scopes.Of("profile"), quiet[world.NoArgs])
		if err := auth.Close(); err != nil {
			t.Error(err)
		}
	}()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(5 * time.Minute); ; {
		runtime.GC()
		select {
		case <-collected:
			return
		case <-again.C:
		case <-deadline:
			t.Fatal("the server is still held")
		}
	}
}
