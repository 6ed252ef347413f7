package interop_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

// at opens a page of the server's and demands that it is this one.
func (c *caller) at(p *person, address, name string, status int) *page {
	c.Helper()
	at, err := p.open(c.ctx, address)
	if err != nil {
		c.Fatal(err)
	}
	c.is(at, name, status)
	return at
}

func (c *caller) is(at *page, name string, status int) {
	c.Helper()
	if at.name != name || at.status != status {
		c.Fatalf("the browser shows %q with %d, want %q with %d: %s", at.name, at.status, name, status, at.text)
	}
}

// goes sends the form of a page, goes where that leads, approves there, and comes back to the page at the end.
func (c *caller) goes(p *person, at *page, answer string) *page {
	c.Helper()
	left, err := p.submit(c.ctx, at, url.Values{"answer": {answer}})
	if err != nil {
		c.Fatal(err)
	}
	if left.status != http.StatusOK || !strings.HasPrefix(left.button, c.endpoint.Authorization) {
		c.Fatalf("%q leads to %q", left.name, left.button)
	}
	back, err := p.walk(c.ctx, left.button, approves)
	if err != nil {
		c.Fatal(err)
	}
	landed, err := p.load(c.ctx, back)
	if err != nil {
		c.Fatal(err)
	}
	return landed
}

// passes has a person whose browser nobody is signed in at go all the way from the link.
func (c *caller) passes(p *person) {
	c.Helper()
	consent := c.goes(p, c.at(p, c.link, "signed-out", http.StatusForbidden), "")
	c.is(consent, "consent", http.StatusOK)
	if consent.url.String() != c.link {
		c.Errorf("back at %s", consent.url)
	}
	c.is(c.goes(p, consent, "continue"), "signed-in", http.StatusOK)
	c.succeeds()
}

// The issuer of the bearer token signs the person in at the connect page, and the held call goes on. Somebody else's
// browser with that link does not get past it, signed in or not.
func TestSignIn_AtTheIssuerOfTheBearer(t *testing.T) {
	for _, era := range []era{legacy, modern} {
		t.Run(string(era), func(t *testing.T) {
			t.Parallel()
			e, err := newEntrance(t, world.as, era, oidcsignin.BySubject())
			if err != nil {
				t.Fatal(err)
			}
			ada, eve := newPerson("ada-of-"+string(era)), newPerson("eve-of-"+string(era))
			c := e.calls(ada, era)
			foreign := c.goes(eve, c.at(eve, c.link, "signed-out", http.StatusForbidden), "")
			c.is(foreign, "foreign", http.StatusForbidden)
			if !strings.Contains(foreign.text, eve.name) || strings.Contains(foreign.text, ada.name) || strings.Contains(foreign.text, "Notes") {
				t.Errorf("eve reads %q", foreign.text)
			}
			c.waits()
			ada.changeBrowser() // where nobody is signed in to anything
			c.passes(ada)
		})
	}
}

