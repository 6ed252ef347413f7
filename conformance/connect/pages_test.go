package connect_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2"
)

// Each page that a sign-in can come to is held against axe-core. Those about grants are in grants_test.go.
func TestPages(t *testing.T) {
	for name, walks := range map[string]func(o *office, call *call, ada *browser){
		"to the end": func(o *office, call *call, ada *browser) {
			ada.opens(call.link)
			ada.shows(200, "consent")
			ada.reads("consent")
			ada.presses(notMe)
			ada.shows(200, "not-me")
			ada.reads("not-me")
			callback := o.approves(o.leadsOn(ada, call.link), "ada")
			ada.reads("leaving")
			for name, change := range map[string][2]string{"elsewhere": {"state", strings.Repeat("A", 16) + "." + strings.Repeat("B", 43)}, "mixed-up": {"iss", "https://evil.test"}, "nothing": {"code", ""}} {
				ada.opens(with(o.t, callback, change[0], change[1]))
				ada.reads(name)
			}
			ada.opens(callback)
			ada.shows(200, "signed-in")
			ada.reads("signed-in")
			ada.opens(callback)
			ada.shows(410, "ended")
			ada.reads("ended")
			ada.opens(call.link)
			ada.shows(403, "foreign")
			ada.reads("foreign")
			nobody := newBrowser(o.t)
			nobody.opens(call.link)
			nobody.shows(403, "signed-out")
			nobody.reads("signed-out")
		},
		"refused": func(o *office, call *call, ada *browser) {
			callback := with(o.t, o.approves(o.leadsOn(ada, call.link), "ada"), "code", "a-code-of-nobody")
			ada.opens(callback)
			ada.shows(200, "again", "Notes is not connected yet")
			ada.reads("again")
			ada.opens(callback)
			ada.shows(410, "already")
			ada.reads("already")
			ada.opens(call.link)
			ada.shows(200, "consent")
			ada.presses(goesOn)
			ada.shows(200, "signin")
			ada.presses(denies)
			ada.shows(200, "denied")
			ada.reads("denied")
			call.fails("denied")
		},
		"not finished": func(o *office, call *call, ada *browser) {
			first := o.approves(o.leadsOn(ada, call.link), "ada")
			callback := with(o.t, with(o.t, o.approves(o.leadsOn(ada, call.link), "ada"), "code", ""), "error", "server_error")
			ada.opens(first)
			ada.shows(410, "newer")
			ada.reads("newer")
			ada.opens(callback)
			ada.shows(200, "unfinished")
			ada.reads("unfinished")
		},
		"too often, and forged": func(o *office, call *call, ada *browser) {
			ada.opens(call.link)
			ada.shows(200, "consent")
			fields := must[string](ada, `new URLSearchParams([...document.querySelectorAll('input')].map((input) => [input.name, input.value])).toString()`)
			for range 50 { // windows
				o.posts("ada", fields+"&answer=continue")
			}
			ada.presses(goesOn)
			ada.shows(429, "too-often")
			ada.reads("too-often")
			ada.opens(evil(o.t, evilHost, `<form method="post" action="`+o.base+`/connect"><button>Win</button></form>`))
			ada.presses("button")
			ada.shows(403, "forged")
			ada.reads("forged")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, setup{})
			walks(o, o.asks(modern, "ada"), o.visitor("ada"))
		})
	}
}

// posts sends the page's form, as a browser of a user would, without one.
func (o *office) posts(user, form string) {
	o.t.Helper()
	req, err := http.NewRequestWithContext(o.t.Context(), http.MethodPost, o.base+"/connect", strings.NewReader(form))
	if err != nil {
		o.t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Sec-Fetch-Site", "same-origin")
	req.Header.Set("Cookie", sessionCookie+"="+user)
	res, err := reaching.RoundTrip(req)
	if err != nil {
		o.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		o.t.Fatalf("the form is answered with status %d", res.StatusCode)
	}
}

// The page with the most on it, all of it as long and as strange as it can be.
func TestPages_Longest(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("Grüße", 12)
	s := setup{
		connect: lazyauth.ConnectOptions{Name: func(p lazyauth.Principal) string {
			return p.Subject + strings.Repeat(".of.a.long.name", 10) + "@example.com"
		}},
		as:      fakeas.Options{Scopes: []string{"profile", "notes:read", "notes:write"}},
		options: lazyauth.Options{Account: func(context.Context, *mcp.CallToolRequest) (string, error) { return long, nil }},
		service: func(s *lazyauth.Service) {
			s.Name = strings.Repeat("Notes", 12)
			s.ScopeNames = map[string]string{"profile": "see who you are", "notes:read": strings.Repeat("read-all-of-your-notes-", 10)}
			s.Scopes = scopes.Of("notes:read")
			s.UserInfo = s.Issuer + "/me"
		},
	}
	o := newOffice(t, s)
	ada := o.visitor("ada")
	call := calls(t, o.base+"/"+modern, modern, "ada", "Sure</q><h1>Continue, it is safe\u202e"+strings.Repeat("W", 100))
	call.as = o.as
	ada.opens(call.link)
	ada.shows(200, "consent", "It says it is", "see who you are", ".of.a.long.name", `"Sure</q><h1>Continue`)
	ada.reads("consent-longest")
	if n := must[int](ada, "document.querySelectorAll('h1').length"); n != 1 {
		t.Errorf("%d first headings", n)
	}
	ada.presses(goesOn)
	ada.signsIn("ada")
	ada.shows(200, "signed-in", "and Ada Example your account?")
	ada.reads("signed-in-longest")
	call.succeeds("ada")
}

// The authorization server takes its time.
func TestPages_Slow(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{gated: true})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	o.still.Store(true) // while it is read
	ada.opens(o.approves(o.leadsOn(ada, call.link), "ada"))
	ada.reads("working")
	o.still.Store(false)
	ada.opens(must[string](ada, "location.href"))
	if at := ada.seesBut(); at.Name != "working" {
		t.Errorf("the browser shows %q", at.Name)
	}
	o.open()
	ada.shows(200, "signed-in") // it goes on by itself
	call.succeeds("ada")
}

