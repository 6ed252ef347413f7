package lazyauth_test

import (
	"context"
	"net/http"
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
	broken := http.Header{"Content-Type": {"application/json"}}
	for name, b := range map[string]fakeas.Behaviour{
		"refused client":      fakeas.Error(401, "invalid_client"),
		"refused by a policy": fakeas.Error(400, "invalid_grant"),
		"unknown word":        fakeas.Error(400, "consent_required_by_admin"),
		"type of the token":   fakeas.Raw(200, broken, `{"access_token":"bound-to-a-key","token_type":"MAC"}`),
		"trouble, it says":    fakeas.Error(500, "server_error"),
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

// It does not matter by which name a scope is asked for, nor whether it is the service's
// own, which servers may leave out in silence.
func TestSetback_NarrowedByOtherNames(t *testing.T) {
	order, err := scopes.NewHierarchy(map[string]scopes.Set{"notes": scopes.Of("notes:read", "notes:write")})
	if err != nil {
		t.Fatal(err)
	}
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			AS: fakeas.Options{Scopes: []string{"profile", "offline_access", "notes", "notes:read", "notes:write"}},
			Service: func(s *lazyauth.Service) {
				s.Scopes, s.Hierarchy = scopes.Of("offline_access"), order
			},
			Tools: func(w *world.World) {
				w.AddTools()
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "all"}, scopes.Of("notes"), echo)
			},
		})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.ApprovesFor("offline_access profile", "profile")
		(<-call).Succeeds(t, "Ada")
		if strings.Contains(w.Log.String(), "less than was asked for") {
			t.Error("a scope that nobody needs is missed")
		}
		both := []<-chan world.Reply{h.Call(t.Context(), "all", nil), h.Call(t.Context(), "list_notes", nil)}
		w.ApprovesFor("notes offline_access profile", "profile")
		for _, call := range both {
			(<-call).Fails(t, lazyauth.ReasonNarrowed)
		}
		for _, tool := range []string{"all", "list_notes"} {
			(<-h.Call(t.Context(), tool, nil)).Fails(t, lazyauth.ReasonNarrowed)
		}
		h.WantPrompts(2)
	})
}

// Google grants email under the name of an address: that is what was asked for.
func TestSetback_GrantedByAnotherName(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		as := fakeas.New(&fakeas.Options{Scopes: []string{"email"}})
		w := world.New(t, world.Setup{
			Shared: as, Service: func(s *lazyauth.Service) { s.Scopes, s.Hierarchy = scopes.Set{}, scopes.Google() },
			Options: lazyauth.Options{Transport: tokens{as.Transport(), func(string) string { return "https://www.googleapis.com/auth/userinfo.email" }}},
			Tools: func(w *world.World) {
				lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "mail"}, scopes.Of("email"), echo)
			},
		})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "mail", nil)
		w.ApprovesFor("email")
		(<-call).Succeeds(t, "done")
		h.Gets("mail", nil, "done")
		h.WantPrompts(1)
		if strings.Contains(w.Log.String(), "less than was asked for") {
			t.Error("it is said to be missing")
		}
	})
}

// The answer with the token is lost, and the server says of the used code what it says of
// one that was denied. The person approved: they get another prompt by themselves, once.
func TestSetback_AnswerLost(t *testing.T) {
	for _, word := range []string{"access_denied", "invalid_grant", "unheard_of"} {
		t.Run(word, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				w.AS.Script(fakeas.Poll, fakeas.Lose(), fakeas.Error(400, word))
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
	}
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

// A model that calls again at once does not hammer a server that gives no device code.
func TestSetback_NoDeviceCode(t *testing.T) {
	for name, test := range map[string]struct {
		op     fakeas.Operation
		script fakeas.Behaviour
		reason lazyauth.Reason
		each   int // requests a flight
	}{
		"down":           {fakeas.DeviceAuthorization, fakeas.Unavailable(503, 0), lazyauth.ReasonUnavailable, 2},
		"refused client": {fakeas.DeviceAuthorization, fakeas.Error(401, "invalid_client"), lazyauth.ReasonUnavailable, 1},
		"not offered":    {fakeas.DeviceAuthorization, fakeas.Error(400, "unsupported_grant_type"), lazyauth.ReasonUnsupported, 1},
		"no metadata":    {fakeas.Metadata, fakeas.Unavailable(503, 0), lazyauth.ReasonUnavailable, 1},
	} {
		t.Run(name, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				w.AS.Script(test.op, test.script.Times(-1))
				h := w.Host(era, world.Accepts)
				began, calls := time.Now(), 0
				for time.Since(began) < 5*time.Minute {
					(<-h.Call(t.Context(), "whoami", nil)).Fails(t, test.reason)
					calls++
					world.Later(time.Second)
				}
				// At once, at once, and after 5, 10, 20, 40, 60, 60 and 60 seconds.
				if n := w.AS.Count(test.op, ""); n > 9*test.each || n < 6*test.each || calls < 100 {
					t.Errorf("%d requests in five minutes, for %d calls", n, calls)
				}
			})
		})
	}
}

// What a server says of when to come back holds for all calls.
func TestSetback_RetryAfter(t *testing.T) {
	for _, op := range []fakeas.Operation{fakeas.DeviceAuthorization, fakeas.Metadata} {
		t.Run(string(op), func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{})
				w.AS.Script(op, fakeas.Unavailable(429, 2*time.Minute))
				h := w.Host(era, world.Accepts)
				r := <-h.Call(t.Context(), "whoami", nil)
				r.Fails(t, lazyauth.ReasonUnavailable)
				if !strings.Contains(r.Text(), "120 seconds") {
					t.Errorf("%q does not say when to call again", r.Text())
				}
				world.Later(time.Minute)
				w.Auth.ForgetDecline(lazyauth.LocalUser) // which hurries no server
				r = <-h.Call(t.Context(), "whoami", nil)
				r.Fails(t, lazyauth.ReasonUnavailable)
				if !strings.Contains(r.Text(), "60 seconds") {
					t.Errorf("%q does not say when to call again", r.Text())
				}
				if n := w.AS.Count(op, ""); n != 1 {
					t.Errorf("%d requests, want 1", n)
				}
				world.Later(time.Minute)
				call := h.Call(t.Context(), "whoami", nil)
				w.Approves()
				(<-call).Succeeds(t, "Ada")
			})
		})
	}
}

// echo is a handler that does nothing.
func echo(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
	return nil, world.Answer{Text: "done"}, nil
}
