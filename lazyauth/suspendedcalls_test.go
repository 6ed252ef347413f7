package lazyauth_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestSuspendedCalls_Full(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxCalls: 1, Principal: world.ByClientName, VerifyUser: world.Anybody}})
		alice, bob := w.RawHost(), w.RawHostNamed("bob")
		state := (<-alice.Request(t.Context(), "whoami", nil, "", "")).State(t)
		(<-bob.Request(t.Context(), "whoami", nil, "", "")).Fails(t, lazyauth.ReasonBusy)
		world.Later(time.Second)
		w.WantAuthorizations(1) // nothing was begun for somebody who cannot be asked
		if w.Trace.Count("failed") != 1 {
			t.Errorf("the trace has:\n%s", w.Trace.Text())
		}

		// Nobody was evicted, and there is room when the calls are kept no longer.
		first := alice.Request(t.Context(), "whoami", nil, state, "accept")
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		world.Later(12 * time.Minute)
		(<-bob.Request(t.Context(), "whoami", nil, "", "")).State(t)
	})
}

func TestSuspendedCalls_RoomAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxCalls: 32, Principal: world.ByClientName, VerifyUser: world.Anybody}})
		alice, bob := w.RawHostNamed("alice"), w.RawHostNamed("bob")
		for range 2 { // a sixteenth of MaxCalls
			state := (<-alice.Request(t.Context(), "whoami", nil, "", "")).State(t)
			(<-alice.Request(t.Context(), "whoami", nil, state, "cancel")).Fails(t, lazyauth.ReasonDeclined)
			world.Later(4 * time.Minute)
		}
		(<-alice.Request(t.Context(), "whoami", nil, "", "")).Fails(t, lazyauth.ReasonBusy)
		(<-bob.Request(t.Context(), "whoami", nil, "", "")).State(t)

		// The first flight's code has expired at ten minutes: the call that
		// starts the next one gets no prompt, but the one after the calls have gone does.
		world.Later(150 * time.Second)
		(<-alice.Request(t.Context(), "whoami", nil, "", "")).Fails(t, lazyauth.ReasonBusy)
		world.Later(time.Minute)
		(<-alice.Request(t.Context(), "whoami", nil, "", "")).State(t)
	})
}

// One user with many accounts locks nobody out.
func TestSuspendedCalls_AccountsShareAQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxCalls: 32, Principal: world.ByClientName, VerifyUser: world.Anybody, Account: lazyauth.AccountFromArgument("text")}})
		mallory := w.HostWith(world.Modern, world.Manners{Name: "mallory", URL: true, Form: true, React: world.Never})
		for n := range 40 {
			mallory.Call(t.Context(), "create_note", world.Note{Text: fmt.Sprint("a", n)})
			synctest.Wait()
			world.Later(time.Second)
		}
		ada := w.HostWith(world.Modern, world.Manners{Name: "ada", URL: true, Form: true, React: world.Accepts})
		c := ada.Call(t.Context(), "create_note", world.Note{Text: "mine"})
		world.Later(time.Second)
		select {
		case r := <-c:
			t.Errorf("ada is turned away: %s %v", r.Text(), r.Result.Meta[lazyauth.MetaReason])
		default:
		}
		w.Auth.Close()
	})
}

// Callers who are not known share one quota.
func TestSuspendedCalls_AnonymousShareAQuota(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxCalls: 32}, Tools: func(w *world.World) {
			w.AddTools()
			mcp.AddTool(w.Server, &mcp.Tool{Name: "confirm"},
				func(_ context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, any, error) {
					if req.Params.InputResponses["sure"] != nil {
						return &mcp.CallToolResult{Content: []mcp.Content{&mcp.TextContent{Text: "ok"}}}, nil, nil
					}
					return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}}, nil, nil
				})
			w.Auth.Intercept(w.Server, scopes.Policy{})
		}})
		known := w.RawHostNamed("known")
		(<-known.Request(t.Context(), "ping", nil, "", "")).Succeeds(t, "pong")
		unknown := w.RawHostNamed("unknown")
		turnedAway := 0
		for n := range 32 {
			r := <-unknown.Request(t.Context(), "confirm", nil, "", "")
			state := r.State(t)
			result, err := unknown.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "confirm", RequestState: state,
				InputResponses: mcp.InputResponseMap{"sure": &mcp.ElicitResult{Action: "accept"}}})
			if err != nil {
				t.Fatal(err)
			}
			if result.IsError {
				turnedAway = n
				break
			}
		}
		if turnedAway == 0 {
			t.Error("callers who are not known were never turned away")
		}
		r := <-known.Request(t.Context(), "whoami", nil, "", "")
		if r.Err != nil || !r.Result.NeedsInput() {
			t.Errorf("the known caller was locked out by anonymous ones: %q, %v", r.Text(), r.Err)
		}
	})
}