// The same in Chromium, at an authorization server that is another site to it, and that takes pushed requests alone: its
// cookies, its answer to form-action, and what it says of where forms come from.
func TestSignIn_InChromium(t *testing.T) {
	t.Parallel()
	e, err := newEntrance(t, world.strict, modern, oidcsignin.BySubject())
	if err != nil {
		t.Fatal(err)
	}
	ada := newPerson("ada-in-chromium")
	c := e.calls(ada, modern)
	tab := newSurfer(t, newPerson(ada.name), ada.name, providerLook)
	loads := func(address *url.URL) *page {
		t.Helper()
		at, err := tab.load(c.ctx, address)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	link, err := url.Parse(c.link)
	if err != nil {
		t.Fatal(err)
	}
	c.is(loads(link), "signed-out", http.StatusForbidden)
	for _, step := range []struct{ button, page string }{{"form button", "consent"}, {"[value=continue]", "signed-in"}} {
		back, err := tab.presses(c.ctx, step.button, approves)
		if err != nil {
			t.Fatal(err)
		}
		c.is(loads(back), step.page, http.StatusOK)
	}
	c.succeeds()
}

// An attacker's browser session in the victim's browser: the page says whose it is, "not me" ends it, and the issuer asks
// who is there although it knows the browser.
func TestSignIn_NotMe(t *testing.T) {
	t.Parallel()
	e, err := newEntrance(t, world.as, modern, oidcsignin.BySubject())
	if err != nil {
		t.Fatal(err)
	}
	attacker := newPerson("eve-the-attacker")
	c := e.calls(attacker, modern)
	victim := *attacker // the attacker has signed this browser in, here and at the issuer
	consent := c.goes(&victim, c.at(&victim, c.link, "signed-out", http.StatusForbidden), "")
	c.is(consent, "consent", http.StatusOK)
	if !strings.Contains(consent.text, "You are signed in as "+attacker.name) {
		t.Errorf("the page does not say as whom: %s", consent.text)
	}
	no, err := victim.submit(c.ctx, consent, url.Values{"answer": {"not-me"}})
	if err != nil {
		t.Fatal(err)
	}
	c.is(no, "not-me", http.StatusOK)
	victim.name = "ada-the-victim" // who types her own name where she is asked
	foreign := c.goes(&victim, no, "")
	c.is(foreign, "foreign", http.StatusForbidden)
	if !strings.Contains(foreign.text, victim.name) {
		t.Errorf("the browser is still somebody else's: %s", foreign.text)
	}
	c.waits()
}

// The person says no at the issuer, and tries again.
func TestSignIn_Denied(t *testing.T) {
	t.Parallel()
	e, err := newEntrance(t, world.as, modern, oidcsignin.BySubject())
	if err != nil {
		t.Fatal(err)
	}
	ada := newPerson("ada-who-hesitates")
	c := e.calls(ada, modern)
	left, err := ada.submit(c.ctx, c.at(ada, c.link, "signed-out", http.StatusForbidden), nil)
	if err != nil {
		t.Fatal(err)
	}
	back, err := ada.walk(c.ctx, left.button, denies)
	if err != nil {
		t.Fatal(err)
	}
	unsigned, err := ada.load(c.ctx, back)
	if err != nil {
		t.Fatal(err)
	}
	c.is(unsigned, "unsigned", http.StatusForbidden)
	if again, err := ada.load(c.ctx, back); err != nil || again.name != "elsewhere" {
		t.Errorf("the same answer once more: %v, %v", again, err)
	}
	consent := c.goes(ada, unsigned, "")
	c.is(consent, "consent", http.StatusOK)
	c.is(c.goes(ada, consent, "continue"), "signed-in", http.StatusOK)
	c.succeeds()
}

// Pairwise subjects: the bearer token's is never that of the sign-in, which is said when the server starts. Another claim,
// which the UserInfo endpoint has and not the ID token, makes them one person.
func TestSignIn_PairwiseSubjects(t *testing.T) {
	t.Parallel()
	if _, err := newEntrance(t, world.apart, modern, oidcsignin.BySubject()); err == nil || !strings.Contains(err.Error(), "another subject for the same person") {
		t.Errorf("compared by subject: %v", err)
	}
	e, err := newEntrance(t, world.apart, modern, oidcsignin.ByClaim("employee_id"))
	if err != nil {
		t.Fatal(err)
	}
	ada, eve := newPerson("ada-apart"), newPerson("eve-apart")
	c := e.calls(ada, modern)
	c.is(c.goes(eve, c.at(eve, c.link, "signed-out", http.StatusForbidden), ""), "foreign", http.StatusForbidden)
	ada.changeBrowser()
	c.passes(ada)

	// Without the check, everybody would be shown somebody else's page: that it says so is no empty caution.
	bold, err := newEntrance(t, world.apart, modern, oidcsignin.By("the subject all the same", func(c oidcsignin.Claims) (lazyauth.Principal, error) {
		return lazyauth.Principal{Issuer: c.Text("iss"), Subject: c.Text("sub")}, nil
	}))
	if err != nil {
		t.Fatal(err)
	}
	c = bold.calls(ada, modern)
	c.is(c.goes(ada, c.at(ada, c.link, "signed-out", http.StatusForbidden), ""), "foreign", http.StatusForbidden)
	c.waits()
}
