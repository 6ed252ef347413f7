package lazyauth_test

import (
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// everyone is one person, whichever host they use.
func everyone(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
	return lazyauth.LocalUser, nil
}

func TestNoticeComesBeforeTheResult(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.Server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if method == "notifications/elicitation/complete" {
					world.Later(time.Second) // a slow host
				}
				return next(ctx, method, req)
			}
		})
		h := w.Host(world.Legacy, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		synctest.Wait()
		messages := w.Wire.Messages()
		at := func(part string) int {
			return slices.IndexFunc(messages, func(m []byte) bool { return bytes.Contains(m, []byte(part)) })
		}
		if notice, result := at("notifications/elicitation/complete"), at("Ada Example"); notice < 0 || result < notice {
			t.Errorf("notice is message %d, result %d", notice, result)
		}
	})
}

func TestNoNoticeToWhoRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: everyone}})
		refuses, consents := w.Host(world.Legacy, world.Says("decline", 2*time.Second)), w.Host(world.Legacy, world.Accepts)
		one, two := refuses.Call(t.Context(), "whoami", nil), consents.Call(t.Context(), "whoami", nil)
		(<-one).Fails(t, lazyauth.ReasonDeclined)
		w.Approves()
		(<-two).Succeeds(t, "Ada")
		synctest.Wait()
		if n := len(refuses.Completions()); n != 0 {
			t.Errorf("%d completion notices to a host whose person had refused", n)
		}
	})
}

func TestDialogOutlivesItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		taken := make(chan struct{})
		h := w.Host(world.Legacy, func(ctx context.Context, _ *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			<-ctx.Done()
			close(taken)
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		call := h.Call(ctx, "whoami", nil)
		w.Person()
		synctest.Wait()
		cancel()
		<-call
		world.Later(10 * time.Second)
		select {
		case <-taken:
			t.Error("the dialog went away with the call, while its code is good")
		default:
		}
		next := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-next).Succeeds(t, "Ada")
		h.WantPrompts(1)
	})
}

func TestRoomInTheTableAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxCalls: 32, Principal: world.ByClientName, VerifyUser: world.Anybody}})
		alice, bob := w.RawHostNamed("alice"), w.RawHostNamed("bob")
		for range 2 { // a sixteenth of the table
			state := (<-alice.Request(t.Context(), "whoami", nil, "", "")).State(t)
			(<-alice.Request(t.Context(), "whoami", nil, state, "cancel")).Fails(t, lazyauth.ReasonDeclined)
			world.Later(4 * time.Minute)
		}
		(<-alice.Request(t.Context(), "whoami", nil, "", "")).Fails(t, lazyauth.ReasonBusy)
		(<-bob.Request(t.Context(), "whoami", nil, "", "")).State(t)

		// The first flight's code has lapsed at ten minutes: the call that
		// starts the next one gets no prompt, but the one after the leases does.
		world.Later(150 * time.Second)
		(<-alice.Request(t.Context(), "whoami", nil, "", "")).Fails(t, lazyauth.ReasonBusy)
		world.Later(time.Minute)
		(<-alice.Request(t.Context(), "whoami", nil, "", "")).State(t)
	})
}

func TestLeaseIsExtendedByASecondPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
		world.Later(50 * time.Second)
		second := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		w.Approves()
		state = (<-second).State(t)
		third := h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")
		w.Approves()
		(<-third).Succeeds(t, "x")
		world.Later(10*time.Minute + 30*time.Second) // the first prompt's lease is over, the second's is not
		(<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, state, "accept")).Succeeds(t, "x")
		w.WantSaga(1, 1)
	})
}

func TestInnerStateOfAnotherRequest(t *testing.T) {
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

func TestParkingOnlyWhereItIsDeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: world.WithSaga})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "saga", world.Note{Text: "x"}, "", "")).State(t)
		done := make(chan world.Reply, 1)
		go func() {
			result, err := h.Session.CallTool(t.Context(), &mcp.CallToolParams{Name: "saga", Arguments: world.Note{Text: "x"}, RequestState: state,
				Meta: mcp.Meta{mcp.MetaKeyClientCapabilities: map[string]any{}}})
			done <- world.Reply{Result: result, Err: err}
		}()
		w.Approves()
		(<-done).Fails(t, lazyauth.ReasonPending)
	})
}

func TestCancelledHandlerEndsAtOnce(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			w.AddTools()
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"), world.Counted(w, "slow",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
					<-ctx.Done()
					return nil, world.Answer{}, ctx.Err()
				}))
		}})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		ctx, cancel := context.WithCancel(t.Context())
		call := h.Call(ctx, "slow", nil)
		synctest.Wait()
		cancel()
		<-call
		synctest.Wait()
		if w.Stops("slow") != 1 {
			t.Error("the handler of a cancelled call that nobody can take up again still runs")
		}
	})
}

// withWorker adds a tool that parks once and then works for a minute.
func withWorker(w *world.World) {
	w.AddTools()
	lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "worker"}, scopes.Of("profile"), world.Counted(w, "worker",
		func(ctx context.Context, _ *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
			if err := lazyauth.Require(ctx, scopes.Of("notes:read")); err != nil {
				return nil, world.Answer{}, err
			}
			select {
			case <-time.After(time.Minute):
				return nil, world.Answer{Text: "done"}, nil
			case <-ctx.Done():
				return nil, world.Answer{}, ctx.Err()
			}
		}))
}

