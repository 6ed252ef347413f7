package elicit_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestPromptTexts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := elicit.Prompt{
			Service: "Notes", VerificationURI: "https://as.example/device", UserCode: "WDJB-MJHT",
			Scopes: scopes.Of("notes:read", "profile"), Expires: time.Now().Add(10 * time.Minute),
		}
		want := `Sign in to Notes at as.example with the code WDJB-MJHT. It asks for: notes:read, profile. The code is valid for 10 minutes. The call continues by itself once you have approved.`
		if text := elicit.Wording(nil).Say(elicit.URL, p); text != want {
			t.Errorf("said:\n%s\nwant\n%s", text, want)
		}
		want = `To sign in to Notes, open as.example/device in your browser and enter the code WDJB-MJHT. It asks for: notes:read, profile. The code is valid for 10 minutes. Leave this open until you have approved there, then accept, and the call continues.`
		if text := elicit.Wording(nil).Say(elicit.Form, p); text != want {
			t.Errorf("said:\n%s\nwant\n%s", text, want)
		}
		for left, want := range map[time.Duration]string{
			-time.Second: "0 seconds", 59 * time.Second: "59 seconds", 89 * time.Second: "1 minute", 90 * time.Second: "2 minutes", 10*time.Minute - time.Second: "10 minutes",
		} {
			p.Expires = time.Now().Add(left)
			if text := elicit.Wording(nil).Say(elicit.Text, p); !strings.Contains(text, "valid for "+want+")") {
				t.Errorf("with %v left: %s", left, text)
			}
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s"} {
			if text := fmt.Sprintf(verb, p); strings.Contains(text, "WDJB") {
				t.Errorf("%s shows the code: %s", verb, text)
			}
		}
	})
}

func TestPrompt_SaysWhatIsNew(t *testing.T) {
	held, both := scopes.Of("notes:read", "profile"), scopes.Of("notes:read", "notes:write", "profile")
	words := map[string][]string{"": nil, "words": {"read notes", "change notes", "see your name"}}
	for name, test := range map[string]struct {
		prompt   elicit.Prompt
		url, txt string
	}{
		"a first sign-in": {elicit.Prompt{Scopes: both}, "It asks for: notes:read, notes:write, profile.", "needed: open"},
		"a step-up":       {elicit.Prompt{Scopes: both, Held: held}, "It needs more access: notes:write; you gave notes:read, profile.", "needed for more access (notes:write; given so far: notes:read, profile): open"},
		"in words": {elicit.Prompt{Scopes: both, Access: words["words"], Held: held, HeldAccess: []string{"read notes", "see your name"}},
			"It needs more access: change notes; you gave read notes, see your name.", "needed for more access (change notes; given so far: read notes, see your name): open"},
		"nothing new":      {elicit.Prompt{Scopes: held, Held: held}, "It asks for: notes:read, profile.", "needed: open"},
		"words that lack":  {elicit.Prompt{Scopes: both, Access: []string{"x"}, Held: held}, "It needs more access: notes:write; you gave", "(notes:write; given"},
		"nothing is asked": {elicit.Prompt{}, "WDJB-MJHT. The code", "needed: open"},
	} {
		t.Run(name, func(t *testing.T) {
			p := test.prompt
			p.Service, p.VerificationURI, p.UserCode, p.Expires = "Notes", "https://as.example/device", "WDJB-MJHT", time.Now().Add(time.Hour)
			for c, want := range map[elicit.Channel]string{elicit.URL: test.url, elicit.Form: test.url, elicit.Text: test.txt} {
				if said := elicit.Wording(nil).Say(c, p); !strings.Contains(said, want) {
					t.Errorf("%v: %q, want %q in it", c, said, want)
				}
			}
			if said := elicit.Wording(nil).Say(elicit.Progress, p.Hidden()); strings.Contains(said, "notes") {
				t.Errorf("who waits for another's prompt is told %q", said)
			}
		})
	}
}
