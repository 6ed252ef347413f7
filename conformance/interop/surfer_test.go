package interop_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pausing "github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// A look is how the pages of an authorization server are recognised, and where a person
// clicks. All are CSS selectors.
type look struct {
	Ready                  string // a page whose script has run
	Name, Password, SignIn string
	Consent                string // only the consent page has it
	Allow, Deny            string
	Scopes                 string
	Lost                   string // what the path ends in of a page that leads nowhere
}

var (
	providerLook = look{
		Ready: "body", Name: "[name=login]", Password: "[name=password]", SignIn: "[type=submit]",
		Consent: "[name=prompt][value=consent]", Allow: "[type=submit]", Deny: ".login-help a", Scopes: "ul > ul > li",
	}
	betterAuthLook = look{
		Ready: "[data-ready]", Name: "[name=email]", Password: "[name=password]", SignIn: "button",
		Consent: "#consent", Allow: "[value=yes]", Deny: "[value=no]", Scopes: "#scopes li", Lost: "/error",
	}
)

// A surfer is a browser with script: a tab of Chromium with cookies of its own.
type surfer struct {
	*person
	look    look
	account string // what is typed to sign in
	tab     context.Context
	close   func()
	walks   atomic.Bool // answers are caught, and not loaded
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
			if u, err := url.Parse(e.Request.URL); err == nil && answers(u) && s.walks.CompareAndSwap(true, false) {
				s.caught <- e // there is room: it is emptied before there is another walk
				continue
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
	return s.walkFrom(ctx, func(tab context.Context) error { return chromedp.Do(tab, chromedp.Navigate(address)) }, v)
}

// presses clicks on what a selector finds on the page that is open, and walks on from there.
func (s *surfer) presses(ctx context.Context, selector string, v verdict) (*url.URL, error) {
	return s.walkFrom(ctx, func(tab context.Context) error { return chromedp.Do(tab, chromedp.Click(selector)) }, v)
}

func (s *surfer) walkFrom(ctx context.Context, start func(tab context.Context) error, v verdict) (*url.URL, error) {
	tab, done := s.bounded(ctx)
	defer done()
	s.giveUp(tab)
	s.walks.Store(true)
	// Neither a navigation nor a click comes to an end whose request is caught, so both are
	// done beside the wait for that.
	driven, gone := make(chan error, 1), false
	go func() {
		var err error
		gone, err = s.drive(tab, start, v)
		driven <- err
	}()
	select {
	case s.held = <-s.caught:
		done()
		<-driven
		return url.Parse(s.held.Request.URL)
	case err := <-driven:
		if !s.walks.CompareAndSwap(true, false) {
			s.held = <-s.caught // just now; it is given up by whoever walks next
		}
		if err == nil && !gone {
			err = context.Cause(tab)
		}
		if err != nil {
			limited, cancel := context.WithTimeout(s.tab, scripting)
			at, _ := chromedp.Run(limited, chromedp.Location()) // for the error alone
			cancel()
			err = fmt.Errorf("still at %s: %w", at, err)
		}
		return nil, err
	}
}

// drive starts and does what there is to do, until the person has gone away or the tab's time is
// over.
func (s *surfer) drive(tab context.Context, start func(context.Context) error, v verdict) (gone bool, err error) {
	if err := s.leave(tab); err != nil {
		return false, err
	}
	if err := start(tab); err != nil {
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

// A step is what a person did on a page.
type step struct {
	Did    string
	Asked  []string // what the consent page listed
	Failed string   // what the page says went wrong
}

// act does the next thing on the page that is open, once, and reports whether the person has
// gone away. It is one script, so that no page can be replaced in its middle; on one that is not
// there yet, or has been seen to, it does nothing.
func (s *surfer) act(tab context.Context, v verdict) (gone bool, err error) {
	arguments, err := json.Marshal(map[string]any{"look": s.look, "account": s.account, "verdict": v})
	if err != nil {
		return false, err
	}
	did, err := evaluate[step](tab, "("+next+")("+string(arguments)+")")
	switch {
	case err != nil:
		return false, nil //nolint:nilerr // the page has just been replaced; walk is bounded
	case did.Failed != "":
		return false, errors.New(did.Failed)
	}
	s.consented = append(s.consented, did.Asked...)
	return did.Did == string(abandons), nil
}

const next = `({ look, account, verdict }) => {
	const page = document.documentElement, one = (selector) => document.querySelector(selector);
	if (look.Lost && location.pathname.endsWith(look.Lost)) return { Failed: 'lost: ' + document.body.innerText };
	if (document.readyState !== 'complete' || !one(look.Ready) || page.dataset.left) return {};
	const alert = one('[role=alert]')?.textContent;
	if (alert) return { Failed: alert };
	const consent = one(look.Consent), name = one(look.Name);
	if (page.dataset.done || !consent && !name) return {};
	page.dataset.done = 'yes';
	if (verdict === 'abandons') return { Did: verdict };
	if (!consent) {
		name.value = account;
		one(look.Password).value = 'any will do';
		one(look.SignIn).click();
		return { Did: 'signs in' };
	}
	const asked = [...document.querySelectorAll(look.Scopes)].map((item) => item.textContent.trim());
	one(verdict === 'denies' ? look.Deny : look.Allow).click();
	return { Did: verdict, Asked: verdict === 'denies' ? [] : asked };
}`

// load does so. What was caught goes on as the redirect that it is, and not as an address that
// somebody typed: cookies tell the two apart.
func (s *surfer) load(ctx context.Context, address *url.URL) (*page, error) {
	tab, done := s.bounded(ctx)
	defer done()
	held := s.held
	if s.held = nil; held == nil {
		if err := s.leave(tab); err != nil {
			return nil, err
		}
		if err := chromedp.Do(tab, chromedp.Navigate(address.String())); err != nil {
			return nil, err
		}
	} else if _, err := chromedp.Call(tab, pausing.ContinueRequest, pausing.ContinueRequestParams{RequestID: held.RequestID, URL: address.String()}); err != nil {
		return nil, err
	}
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		at, err := evaluate[seen](tab, see)
		switch {
		case tab.Err() != nil:
			return nil, context.Cause(tab)
		case err != nil || at.URL == "":
			<-again.C // the page has just been replaced, or is about to be
			continue
		}
		u, err := url.Parse(at.URL)
		return &page{
			url: u, status: at.Status, name: at.Name, title: at.Title, button: at.Button,
			text: strings.Join(strings.Fields(at.Text), " "),
		}, err
	}
}

// A seen is what see returns of a page that was not there before, and does not load itself again.
type seen struct {
	URL, Name, Title, Text, Button string
	Status                         int
}

const see = `(() => {
	const { left, done } = document.documentElement.dataset;
	if (document.readyState !== 'complete' || left || done) return {};
	if (document.body.dataset.page === 'working') return {};
	return {
		URL: location.href, Name: document.body.dataset.page ?? '', Title: document.title, Text: document.body.innerText,
		Button: document.querySelector('a.button')?.href ?? '',
		Status: performance.getEntriesByType('navigation')[0].responseStatus,
	};
})()`

// leave marks the page that is open as one that was there before.
func (s *surfer) leave(tab context.Context) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		_, err := evaluate[string](tab, "document.documentElement.dataset.left = 'yes'")
		switch {
		case err == nil:
			return nil
		case tab.Err() != nil:
			return err
		}
		<-again.C // the page has just been replaced
	}
}

// scripting bounds an evaluation. What takes longer, on a busy machine as well, is lost.
const scripting = 30 * time.Second

// evaluate evaluates JavaScript on the page that is open. Between two pages that may come to nothing.
func evaluate[T any](tab context.Context, script string) (T, error) {
	limited, cancel := context.WithTimeout(tab, scripting)
	defer cancel()
	return chromedp.Run(limited, chromedp.Evaluate[T](script))
}

// giveUp ends what was caught and never loaded, unless it has ended already.
func (s *surfer) giveUp(tab context.Context) {
	if held := s.held; held != nil {
		s.held = nil
		_, _ = chromedp.Call(tab, pausing.FailRequest, pausing.FailRequestParams{RequestID: held.RequestID, ErrorReason: network.ErrorReasonAborted})
	}
}
