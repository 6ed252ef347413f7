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
		w := newWorld(t, setup{})
		w.server.AddSendingMiddleware(func(next mcp.MethodHandler) mcp.MethodHandler {
			return func(ctx context.Context, method string, req mcp.Request) (mcp.Result, error) {
				if method == "notifications/elicitation/complete" {
					later(time.Second) // a slow host
				}
				return next(ctx, method, req)
			}
		})
		h := w.host(legacy, accepts)
		call := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		synctest.Wait()
		messages := w.wire.messages()
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
		w := newWorld(t, setup{options: lazyauth.Options{Principal: everyone}})
		refuses, consents := w.host(legacy, says("decline", 2*time.Second)), w.host(legacy, accepts)
		one, two := refuses.call(t.Context(), "whoami", nil), consents.call(t.Context(), "whoami", nil)
		(<-one).fails(t, lazyauth.ReasonDeclined)
		w.approves()
		(<-two).succeeds(t, "Ada")
		synctest.Wait()
		if n := len(refuses.completions()); n != 0 {
			t.Errorf("%d completion notices to a host whose person had refused", n)
		}
	})
}

func TestDialogOutlivesItsCall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		taken := make(chan struct{})
		h := w.host(legacy, func(ctx context.Context, _ *mcp.ElicitParams) (*mcp.ElicitResult, error) {
			<-ctx.Done()
			close(taken)
			return nil, ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		call := h.call(ctx, "whoami", nil)
		w.person()
		synctest.Wait()
		cancel()
		<-call
		later(10 * time.Second)
		select {
		case <-taken:
			t.Error("the dialog went away with the call, while its code is good")
		default:
		}
		next := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-next).succeeds(t, "Ada")
		h.wantPrompts(1)
	})
}

func TestRoomInTheTableAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxCalls: 32, Principal: byClientName, VerifyUser: anybody}})
		alice, bob := w.rawHostNamed("alice"), w.rawHostNamed("bob")
		for range 2 { // a sixteenth of the table
			state := (<-alice.round(t.Context(), "whoami", nil, "", "")).state(t)
			(<-alice.round(t.Context(), "whoami", nil, state, "cancel")).fails(t, lazyauth.ReasonDeclined)
			later(4 * time.Minute)
		}
		(<-alice.round(t.Context(), "whoami", nil, "", "")).fails(t, lazyauth.ReasonBusy)
		(<-bob.round(t.Context(), "whoami", nil, "", "")).state(t)

		// The first flight's code has lapsed at ten minutes: the call that
		// starts the next one gets no prompt, but the one after the leases does.
		later(150 * time.Second)
		(<-alice.round(t.Context(), "whoami", nil, "", "")).fails(t, lazyauth.ReasonBusy)
		later(time.Minute)
		(<-alice.round(t.Context(), "whoami", nil, "", "")).state(t)
	})
}

func TestLeaseIsExtendedByASecondPrompt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "saga", noteArgs{"x"}, "", "")).state(t)
		later(50 * time.Second)
		second := h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")
		w.approves()
		state = (<-second).state(t)
		third := h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")
		w.approves()
		(<-third).succeeds(t, "x")
		later(10*time.Minute + 30*time.Second) // the first prompt's lease is over, the second's is not
		(<-h.round(t.Context(), "saga", noteArgs{"x"}, state, "accept")).succeeds(t, "x")
		w.wantSaga(1, 1)
	})
}

func TestInnerStateOfAnotherRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ask := func(_ context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
			if req.Params.RequestState != "" {
				return nil, answer{"went on"}, nil
			}
			return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}, RequestState: "step-2"}, answer{}, nil
		}
		w := newWorld(t, setup{options: lazyauth.Options{Principal: byClientName, VerifyUser: anybody}, tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "send"}, scopes.Of("profile"), ask)
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "burn"}, scopes.Of("profile"), ask)
		}})
		signIn := func(h *host) string {
			state := (<-h.round(t.Context(), "send", nil, "", "")).state(t)
			call := h.round(t.Context(), "send", nil, state, "accept")
			w.approves()
			return (<-call).state(t)
		}
		alice, bob := w.rawHostNamed("alice"), w.rawHostNamed("bob")
		state := signIn(alice)
		signIn(bob)
		(<-bob.round(t.Context(), "send", nil, state, "")).refusesState(t)
		(<-w.rawHostNamed("alice").round(t.Context(), "send", nil, state, "")).refusesState(t) // another host of hers
		(<-alice.round(t.Context(), "burn", nil, state, "")).refusesState(t)
		later(2 * time.Hour)
		(<-alice.round(t.Context(), "send", nil, state, "")).refusesState(t)
	})
}