// working brings a worker to where it has been parked and works again, under
// two requests with the state that is returned.
func working(ctx context.Context, t *testing.T, w *world.World, h *world.Host) (state string, one, two <-chan world.Reply) {
	state = (<-h.Request(t.Context(), "worker", nil, "", "")).State(t)
	second := h.Request(t.Context(), "worker", nil, state, "accept")
	w.Approves()
	state = (<-second).State(t)
	one = h.Request(ctx, "worker", nil, state, "accept")
	two = h.Request(ctx, "worker", nil, state, "accept")
	w.Approves()
	world.Later(6 * time.Second) // the next poll
	return state, one, two
}

func TestWorkingHandlerIsAbandoned(t *testing.T) {
	for name, away := range map[string]time.Duration{"comes back": 20 * time.Second, "stays away": 31 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Tools: withWorker})
				h := w.RawHost()
				ctx, cancel := context.WithCancel(t.Context())
				state, one, two := working(ctx, t, w, h)
				cancel()
				<-one
				<-two
				world.Later(away)
				again := <-h.Request(t.Context(), "worker", nil, state, "")
				if name == "comes back" {
					again.Succeeds(t, "done")
				} else {
					again.Fails(t, lazyauth.ReasonAbandoned)
				}
			})
		})
	}
}

func TestOneOfTwoRequestsBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: withWorker})
		h := w.RawHost()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		state, _, _ := working(ctx, t, w, h)
		stays := h.Request(t.Context(), "worker", nil, state, "")
		synctest.Wait()
		cancel()
		(<-stays).Succeeds(t, "done")
	})
}

func TestStepUpAsksForWhatIsHeld(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "list_notes", nil)
		w.Approves()
		(<-first).Succeeds(t, "")
		second := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves()
		(<-second).Succeeds(t, "x")
		h.Gets("list_notes", nil, "x") // still
		h.WantPrompts(2)
	})
}

func TestWhoLeftIsNotAskedFor(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		leaves := h.Call(ctx, "create_note", world.Note{Text: "x"})
		synctest.Wait()
		cancel()
		<-leaves
		w.Denies()
		(<-first).Fails(t, lazyauth.ReasonDenied)
		again := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		for _, p := range h.Shown() {
			if contains(p.Message, "notes:write") {
				t.Errorf("the prompt %q asks for what nobody needs any more", p.Message)
			}
		}
		w.Approves()
		(<-again).Succeeds(t, "Ada")
	})
}

func TestSlowRefreshLosesToASignIn(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-first).Succeeds(t, "Ada")
		world.Later(time.Minute)
		w.AS.Script(fakeas.Refresh, fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}},
			`{"access_token":"late","token_type":"Bearer","expires_in":600,"scope":"profile"}`).After(20*time.Second))
		slow := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		write := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.Approves()
		(<-write).Succeeds(t, "x")
		<-slow
		world.Later(20 * time.Second)
		h.Gets("create_note", world.Note{Text: "y"}, "y")
		h.WantPrompts(2)
	})
}

func TestCloseEndsWorkingHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: withWorker})
		h := w.RawHost()
		_, one, _ := working(t.Context(), t, w, h)
		began := time.Now()
		if err := w.Auth.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("Close took %v: %v", time.Since(began), err)
		}
		(<-one).Fails(t, lazyauth.ReasonUnavailable)
	})
}

func TestVerifierWithoutUser(t *testing.T) {
	w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}})
	var handler http.Handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.Server }, nil)
	handler = auth.RequireBearerToken(func(context.Context, string, *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{Expiration: time.Now().Add(time.Hour)}, nil // a machine's token, say
	}, nil)(handler)
	server := httptest.NewServer(handler)
	defer server.Close()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "host"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: server.URL, HTTPClient: &http.Client{Transport: world.AsUser("x")}}, &mcp.ClientSessionOptions{ProtocolVersion: world.Legacy})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	(<-w.HostOf(session).Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonAnonymous)
	w.WantAuthorizations(0)
}

func TestOutcomeOutlivesTheCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{MaxWait: time.Hour}})
		h := w.RawHost()
		state := (<-h.Request(t.Context(), "whoami", nil, "", "")).State(t)
		(<-h.Request(t.Context(), "whoami", nil, state, "accept")).Fails(t, lazyauth.ReasonExpired)
		world.Later(30 * time.Second)
		(<-h.Request(t.Context(), "whoami", nil, state, "accept")).Fails(t, lazyauth.ReasonExpired)
		world.Later(31 * time.Second)
		(<-h.Request(t.Context(), "whoami", nil, state, "accept")).RefusesState(t)
	})
}

func TestInnerStateOfAnotherPrincipal(t *testing.T) {
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

func TestVerifyUserTakesTooLong(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: world.ByClientName, MaxWait: time.Hour,
			VerifyUser: func(ctx context.Context, _ lazyauth.Principal, _ *oauth2.Token) error {
				<-ctx.Done()
				return ctx.Err()
			}}})
		call := w.Host(era, world.Accepts).Call(t.Context(), "whoami", nil)
		w.Approves()
		began := time.Now()
		(<-call).Fails(t, lazyauth.ReasonUnverified)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
