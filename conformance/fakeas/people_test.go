package fakeas_test

import (
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// The people of the options are who can sign in, and the first of them is who
// approves where nobody is named.
func TestPeople(t *testing.T) {
	p := newPeer(t, &fakeas.Options{People: []fakeas.Person{
		{Subject: "1", Name: "Lin <Li>", Email: "lin@example.test"}, {Subject: "2"},
	}})
	if a, _ := p.open(); !strings.Contains(a.body, "Lin &lt;Li&gt;") || !strings.Contains(a.body, `value="2"`) {
		t.Errorf("page: %s", a.body)
	}
	if a := p.call(fakeas.Me, p.login("profile").text("access_token")); a.text("sub") != "1" || a.text("name") != "Lin <Li>" {
		t.Errorf("GET /me: %s", a.body)
	}
	location, err := fakeas.VisitAuthorization(t.Context(), p.client, p.authorizationURL(), "2", true)
	token := p.exchange(p.response(location, err).Get("code"))
	if a := p.call(fakeas.Me, token.text("access_token")); a.text("sub") != "2" || a.text("name") != "2" {
		t.Errorf("GET /me: %s", a.body)
	}
}
