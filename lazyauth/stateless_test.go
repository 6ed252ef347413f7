package lazyauth_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// Requests of the old era on a stateless endpoint have no session to go by: the
// principal is the client, so that the second call joins the first one's flight.
func TestLegacyOnStatelessHTTP(t *testing.T) {
	w := newWorld(t, setup{as: fakeas.Options{Interval: time.Second}, options: lazyauth.Options{VerifyUser: anybody}})
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, nil)
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{
		Endpoint: serveHTTP(t, w, true, true), HTTPClient: &http.Client{Transport: asUser("ada")},
	}, &mcp.ClientSessionOptions{ProtocolVersion: legacy})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	h := &host{w: w, session: session}
	r := <-h.call(t.Context(), "whoami", nil)
	r.fails(t, lazyauth.ReasonPending)
	if !strings.Contains(r.text(), w.person().UserCode) {
		t.Errorf("%q lacks the code", r.text())
	}
	w.approves()
	// Others who wait for the same authorization learn when it is over.
	if err := w.auth.Authorize(t.Context(), lazyauth.Principal{Issuer: "https://idp.example", Subject: "ada"}, scopes.Of("profile"), nil); err != nil {
		t.Fatal(err)
	}
	h.gets("whoami", nil, "Ada")
	w.wantAuthorizations(1)
}

func TestParkingOverStatelessHTTP(t *testing.T) {
	var w *world
	progress := make(chan string, 10)
	w = newWorld(t, setup{as: fakeas.Options{Interval: time.Second}, options: lazyauth.Options{VerifyUser: anybody}, tools: func(w *world) {
		withSaga(w)
		lazyauth.AddTool(w.server, w.auth, &mcp.Tool{Name: "slow"}, scopes.Of("notes:write"), counted(w, "slow",
			func(ctx context.Context, req *mcp.CallToolRequest, _ noArgs) (*mcp.CallToolResult, answer, error) {
				say := func(n float64) {
					if err := req.Session.NotifyProgress(ctx, &mcp.ProgressNotificationParams{ProgressToken: req.Params.GetProgressToken(), Progress: n}); err != nil {
						t.Errorf("progress %v: %v", n, err)
					}
				}
				say(1)
				err := lazyauth.Require(ctx, scopes.Of("notes:read"))
				say(2)
				return nil, answer{"done"}, err
			}))
	}})
	url := serveHTTP(t, w, true, true)
	h := &host{w: w}
	client := mcp.NewClient(&mcp.Implementation{Name: "host", Version: "1"}, &mcp.ClientOptions{
		Capabilities:   &mcp.ClientCapabilities{Elicitation: &mcp.ElicitationCapabilities{URL: &mcp.URLElicitationCapabilities{}}},
		MultiRoundTrip: &mcp.MultiRoundTripOptions{Disabled: true},
		ProgressNotificationHandler: func(_ context.Context, r *mcp.ProgressNotificationClientRequest) {
			progress <- fmt.Sprint(r.Params.ProgressToken, " ", r.Params.Progress)
		},
	})
	session, err := client.Connect(t.Context(), &mcp.StreamableClientTransport{Endpoint: url, HTTPClient: &http.Client{Transport: asUser("ada")}}, &mcp.ClientSessionOptions{ProtocolVersion: modern})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	h.session = session
	state := (<-h.under("one", "slow", "")).state(t)
	second := h.under("two", "slow", state)
	w.approves()
	state = (<-second).state(t)
	third := h.under("three", "slow", state)
	w.approves()
	(<-third).succeeds(t, "done")
	if n := w.starts("slow"); n != 1 {
		t.Errorf("%d starts", n)
	}
	got := []string{<-progress, <-progress}
	if strings.Join(got, ",") != "two 1,three 2" {
		t.Errorf("progress: %q", got)
	}
}
