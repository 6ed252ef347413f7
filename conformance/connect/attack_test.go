package connect_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	frames "github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"
)

// evil is an attacker's site: it answers every request with this page.
func evil(t *testing.T, name, html string) string {
	t.Helper()
	return serves(t, name, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprintf(w, `<!doctype html><html lang="en"><title>Win</title><body data-page="evil">%s`, html)
	}))
}

// An attacker who signs the victim's browser in to the attacker's account, from a site of theirs, and sends the
// attacker's link. The page says whose account it is, in a heading, and the way out is as prominent as the way on.
func TestLoginCSRF(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "eve") // the attacker's
	victim := o.visitor("ada")
	victim.opens(evil(t, evilHost, `<script>location = `+quoted(o.base+"/sign-in?user=eve")+`</script>`))
	victim.seesBut("evil")
	victim.opens(call.link)
	victim.shows(200, "consent", "Connect Notes for eve?", "You are signed in as eve", "eve will be able to use what you connect", "If that is not you", "I am not eve")
	type look struct {
		Width, Height, Top                         float64
		Text, Color, Ground, Font, Weight, Opacity string
	}
	looks := must[[]look](victim, `[...document.querySelectorAll('button')].map((button) => {
		const box = button.getBoundingClientRect(), style = getComputedStyle(button);
		return { Width: box.width, Height: box.height, Top: box.top, Text: button.innerText, Color: style.color, Ground: style.backgroundColor, Font: style.fontSize, Weight: style.fontWeight, Opacity: style.opacity };
	})`)
	if len(looks) != 2 || !strings.HasPrefix(looks[0].Text, "I am not eve") {
		t.Fatalf("the buttons are %+v", looks)
	}
	out, on := looks[0], looks[1]
	if on.Text, out.Text = "", ""; out != on {
		t.Errorf("the way out looks otherwise than the way on: %+v and %+v", out, on)
	}
	victim.presses(notMe)
	victim.shows(200, "not-me", "Nothing was connected", "as eve")
	if n := len(victim.ofAttempts()); n != 0 {
		t.Errorf("%d cookies", n)
	}
	call.waits()
}

// An attacker's site has the victim click twice, and takes itself away after the first click, so that the second one
// finds the page (DoubleClickjacking), in which the victim is signed in to the attacker's account. It does nothing;
// a mouse that rests there for a moment can press what it likes.
func TestSecondClick(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "eve")
	victim := o.visitor("eve")
	if err := chromedp.Do(victim.tab, chromedp.EmulateViewport(1000, 1000)); err != nil {
		t.Fatal(err)
	}
	victim.opens(call.link)
	victim.shows(200, "consent")
	middle := must[[]float64](victim, `(() => {
		const box = document.querySelector(`+quoted(goesOn)+`).getBoundingClientRect();
		return [box.left + box.width / 2, box.top + box.height / 2];
	})()`)
	for range 3 { // it was another window's until now, where the mouse was
		victim.clicks(middle[0], middle[1], 1)
		if at := victim.seesBut(); at.Name != "consent" {
			t.Fatalf("the click led to %q", at.Name)
		}
		if err := chromedp.Do(victim.tab, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if n := len(victim.ofAttempts()); n != 0 {
		t.Errorf("%d cookies", n)
	}
	call.waits()
	victim.presses(goesOn)
	victim.shows(200, "signin")
}

// Another site has the browser send the form of the page. The strongest attacker knows all that is in it.
func TestForgedForm(t *testing.T) {
	for name, from := range map[string]string{
		"from another site":                evilHost,
		"from another port of the machine": mcpHost, // the same site, with which the session's cookie is sent
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, setup{})
			call := o.asks(modern, "ada")
			victim := o.visitor("ada")
			victim.opens(call.link)
			victim.shows(200, "consent")
			fields := must[string](victim, `[...document.querySelectorAll('input')].map((input) => input.outerHTML).join('')`)
			if !strings.Contains(fields, `name="token"`) {
				t.Fatalf("the form has %s", fields)
			}
			victim.opens(evil(t, from, `<form method="post" action="`+o.base+`/connect">`+fields+`<input name="answer" value="continue"><button>Win a prize</button></form>`))
			victim.shows(200, "evil")
			victim.presses("button")
			victim.shows(403, "forged")
			if n := len(victim.ofAttempts()); n != 0 {
				t.Errorf("%d cookies", n)
			}
			call.waits()
			victim.connects(call.link, "ada")
			call.succeeds("ada")
		})
	}
}

