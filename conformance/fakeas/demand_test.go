package fakeas_test

import (
	"slices"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// What a test demands is missing, in the request where it is.
func TestDemanded_Parameters(t *testing.T) {
	const resource = "https://api.example.test"
	p := newPeer(t, &fakeas.Options{Demand: map[fakeas.Operation][]string{
		fakeas.Authorization: {"resource=" + resource},
		fakeas.Exchange:      {"audience"},
		fakeas.Refresh:       {"scopes"}, // as Twitch writes it
	}})
	if response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL("resource", "https://other.example"))); response.Get("error") != "invalid_target" {
		t.Errorf("response: %v", response)
	}
	code := p.code("resource", resource)
	if a := p.exchange(code); outcome(a) != "invalid_request" {
		t.Errorf("exchange: %s", a.body)
	}
	token := p.exchange(code, "audience", resource)
	if a := p.refresh(token.text("refresh_token")); outcome(a) != "invalid_request" {
		t.Errorf("refresh: %s", a.body)
	}
	if a := p.refresh(token.text("refresh_token"), "scopes", "profile"); outcome(a) != "ok" {
		t.Errorf("refresh: %s", a.body)
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.MissingParameter, fakeas.MissingParameter, fakeas.MissingParameter}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
}

// Servers that want the client ID in the body, although a header has it.
func TestDemanded_ClientID(t *testing.T) {
	p := newPeer(t, &fakeas.Options{
		Clients: []fakeas.Client{{ID: "basic", Secret: "s3cret"}},
		Demand:  map[fakeas.Operation][]string{fakeas.DeviceAuthorization: {"client_id"}},
	})
	for id, want := range map[string]string{"": "invalid_request", "basic": "nothing"} {
		req := p.form(fakeas.DeviceAuthorization, "client_id", id)
		req.SetBasicAuth("basic", "s3cret")
		if a := p.must(req); outcome(a) != want {
			t.Errorf("%q: %s", id, a.body)
		}
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.MissingParameter}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
}
