package fakeas_test

import (
	"errors"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

func TestVisitAuthorization(t *testing.T) {
	p := listen(t, fakeas.Options{})
	browser := *p.client
	browser.Jar, _ = cookiejar.New(nil)
	visit := func(subject string, approve bool, pairs ...string) url.Values {
		t.Helper()
		return p.response(fakeas.VisitAuthorization(t.Context(), &browser, p.authorizationURL(pairs...), subject, approve))
	}
	sub := func(response url.Values) string {
		t.Helper()
		return p.call(fakeas.Me, p.exchange(response.Get("code")).text("access_token")).text("sub")
	}
	if got := sub(visit("", true)); got != "ada" {
		t.Errorf("first account: %s", got)
	}
	// The same browser remembers who is signed in, also at a step-up.
	signIns := p.as.Count(fakeas.Consent, fakeas.OK)
	if got := sub(visit("", true, "scope", "profile notes:write")); got != "ada" {
		t.Errorf("again: %s", got)
	}
	if now := p.as.Count(fakeas.Consent, fakeas.OK); now != signIns {
		t.Errorf("asked again who it is: %d, %d", signIns, now)
	}
	if got := sub(visit("grace", true)); got != "grace" {
		t.Errorf("another person: %s", got)
	}
	if response := visit("grace", false); response.Get("error") != "access_denied" {
		t.Errorf("denied: %v", response)
	}
	if response := visit("", true, "prompt", "none"); response.Get("error") != "consent_required" {
		t.Errorf("prompt=none: %v", response)
	}
	if _, err := fakeas.VisitAuthorization(t.Context(), nil, p.authorizationURL("client_id", "nobody"), "", true); !errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("unknown client: %v", err)
	}
	p.as.SignOut()
	if response := visit("", true, "prompt", "none"); response.Get("error") != "login_required" {
		t.Errorf("signed out: %v", response)
	}
	p.flawless()
}

// A server that remembers consent shows no page for what was granted before.
func TestRememberConsent(t *testing.T) {
	p := listen(t, fakeas.Options{RememberConsent: true})
	browser := *p.client
	browser.Jar, _ = cookiejar.New(nil)
	approved := func(pairs ...string) int {
		t.Helper()
		response := p.response(fakeas.VisitAuthorization(t.Context(), &browser, p.authorizationURL(pairs...), "", true))
		if outcome(p.exchange(response.Get("code"))) != "ok" {
			t.Errorf("response: %v", response)
		}
		return p.as.Count(fakeas.Consent, "approved")
	}
	for i, test := range []struct {
		pairs []string
		want  int // how often the person was asked
	}{
		{nil, 1},
		{nil, 1},
		{[]string{"prompt", "none"}, 1},
		{[]string{"prompt", "consent"}, 2},
		{[]string{"scope", "profile notes:write"}, 3},
		{[]string{"scope", "notes:read notes:write"}, 3},
	} {
		if got := approved(test.pairs...); got != test.want {
			t.Errorf("%d: asked %d times, want %d", i, got, test.want)
		}
	}
	p.flawless()
}

// The client's own page may come first, which sends the browser on.
func TestVisitAuthorization_FromAStartPage(t *testing.T) {
	p := listen(t, fakeas.Options{})
	var cookie string
	mux := http.NewServeMux()
	mux.HandleFunc("/start", func(w http.ResponseWriter, r *http.Request) {
		http.SetCookie(w, &http.Cookie{Name: "flight", Value: "mine"})
		http.Redirect(w, r, p.authorizationURL(), http.StatusSeeOther)
	})
	mux.HandleFunc("/callback", func(_ http.ResponseWriter, r *http.Request) {
		if c, err := r.Cookie("flight"); err == nil {
			cookie = c.Value
		}
	})
	client := httptest.NewServer(mux)
	defer client.Close()
	browser := *p.client
	browser.Jar, _ = cookiejar.New(nil)
	location, err := fakeas.VisitAuthorization(t.Context(), &browser, client.URL+"/start", "grace", true)
	if p.response(location, err).Get("code") == "" {
		t.Errorf("sent to %s", location)
	}
	resp, err := browser.Do(p.request(http.MethodGet, client.URL+"/callback", "", ""))
	if err != nil || cookie != "mine" {
		t.Fatalf("cookie %q: %v", cookie, err)
	}
	resp.Body.Close()
	p.flawless()
}
