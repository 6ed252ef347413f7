package connect_test

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// The answer counts in the browser and for the person that began the attempt, as it was given, once. Whatever else a
// browser brings, the call waits on, no code is presented, and the person can still go on.
func TestCallback(t *testing.T) {
	for name, brings := range map[string]func(o *office, ada *browser, callback string){
		"without its cookie": func(_ *office, ada *browser, callback string) {
			ada.forgets(ada.ofAttempts())
			ada.opens(callback)
			ada.shows(403, "elsewhere", "another browser")
		},
		"with the cookie of another attempt": func(o *office, ada *browser, callback string) {
			ada.forgets(ada.ofAttempts())
			o.leadsOn(ada, o.link)
			if n := len(ada.ofAttempts()); n != 1 {
				o.t.Fatalf("%d cookies of attempts", n)
			}
			ada.opens(callback)
			ada.shows(403, "elsewhere")
		},
		"in another browser of the same person": func(o *office, _ *browser, callback string) {
			b := o.visitor("ada")
			b.opens(callback)
			b.shows(403, "elsewhere", "another browser")
		},
		"in somebody else's browser": func(o *office, _ *browser, callback string) {
			b := o.visitor("eve")
			b.opens(callback)
			b.shows(403, "elsewhere")
		},
		"after somebody else has signed in": func(o *office, ada *browser, callback string) {
			o.hasSignedIn(ada, "eve")
			ada.opens(callback)
			ada.shows(403, "foreign", "not for eve")
			o.hasSignedIn(ada, "ada")
		},
		"from another issuer": func(o *office, ada *browser, callback string) {
			ada.opens(with(o.t, callback, "iss", "https://evil.test"))
			ada.shows(400, "mixed-up", "did not come from the server that you were sent to")
		},
		"from no issuer": func(o *office, ada *browser, callback string) {
			ada.opens(with(o.t, callback, "iss", ""))
			ada.shows(400, "mixed-up")
		},
		"with another state": func(o *office, ada *browser, callback string) {
			u, err := url.Parse(callback)
			if err != nil {
				o.t.Fatal(err)
			}
			ada.opens(with(o.t, callback, "state", u.Query().Get("state")[:17]+strings.Repeat("A", 43)))
			ada.shows(403, "elsewhere")
		},
		"in a frame": func(o *office, ada *browser, callback string) {
			ada.opens(evil(o.t, mcpHost, `<iframe src="`+strings.ReplaceAll(callback, "&", "&amp;")+`"></iframe>`))
			ada.shows(200, "evil")
		},
		"as a picture": func(o *office, ada *browser, callback string) {
			ada.opens(evil(o.t, mcpHost, `<img alt="" src="`+strings.ReplaceAll(callback, "&", "&amp;")+`">`))
			ada.shows(200, "evil")
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, setup{})
			call := o.asks(modern, "ada")
			ada := o.visitor("ada")
			o.link = call.link
			callback := o.approves(o.leadsOn(ada, call.link), "ada")
			brings(o, ada, callback)
			call.waits()
			if len(ada.ofAttempts()) == 0 || name == "with the cookie of another attempt" {
				ada.connects(call.link, "ada")
			} else {
				ada.opens(callback)
				ada.shows(200, "signed-in")
			}
			call.succeeds("ada")
		})
	}
}

// An answer that was accepted is of no use again, in any browser.
func TestCallbackReplayed(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(legacy, "ada")
	ada := o.visitor("ada")
	callback := o.approves(o.leadsOn(ada, call.link), "ada")
	ada.opens(callback)
	if at := ada.shows(200, "signed-in"); strings.Contains(at.URL, "code=") || strings.Contains(at.URL, "state=") {
		t.Errorf("the last page is at %s", at.URL)
	}
	call.succeeds("ada")
	ada.opens(callback)
	ada.shows(410, "ended")
	other := o.visitor("ada")
	other.opens(callback)
	other.shows(403, "elsewhere")
	if n := o.as.Count(fakeas.Exchange, ""); n != 1 {
		t.Errorf("%d codes were presented", n)
	}
}

// Two windows, of which the older one is finished first.
func TestTwoWindows(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	first := o.approves(o.leadsOn(ada, call.link), "ada")
	window := ada.newWindow()
	second := o.approves(o.leadsOn(window, call.link), "ada")
	ada.opens(first)
	ada.shows(410, "newer", "in the newest one")
	call.waits()
	window.opens(second)
	window.shows(200, "signed-in")
	call.succeeds("ada")
	ada.opens(call.link)
	ada.shows(403, "foreign")
}

// A person who clicks twice sends the form twice. The second click finds the page on which the first one was made.
func TestPressedTwice(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	ada.opens(call.link)
	ada.shows(200, "consent")
	x, y := ada.pointsAt(goesOn)
	came, answer := o.slowsForms()
	ada.leaves()
	for click := range 2 {
		ada.clicks(x, y, click+1)
		select {
		case <-came:
		case <-time.After(enough):
			t.Fatalf("the form was sent %d times", click)
		}
	}
	answer()
	ada.signsIn("ada")
	ada.shows(200, "signed-in")
	call.succeeds("ada")
}

// The attacker goes on from the page herself, and has the victim sign in where that leads (the ConsentFix of the
// redirect). The victim's browser comes back without the attacker's cookie. What it would take to finish, the code, is
// not in the address that the victim could be talked into copying, nor a step back.
func TestAuthorizationRelayed(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "eve")
	authorization := o.leadsOn(o.visitor("eve"), call.link)
	for _, user := range []string{"ada", ""} {
		victim := o.visitor(user)
		victim.opens(authorization)
		victim.signsIn("ada")
		at := victim.shows(403, "elsewhere", "Do not copy", "into your account")
		history, err := chromedp.Run(victim.tab, chromedp.NavigationEntries())
		if err != nil {
			t.Fatal(err)
		}
		for _, entry := range history.Entries {
			if strings.Contains(entry.URL, "code=") {
				t.Errorf("the code is in the history: %s", entry.URL)
			}
		}
		if strings.Contains(at.URL, "code=") {
			t.Errorf("the code is in the address: %s", at.URL)
		}
	}
	call.waits()
}
