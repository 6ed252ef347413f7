package fakeas_test

import (
	"cmp"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// Every way in which an authorization response can be wrong, in the order of a
// script; then the right one is back.
func TestResponse_Script(t *testing.T) {
	p := newPeer(t, nil)
	issuer := p.as.Issuer()
	p.as.Script(fakeas.Response,
		fakeas.WithIss(""),
		fakeas.WithIss("https://evil.example"),
		fakeas.WithIss(issuer+"/"),
		fakeas.WithIss(strings.TrimSuffix(issuer, "t")),
		fakeas.EditResponse(func(v url.Values) { v.Set("state", "another") }),
		fakeas.EditResponse(func(v url.Values) { v.Add("code", "ac_injected") }),
		fakeas.Error(0, "temporarily_unavailable"),
	)
	for i, want := range []struct{ iss, state, err string }{ // an empty state is the client's
		{"", "", ""},
		{"https://evil.example", "", ""},
		{issuer + "/", "", ""},
		{"https://as.example.tes", "", ""},
		{issuer, "another", ""},
		{issuer, "", ""},
		{issuer, "", "temporarily_unavailable"},
		{issuer, "", ""},
	} {
		got := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL()))
		if got.Get("iss") != want.iss || got.Get("state") != cmp.Or(want.state, p.state) || got.Get("error") != want.err || got.Has("code") == got.Has("error") {
			t.Errorf("%d: %v", i, got)
		}
		if codes := len(got["code"]); i == 5 && codes != 2 {
			t.Errorf("%d codes", codes)
		}
	}

	// Errors are responses too, and are edited alike.
	p.as.Script(fakeas.Response, fakeas.WithIss("https://evil.example"))
	if got := p.response(p.as.DenyURL(t.Context(), p.authorizationURL())); got.Get("iss") != "https://evil.example" || got.Get("error") != "access_denied" {
		t.Errorf("denied: %v", got)
	}
	p.flawless()
}

// What the browser meets in place of a redirect.
func TestResponse_ThatDoesNotCome(t *testing.T) {
	p := newPeer(t, nil)
	p.as.Script(fakeas.Response, fakeas.Unavailable(http.StatusServiceUnavailable, 0), fakeas.Drop())
	if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL()); !errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("an error page: %v", err)
	}
	if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL()); err == nil || errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("dropped: %v", err)
	}
	p.as.Script(fakeas.Authorization, fakeas.Unavailable(http.StatusServiceUnavailable, 0))
	if _, err := p.as.ApproveURL(t.Context(), p.authorizationURL()); !errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("no first page: %v", err)
	}
}

// A server that has not heard of RFC 9207, one that sends iss and does not say
// so, and one that says so and does not.
func TestResponse_Iss(t *testing.T) {
	const promise = "authorization_response_iss_parameter_supported"
	for _, test := range []struct {
		name           string
		opts           fakeas.Options
		behaviour      fakeas.Behaviour
		promised, sent bool
	}{
		{"as it should be", fakeas.Options{}, fakeas.Pass(), true, true},
		{"not heard of", fakeas.Options{NoIss: true}, fakeas.Pass(), false, false},
		{"sent and not promised", fakeas.Options{Metadata: func(m map[string]any) { delete(m, promise) }}, fakeas.Pass(), false, true},
		{"promised and not sent", fakeas.Options{}, fakeas.WithIss("").Times(-1), true, false},
	} {
		p := newPeer(t, &test.opts)
		p.as.Script(fakeas.Response, test.behaviour)
		a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", ""))
		if promised := a.members[promise] == true; promised != test.promised {
			t.Errorf("%s: promised: %v", test.name, promised)
		}
		if got := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL())); got.Has("iss") != test.sent {
			t.Errorf("%s: %v", test.name, got)
		}
	}
}
