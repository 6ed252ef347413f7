package lazyauth_test

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Calls that a model makes in one go are one authorization, whatever each of them needs,
// and for no more than that.
func TestFlight_NeedsOfABatch(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		calls := []<-chan reply{h.call(t.Context(), "whoami", nil), h.call(t.Context(), "list_notes", nil)}
		later(90 * time.Millisecond)
		calls = append(calls, h.call(t.Context(), "list_notes", nil))
		w.approvesFor("notes:read profile")
		for _, call := range calls {
			(<-call).succeeds(t, "")
		}
		h.wantPrompts(1)
		w.wantAuthorizations(1)
		// More is a step-up, with its own batch.
		calls = []<-chan reply{h.call(t.Context(), "create_note", noteArgs{"x"}), h.call(t.Context(), "create_note", noteArgs{"y"})}
		w.approvesFor("notes:read notes:write profile")
		for _, call := range calls {
			(<-call).succeeds(t, "")
		}
		h.wantPrompts(2)
	})
}

// Who comes later is another authorization, which asks for both.
func TestFlight_NeedsAfterTheBatch(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		later(200 * time.Millisecond)
		second := h.call(t.Context(), "list_notes", nil)
		w.approvesFor("profile")
		(<-first).succeeds(t, "Ada")
		w.approvesFor("notes:read profile")
		(<-second).succeeds(t, "[]")
		h.wantPrompts(2)
	})
}

// A need that was given up before the device code was asked for is not asked for.
func TestFlight_NeedThatLeftTheBatch(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{})
		h := w.host(era, accepts)
		first := h.call(t.Context(), "whoami", nil)
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		leaves := h.call(ctx, "create_note", noteArgs{"x"})
		w.approvesFor("profile")
		(<-first).succeeds(t, "Ada")
		<-leaves
	})
}

// Nobody waits for a batch that could add nothing.
func TestFlight_BatchThatAddsNothing(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{service: func(s *lazyauth.Service) { s.Scopes = scopes.Of("profile", "notes:read", "notes:write") }})
		h := w.host(era, accepts)
		began := time.Now()
		call := h.call(t.Context(), "whoami", nil)
		code := w.person().UserCode
		if took := time.Since(began); took != 0 {
			t.Errorf("the prompt was %v late", took)
		}
		if err := w.as.Approve(code); err != nil {
			t.Fatal(err)
		}
		(<-call).succeeds(t, "Ada")
	})
}

// What a lost grant was for is asked for in one.
func TestFlight_AsksForWhatWasLost(t *testing.T) {
	inBothEras(t, func(t *testing.T, era string) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		h := w.signedIn(era)
		call := h.call(t.Context(), "list_notes", nil)
		w.approvesFor("notes:read profile")
		(<-call).succeeds(t, "[]")
		call = h.call(t.Context(), "create_note", noteArgs{"x"})
		w.approvesFor("notes:read notes:write profile")
		(<-call).succeeds(t, "x")
		later(2 * time.Hour)
		w.as.RevokeAll()
		call = h.call(t.Context(), "whoami", nil)
		w.approvesFor("notes:read notes:write profile")
		(<-call).succeeds(t, "Ada")
		h.gets("list_notes", nil, "x")
		h.gets("create_note", noteArgs{"y"}, "y")
		h.wantPrompts(4)
		// Who logs out wants less.
		if err := w.auth.Revoke(t.Context(), lazyauth.LocalUser); err != nil {
			t.Fatal(err)
		}
		call = h.call(t.Context(), "whoami", nil)
		w.approvesFor("profile")
		(<-call).succeeds(t, "Ada")
	})
}

// A step-up's prompt says what is new, in every channel.
func TestFlight_PromptSaysWhatIsNew(t *testing.T) {
	names := map[string]string{"notes:read": "read notes", "notes:write": "change notes", "profile": "see your name"}
	for channel, m := range map[string]manners{
		"url": {url: true, react: accepts}, "form": {form: true, react: accepts},
		"progress": {progress: true, name: "shows"}, "text": {},
	} {
		t.Run(channel, func(t *testing.T) {
			inBothEras(t, func(t *testing.T, era string) {
				w := newWorld(t, setup{
					service: func(s *lazyauth.Service) { s.ScopeNames = names },
					options: lazyauth.Options{Hosts: map[string]lazyauth.Host{"shows": {MaxWaitWithProgress: time.Minute}}},
				})
				if err := w.auth.Authorize(t.Context(), lazyauth.LocalUser, scopes.Of("profile", "notes:read"), approving(w)); err != nil {
					t.Fatal(err)
				}
				h := w.hostWith(era, m)
				call := h.call(t.Context(), "create_note", noteArgs{"x"})
				w.approves()
				r := <-call
				var said strings.Builder
				said.WriteString(r.text())
				for _, p := range h.shown() {
					said.WriteString(p.Message)
				}
				h.mu.Lock()
				for _, p := range h.messages {
					said.WriteString(p.Message)
				}
				h.mu.Unlock()
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
