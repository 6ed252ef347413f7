package lazyauth_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

func TestWording_OfTheAuthor(t *testing.T) {
	// Prompts in the language that a host asks for, here by its name; one in which the
	// code was forgotten is not used.
	speaks := func(req *mcp.CallToolRequest, c elicit.Channel, p elicit.Prompt) string {
		switch {
		case req.ClientInfo().Name == "deutsch" && c == elicit.Form:
			return fmt.Sprintf("Bitte bei %s anmelden (%s), Code %s, für: %s", p.Service, p.Domain(), p.UserCode, strings.Join(p.Access, "; "))
		case c == elicit.Form:
			return "Just sign in!"
		case c == elicit.Progress && p.UserCode == "":
			return "Bitte warten."
		}
		return ""
	}
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{
			Options: lazyauth.Options{Wording: speaks},
			Service: func(s *lazyauth.Service) { s.ScopeNames = map[string]string{"notes:write": "create and change notes"} },
		})
		h := w.HostWith(era, world.Manners{Name: "deutsch", Form: true, Progress: true, React: world.Accepts})
		call := h.Call(t.Context(), "create_note", world.Note{Text: "x"})
		code := w.Person().UserCode
		world.Later(6 * time.Second)
		if got, want := h.Shown()[0].Message, "Bitte bei Notes anmelden (as.example.test), Code "+code+", für: create and change notes; profile"; got != want {
			t.Errorf("the prompt says %q, want %q", got, want)
		}
		if m := h.Progress(1); len(m) == 0 || m[0].Message != "Bitte warten." {
			t.Errorf("the progress says %+v", m)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "x")
	})
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Wording: speaks}})
		h := w.HostWith(era, world.Manners{Form: true, React: world.Accepts})
		call := h.Call(t.Context(), "whoami", nil)
		code := w.Person().UserCode
		synctest.Wait()
		if got := h.Shown()[0].Message; !strings.Contains(got, code) || !strings.Contains(got, "It asks for: profile.") {
			t.Errorf("the prompt says %q", got)
		}
		w.AS.Approve(code)
		(<-call).Succeeds(t, "Ada")
	})
}

// A wording that panics leaves the prompt in English, and nobody without one.
func TestWording_Panics(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{Wording: func(*mcp.CallToolRequest, elicit.Channel, elicit.Prompt) string {
			panic("no translation")
		}}})
		h := w.SignedIn(era)
		h.WantPrompts(1)
		if prompt := h.Shown()[0].Message; !strings.HasPrefix(prompt, "Sign in to Notes") {
			t.Errorf("the person was shown %q", prompt)
		}
		if w.Trace.Count("callbackfailed") == 0 {
			t.Error("it is not traced")
		}
	})
}

// A refusal says in both eras what was needed, in the wording that was chosen.
func TestWording_OfARefusal(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		w := world.New(t, world.Setup{Options: lazyauth.Options{InsecureTextAfterDecline: true, Wording: func(_ *mcp.CallToolRequest, c elicit.Channel, p elicit.Prompt) string {
			return "Bitte anmelden, Code " + p.UserCode
		}}})
		w.CodesMayFollow = lazyauth.ReasonDeclined
		h := w.Host(era, world.Says("decline", 3*time.Second))
		r := <-h.Call(t.Context(), "whoami", nil)
		r.Fails(t, lazyauth.ReasonDeclined)
		if r.Result.Meta[lazyauth.MetaRequired] != "profile" {
			t.Errorf("required: %v", r.Result.Meta)
		}
		if !strings.Contains(r.Text(), "Bitte anmelden") {
			t.Errorf("wording: %q", r.Text())
		}
	})
}
