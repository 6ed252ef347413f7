package lazyauth_test

import (
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// An approval after which no token can come is remembered as a decline is: a model that
// calls again has nobody asked for a minute, and a person can end that.
func TestSetback_ApprovalInVain(t *testing.T) {
	for name, b := range map[string]fakeas.Behaviour{
		"refused client":   fakeas.Error(401, "invalid_client"),
		"trouble, it says": fakeas.Error(500, "server_error"),
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{Tools: func(w *world.World) {
					w.AddTools()
					lazyauth.AddSignInPrompt(w.Server, w.Auth)
				}})
				w.AS.Script(fakeas.Poll, b.Times(3))
				h := w.Host(era, world.Accepts)
				tools := []string{"whoami", "whoami", "list_notes", "whoami", "list_notes"}
				for n, tool := range tools {
					r := <-h.Call(t.Context(), tool, nil)
					r.Fails(t, lazyauth.ReasonUnavailable)
					for _, part := range []string{"operator", "within the next minute", `"sign-in-notes"`} {
						if part == "operator" && name == "trouble, it says" {
							continue
						}
						if !strings.Contains(r.Text(), part) {
							t.Errorf("call %d: %q is not in %q", n, part, r.Text())
						}
					}
				}
				h.WantPrompts(1)
				w.WantAuthorizations(1)
				// The person wants to be asked after all …
				if _, err := h.Session.GetPrompt(t.Context(), &mcp.GetPromptParams{Name: "sign-in-notes"}); err != nil {
					t.Fatal(err)
				}
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				h.WantPrompts(2)
				// … or the minute is over …
				world.Later(time.Minute)
				(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
				h.WantPrompts(3)
				// … and a program that asks a person does so at once.
				if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile"), approving(w)); err != nil {
					t.Fatal(err)
				}
				h.Gets("whoami", nil, "Ada")
				h.WantPrompts(3)
			})
		})
	}
}

// A need that came back narrowed is remembered; other needs are not concerned, and what was
// granted is used.
func TestSetback_Narrowed(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.SignedIn(era)
		call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.ApprovesFor("notes:write profile", "profile")
		for n := range 5 {
			r := <-call
			r.Fails(t, lazyauth.ReasonNarrowed)
			for _, part := range []string{"missing: notes:write", "setting at the service", "refused for a minute"} {
				if !strings.Contains(r.Text(), part) {
					t.Errorf("call %d: %q is not in %q", n, part, r.Text())
				}
			}
			call = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		}
		(<-call).Fails(t, lazyauth.ReasonNarrowed)
		h.WantPrompts(2)
		for _, part := range []string{"authorization granted for less than was asked for", `"asked":"notes:write profile"`, `"scopes":"profile"`, `"missing":"notes:write"`} {
			for name, log := range map[string]string{"zap": w.Log.String(), "slog": w.Slog.String()} {
				if !strings.Contains(log, part) {
					t.Errorf("%s lacks %s: %s", name, part, log)
				}
			}
		}
		// Another need is asked for, and without the one that was refused.
		call = h.Call(t.Context(), "list_notes", nil)
		w.ApprovesFor("notes:read profile")
		(<-call).Succeeds(t, "[]")
		h.WantPrompts(3)
		w.Auth.ForgetDecline(lazyauth.LocalUser)
		call = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.ApprovesFor("notes:read notes:write profile", "profile", "notes:read")
		(<-call).Fails(t, lazyauth.ReasonNarrowed)
		world.Later(time.Minute)
		call = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.ApprovesFor("notes:read notes:write profile")
		(<-call).Succeeds(t, "x")
	})
}

// The service's own scopes, which servers may leave out in silence, are missed by nobody.
func TestSetback_ServicesOwnScopes(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			AS:      fakeas.Options{Scopes: []string{"profile", "offline_access"}},
			Service: func(s *lazyauth.Service) { s.Scopes = scopes.Of("offline_access") },
		})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.ApprovesFor("offline_access profile", "profile")
		(<-call).Succeeds(t, "Ada")
		h.Gets("whoami", nil, "Ada")
		h.WantPrompts(1)
		if strings.Contains(w.Log.String(), "less than was asked for") {
			t.Error("a scope that nobody needs is missed")
		}
	})
}

// The answer with the token is lost, and the server says of the used code what it says of
// one that was denied. The person approved: they get another prompt by themselves, once.
func TestSetback_AnswerLost(t *testing.T) {
	t.Run("once", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{})
			w.AS.Script(fakeas.Poll, fakeas.Lose(), fakeas.Error(400, "access_denied"))
			h := w.Host(era, world.Accepts)
			calls := []<-chan world.Reply{h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "whoami", nil)}
			w.Approves()
			w.Approves()
			for _, call := range calls {
				(<-call).Succeeds(t, "Ada")
			}
			h.WantPrompts(2)
			w.WantAuthorizations(2)
			if w.Starts("whoami") != 2 {
				t.Errorf("the handler ran %d times for 2 calls", w.Starts("whoami"))
			}
		})
	})
	t.Run("again", func(t *testing.T) {
		world.InBothEras(t, func(t *testing.T, era string) {
			w := world.New(t, world.Setup{})
			w.AS.Script(fakeas.Poll, fakeas.Lose(), fakeas.Error(400, "access_denied"), fakeas.Lose(), fakeas.Error(400, "access_denied"))
			h := w.Host(era, world.Accepts)
			call := h.Call(t.Context(), "whoami", nil)
			w.Approves()
			w.Approves()
			(<-call).Fails(t, lazyauth.ReasonUnavailable)
			(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonUnavailable)
			h.WantPrompts(2)
		})
	})
}

// What a server says of when to come back holds for all calls.
func TestSetback_RetryAfter(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		w.AS.Script(fakeas.DeviceAuthorization, fakeas.Unavailable(429, 2*time.Minute))
		h := w.Host(era, world.Accepts)
		for left, text := range []string{"120 seconds", "60 seconds"} {
			r := <-h.Call(t.Context(), "whoami", nil)
			r.Fails(t, lazyauth.ReasonUnavailable)
			if !strings.Contains(r.Text(), text) {
				t.Errorf("call %d: %q does not say when to call again", left, r.Text())
			}
			world.Later(time.Minute)
			w.Auth.ForgetDecline(lazyauth.LocalUser) // which hurries no server
		}
		w.WantAuthorizations(1)
		call := h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
	})
}
