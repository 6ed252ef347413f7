package fakeas_test

import (
	"cmp"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// browse gives the peer a browser's cookies, and leaves redirects to the test.
func (p *peer) browse() *peer {
	client := *p.client
	client.Jar, _ = cookiejar.New(nil)
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &peer{t: p.t, as: p.as, client: &client}
}

var ticketShown = regexp.MustCompile(`<input type="hidden" name="request" value="([^"]*)">`)

// open opens an authorization URL and returns the page and the name of the
// request in its forms.
func (p *peer) open(pairs ...string) (answer, string) {
	p.t.Helper()
	a := p.must(p.request(http.MethodGet, p.authorizationURL(pairs...), "", ""))
	if ticket := ticketShown.FindStringSubmatch(a.body); ticket != nil {
		return a, ticket[1]
	}
	return a, ""
}

const (
	signIn   = "/authorize/sign-in"
	decision = "/authorize/decision"
)

func TestConsent_Walk(t *testing.T) {
	p := listen(t, fakeas.Options{Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, Name: "<b>Bold & Co</b>"}}}).browse()
	a, ticket := p.open("login_hint", "GRACE@example.test")
	if page(a) != "signin" || !strings.Contains(a.body, "Ada Example") || strings.Contains(a.body, "Signed in as") ||
		!strings.Contains(a.body, `name="person" value="grace" class="primary" autofocus`) {
		t.Errorf("first page: %s", a.body)
	}
	a = p.submit(signIn, "request", ticket, "person", "grace")
	for _, shown := range []string{
		"&lt;b&gt;Bold &amp; Co&lt;/b&gt;", "<code>notes-cli</code>", "See your name", "<code>notes:read</code>",
		"Only continue if you started this yourself", "Grace Example", "the application on this machine",
	} {
		if !strings.Contains(a.body, shown) {
			t.Errorf("the page does not show %q: %s", shown, a.body)
		}
	}
	if a := p.submit(decision, "request", ticket); page(a) != "consent" {
		t.Errorf("no button pressed: %s", page(a))
	}
	if a := p.submit(decision, "request", ticket, "decision", "switch"); page(a) != "signin" {
		t.Errorf("another account: %s", page(a))
	}
	if a := p.submit(signIn, "request", ticket, "person", "nobody"); page(a) != "signin" {
		t.Errorf("an account that is none: %s", page(a))
	}
	// A form of a page that was about somebody else approves nothing.
	if a := p.submit(decision, "request", ticket, "person", "ada", "decision", "approve"); page(a) != "signin" {
		t.Errorf("approved for another person: %s", page(a))
	}
	approve := func() answer {
		return p.submit(decision, "request", ticket, "person", "grace", "decision", "approve")
	}
	a = approve()
	location := a.header.Get("Location")
	if a.status != http.StatusSeeOther || !strings.HasPrefix(location, redirectURI+"?code=ac_") ||
		a.header.Get("Referrer-Policy") != "no-referrer" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("approved: %d %v", a.status, a.header)
	}
	if a := approve(); a.header.Get("Location") != location {
		t.Errorf("approved twice: %s", a.header.Get("Location"))
	}
	if a := p.submit(decision, "request", ticket, "decision", "deny"); a.status != http.StatusGone || page(a) != "problem" {
		t.Errorf("denied afterwards: %d", a.status)
	}
	// The device page knows the browser.
	if a := p.must(p.request(http.MethodGet, p.as.URL(fakeas.Page), "", "")); !strings.Contains(a.body, "Grace Example") {
		t.Errorf("device page: %s", a.body)
	}
	p.flawless()
}

// Prompt asks again who it is, or what may be done, although that is known.
func TestConsent_Prompts(t *testing.T) {
	p := listen(t, fakeas.Options{}).browse()
	_, ticket := p.open()
	p.submit(signIn, "request", ticket, "person", "ada")
	for prompt, want := range map[string]string{
		"": "consent", "consent": "consent", "login": "signin", "select_account": "signin", "login consent": "signin",
	} {
		if a, _ := p.open("prompt", prompt); page(a) != want {
			t.Errorf("%q: %s", prompt, page(a))
		}
	}
	for hint, want := range map[string]string{"ada": "consent", "grace": "signin", "somebody": "consent"} {
		if a, _ := p.open("login_hint", hint); page(a) != want {
			t.Errorf("hint %s: %s", hint, page(a))
		}
	}
	p.flawless()
}

// A page names in its policy where its form may lead to, or browsers would not
// follow the redirect that answers it, and nothing else.
func TestConsent_Policy(t *testing.T) {
	for uri, wants := range map[string]string{
		redirectURI:                     "form-action 'self' http://127.0.0.1:49152;",
		"http://[::1]:49152/callback":   "form-action 'self' http:;", // no policy can name an IPv6 address
		"https://app.example.test/back": "form-action 'self' https://app.example.test;",
		"com.example.app:/back":         "form-action 'self' com.example.app:;",
	} {
		p := newPeer(t, &fakeas.Options{Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, RedirectURIs: []string{uri}}}}).browse()
		a, ticket := p.open("redirect_uri", uri)
		if policy := a.header.Get("Content-Security-Policy"); a.status != http.StatusOK || !strings.Contains(policy, wants) ||
			!strings.Contains(policy, "default-src 'none'") || !strings.Contains(policy, "frame-ancestors 'none'") {
			t.Errorf("%s: %d %s", uri, a.status, policy)
		}
		a = p.submit(signIn, "request", ticket, "person", "ada")
		returns := map[string]string{"https": "<code>app.example.test</code>", "com.example.app": "<code>com.example.app</code>"}
		scheme, _, _ := strings.Cut(uri, ":")
		if want := cmp.Or(returns[scheme], "the application on this machine"); !strings.Contains(a.body, "you return to "+want) {
			t.Errorf("%s: %s", uri, a.body)
		}
	}
	p := newPeer(t, nil)
	a, _ := p.open("client_id", "nobody")
	if policy := a.header.Get("Content-Security-Policy"); !strings.Contains(policy, "form-action 'self';") || strings.Contains(a.body, "127.0.0.1") {
		t.Errorf("problem: %s %s", policy, a.body)
	}
}

