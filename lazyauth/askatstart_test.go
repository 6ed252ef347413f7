package lazyauth_test

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// asksAtStart adds the tools of the examples, and has people asked when a session begins.
func asksAtStart(w *world.World) {
	w.AddTools()
	world.WithConfirm(w)
	lazyauth.AskAtStart(w.Server, w.Auth, scopes.Of("profile", "notes:read"))
}

// The person is asked once, when a session has begun, for what the author says; and nothing
// asks them after that.
func TestAskAtStart_Legacy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: asksAtStart})
		h := w.Host(world.Legacy, world.Accepts)
		world.Later(4 * time.Second)
		h.WantPrompts(0)
		world.Later(2 * time.Second)
		h.WantPrompts(1)
		w.Approves()
		h.Gets("whoami", nil, "Ada")
		h.Gets("list_notes", nil, "")
		world.Later(time.Hour)
		h.WantPrompts(1)
		w.WantAuthorizations(1)
	})
}

// On 2026-07-28 the first call of a tool that needs no grant carries the prompt, and goes on once
// its host comes back, whatever the person says; the tool has no grant of that.
func TestAskAtStart_Modern(t *testing.T) {
	for _, action := range []string{"accept", "decline", "cancel"} {
		t.Run(action, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Tools: asksAtStart})
				h := w.Host(world.Modern, world.Says(action, 2*time.Second))
				h.Tools()
				world.Later(time.Hour)
				h.WantPrompts(0)
				began := time.Now()
				h.Gets("ping", nil, "pong")
				if took := time.Since(began); took > 3*time.Second {
					t.Errorf("the call took %v", took)
				}
				h.WantPrompts(1)
				h.Gets("ping", nil, "pong")
				h.WantPrompts(1)
				switch action {
				case "accept":
					w.Approves()
					h.Gets("whoami", nil, "Ada")
					h.Gets("list_notes", nil, "")
				case "decline":
					(<-h.Call(t.Context(), "whoami", nil)).Fails(t, lazyauth.ReasonDeclined)
					h.WantPrompts(1)
				}
				w.WantAuthorizations(1)
			})
		})
	}
}

// An authorization server that gives no code is no reason for a call to wait that needs none.
func TestAskAtStart_NoCode(t *testing.T) {
	for name, does := range map[string]fakeas.Behaviour{"fails": fakeas.Unavailable(http.StatusServiceUnavailable, 0), "hangs": fakeas.Stall()} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := world.New(t, world.Setup{Tools: asksAtStart})
				w.AS.Script(fakeas.DeviceAuthorization, does.Times(-1))
				h := w.Host(world.Modern, world.Accepts)
				began := time.Now()
				h.Gets("ping", nil, "pong")
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("the call took %v", took)
				}
				h.WantPrompts(0)
			})
		})
	}
}

// A call whose handler has rounds of its own has them, after the prompt.
func TestAskAtStart_HandlersOwnRounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Tools: func(w *world.World) {
			mcp.AddTool(w.Server, &mcp.Tool{Name: "sure"}, world.Counted(w, "sure", func(_ context.Context, req *mcp.CallToolRequest, _ world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				if sure, ok := req.Params.InputResponses["sure"].(*mcp.ElicitResult); ok {
					return nil, world.Answer{Text: sure.Action + " " + req.Params.RequestState}, nil
				}
				return &mcp.CallToolResult{InputRequests: mcp.InputRequestMap{"sure": &mcp.ElicitParams{Mode: "form", Message: "Sure?"}}, RequestState: "step-2"}, world.Answer{}, nil
			}))
			lazyauth.AskAtStart(w.Server, w.Auth, scopes.Of("profile"))
		}})
		h := w.Host(world.Modern, world.Accepts)
		h.Gets("sure", nil, "accept step-2")
		h.WantPrompts(2)
		h.Gets("sure", nil, "accept step-2")
		h.WantPrompts(3)
		if n := w.Starts("sure"); n != 4 {
			t.Errorf("the handler started %d times, want 4", n)
		}
	})
}

