package fakeas_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// push pushes what authorizationURL would have in the address, from the default
// client.
func (p *peer) push(pairs ...string) answer {
	p.t.Helper()
	_, query, _ := strings.Cut(p.authorizationURL(pairs...), "?")
	return p.must(p.request(http.MethodPost, p.as.URL(fakeas.PushedAuthorization), "application/x-www-form-urlencoded", query))
}

// pushedURL is the address of a pushed request.
func (p *peer) pushedURL(requestURI string, pairs ...string) string {
	values := url.Values{"client_id": {fakeas.DefaultClientID}, "request_uri": {requestURI}}
	for i := 0; i < len(pairs); i += 2 {
		values.Set(pairs[i], pairs[i+1])
	}
	return p.as.URL(fakeas.Authorization) + "?" + values.Encode()
}

func pushing() *fakeas.Options {
	return &fakeas.Options{Push: fakeas.PushAccepted, NoHintInURL: true, Clients: []fakeas.Client{
		{ID: fakeas.DefaultClientID}, {ID: "other"}, {ID: "basic", Secret: "s3cret"},
	}}
}

// The address that is shown has neither scope nor state nor login_hint.
func TestPushed(t *testing.T) {
	p := newPeer(t, pushing())
	a := p.push("login_hint", "grace@example.test")
	if a.status != http.StatusCreated || a.members["expires_in"] != 60.0 || !strings.HasPrefix(a.text("request_uri"), "urn:ietf:params:oauth:request_uri:") {
		t.Fatalf("pushed: %d %s", a.status, a.body)
	}
	response := p.response(p.as.ApproveURL(t.Context(), p.pushedURL(a.text("request_uri"), "scope", "ignored")))
	if response.Get("state") != p.state || response.Get("iss") != p.as.Issuer() {
		t.Errorf("response: %v", response)
	}
	if token := p.exchange(response.Get("code")); token.text("scope") != "profile notes:read" {
		t.Errorf("token: %s", token.body)
	}
	seen := p.as.AuthorizationRequests()
	if len(seen) != 1 || seen[0].URL.Has("login_hint") || seen[0].Pushed.Get("login_hint") != "grace@example.test" ||
		seen[0].URL.Get("request_uri") != fakeas.Withheld || seen[0].Pushed.Get("state") != fakeas.Withheld {
		t.Errorf("seen: %+v", seen)
	}
	p.flawless()
}

// A request is one client's, and one browser's; it ends with its time and its
// answer.
func TestPushed_IsUsedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, pushing())
		shut := func(name, address string) {
			t.Helper()
			before := p.as.Count(fakeas.Authorization, "invalid_request_uri")
			location, err := p.as.ApproveURL(t.Context(), address)
			if !errors.Is(err, fakeas.ErrNoWayBack) || p.as.Count(fakeas.Authorization, "invalid_request_uri") != before+1 {
				t.Errorf("%s: sent to %q, %v", name, location, err)
			}
		}
		shut("unknown", p.pushedURL("urn:ietf:params:oauth:request_uri:x"))

		address := p.pushedURL(p.push().text("request_uri"))
		shut("of another client", strings.Replace(address, fakeas.DefaultClientID, "other", 1))
		p.response(p.as.ApproveURL(t.Context(), address))
		shut("answered", address)

		address = p.pushedURL(p.push().text("request_uri"))
		time.Sleep(time.Minute)
		shut("expired", address)

		// The same browser may load the page again, also after its time.
		address = p.pushedURL(p.push().text("request_uri"))
		browser := *p.client
		browser.Jar, _ = cookiejar.New(nil)
		for range 2 {
			resp, err := browser.Do(p.request(http.MethodGet, address, "", ""))
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("opened: %v %v", resp, err)
			}
			resp.Body.Close()
		}
		shut("open in another browser", address)
		if response := p.response(fakeas.VisitAuthorization(t.Context(), &browser, address, "", true)); response.Get("code") == "" {
			t.Errorf("response: %v", response)
		}

		address = p.pushedURL(p.push().text("request_uri"))
		p.as.Restart()
		shut("after a restart", address)
		p.flawless()
	})
}

// What is wrong with a pushed request is said at once, in JSON.
func TestPushed_Errors(t *testing.T) {
	for _, test := range []struct {
		name     string
		pairs    []string
		code     string
		violated []fakeas.Rule
	}{
		{"unknown client", []string{"client_id", "nobody"}, "invalid_client", nil},
		{"secret forgotten", []string{"client_id", "basic"}, "invalid_client", []fakeas.Rule{fakeas.WrongAuthentication}},
		{"another redirect URI", []string{"redirect_uri", "https://evil.example/"}, "invalid_request", nil},
		{"no challenge", []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request", []fakeas.Rule{fakeas.MissingChallenge}},
		{"unknown scope", []string{"scope", "everything"}, "invalid_scope", nil},
		{"pushed twice", []string{"request_uri", "urn:x"}, "invalid_request", []fakeas.Rule{fakeas.UnexpectedParameter}},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, pushing())
			if a := p.push(test.pairs...); a.text("error") != test.code || a.text("request_uri") != "" {
				t.Errorf("answer: %d %s", a.status, a.body)
			}
			if got := p.broke(); !slices.Equal(got, test.violated) {
				t.Errorf("violations: %v", p.as.Violations())
			}
		})
	}
}

