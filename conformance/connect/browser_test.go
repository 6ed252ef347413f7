package connect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/storage"
	"github.com/chromedp/chromedp"
)

// A browser is somebody's: it has cookies of its own, and one window.
type browser struct {
	t       *testing.T
	tab     context.Context
	context cdp.BrowserContextID
}

// newBrowser opens one, until the test ends.
func newBrowser(t *testing.T) *browser {
	t.Helper()
	return openWindow(t, chromedp.WithNewBrowserContext())
}

// newWindow opens another window of the same browser.
func (b *browser) newWindow() *browser {
	b.t.Helper()
	return openWindow(b.t, chromedp.WithExistingBrowserContext(b.context))
}

func openWindow(t *testing.T, option chromedp.ContextOption) *browser {
	t.Helper()
	tab, cancel := chromedp.NewContext(chromium, option)
	t.Cleanup(cancel)
	// This opens the tab; it may not be bounded, or it would end with the bound.
	if err := chromedp.Do(tab); err != nil {
		t.Fatal(err)
	}
	return &browser{t, tab, chromedp.FromContext(tab).BrowserContextID}
}

// A page is what a browser shows.
type page struct {
	URL, Name, Title, Text string
	Status                 int
}

const see = `(() => {
	if (document.readyState !== 'complete' || document.documentElement.dataset.left || location.href === 'about:blank') return {};
	return {
		URL: location.href, Name: document.body.dataset.page ?? '', Title: document.title, Text: document.body.innerText,
		Status: performance.getEntriesByType('navigation')[0].responseStatus,
	};
})()`

// opens loads an address.
func (b *browser) opens(address string) {
	b.t.Helper()
	b.leaves()
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	if err := chromedp.Do(limited, chromedp.Navigate(address)); err != nil {
		b.t.Fatalf("opening %s: %v", address, err)
	}
}

// leaves marks the page that is open as one that was there before.
func (b *browser) leaves() {
	b.t.Helper()
	evaluate[string](b, "document.documentElement.dataset.left = 'yes'")
}

// evaluate evaluates JavaScript on the page that is open. Between two pages that may come to nothing.
func evaluate[T any](b *browser, script string, options ...chromedp.EvaluateOption) (result T, ok bool) {
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	result, err := chromedp.Run(limited, chromedp.Evaluate[T](script, options...))
	return result, err == nil
}

// must evaluates JavaScript on a page that stays open.
func must[T any](b *browser, script string, options ...chromedp.EvaluateOption) T {
	b.t.Helper()
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	result, err := chromedp.Run(limited, chromedp.Evaluate[T](script, options...))
	if err != nil {
		b.t.Fatalf("%s: %v", script, err)
	}
	return result
}

// sees returns the page that the browser ends up with: one that was not there before, and does not lead on by itself.
func (b *browser) sees() page {
	b.t.Helper()
	return b.seesBut("leaving", "working")
}

// seesBut returns the first page that is not one of these.
func (b *browser) seesBut(passing ...string) page {
	b.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(enough); time.Now().Before(end); <-again.C {
		at, ok := evaluate[page](b, see)
		if ok && at.URL != "" && !slices.Contains(passing, at.Name) {
			return at
		}
	}
	at, _ := evaluate[string](b, "location.href + ' ' + document.documentElement.outerHTML")
	b.t.Fatalf("no page came; the browser is at %s", at)
	return page{}
}

// shows demands that the browser ends up with this page, and with these words on it.
func (b *browser) shows(status int, name string, words ...string) page {
	b.t.Helper()
	at := b.sees()
	if at.Name != name || at.Status != status {
		b.t.Fatalf("the browser shows %q with status %d, want %q with %d: %s %s", at.Name, at.Status, name, status, at.URL, at.Text)
	}
	for _, text := range words {
		if !strings.Contains(at.Text, text) {
			b.t.Errorf("page %q does not say %q: %s", name, text, at.Text)
		}
	}
	return at
}

// presses clicks what a CSS selector names, with the mouse, which has come to rest on it.
func (b *browser) presses(selector string) {
	b.t.Helper()
	x, y := b.pointsAt(selector)
	b.leaves()
	b.clicks(x, y, 1)
}