// A start that is only a probe asks nobody: the host lists the tools and ends, or speaks so
// briefly. Neither does one whose person has a grant, or cannot be shown a prompt.
func TestAskAtStart_AsksNobody(t *testing.T) {
	signedIn := func(w *world.World) {
		h := w.Host(world.Legacy, world.Accepts)
		call := h.Call(w.T.Context(), "list_notes", nil)
		w.Approves()
		(<-call).Succeeds(w.T, "")
		h.Session.Close()
	}
	for name, story := range map[string]func(t *testing.T, era string){
		"a probe": func(t *testing.T, era string) {
			w := world.New(t, world.Setup{Tools: asksAtStart})
			h, hangUp := w.HostThatHangsUp(era)
			h.Tools()
			world.Later(3 * time.Second)
			hangUp()
			world.Later(time.Hour)
			w.WantAuthorizations(0)
		},
		"no elicitation": func(t *testing.T, era string) {
			w := world.New(t, world.Setup{Tools: asksAtStart})
			h := w.Host(era, nil)
			world.Later(time.Hour)
			h.Gets("ping", nil, "pong")
			w.WantAuthorizations(0)
		},
		"a stored grant": func(t *testing.T, era string) {
			kept := store.Memory()
			first := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: 24 * time.Hour}, Options: lazyauth.Options{Store: kept}})
			signedIn(first)
			w := world.New(t, world.Setup{Shared: first.AS, Options: lazyauth.Options{Store: kept}, Tools: asksAtStart})
			h := w.Host(era, world.Accepts)
			world.Later(time.Hour)
			h.Gets("ping", nil, "pong")
			w.WantAuthorizations(1)
		},
	} {
		t.Run(name, func(t *testing.T) { world.InBothEras(t, story) })
	}
}

// Who was asked by a call is not asked again because a session began; and a decline is not
// the last word on later calls.
func TestAskAtStart_AskedByACall(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Tools: asksAtStart})
		h := w.Host(era, world.Accepts)
		call := h.Call(t.Context(), "whoami", nil)
		w.Denies()
		(<-call).Fails(t, lazyauth.ReasonDenied)
		world.Later(time.Hour)
		h.Gets("ping", nil, "pong")
		h.WantPrompts(1)
		call = h.Call(t.Context(), "whoami", nil)
		w.Approves()
		(<-call).Succeeds(t, "Ada")
		h.WantPrompts(2)
	})
}

// Over HTTP each person is asked for themselves, and only once in all their requests; one who is
// not known is not asked, and uses what is for everybody.
func TestAskAtStart_OverHTTP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{VerifyUser: world.Anybody}, Tools: asksAtStart})
		as := world.OverHTTP(t, w, world.Modern, true)
		nobody := world.OverHTTP(t, w, world.Modern, false)("")
		nobody.Gets("ping", nil, "pong")
		nobody.WantPrompts(0)
		for n, user := range []string{"ada", "bob"} {
			h := as(user)
			h.Gets("ping", nil, "pong")
			h.WantPrompts(1)
			as(user).Gets("ping", nil, "pong")
			w.WantAuthorizations(n + 1)
			w.Approves()
			h.Gets("whoami", nil, "Ada")
		}
	})
}

func TestAskAtStart_NilNeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := world.New(t, world.Setup{})
		defer func() {
			if got := fmt.Sprint(recover()); got != "lazyauth.AskAtStart: the requirement is nil; an empty scopes.Set stands for any grant" {
				t.Error(got)
			}
		}()
		lazyauth.AskAtStart(w.Server, w.Auth, nil)
	})
}

// Each of two services asks at the start of what they share a server with.
func TestAskAtStart_TwoServices(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := twoServices(t, lazyauth.Options{}, func(w *two) {
			lazyauth.AddTool(w.Server, w.Auth, &mcp.Tool{Name: "copy"}, scopes.Of("profile"),
				lazyauth.Also(w.toDrive, "copy", scopes.Of("notes:write"), world.Counted(w.World, "copy", w.copied)))
			mcp.AddTool(w.Server, &mcp.Tool{Name: "ping"}, func(context.Context, *mcp.CallToolRequest, world.NoArgs) (*mcp.CallToolResult, world.Answer, error) {
				return nil, world.Answer{Text: "pong"}, nil
			})
			lazyauth.AskAtStart(w.Server, w.Auth, scopes.Of("profile"))
			lazyauth.AskAtStart(w.Server, w.toDrive, scopes.Of("notes:write"))
		})
		h := w.Host(era, world.Accepts)
		if era == world.Legacy {
			world.Later(10 * time.Second)
		}
		h.Gets("ping", nil, "pong")
		h.Gets("ping", nil, "pong")
		h.WantPrompts(2)
		for _, as := range []*fakeas.Server{w.AS, w.drive} {
			if n := as.Count(fakeas.DeviceAuthorization, ""); n != 1 {
				t.Errorf("%s was asked for %d codes", as.Issuer(), n)
			}
		}
		call := h.Call(t.Context(), "copy", world.Note{Text: "x"})
		approves(t, w.AS, "profile")
		approves(t, w.drive, "notes:write")
		(<-call).Succeeds(t, "201")
		h.WantPrompts(2)
	})
}
