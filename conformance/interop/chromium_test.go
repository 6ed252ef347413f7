package interop_test

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	pausing "github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// chromium is one headless Chromium for all tests, started by the first that needs it. What
// people must not share, cookies above all, is in the browser context that each has.
var chromium struct {
	once sync.Once
	ctx  context.Context
	end  func() error
	err  error
}

// chromiumName is Debian's.
const chromiumName = "chromium"

// hasChromium reports whether there is one.
func hasChromium() error {
	if _, err := exec.LookPath(chromiumName); err != nil {
		return fmt.Errorf("Chromium is needed, in PATH as %s: %w", chromiumName, err)
	}
	return nil
}

// startChromium starts it with a profile in a folder of its own. It reaches this machine and
// nothing else: oidc-provider's pages have a font elsewhere, and Chromium has its maker.
func startChromium() (context.Context, error) {
	c := &chromium
	c.once.Do(func() {
		var dir string
		if dir, c.err = os.MkdirTemp("", "chromium"); c.err != nil {
			return
		}
		ctx, stop := chromedp.NewExecAllocator(context.Background(), append(chromedp.DefaultExecAllocatorOptions[:],
			chromedp.ExecPath(chromiumName),
			chromedp.UserDataDir(filepath.Join(dir, "profile")),
			chromedp.Env("HOME="+dir),
			chromedp.NoSandbox, // Chromium has none for root, and opens nothing here but the tests' own pages
			chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost"),
			chromedp.Flag("no-proxy-server", true),
		)...)
		ctx, cancel := chromedp.NewContext(ctx)
		c.ctx = ctx
		c.end = func() error {
			limited, done := context.WithTimeout(ctx, grace)
			defer done()
			err := chromedp.Cancel(limited)
			cancel()
			stop() // waits until the process is gone
			return errors.Join(err, os.RemoveAll(dir))
		}
		c.err = chromedp.Do(ctx)
	})
	return c.ctx, c.err
}

// endChromium ends it, if it was started.
func endChromium() error {
	if chromium.end == nil {
		return nil
	}
	return chromium.end()
}

// A look is how the pages of an authorization server are recognised, and where a person
// clicks. All are CSS selectors.
type look struct {
	ready                  string // a page whose script has run
	name, password, signIn string
	consent                string // only the consent page has it
	allow, deny            string
	scopes                 string
	lost                   string // what the path ends in of a page that leads nowhere
}

var (
	providerLook = look{
		ready: "body", name: "[name=login]", password: "[name=password]", signIn: "[type=submit]",
		consent: "[name=prompt][value=consent]", allow: "[type=submit]", deny: ".login-help a", scopes: "ul ul li",
	}
	betterAuthLook = look{
		ready: "[data-ready]", name: "[name=email]", password: "[name=password]", signIn: "button",
		consent: "#consent", allow: "[value=yes]", deny: "[value=no]", scopes: "#scopes li", lost: "/error",
	}
)

// A surfer is a browser with script: a tab of Chromium with cookies of its own, and the hands
// of a person.
type surfer struct {
	*person
	look    look
	account string // what is typed to sign in
	tab     context.Context
	close   func()
	caught  chan *pausing.EventRequestPaused
	held    *pausing.EventRequestPaused // caught, and neither loaded nor given up
}

// newSurfer gives a person a tab, until the test ends.
func newSurfer(t *testing.T, p *person, account string, l look) *surfer {
	t.Helper()
	s := &surfer{person: p, look: l, account: account}
	s.open(t)
	t.Cleanup(func() { s.close() })
	return s
}

// open opens the tab.
func (s *surfer) open(t *testing.T) {
	t.Helper()
	browser, err := startChromium()
	if err != nil {
		t.Fatal(err)
	}
	s.tab, s.close = chromedp.NewContext(browser, chromedp.WithNewBrowserContext())
	s.caught, s.held = make(chan *pausing.EventRequestPaused, 1), nil
	// This opens the tab; it may not be bounded, or it would end with the bound.
	if err := chromedp.Do(s.tab); err != nil {
		t.Fatal(err)
	}
	paused := make(chan *pausing.EventRequestPaused, 100)
	err = chromedp.Listen(s.tab, func(event any) {
		if e, ok := event.(*pausing.EventRequestPaused); ok {
			paused <- e
		}
	})
	if err == nil {
		_, err = chromedp.Call(s.tab, pausing.Enable, pausing.EnableParams{Patterns: []*pausing.RequestPattern{
			{ResourceType: network.ResourceTypeDocument, RequestStage: pausing.RequestStageRequest},
		}})
	}
	if err != nil {
		t.Fatal(err)
	}
	go s.watch(s.tab, paused)
}

// watch lets pages load, but for an answer to an authorization request. It ends with the tab.
func (s *surfer) watch(tab context.Context, paused <-chan *pausing.EventRequestPaused) {
	for {
		select {
		case e := <-paused:
			if u, err := url.Parse(e.Request.URL); err == nil && answers(u) {
				select {
				case s.caught <- e:
					continue
				default: // one too many; it is loaded, and the test will see that
				}
			}
			// It fails for a request that is no more, which nobody waits for.
			_, _ = chromedp.Call(tab, pausing.ContinueRequest, pausing.ContinueRequestParams{RequestID: e.RequestID})
		case <-tab.Done():
			return
		}
	}
}