// pointsAt moves the mouse to what a CSS selector names, and waits until it can be pressed.
func (b *browser) pointsAt(selector string) (x, y float64) {
	b.t.Helper()
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	if err := chromedp.Do(limited, chromedp.ScrollIntoView(chromedp.CSS(selector))); err != nil {
		b.t.Fatalf("looking for %s: %v", selector, err)
	}
	middle := must[[]float64](b, `(() => {
		const box = document.querySelector(`+quoted(selector)+`).getBoundingClientRect();
		return [box.left + box.width / 2, box.top + box.height / 2];
	})()`)
	x, y = middle[0], middle[1]
	at := fmt.Sprintf(`document.querySelector(%s).contains(document.elementFromPoint(%f, %f))`, quoted(selector), x, y)
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for end := time.Now().Add(enough); time.Now().Before(end); <-again.C {
		if err := chromedp.Do(limited, chromedp.MouseEvent(input.DispatchMouseEventTypeMouseMoved, x, y)); err != nil {
			b.t.Fatal(err)
		}
		if must[bool](b, at) {
			return x, y
		}
	}
	b.t.Fatalf("something stands before %s", selector)
	return 0, 0
}

// clicks presses the mouse's button where the mouse is, so often.
func (b *browser) clicks(x, y float64, times int) {
	b.t.Helper()
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	if err := chromedp.Do(limited, chromedp.MouseClickXY(x, y, chromedp.ClickCount(times))); err != nil {
		b.t.Fatal(err)
	}
}

// types enters text into what a CSS selector names.
func (b *browser) types(selector, text string) {
	b.t.Helper()
	limited, done := context.WithTimeout(b.tab, enough)
	defer done()
	if err := chromedp.Do(limited, chromedp.SendKeys(chromedp.CSS(selector), text)); err != nil {
		b.t.Fatalf("typing into %s: %v", selector, err)
	}
}

const (
	goesOn   = "[name=answer][value=continue]"
	notMe    = "[name=answer][value=not-me]"
	approves = "[name=decision][value=approve]"
	denies   = "[name=decision][value=deny]"
)

func account(subject string) string { return "[name=person][value=" + subject + "]" }

// signsIn goes through the pages of the authorization server, as this account, and approves there.
func (b *browser) signsIn(subject string) {
	b.t.Helper()
	b.shows(200, "signin")
	b.presses(account(subject))
	b.shows(200, "consent", "will act for this account")
	b.presses(approves)
}

// connects goes all the way from a link, to the last page.
func (b *browser) connects(link, subject string) {
	b.t.Helper()
	b.opens(link)
	b.shows(200, "consent")
	b.presses(goesOn)
	b.signsIn(subject)
	b.shows(200, "signed-in", "You can close this window")
}

// cookies returns the browser's cookies.
func (b *browser) cookies() []*network.Cookie {
	b.t.Helper()
	got, err := chromedp.CallBrowser(b.tab, storage.GetCookies, storage.GetCookiesParams{BrowserContextID: b.context})
	if err != nil {
		b.t.Fatal(err)
	}
	return got.Cookies
}

// ofAttempts returns those of the connect page's attempts.
func (b *browser) ofAttempts() []*network.Cookie {
	b.t.Helper()
	var all []*network.Cookie
	for _, c := range b.cookies() {
		if strings.HasPrefix(c.Name, "__Host-lazyauth-") {
			all = append(all, c)
		}
	}
	return all
}

// forgets deletes cookies.
func (b *browser) forgets(cookies []*network.Cookie) {
	b.t.Helper()
	for _, c := range cookies {
		if _, err := chromedp.Call(b.tab, network.DeleteCookies, network.DeleteCookiesParams{Name: c.Name, Domain: c.Domain, Path: c.Path}); err != nil {
			b.t.Fatal(err)
		}
	}
}

// with returns an address with a parameter of another value; "" leaves it out.
func with(t *testing.T, address, name, value string) string {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// quoted returns a text as JavaScript has it.
func quoted(text string) string {
	out, err := json.Marshal(text)
	if err != nil {
		panic(err) // a string can be encoded
	}
	return string(out)
}
