package lazyauth_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Requests of the old era on a stateless endpoint have no session to go by: the
// principal is the client, so that the second call joins the first one's flight.
func TestLegacyOnStatelessHTTP(t *testing.T) {
	w := world.New(t, world.Setup{AS: fakeas.Options{Interval: time.Second}, Options: lazyauth.Options{VerifyUser: world.Anybody}})
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: world.ServeHTTP(t, w, true, true), HTTPClient: &http.Client{Transport: world.AsUser("ada")},
	}, &mcp.ClientSessionOptions{ProtocolVersion: world.Legacy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	h := w.HostOf(session)
	r := <-h.Call(t.Context(), "whoami", nil)
	r.Fails(t, lazyauth.ReasonPending)
	if !strings.Contains(r.Text(), w.Person().UserCode) {
		t.Errorf("%q lacks the code", r.Text())
	}
	w.Approves()
	// Others who wait for the same authorization learn when it is over.
	if err := w.Auth.Authorize(t.Context(), lazyauth.Principal{Issuer: "https://idp.example", Subject: "ada"}, scopes.Of("profile"), nil); err != nil {
		t.Fatal(err)
	}
	h.Gets("whoami", nil, "Ada")
	w.WantAuthorizations(1)
}

func TestParkingOverStatelessHTTP(t *testing.T) {
	var w *world.World
	progress := make(chan string, 10)
	w = world.New(t, world.Setup{AS: fakeas.Options{Interval: time.Second}, Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: func(w *world.World) {
		world.WithSaga(w)
		lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "slow"}, scopes.Of("notes:write"), world.Counted(w, "slow",
			func(ctx context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				say := func(n float64) {
					if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: n}); err != nil {
						t.Errorf("progress %v: %v", n, err)
					}
				}
				say(1)
				err := lazyauth.Require(ctx, scopes.Of("notes:read"))
				say(2)
				return nil, world.Answer{Text: "done"}, err
			}))
	}})
	url := world.ServeHTTP(t, w, true, true)
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			progress <- fmt.Sprint(r.Params.ProgressToken, " ", r.Params.Progress)
		},
	})
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: world.AsUser("ada")}}, &mcp.ClientSessionOptions{ProtocolVersion: world.Modern})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	h := w.HostOf(session)
	state := (<-h.Under("one", "slow", "")).State(t)
	second := h.Under("two", "slow", state)
	w.Approves()
	state = (<-second).State(t)
	third := h.Under("three", "slow", state)
	w.Approves()
	(<-third).Succeeds(t, "done")
	if n := w.Starts("slow"); n != 1 {
		t.Errorf("%d starts", n)
	}
	got := []string{<-progress, <-progress}
	if strings.Join(got, ",") != "two 1,three 2" {
		t.Errorf("progress: %q", got)
	}
}
