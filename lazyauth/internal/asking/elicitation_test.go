package asking_test

import (
	"bytes"
	"encoding/json"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestElicitation_OnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := elicit.Prompt{
			Service: "Notes", VerificationURI: "https://as.example/device", UserCode: "WDJB-MJHT",
			Scopes: scopes.Of("notes:read", "profile"), Expires: time.Now().Add(10 * time.Minute),
		}
		wire, err := json.Marshal(asking.Elicitation(nil, elicit.URL, p, "id-1"))
		if err != nil {
			t.Fatal(err)
		}
		want := `{"mode":"url","message":"Sign in to Notes at as.example with the code WDJB-MJHT. It asks for: notes:read, profile. The code is valid for 10 minutes. The call continues by itself once you have approved.","url":"https://as.example/device","elicitationId":"id-1"}`
		if string(wire) != want {
			t.Errorf("on the wire:\n%s\nwant\n%s", wire, want)
		}
		if wire, _ := json.Marshal(asking.Elicitation(nil, elicit.Form, p, "id-1")); bytes.Contains(wire, []byte("elicitationId")) {
			t.Errorf("a form with an id: %s", wire)
		}
	})
}
