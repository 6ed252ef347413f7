package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Calls that a model makes in one go are one authorization, whatever each of them needs,
// and for no more than that.
func TestFlight_NeedsOfABatch(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		calls := []<-chan world.Reply{h.Call(t.Context(), "whoami", nil), h.Call(t.Context(), "list_notes", nil)}
		world.Later(90 * time.Millisecond)
		calls = append(calls, h.Call(t.Context(), "list_notes", nil))
		w.ApprovesFor("notes:read profile")
		for _, call := range calls {
			(<-call).Succeeds(t, "")
		}
		h.WantPrompts(1)
		w.WantAuthorizations(1)
		// More is a step-up, with its own batch.
		calls = []<-chan world.Reply{h.Call(t.Context(), "create_note", world.Note{Text: "x"}), h.Call(t.Context(), "create_note", world.Note{Text: "y"})}
		w.ApprovesFor("notes:read notes:write profile")
		for _, call := range calls {
			(<-call).Succeeds(t, "")
		}
		h.WantPrompts(2)
	})
}

// Who comes later is another authorization, which asks for both.
func TestFlight_NeedsAfterTheBatch(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		world.Later(200 * time.Millisecond)
		second := h.Call(t.Context(), "list_notes", nil)
		w.ApprovesFor("profile")
		(<-first).Succeeds(t, "Ada")
		w.ApprovesFor("notes:read profile")
		(<-second).Succeeds(t, "[]")
		h.WantPrompts(2)
	})
}

// A need that was given up before the device code was asked for is not asked for.
func TestFlight_NeedThatLeftTheBatch(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{})
		h := w.Host(era, world.Accepts)
		first := h.Call(t.Context(), "whoami", nil)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		leaves := h.Call(ctx, "create_note", world.Note{Text: "x"})
		w.ApprovesFor("profile")
		(<-first).Succeeds(t, "Ada")
		<-leaves
	})
}

// Nobody waits for a batch that could add nothing.
func TestFlight_BatchThatAddsNothing(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Service: func(s *lazyauth.Service) { s.Scopes = scopes.Of("profile", "notes:read", "notes:write") }})
		h := w.Host(era, world.Accepts)
		began := time.Now()
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		if took := time.Since(began); took != 0 {
			t.Errorf("the prompt was %v late", took)
		}
		if err := w.AS.Approve(code); err != nil {
			t.Fatal(err)
		}
		(<-call).Succeeds(t, "Ada")
	})
}

// What a lost grant was for is asked for in one.
func TestFlight_AsksForWhatWasLost(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{AS: fakeas.Options{TokenLifetime: time.Hour}})
		h := w.SignedIn(era)
		call := h.Call(t.Context(), "list_notes", nil)
		w.ApprovesFor("notes:read profile")
		(<-call).Succeeds(t, "[]")
		call = h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		w.ApprovesFor("notes:read notes:write profile")
		(<-call).Succeeds(t, "x")
		world.Later(2 * time.Hour)
		w.AS.RevokeAll()
		call = h.Call(t.Context(), "whoami", nil)
		w.ApprovesFor("notes:read notes:write profile")
		(<-call).Succeeds(t, "Ada")
		h.Gets("list_notes", nil, "x")
		h.Gets("create_note", world.Note{Text: "y"}, "y")
		h.WantPrompts(4)
		// Who logs out wants less.
		if err := w.Auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
			t.Fatal(err)
		}
		call = h.Call(t.Context(), "whoami", nil)
		w.ApprovesFor("profile")
		(<-call).Succeeds(t, "Ada")
	})
}

// A step-up's prompt says what is new, in every channel.
func TestFlight_PromptSaysWhatIsNew(t *testing.T) {
	names := map[string]string{"notes:read": "read notes", "notes:write": "change notes", "profile": "see your name"}
	for channel, m := range map[string]world.Manners{
		"url": {URL: true, React: world.Accepts}, "form": {Form: true, React: world.Accepts},
		"progress": {Progress: true, Name: "shows"}, "text": {},
	} {
		t.Run(channel, func(t *testing.T) {
			world.InBothEras(t, func(t *testing.T, era string) {
				w := world.New(t, world.Setup{
					Service: func(s *lazyauth.Service) { s.ScopeNames = names },
					Options: lazyauth.Options{Hosts: map[string]lazyauth.Host{"shows": {MaxWaitWithProgress: time.Minute}}},
				})
				if err := w.Auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
					t.Fatal(err)
				}
				h := w.HostWith(era, m)
				call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
				w.Approves()
				r := <-call
				var said strings.Builder
				said.WriteString(r.Text())
				for _, p := range h.Shown() {
					said.WriteString(p.Message)
				}
				for _, p := range h.Progress(1) {
					said.WriteString(p.Message)
				}
				want := "It needs more access: change notes; you gave read notes, see your name."
				if channel == "text" {
					want = "Sign-in to Notes needed for more access (change notes; given so far: read notes, see your name): open "
				}
				if !strings.Contains(said.String(), want) {
					t.Errorf("said %q, want %q in it", said.String(), want)
				}
			})
		})
	}
}