// A confidential client authenticates when it pushes.
func TestPushed_ByAConfidentialClient(t *testing.T) {
	p := newPeer(t, pushing())
	_, query, _ := strings.Cut(p.authorizationURL("client_id", ""), "?")
	req := p.request(http.MethodPost, p.as.URL(fakeas.PushedAuthorization), "application/x-www-form-urlencoded", query)
	req.SetBasicAuth("basic", "s3cret")
	a := p.must(req)
	response := p.response(p.as.ApproveURL(t.Context(), p.pushedURL(a.text("request_uri"), "client_id", "basic")))
	req = p.exchangeRequest(response.Get("code"), "client_id", "")
	req.SetBasicAuth("basic", "s3cret")
	if token := p.must(req); outcome(token) != "ok" {
		t.Errorf("token: %s", token.body)
	}
	p.flawless()
}

func TestPushed_Required(t *testing.T) {
	opts := pushing()
	opts.Push = fakeas.PushRequired
	p := newPeer(t, opts)
	a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", ""))
	if a.members["require_pushed_authorization_requests"] != true || a.text("pushed_authorization_request_endpoint") != p.as.URL(fakeas.PushedAuthorization) {
		t.Errorf("metadata: %s", a.body)
	}
	if response := p.response(p.as.ApproveURL(t.Context(), p.authorizationURL())); response.Get("error") != "invalid_request" {
		t.Errorf("response: %v", response)
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.NotPushed}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
	if response := p.response(p.as.ApproveURL(t.Context(), p.pushedURL(p.push().text("request_uri")))); response.Get("code") == "" {
		t.Errorf("response: %v", response)
	}
}

// A server that takes none says nothing of them.
func TestPushed_NotHeardOf(t *testing.T) {
	p := newPeer(t, nil)
	if a := p.push(); a.status != http.StatusNotFound {
		t.Errorf("pushed: %d", a.status)
	}
	if _, err := p.as.ApproveURL(t.Context(), p.pushedURL("urn:x")); !errors.Is(err, fakeas.ErrNoWayBack) {
		t.Errorf("opened: %v", err)
	}
	if a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Metadata), "", "")); strings.Contains(a.body, "pushed") {
		t.Errorf("metadata: %s", a.body)
	}
}

// Every way in which the answer to a push can be wrong, in the order of a
// script; the last shows that what was pushed is all the same one request.
func TestPushed_AnsweredWrongly(t *testing.T) {
	p := newPeer(t, pushing())
	edit := func(change func(a *fakeas.Answer)) fakeas.Behaviour {
		return fakeas.Edit(func(_ *http.Request, a *fakeas.Answer) { change(a) })
	}
	p.as.Script(fakeas.PushedAuthorization,
		edit(func(a *fakeas.Answer) { delete(a.Members, "request_uri") }),
		edit(func(a *fakeas.Answer) { a.Members["request_uri"] = 7 }),
		edit(func(a *fakeas.Answer) { a.Members["request_uri"] = "https://evil.example/request" }),
		edit(func(a *fakeas.Answer) { a.Members["expires_in"] = 0 }),
		edit(func(a *fakeas.Answer) { delete(a.Members, "expires_in") }),
		edit(func(a *fakeas.Answer) { a.Status = http.StatusOK }),
		fakeas.Edit(fakeas.Huge), fakeas.Lose())
	var seen []string
	for range 7 {
		a := p.push()
		seen = append(seen, fmt.Sprintf("%d %T %v %v", a.status, a.members["request_uri"], a.members["expires_in"], len(a.body) > 1<<20))
	}
	want := []string{
		"201 <nil> 60 false", "201 float64 60 false", "201 string 60 false", "201 string 0 false",
		"201 string <nil> false", "200 string 60 false", "201 string 60 true",
	}
	if !slices.Equal(seen, want) {
		t.Errorf("answers: %q", seen)
	}
	address := p.authorizationURL()
	_, query, _ := strings.Cut(address, "?")
	push := func() (answer, error) {
		return p.do(p.request(http.MethodPost, p.as.URL(fakeas.PushedAuthorization), "application/x-www-form-urlencoded", query))
	}
	if _, err := push(); err == nil {
		t.Error("answered")
	}
	if a, err := push(); err != nil || a.status != http.StatusCreated {
		t.Errorf("pushed again after a lost answer: %v %s", err, a.body)
	}
	p.flawless()
}