// The cookie is the browser's own: not for scripts, other sites or plain http.
func TestConsent_Cookie(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Issuer: "https://id.example.test:8443/tenant"}).browse()
	a, ticket := p.open()
	first := a.header.Get("Set-Cookie")
	for _, attribute := range []string{"fakeas_session_8443=", "; Path=/tenant/", "; HttpOnly", "; Secure", "; SameSite=Lax"} {
		if !strings.Contains(first, attribute) {
			t.Errorf("%q: no %s", first, attribute)
		}
	}
	// It is replaced when somebody signs in, so that one that was planted is
	// worth nothing; a page that is loaded again replaces none.
	a = p.submit(signIn, "request", ticket, "person", "ada")
	second := a.header.Get("Set-Cookie")
	if second == "" || second == first || page(a) != "consent" {
		t.Errorf("signed in: %q, before %q", second, first)
	}
	if a, _ := p.open(); a.header.Get("Set-Cookie") != "" || page(a) != "consent" {
		t.Errorf("again: %v", a.header)
	}
}

// What is decided is decided by the person in the browser that opened the page.
func TestConsent_FromElsewhere(t *testing.T) {
	p := listen(t, fakeas.Options{}).browse()
	_, ticket := p.open()
	p.submit(signIn, "request", ticket, "person", "ada")
	form := url.Values{"request": {ticket}, "person": {"ada"}, "decision": {"approve"}}.Encode()
	for name, headers := range map[string]map[string]string{
		"cross-site":     {"Sec-Fetch-Site": "cross-site"},
		"foreign origin": {"Origin": "https://www.example.net"},
	} {
		req := p.request(http.MethodPost, p.as.Issuer()+decision, "application/x-www-form-urlencoded", form)
		for k, v := range headers {
			req.Header.Set(k, v)
		}
		if a := p.must(req); a.status != http.StatusForbidden || page(a) != "foreign" || strings.Contains(a.body, "/device\"") {
			t.Errorf("%s: %d %s", name, a.status, page(a))
		}
	}
	other := p.browse()
	if a := other.submit(decision, "request", ticket, "person", "ada", "decision", "approve"); a.status != http.StatusForbidden || page(a) != "problem" {
		t.Errorf("without its cookie: %d %s", a.status, page(a))
	}
	_, theirs := other.open()
	other.submit(signIn, "request", theirs, "person", "grace")
	if a := other.submit(decision, "request", ticket, "person", "grace", "decision", "approve"); a.status != http.StatusForbidden {
		t.Errorf("with another cookie: %d %s", a.status, page(a))
	}
	for name, req := range map[string]*http.Request{
		"GET":  p.request(http.MethodGet, p.as.Issuer()+decision+"?"+form, "", ""),
		"JSON": p.request(http.MethodPost, p.as.Issuer()+decision, "application/json", "{}"),
		"POST": p.request(http.MethodPost, p.as.URL(fakeas.Authorization), "application/x-www-form-urlencoded", form),
	} {
		if a := p.must(req); a.status < 400 || a.header.Get("Location") != "" {
			t.Errorf("%s: %d", name, a.status)
		}
	}
	if p.as.Count(fakeas.Consent, "approved") != 0 {
		t.Errorf("journal: %+v", p.as.Journal())
	}
	if a := p.submit(decision, "request", ticket, "person", "ada", "decision", "approve"); a.status != http.StatusSeeOther {
		t.Errorf("its own: %d", a.status)
	}
}

// The pages can be used for ten minutes.
func TestConsent_Expires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, nil).browse()
		_, ticket := p.open()
		time.Sleep(10 * time.Minute)
		if a := p.submit(signIn, "request", ticket, "person", "ada"); a.status != http.StatusGone || page(a) != "problem" {
			t.Errorf("late: %d %s", a.status, a.body)
		}
	})
}

// Two servers on one machine have one host for a browser's cookies, and yet do
// not sign people out of each other.
func TestConsent_AtTwoServersInOneBrowser(t *testing.T) {
	first := listen(t, fakeas.Options{}).browse()
	second := listen(t, fakeas.Options{})
	second.client = first.client
	for _, p := range []*peer{first, second} {
		_, ticket := p.open()
		p.submit(signIn, "request", ticket, "person", "ada")
	}
	for _, p := range []*peer{first, second} {
		if a, _ := p.open(); page(a) != "consent" {
			t.Errorf("signed out: %s", page(a))
		}
	}
}