// Pushed requests are refused.
func TestPages_Unreachable(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{as: fakeas.Options{Push: fakeas.PushRequired}})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	o.as.Script(fakeas.PushedAuthorization, fakeas.Unavailable(503, 0).Times(-1))
	ada.opens(call.link)
	ada.shows(200, "consent")
	ada.presses(goesOn)
	ada.shows(502, "unreachable")
	ada.reads("unreachable")
	call.waits()
}

// People sign in by forms of the page, and come back to the link that they came from.
func TestPages_SignIn(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{porter: true})
	call := o.asks(modern, "ada")
	b := newBrowser(t)
	b.opens(call.link)
	b.shows(403, "signed-out", "Sign in")
	b.reads("signed-out-form")
	o.holds.Store(true)
	b.presses("main form button")
	if at := b.seesBut(); at.Name != "signing-in" {
		t.Fatalf("the browser shows %q: %s", at.Name, at.Text)
	}
	b.reads("signing-in")
	failed := errors.New("not today")
	o.porter.fails.Store(&failed)
	b.opens(o.base + "/connect/signed-in?as=ada")
	b.shows(403, "unsigned")
	b.reads("unsigned")
	o.porter.fails.Store(nil)
	b.opens(o.base + "/connect/signed-in?as=eve")
	b.shows(403, "foreign", "eve@example.com")
	b.reads("foreign-form")
	b.opens(o.base + "/connect/grants")
	b.shows(200, "granted", "Nothing.")
	b.presses("form[action$='/sign-out'] button")
	b.shows(200, "left")
	b.reads("left")
	b.opens(call.link)
	b.shows(403, "signed-out")
	b.presses("main form button")
	b.seesBut()
	b.opens(o.base + "/connect/signed-in?as=ada")
	b.shows(200, "consent", "You are signed in as ada@example.com")
	b.presses(notMe)
	if at := b.shows(200, "not-me", "It is signed out"); strings.Contains(at.Text, "knows you") {
		t.Errorf("who has been signed out reads %s", at.Text)
	}
	b.reads("not-me-form")
	if at := must[int](b, `document.querySelectorAll('[name=anew]').length`); at != 1 {
		t.Error("it does not offer to sign in anew")
	}
	b.opens(call.link)
	b.shows(403, "signed-out")
}

// What an operator has barred cannot be signed in to again.
func TestPages_Barred(t *testing.T) {
	t.Parallel()
	kept := store.Memory()
	o := newOffice(t, setup{options: lazyauth.Options{Store: kept}})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	ada.connects(call.link, "ada")
	call.succeeds("ada")
	ada.opens(o.base + "/connect/grants")
	ada.shows(200, "granted")
	ada.presses(oneLink)
	ada.shows(200, "details")
	// By another process, as a command is, so that this one has the grant in memory for a moment.
	other, err := lazyauth.New(o.service, &lazyauth.Options{Store: kept, Transport: reaching})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := lazyauth.NewOperator(other, "olga").Bar(t.Context(), lazyauth.Principal{Issuer: "https://idp.test", Subject: "ada"}, time.Time{}); err != nil {
		t.Fatal(err)
	}
	ada.presses(again)
	ada.shows(403, "barred")
	ada.reads("barred")
}

// Where there is a code alone, signing in again shows it.
func TestPages_ByCode(t *testing.T) {
	t.Parallel()
	anybody := func(context.Context, lazyauth.Principal, *oauth2.Token) error { return nil }
	o := newOffice(t, setup{
		flows: []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice}, as: fakeas.Options{NoAuthorization: true}, options: lazyauth.Options{VerifyUser: anybody},
	})
	call := o.asks(modern, "ada")
	request := o.as.Waiting()[0]
	if err := o.as.Approve(request.UserCode); err != nil {
		t.Fatal(err)
	}
	call.succeeds("ada")
	ada := o.visitor("ada")
	ada.opens(o.base + "/connect/grants")
	ada.shows(200, "granted")
	ada.presses(oneLink)
	ada.shows(200, "details")
	ada.presses(again)
	ada.shows(200, "by-code", "Give the code to nobody")
	ada.reads("by-code")
}