// bounded returns the tab's context, which ends with ctx too.
func (s *surfer) bounded(ctx context.Context) (context.Context, func()) {
	tab, cancel := context.WithTimeout(s.tab, patience)
	stop := context.AfterFunc(ctx, cancel)
	return tab, func() { stop(); cancel() }
}

// walk does so in Chromium.
func (s *surfer) walk(ctx context.Context, address string, v verdict) (*url.URL, error) {
	tab, done := s.bounded(ctx)
	defer done()
	if err := s.giveUp(tab); err != nil {
		return nil, err
	}
	// Neither a navigation nor a click comes to an end whose request is caught, so both are
	// done beside the wait for that.
	driven, gone := make(chan error, 1), false
	go func() {
		var err error
		gone, err = s.drive(tab, address, v)
		driven <- err
	}()
	select {
	case s.held = <-s.caught:
		done()
		<-driven
		return url.Parse(s.held.Request.URL)
	case err := <-driven:
		if err == nil && !gone {
			err = context.Cause(tab)
		}
		if err != nil {
			limited, cancel := context.WithTimeout(s.tab, time.Second)
			at, _ := chromedp.Run(limited, chromedp.Location()) // for the error alone
			cancel()
			err = fmt.Errorf("still at %s: %w", at, err)
		}
		return nil, err
	}
}

// drive opens an address and does what there is to do, until the person has gone away or the
// tab's time is over.
func (s *surfer) drive(tab context.Context, address string, v verdict) (gone bool, err error) {
	if err := chromedp.Do(tab, chromedp.Navigate(address)); err != nil {
		return false, err
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		select {
		case <-again.C:
			if gone, err := s.act(tab, v); err != nil || gone {
				return gone, err
			}
		case <-tab.Done():
			return false, nil
		}
	}
}

// act does the next thing on the page that is open, once, and reports whether the person has
// gone away. On a page that is no more, or not yet there, it does nothing.
func (s *surfer) act(tab context.Context, v verdict) (gone bool, err error) {
	const see = `(() => {
		const l = %s, page = document.documentElement;
		if (l.lost && location.pathname.endsWith(l.lost)) return 'lost: ' + document.body.innerText;
		if (document.readyState !== 'complete' || !document.querySelector(l.ready) || page.dataset.done) return '';
		const alert = document.querySelector('[role=alert]')?.textContent;
		if (alert) return 'alert: ' + alert;
		const what = document.querySelector(l.consent) ? 'consent' : document.querySelector(l.name) ? 'signin' : '';
		if (what) page.dataset.done = 'yes';
		return what;
	})()`
	what, err := chromedp.Run(tab, chromedp.Evaluate[string](fmt.Sprintf(see, s.look.script())))
	switch {
	case err != nil:
		return false, nil //nolint:nilerr // the page has just been replaced; walk is bounded
	case what == "":
		return false, nil
	case v == abandons:
		return true, nil
	case what == "signin":
		return false, chromedp.Do(tab,
			chromedp.SetValue(chromedp.CSS(s.look.name), s.account),
			chromedp.SetValue(chromedp.CSS(s.look.password), "any will do"),
			chromedp.Click(chromedp.CSS(s.look.signIn)))
	case what == "consent" && v == denies:
		return false, chromedp.Do(tab, chromedp.Click(chromedp.CSS(s.look.deny)))
	case what == "consent":
		asked, err := chromedp.Run(tab, chromedp.Evaluate[[]string](fmt.Sprintf(
			`[...document.querySelectorAll(%q)].map((item) => item.textContent.trim())`, s.look.scopes)))
		if err != nil {
			return false, err
		}
		s.consented = append(s.consented, asked...)
		return false, chromedp.Do(tab, chromedp.Click(chromedp.CSS(s.look.allow)))
	default:
		return false, errors.New(what)
	}
}

// script returns the part of the look that is looked for, as JavaScript.
func (l look) script() string {
	return fmt.Sprintf("{ready: %q, consent: %q, name: %q, lost: %q}", l.ready, l.consent, l.name, l.lost)
}

// load does so. What was caught goes on as the redirect that it is, and not as an address that
// somebody typed: cookies tell the two apart.
func (s *surfer) load(ctx context.Context, address *url.URL) (*page, error) {
	tab, done := s.bounded(ctx)
	defer done()
	held := s.held
	s.held = nil
	response, err := chromedp.RunResponse(tab, func(ctx context.Context, t *chromedp.Target) (chromedp.Void, error) {
		if held == nil {
			return chromedp.Navigate(address.String())(ctx, t)
		}
		_, err := chromedp.Call(ctx, pausing.ContinueRequest, pausing.ContinueRequestParams{RequestID: held.RequestID, URL: address.String()})
		return chromedp.Void{}, err
	})
	if err != nil {
		return nil, err
	}
	title, err1 := chromedp.Run(tab, chromedp.Title())
	shown, err2 := chromedp.Run(tab, chromedp.Evaluate[string]("document.body.innerText"))
	at, err3 := chromedp.Run(tab, chromedp.Location())
	u, err4 := url.Parse(at)
	return &page{url: u, status: int(response.Status), title: title, text: strings.Join(strings.Fields(shown), " ")}, errors.Join(err1, err2, err3, err4)
}

// giveUp ends what was caught and never loaded.
func (s *surfer) giveUp(tab context.Context) error {
	held := s.held
	if s.held = nil; held == nil {
		return nil
	}
	_, err := chromedp.Call(tab, pausing.FailRequest, pausing.FailRequestParams{RequestID: held.RequestID, ErrorReason: network.ErrorReasonAborted})
	return err
}
