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