func TestParkingOnlyWhereItIsDeclared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withSaga})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "saga", noteArgs{"x"}, "", "")).state(t)
		done := make(chan reply, 1)
		go func() {
			result, err := h.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "saga", Arguments: noteArgs{"x"}, RequestState: state,
				Meta: mcp.Meta{mcp.MetaKeyClientCapabilities: map[string]any{}}})
			done <- reply{result, err}
		}()
		w.approves()
		(<-done).fails(t, lazyauth.ReasonPending)
	})
}

func TestCancelledHandlerEndsAtOnce(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{tools: func(w *world) {
			w.addTools()
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "slow"}, scopes.Of("profile"), counted(w, "slow",
				func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					<-ctx.Done()
					return nil, answer{}, ctx.Err()
				}))
		}})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-first).succeeds(t, "Ada")
		ctx, cancel := context.WithCancel(t.Context())
		call := h.call(ctx, "slow", nil)
		synctest.Wait()
		cancel()
		<-call
		synctest.Wait()
		if w.ended["slow"] != 1 {
			t.Error("the handler of a cancelled call that nobody can take up again still runs")
		}
	})
}

// withWorker adds a tool that parks once and then works for a minute.
func withWorker(w *world) {
	w.addTools()
	lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "worker"}, scopes.Of("profile"), counted(w, "worker",
		func(ctx context.Context, _ *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
			if err := lazyauth.Require(ctx, scopes.Of("notes:read")); err != nil {
				return nil, answer{}, err
			}
			select {
			case <-time.After(time.Minute):
				return nil, answer{"done"}, nil
			case <-ctx.Done():
				return nil, answer{}, ctx.Err()
			}
		}))
}

// working brings a worker to where it has been parked and works again, under
// two requests with the state that is returned.
func working(ctx context.Context, t *testing.T, w *world, h *host) (state string, one, two <-chan reply) {
	state = (<-h.round(t.Context(), "worker", nil, "", "")).state(t)
	second := h.round(t.Context(), "worker", nil, state, "accept")
	w.approves()
	state = (<-second).state(t)
	one = h.round(ctx, "worker", nil, state, "accept")
	two = h.round(ctx, "worker", nil, state, "accept")
	w.approves()
	later(6 * time.Second) // the next poll
	return state, one, two
}

func TestWorkingHandlerIsAbandoned(t *testing.T) {
	for name, away := range map[string]time.Duration{"comes back": 20 * time.Second, "stays away": 31 * time.Second} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{tools: withWorker})
				h := w.rawHost()
				ctx, cancel := context.WithCancel(t.Context())
				state, one, two := working(ctx, t, w, h)
				cancel()
				<-one
				<-two
				later(away)
				again := <-h.round(t.Context(), "worker", nil, state, "")
				if name == "comes back" {
					again.succeeds(t, "done")
				} else {
					again.fails(t, lazyauth.ReasonAbandoned)
				}
			})
		})
	}
}

func TestOneOfTwoRequestsBreaks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withWorker})
		h := w.rawHost()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		state, _, _ := working(ctx, t, w, h)
		stays := h.round(t.Context(), "worker", nil, state, "")
		synctest.Wait()
		cancel()
		(<-stays).succeeds(t, "done")
	})
}

func TestStepUpAsksForWhatIsHeld(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "list_notes", nil)
		w.approves()
		(<-first).succeeds(t, "")
		second := h.call(t.Context(), "create_note", noteArgs{"x"})
		w.approves()
		(<-second).succeeds(t, "x")
		h.gets("list_notes", nil, "x") // still
		h.wantPrompts(2)
	})
}

func TestWhoLeftIsNotAskedFor(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		ctx, cancel := context.WithCancel(t.Context())
		leaves := h.call(ctx, "create_note", noteArgs{"x"})
		synctest.Wait()
		cancel()
		<-leaves
		w.denies()
		(<-first).fails(t, lazyauth.ReasonDenied)
		again := h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		for _, p := range h.shown() {
			if contains(p.Message, "notes:write") {
				t.Errorf("the prompt %q asks for what nobody needs any more", p.Message)
			}
		}
		w.approves()
		(<-again).succeeds(t, "Ada")
	})
}

