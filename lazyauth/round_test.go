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
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestRound_OfTheHandlersOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithConfirm})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		second := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		asks := (<-second).State(t)
		if strings.Contains(asks, "step-2") {
			t.Error("the handler's state travels in the open")
		}
		h.Confirms(asks).Succeeds(t, "accept step-2")
		h.Confirms(flip(asks)).RefusesState(t)
	})
}

// A round of a handler's own runs once, however often its state is handed
// out.
func TestRound_RunsOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{AS: fakeas.Options{CodeLifetime: 30 * time.Minute}, Tools: world.WithConfirm})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		second := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		one := (<-second).State(t)
		h.Confirms(one).Succeeds(t, "accept step-2")
		world.Later(10 * time.Minute)
		two := (<-h.Request(t.Context(), "confirm", nil, state, "accept")).State(t) // the outcome again
		world.Later(6 * time.Minute)
		h.Confirms(two)
		if n := w.Starts("confirm"); n != 2 {
			t.Errorf("the handler started %d times, want 2: the money was sent twice", n)
		}
	})
}

func TestRound_StateSurvivesAPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute, NoRefresh: true}, Tools: world.WithConfirm})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		second := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		asks := (<-second).State(t)
		world.Later(2 * time.Minute) // the token ends while the person thinks
		state = h.Confirms(asks).State(t)
		last := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		(<-last).Succeeds(t, "accept step-2")
	})
}

func TestRound_StateReplayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithConfirm})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "confirm", nil, "", "")).State(t)
		second := h.Request(t.Context(), "confirm", nil, state, "accept")
		w.Approves()
		asks := (<-second).State(t)
		for range 3 {
			h.Confirms(asks).Succeeds(t, "accept step-2")
		}
		if n := w.Starts("confirm"); n != 2 {
			t.Errorf("the handler started %d times, want 2", n)
		}
	})
}

func TestRound_StateOfAnotherRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := func(_ context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			if req.Params.RequestState != "" {
				return nil, world.Answer{Text: "went on"}, nil
			}
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}, RequestState: "step-2"}, world.Answer{}, nil
		}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.ByClientName, VerifyUser: world.Anybody}, Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "send"}, scopes.Of("profile"), ask)
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "burn"}, scopes.Of("profile"), ask)
		}})
		signIn := func(h *world.Host) string {
			state := (<-h.Request(t.Context(), "send", nil, "", "")).State(t)
			call := h.Request(t.Context(), "send", nil, state, "accept")
			w.Approves()
			return (<-call).State(t)
		}
		alice, bob := w.RawHostNamed("alice"), w.RawHostNamed("bob")
		state := signIn(alice)
		signIn(bob)
		(<-bob.Request(t.Context(), "send", nil, state, "")).RefusesState(t)
		(<-w.RawHostNamed("alice").Request(t.Context(), "send", nil, state, "")).RefusesState(t) // another host of hers
		(<-alice.Request(t.Context(), "burn", nil, state, "")).RefusesState(t)
		world.Later(2 * time.Hour)
		(<-alice.Request(t.Context(), "send", nil, state, "")).RefusesState(t)
	})
}

func TestRound_StateOfAnotherPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Two people behind one connection, as behind a gateway.
		who := func(_ context.Context, req *mcp.CallToolRequest) (lazyauth.Principal, error) {
			name, _ := req.Params.Meta["test/who"].(string)
			return lazyauth.Principal{Subject: name}, nil
		}
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: who, VerifyUser: world.Anybody}, Tools: func(w *world.World) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "send"}, scopes.Of("profile"),
				func(_ context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					if req.Params.RequestState != "" {
						return nil, world.Answer{Text: "went on"}, nil
					}
					return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}, RequestState: "step-2"}, world.Answer{}, nil
				})
		}})
		h := w.RawHost()
		call := func(name, state string) <-chan world.Reply {
			out := make(chan world.Reply, 1)
			go func() {
				result, err := h.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "send", RequestState: state, Meta: mcp.Meta{"test/who": name}})
				out <- world.Reply{Result: result, Err: err}
			}()
			return out
		}
		state := (<-call("alice", "")).State(t)
		(<-call("bob", state)).RefusesState(t)
		second := call("alice", state)
		w.Approves()
		state = (<-second).State(t)
		(<-call("bob", state)).RefusesState(t)
		(<-call("alice", state)).Succeeds(t, "went on")
	})
}
