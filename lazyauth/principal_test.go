package lazyauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

func TestSecondSessionIsRefused(t *testing.T) {
	// The SDK's SSE handler gives its requests no Extra, as stdio does, and
	// serves many people.
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		first, second := w.Host(era, world.Accepts), w.Host(era, world.Accepts)
		call := first.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		r := <-second.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonAnonymous)
		if !strings.Contains(r.Text(), "Options.Principal") {
			t.Errorf("%q does not say what to configure", r.Text())
		}
		second.Gets("ping", nil, "pong")
		// Nor does it become the local user when the first one leaves.
		first.Session.Close()
		synctest.Wait()
		(<-second.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonAnonymous)
	})
}

func TestMixedErasOnOneServer(t *testing.T) {
	// One server, hosts of both eras, one person: each is prompted in its own
	// way, and one approval resumes both.
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Principal: onePerson}})
		old, current := w.Host(world.Legacy, world.Accepts), w.Host(world.Modern, world.Accepts)
		one, two := old.Call(t.Context(), "whoami", nil), current.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-one).Succeeds(t, "Ada")
		(<-two).Succeeds(t, "Ada")
		old.WantPrompts(1)
		current.WantPrompts(1)
		w.WantAuthorizations(1)
		synctest.Wait()
		if n := w.Wire.Count("elicitation/create", `"id"`, `"method":"elicitation/create","params":{"mode":"url"`); n == 0 {
			t.Error("no prompt on the wire")
		}
		if id := current.Shown()[0].ElicitationID; id == "" || id == old.Shown()[0].ElicitationID {
			t.Errorf("elicitationId of the modern prompt: %q", id) // hosts exist that need it
		}
		if len(current.Completions()) != 0 || len(old.Completions()) != 1 || old.Completions()[0] != old.Shown()[0].ElicitationID {
			t.Errorf("completion notices: %q in the old era, %q in the new", old.Completions(), current.Completions())
		}
	})
}

func TestEraMixtureGetsText(t *testing.T) {
	// A request of the new era in a session that was initialized in the old
	// one: neither a server request nor an InputRequiredResult is safe.
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		w.Mixed = true
		h := w.Host(world.Legacy, world.Accepts)
		params := &mcp.CallToolParams{Name: "whoami", Meta: mcp.Meta{
			mcp.MetaKeyProtocolVersion:    world.Modern,
			mcp.MetaKeyClientCapabilities: map[string]any{"elicitation": map[string]any{"url": map[string]any{}}},
		}}
		result, err := h.Session.CallTool(t.Context(), params)
		world.Reply{Result: result, Err: err}.Fails(t, lazyauth.ReasonPending)
		h.WantPrompts(0)
		if w.Wire.Count("elicitation/create") != 0 || w.Wire.Count("input_required") != 0 {
			t.Errorf("the wire: %s", w.Wire.Text())
		}
	})
}

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

func TestManyUsersOverHTTP(t *testing.T) {
	for _, era := range world.Eras {
		t.Run(era, func(t *testing.T) {
			t.Parallel()
			var w *world.World
			w = world.New(t, world.Setup{AS: fakeas.Options{Interval: time.Second}, Options: lazyauth.Options{VerifyUser: ownAccount(&w)}})
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
}

func TestHTTPRefusals(t *testing.T) {
	for _, era := range world.Eras {
		t.Run(era, func(t *testing.T) {
			t.Run("nobody knows who", func(t *testing.T) {
				w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}})
				r := <-world.OverHTTP(t, w, era, false)("").Call(t.Context(), "whoami", nil)
				r.Fails(t, lazyauth.ReasonAnonymous)
				if !strings.Contains(r.Text(), "InsecureSingleUser") {
					t.Errorf("%q does not say what to configure", r.Text())
				}
				w.WantAuthorizations(0)
			})
			t.Run("nobody verifies", func(t *testing.T) {
				w := world.New(t, world.Setup{})
				r := <-world.OverHTTP(t, w, era, true)("ada").Call(t.Context(), "whoami", nil)
				r.Fails(t, lazyauth.ReasonUnverified)
				if !strings.Contains(r.Text(), "VerifyUser") {
					t.Errorf("%q does not say what to configure", r.Text())
				}
				w.WantAuthorizations(0)
			})
			t.Run("a single user", func(t *testing.T) {
				w := world.New(t, world.Setup{AS: fakeas.Options{Interval: time.Second}, Options: lazyauth.Options{InsecureSingleUser: true}})
				connect := world.OverHTTP(t, w, era, false)
				call := connect("").Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
				connect("").Gets("whoami", nil, "Ada")
				w.WantAuthorizations(1)
			})
		})
	}
}