// framed returns what the frames of the page that is open show of an origin, be it in this process of Chromium or in
// another one.
func (b *browser) framed(origin string) (shown []string) {
	b.t.Helper()
	tree, err := chromedp.Call(b.tab, frames.GetFrameTree, cdp.Empty{})
	if err != nil {
		b.t.Fatal(err)
	}
	for _, frame := range tree.FrameTree.ChildFrames {
		shown = append(shown, frame.Frame.URL)
	}
	targets, err := chromedp.Targets(b.tab)
	if err != nil {
		b.t.Fatal(err)
	}
	for _, target := range targets {
		if target.Type != "iframe" || !strings.HasPrefix(target.URL, origin) {
			continue
		}
		frame, cancel := chromedp.NewContext(b.tab, chromedp.WithTargetID(target.TargetID), chromedp.WithDetachOnCancel()) // its URL is what was to be shown
		at, err := chromedp.Run(frame, chromedp.Evaluate[string]("location.href"))
		cancel()
		if err != nil {
			b.t.Fatal(err)
		}
		shown = append(shown, at)
	}
	return slices.DeleteFunc(shown, func(address string) bool { return !strings.HasPrefix(address, origin) })
}

// No page of it is shown in another site's frame, or in one of its own.
func TestFramed(t *testing.T) {
	for name, from := range map[string]string{"by another site": evilHost, "by another port of the machine": mcpHost} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, setup{})
			call := o.asks(modern, "ada")
			victim := o.visitor("ada")
			for _, address := range []string{call.link, o.base + "/connect", o.base + "/connect/callback/x", o.base + "/connect/done"} {
				victim.opens(evil(t, from, `<iframe src="`+address+`"></iframe>`))
				victim.shows(200, "evil")
				if shown := victim.framed(o.base); len(shown) > 0 {
					t.Errorf("a frame shows %q", shown)
				}
			}
			victim.opens(evil(t, from, `<iframe src="`+o.base+`/sign-in?user=ada"></iframe>`)) // which can be framed
			victim.shows(200, "evil")
			if shown := victim.framed(o.base); len(shown) != 1 {
				t.Errorf("what can be framed is not seen: %q", shown)
			}
			call.waits()
		})
	}
}

// What looks at links before people do uses nothing up: mail scanners, and a site that has the browser load them ahead
// of time.
func TestLookedAtAheadOfTime(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	for _, method := range []string{http.MethodGet, http.MethodHead} {
		for _, cookie := range []string{"", sessionCookie + "=ada"} {
			req, err := http.NewRequestWithContext(t.Context(), method, call.link, nil)
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Cookie", cookie)
			res, err := reaching.RoundTrip(req)
			if err != nil {
				t.Fatal(err)
			}
			res.Body.Close()
			if want := map[string]int{"": 403, sessionCookie + "=ada": 200}[cookie]; res.StatusCode != want || len(res.Header["Set-Cookie"])+len(res.Header["Location"])+len(res.Header["Refresh"]) > 0 {
				t.Errorf("%s with %q: status %d, %v", method, cookie, res.StatusCode, res.Header)
			}
		}
	}
	// Of the same site, so that the browser's cookies go with it.
	ada.opens(evil(t, mcpHost, `<link rel="prefetch" href="`+call.link+`"><link rel="prerender" href="`+call.link+`"><img alt="" src="`+call.link+`">
		<script type="speculationrules">{"prerender": [{"urls": [`+quoted(call.link)+`]}], "prefetch": [{"urls": [`+quoted(call.link)+`]}]}</script>`))
	ada.shows(200, "evil")
	if n := len(ada.ofAttempts()); n != 0 {
		t.Errorf("%d cookies", n)
	}
	call.waits()
	ada.connects(call.link, "ada")
	call.succeeds("ada")
}

// Somebody else's browser that has the link learns nothing, and cannot be told from one with a link of nobody's.
func TestSomebodyElsesBrowser(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{})
	call := o.asks(modern, "ada")
	eve := o.visitor("eve")
	eve.opens(call.link)
	foreign := eve.shows(403, "foreign", "not for eve")
	eve.opens(with(t, call.link, "f", "AAAAAAAAAAAAAAAAAAAAAA"))
	unknown := eve.shows(403, "foreign")
	if strings.Contains(foreign.Text, "ada") || strings.Contains(foreign.Text, "Notes") || foreign.Text != unknown.Text || foreign.Title != unknown.Title {
		t.Errorf("eve reads %q, and of an unknown link %q", foreign.Text, unknown.Text)
	}
	call.waits()
	ada := o.visitor("ada")
	ada.connects(call.link, "ada")
	call.succeeds("ada")
	ada.opens(call.link)
	if over := ada.shows(403, "foreign"); strings.ReplaceAll(over.Text, "ada", "eve") != foreign.Text {
		t.Errorf("of a link that has ended ada reads %q", over.Text)
	}
}
