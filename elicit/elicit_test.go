package elicit_test

import (
	"encoding/json"
	"fmt"
	"slices"
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
		want = `Enter the code WDJB-MJHT at https://as.example/device to sign in to Notes (valid for 10 minutes). It asks for: notes:read, profile.`
		if text := elicit.Wording(nil).Say(elicit.Progress, p); text != want {
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

const authorize = "https://as.example/authorize?response_type=code&client_id=notes&state=S3CRET&scope=notes%3Aread"

// A prompt of the redirect flow has no code, and its link is long.
func TestPrompt_WithoutACode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := elicit.Prompt{Service: "Notes", VerificationURI: authorize, Scopes: scopes.Of("notes:read"), Expires: time.Now().Add(10 * time.Minute)}
		opened := p
		opened.Opened, opened.VerificationURI = true, "http://127.0.0.1:40001/start/nonce"
		for name, test := range map[string]struct {
			channel elicit.Channel
			prompt  elicit.Prompt
			want    string
		}{
			"url": {elicit.URL, p, "Sign in to Notes at as.example. It asks for: notes:read. The link is valid for 10 minutes, in a browser on the machine where this server runs. The call continues by itself once you have approved."},
			// A form must not have a link, and this address cannot be typed.
			"form":             {elicit.Form, p, "Sign in to Notes at as.example. It asks for: notes:read. The link is valid for 10 minutes, in a browser on the machine where this server runs. The call continues by itself once you have approved."},
			"progress":         {elicit.Progress, p, "Open " + authorize + " to sign in to Notes, in a browser on the machine where this server runs (valid for 10 minutes). It asks for: notes:read."},
			"text":             {elicit.Text, p, "Sign-in to Notes needed: open the link below in a browser on the machine where this server runs (valid for 10 minutes), then call this tool again.\n" + authorize},
			"opened, progress": {elicit.Progress, opened, "A browser window was opened to sign in to Notes. It asks for: notes:read. The call continues by itself once you have approved."},
			"opened, text": {elicit.Text, opened, "Sign-in to Notes needed: a browser window was opened for it. When the user has signed in there, call this tool again. " +
				"If there is no such window, they can open this link in a browser on the machine where this server runs (valid for 10 minutes):\nhttp://127.0.0.1:40001/start/nonce"},
			"hidden": {elicit.Progress, p.Hidden(), "Waiting for the sign-in to Notes."},
		} {
			if said := elicit.Wording(nil).Say(test.channel, test.prompt); said != test.want {
				t.Errorf("%s: said:\n%s\nwant\n%s", name, said, test.want)
			}
		}
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
			if text := fmt.Sprintf(verb, p); strings.Contains(text, "authorize") || strings.Contains(text, "S3CRET") {
				t.Errorf("%s shows the link: %s", verb, text)
			}
		}
		if text, err := json.Marshal(p); err != nil || strings.Contains(string(text), "S3CRET") {
			t.Errorf("JSON shows the link: %s (%v)", text, err)
		}
	})
}

// Who was shown a link that leads nowhere on their machine is told that this code is another thing.
func TestPrompt_InsteadOfALink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := elicit.Prompt{Service: "Notes", VerificationURI: "https://as.example/device", UserCode: "WDJB-MJHT", Instead: true, Expires: time.Now().Add(time.Hour)}
		for c := elicit.Text; c <= elicit.URL; c++ {
			if said := elicit.Wording(nil).Say(c, p); !strings.Contains(said, "the code WDJB-MJHT") || !strings.Contains(said, " (in any browser: the link before works only on the machine where this server runs)") {
				t.Errorf("%v: said %q", c, said)
			}
		}
	})
}

// An author's own words are used only if a person can sign in by them.
func TestWording_HasWhatIsNeeded(t *testing.T) {
	code := elicit.Prompt{Service: "Notes", VerificationURI: "https://as.example/device", UserCode: "WDJB-MJHT"}
	link := elicit.Prompt{Service: "Notes", VerificationURI: authorize}
	opened := elicit.Prompt{Service: "Notes", VerificationURI: authorize, Opened: true}
	for name, test := range map[string]struct {
		prompt elicit.Prompt
		said   string
		on     []elicit.Channel // it is used
	}{
		"the code":              {code, "Code WDJB-MJHT", []elicit.Channel{elicit.Text, elicit.Progress, elicit.Form, elicit.URL}},
		"no code":               {code, "Bitte anmelden", nil},
		"the link":              {link, "Bitte anmelden: " + authorize, []elicit.Channel{elicit.Text, elicit.Progress, elicit.Form, elicit.URL}},
		"no link":               {link, "Bitte anmelden", []elicit.Channel{elicit.Form, elicit.URL}},
		"no link of an opened":  {opened, "Ein Fenster ist offen", []elicit.Channel{elicit.Progress, elicit.Form, elicit.URL}},
		"nothing of one hidden": {link.Hidden(), "Bitte warten", []elicit.Channel{elicit.Text, elicit.Progress, elicit.Form, elicit.URL}},
		"nothing said":          {link, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			own := elicit.Wording(func(elicit.Channel, elicit.Prompt) string { return test.said })
			for c := elicit.Text; c <= elicit.URL; c++ {
				if used := own.Say(c, test.prompt) == test.said; used != slices.Contains(test.on, c) {
					t.Errorf("%v: used %t", c, used)
				}
			}
		})
	}
}
