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

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/auth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// ownAccount is a VerifyUser that asks the API whose token it is.
func ownAccount(w **world.World) func(context.Context, lazyauth.Principal, *oauth2.Token) error {
	return func(ctx context.Context, who lazyauth.Principal, token *oauth2.Token) error {
		req, err := http.NewRequestWithContext(ctx, "GET", (*w).AS.API()+"/me", nil)
		if err != nil {
			return err
		}
		token.SetAuthHeader(req)
		res, err := (*w).AS.Transport().RoundTrip(req)
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

func TestPrincipal_ManyUsersOverHTTP(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		var w *world.World
		w = world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: ownAccount(&w)}})
		connect := world.OverHTTP(t, w, era, true)
		ada, eve := connect("ada"), connect("eve")

		// Somebody else approves Eve's code: her call gets nothing.
		call := eve.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Fails(t, lazyauth.ReasonUnverified)

		call = ada.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		ada.Gets("whoami", nil, "Ada")
		ada.WantPrompts(1)

		// Ada's grant is no use to Eve.
		call = eve.Call(t.Context(), "whoami", nil)
		if err := w.AS.ApproveAs("eve", w.Person().UserCode); err != nil {
			t.Fatal(err)
		}
		(<-call).Succeeds(t, "eve")
		w.WantAuthorizations(3)
	})
}

func TestPrincipal_RefusedOverHTTP(t *testing.T) {
	t.Run("nobody knows who", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}})
			r := <-world.OverHTTP(t, w, era, false)("").Call(t.Context(), "whoami", nil)
			r.Fails(t, lazyauth.ReasonAnonymous)
			if !strings.Contains(r.Text(), "InsecureSingleUser") {
				t.Errorf("%q does not say what to configure", r.Text())
			}
			w.WantAuthorizations(0)
		})
	})
	t.Run("nobody verifies", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{})
			r := <-world.OverHTTP(t, w, era, true)("ada").Call(t.Context(), "whoami", nil)
			r.Fails(t, lazyauth.ReasonUnverified)
			if !strings.Contains(r.Text(), "VerifyUser") {
				t.Errorf("%q does not say what to configure", r.Text())
			}
			w.WantAuthorizations(0)
		})
	})
	t.Run("a single user", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{Options: lazyauth.Options{InsecureSingleUser: true}})
			connect := world.OverHTTP(t, w, era, false)
			call := connect("").Call(t.Context(), "whoami", nil)
			w.Approves()
			(<-call).Succeeds(t, "Ada")
			connect("").Gets("whoami", nil, "Ada")
			w.WantAuthorizations(1)
		})
	})
}

// A principal without a subject is nobody.
func TestPrincipal_IssuerAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody, Principal: func(context.Context, *mcp.CallToolRequest) (lazyauth.Principal, error) {
			return lazyauth.Principal{Issuer: "https://idp.example"}, nil
		}}})
		h := w.Host(world.Modern, world.Accepts)
		(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonAnonymous)
	})
}

func TestPrincipal_VerifierWithoutUser(t *testing.T) {
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

func TestPrincipal_VerifyUserTakesTooLong(t *testing.T) {
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
