package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

func TestSecondSessionIsRefused(t *testing.T) {
	// The SDK's SSE handler gives its requests no Extra, as stdio does, and
	// serves many people.
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		first, second := w.host(era, accepts), w.host(era, accepts)
		call := first.call(t.Context(), "whoami", nil)
		w.approves()
		(<-call).succeeds(t, "Ada")
		r := <-second.call(t.Context(), "whoami", nil)
		r.fails(t, lazyauth.ReasonAnonymous)
		if !strings.Contains(r.text(), "Options.Principal") {
			t.Errorf("%q does not say what to configure", r.text())
		}
		second.gets("ping", nil, "pong")
		// Nor does it become the local user when the first one leaves.
		first.session.Close()
		synctest.Wait()
		(<-second.call(t.Context(), "whoami", nil)).fails(t, lazyauth.ReasonAnonymous)
	})
}

func TestMixedErasOnOneServer(t *testing.T) {
	// One server, hosts of both eras, one person: each is prompted in its own
	// way, and one approval resumes both.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{options: lazyauth.Options{Principal: onePerson}})
		old, current := w.host(legacy, accepts), w.host(modern, accepts)
		one, two := old.call(t.Context(), "whoami", nil), current.call(t.Context(), "whoami", nil)
		w.approves()
		(<-one).succeeds(t, "Ada")
		(<-two).succeeds(t, "Ada")
		old.wantPrompts(1)
		current.wantPrompts(1)
		w.wantAuthorizations(1)
		synctest.Wait()
		if n := w.wire.count("elicitation/create", `"id"`, `"method":"elicitation/create","params":{"mode":"url"`); n == 0 {
			t.Error("no prompt on the wire")
		}
		if id := current.shown()[0].ElicitationID; id == "" || id == old.shown()[0].ElicitationID {
			t.Errorf("elicitationId of the modern prompt: %q", id) // hosts exist that need it
		}
		if len(current.completions()) != 0 || len(old.completions()) != 1 || old.completions()[0] != old.shown()[0].ElicitationID {
			t.Errorf("completion notices: %q in the old era, %q in the new", old.completions(), current.completions())
		}
	})
}

func TestEraMixtureGetsText(t *testing.T) {
	// A request of the new era in a session that was initialized in the old
	// one: neither a server request nor an InputRequiredResult is safe.
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.mixed = true
		h := w.host(legacy, accepts)
		params := &mcp.CallToolParams{Name: "whoami", Meta: mcp.Meta{
			mcp.MetaKeyProtocolVersion:    modern,
			mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
		}}
		result, err := h.session.CallTool(t.Context(), params)
		reply{result, err}.fails(t, lazyauth.ReasonPending)
		h.wantPrompts(0)
		if w.wire.count("elicitation/create") != 0 || w.wire.count("input_required") != 0 {
			t.Errorf("the wire: %s", w.wire.text())
		}
	})
}

// serveHTTP serves a world's server on a listener, if it is to be verified behind
// a verifier that takes bearer tokens for user names, and returns its address.
func serveHTTP(t *testing.T, w *world, stateless, verified bool) string {
	t.Helper()
	var handler http.Handler = mcp.NewStreamableHTTPHandler(func(*http.Request) *mcp.Server { return w.server },
		&mcp.StreamableHTTPOptions{Stateless: stateless})
	if verified {
		handler = auth.RequireBearerToken(func(_ context.Context, token string, _ *http.Request) (*auth.TokenInfo, error) {
			return &auth.TokenInfo{UserID: token, Expiration: time.Now().Add(time.Hour), Extra: map[string]any{"iss": "https://idp.example"}}, nil
		}, nil)(handler)
	}
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server.URL
}

// overHTTP serves a world's server on a listener, behind a verifier that takes
// bearer tokens for user names; it returns a function that connects a host as
// a user, or as nobody.
func overHTTP(t *testing.T, w *world, era string, verified bool) func(user string) *host {
	t.Helper()
	url := serveHTTP(t, w, era == modern, verified)
	return func(user string) *host {
		return w.connect(era, manners{url: true, react: accepts}, &mcp.StreamableClientTransport{
			Endpoint: url, HTTPClient: &http.Client{Transport: asUser(user)},
		})
	}
}

type asUser string

func (u asUser) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if u != "" {
		req.Header.Set("Authorization", "Bearer "+string(u))
	}
	return http.DefaultTransport.RoundTrip(req)
}

// ownAccount is a VerifyUser that asks the API whose token it is.
func ownAccount(w **world) func(context.Context, lazyauth.Principal, *oauth2.Token) error {
	return func(ctx context.Context, who lazyauth.Principal, token *oauth2.Token) error {
		req, err := http.NewRequestWithContext(ctx, "GET", (*w).as.API()+"/me", nil)
		if err != nil {
			return err
		}
		token.SetAuthHeader(req)
		res, err := (*w).as.Transport().RoundTrip(req)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		var me struct{ Sub string }
		if err := json.NewDecoder(res.Body).Decode(&me); err != nil {
			return err
		}
		if me.Sub != who.Subject || who.Issuer != "https://idp.example" {
			return errors.New("not the same person")
		}
		return nil
	}
}

func TestManyUsersOverHTTP(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			var w *world
			w = newWorld(t, setup{as: fakeas.Options{Interval: time.Second}, options: lazyauth.Options{VerifyUser: ownAccount(&w)}})
			connect := overHTTP(t, w, era, true)
			ada, eve := connect("ada"), connect("eve")

			// Somebody else approves Eve's code: her call gets nothing.
			call := eve.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).fails(t, lazyauth.ReasonUnverified)

			call = ada.call(t.Context(), "whoami", nil)
			w.approves()
			(<-call).succeeds(t, "Ada")
			ada.gets("whoami", nil, "Ada")
			ada.wantPrompts(1)

			// Ada's grant is no use to Eve.
			call = eve.call(t.Context(), "whoami", nil)
			if err := w.as.ApproveAs("eve", w.person().UserCode); err != nil {
				t.Fatal(err)
			}
			(<-call).succeeds(t, "eve")
			w.wantAuthorizations(3)
		})
	}
}

func TestHTTPRefusals(t *testing.T) {
	for _, era := range eras {
		t.Run(era, func(t *testing.T) {
			t.Run("nobody knows who", func(t *testing.T) {
				w := newWorld(t, setup{options: lazyauth.Options{VerifyUser: anybody}})
				r := <-overHTTP(t, w, era, false)("").call(t.Context(), "whoami", nil)
				r.fails(t, lazyauth.ReasonAnonymous)
				if !strings.Contains(r.text(), "InsecureSingleUser") {
					t.Errorf("%q does not say what to configure", r.text())
				}
				w.wantAuthorizations(0)
			})
			t.Run("nobody verifies", func(t *testing.T) {
				w := newWorld(t, setup{})
				r := <-overHTTP(t, w, era, true)("ada").call(t.Context(), "whoami", nil)
				r.fails(t, lazyauth.ReasonUnverified)
				if !strings.Contains(r.text(), "VerifyUser") {
					t.Errorf("%q does not say what to configure", r.text())
				}
				w.wantAuthorizations(0)
			})
			t.Run("a single user", func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{Interval: time.Second}, options: lazyauth.Options{InsecureSingleUser: true}})
				connect := overHTTP(t, w, era, false)
				call := connect("").call(t.Context(), "whoami", nil)
				w.approves()
				(<-call).succeeds(t, "Ada")
				connect("").gets("whoami", nil, "Ada")
				w.wantAuthorizations(1)
			})
		})
	}
}