func TestSlowRefreshLosesToASignIn(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Minute}})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		w.approves()
		(<-first).succeeds(t, "Ada")
		later(time.Minute)
		w.as.Script(fakeas.Refresh, fakeas.Raw(200, http.Header{"Content-Type": {"application/json"}},
			`{"access_token":"late","token_type":"Bearer","expires_in":600,"scope":"profile"}`).After(20*time.Second))
		slow := h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		write := h.call(t.Context(), "create_note", noteArgs{"x"})
		w.approves()
		(<-write).succeeds(t, "x")
		<-slow
		later(20 * time.Second)
		h.gets("create_note", noteArgs{"y"}, "y")
		h.wantPrompts(2)
	})
}

func TestCloseEndsWorkingHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{tools: withWorker})
		h := w.rawHost()
		_, one, _ := working(t.Context(), t, w, h)
		began := time.Now()
		if err := w.auth.Close(); err != nil || time.Since(began) != 0 {
			t.Errorf("Close took %v: %v", time.Since(began), err)
		}
		(<-one).fails(t, lazyauth.ReasonUnavailable)
	})
}

func TestVerifierWithoutUser(t *testing.T) {
	w := newWorld(t, setup{options: lazyauth.Options{VerifyUser: anybody}})
	var handler http.Handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.server }, nil)
	handler = auth.RequireBearerToken(func(context.Context, string, *http.Request) (*auth.TokenInfo, error) {
		return &auth.TokenInfo{Expiration: time.Now().Add(time.Hour)}, nil // a machine's token, say
	}, nil)(handler)
	server := httptest.NewServer(handler)
	defer server.Close()
	session, err := mcp.NewClient(&mcp.Implementation{Name: "host"}, nil).Connect(t.Context(),
		&mcp.StreamableClientTransport{Endpoint: server.URL, HTTPClient: &http.Client{Transport: asUser("x")}}, &mcp.ClientSessionOptions{ProtocolVersion: legacy})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Close()
	(<-(&host{w: w, session: session}).call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonAnonymous)
	w.wantAuthorizations(0)
}

func TestOutcomeOutlivesTheCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{MaxWait: time.Hour}})
		h := w.rawHost()
		state := (<-h.round(t.Context(), "whoami", nil, "", "")).state(t)
		(<-h.round(t.Context(), "whoami", nil, state, "accept")).fails(t, lazyauth.ReasonExpired)
		later(30 * time.Second)
		(<-h.round(t.Context(), "whoami", nil, state, "accept")).fails(t, lazyauth.ReasonExpired)
		later(31 * time.Second)
		(<-h.round(t.Context(), "whoami", nil, state, "accept")).refusesState(t)
	})
}

func TestInnerStateOfAnotherPrincipal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		// Two people behind one connection, as behind a gateway.
		who := func(_ context.Context, req *mcp.CallToolRequest) (lazyauth.Principal, error) {
			name, _ := req.Params.Meta["test/who"].(string)
			return lazyauth.Principal{Subject: name}, nil
		}
		w := newWorld(t, setup{options: lazyauth.Options{Principal: who, VerifyUser: anybody}, tools: func(w *world) {
			lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "send"}, scopes.Of("profile"),
				func(_ context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
					if req.Params.RequestState != "" {
						return nil, answer{"went on"}, nil
					}
					return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}, RequestState: "step-2"}, answer{}, nil
				})
		}})
		h := w.rawHost()
		call := func(name, state string) <-chan reply {
			out := make(chan reply, 1)
			go func() {
				result, err := h.session.CallTool(t.Context(), &mcp.CallToolParams{Name: "send", RequestState: state, Meta: mcp.Meta{"test/who": name}})
				out <- reply{result, err}
			}()
			return out
		}
		state := (<-call("alice", "")).state(t)
		(<-call("bob", state)).refusesState(t)
		second := call("alice", state)
		w.approves()
		state = (<-second).state(t)
		(<-call("bob", state)).refusesState(t)
		(<-call("alice", state)).succeeds(t, "went on")
	})
}

func TestVerifyUserTakesTooLong(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: byClientName, MaxWait: time.Hour,
			VerifyUser: func(ctx context.Context, _ lazyauth.Principal, _ *oauth2.Token) error {
				<-ctx.Done()
				return ctx.Err()
			}}})
		call := w.host(era, accepts).call(t.Context(), "whoami", nil)
		w.approves()
		began := time.Now()
		(<-call).fails(t, lazyauth.ReasonUnverified)
		if took := time.Since(began); took > time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}
