package interop_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strings"

	"golang.org/x/net/html"
)

// A visitor is somebody who goes where a prompt sends them and decides there. How
// depends on the authorization server.
type visitor interface {
	approve(ctx context.Context, address, userCode string) error
	deny(ctx context.Context, address, userCode string) error
	self() *person
}

// A person has a name and one browser, which keeps its cookies: what was
// approved before is known to the authorization server when they come back.
// As a visitor they know the pages of oidc-provider.
type person struct {
	name    string // what the notes API calls them
	browser *http.Client
	// consented is what the consent pages listed, in order, with no doubles
	// removed: a second sign-in in the same browser lists only what is new.
	consented []string
	// withheld is what they clear the boxes of on consent pages.
	withheld []string
}

// newPerson returns somebody with an empty cookie jar.
func newPerson(name string) *person {
	p := &person{name: name}
	p.changeBrowser()
	return p
}

// changeBrowser makes the person go on with an empty cookie jar.
func (p *person) changeBrowser() {
	jar, err := cookiejar.New(nil)
	if err != nil {
		panic(err) // only for options that are not given here
	}
	p.browser = &http.Client{Jar: jar, Transport: direct}
}

func (p *person) self() *person { return p }

// maxPages bounds a walk: code, confirmation, sign-in, consent, done, with room
// for the pages between that a browser submits by itself.
const maxPages = 10

// approve opens the verification page, types the code, signs in and consents,
// and returns when the last page says that it worked.
func (p *person) approve(ctx context.Context, verificationURL, userCode string) error {
	at, err := p.enter(ctx, verificationURL, userCode)
	for range maxPages {
		if err != nil {
			return err
		}
		if at.title == "Sign-in Success" {
			return nil
		}
		if at.field("prompt") == "consent" {
			p.consents(at)
		}
		at, err = p.submit(ctx, at, nil)
	}
	return fmt.Errorf("still on %q after %d pages", at.title, maxPages)
}

// consents reads the consent page, and clears the boxes of what is withheld.
func (p *person) consents(at *page) {
	p.consented = append(p.consented, at.scopes...)
	if len(p.withheld) > 0 {
		at.action += "?" + url.Values{"without": p.withheld}.Encode()
	}
}

// deny opens the verification page, types the code, and presses Abort where the
// page asks whether this is their device.
func (p *person) deny(ctx context.Context, verificationURL, userCode string) error {
	at, err := p.enter(ctx, verificationURL, userCode)
	if err != nil {
		return err
	}
	at, err = p.submit(ctx, at, url.Values{"abort": {"yes"}})
	if err != nil {
		return err
	}
	if !strings.Contains(at.text, "interrupted") {
		return fmt.Errorf("after Abort the page says %q", at.text)
	}
	return nil
}

// cancel goes as far as the consent page, signed in, and leaves it by its
// Cancel link: another way to say no, which the server remembers differently.
func (p *person) cancel(ctx context.Context, verificationURL, userCode string) error {
	at, err := p.enter(ctx, verificationURL, userCode)
	for range maxPages {
		if err != nil {
			return err
		}
		if at.field("prompt") == "consent" {
			if at.cancel == "" {
				return errors.New("the consent page has no Cancel link")
			}
			at, err = p.open(ctx, at.cancel)
			if err == nil && !strings.Contains(at.text, "interrupted") {
				err = fmt.Errorf("after Cancel the page says %q", at.text)
			}
			return err
		}
		at, err = p.submit(ctx, at, nil)
	}
	return errors.New("no consent page came")
}

// enter types the code and returns the page that asks to confirm it. That page
// must show the very code that the person was given elsewhere.
func (p *person) enter(ctx context.Context, verificationURL, userCode string) (*page, error) {
	at, err := p.open(ctx, verificationURL)
	if err != nil {
		return nil, err
	}
	at, err = p.submit(ctx, at, url.Values{"user_code": {userCode}})
	if err != nil {
		return nil, err
	}
	if !strings.Contains(at.text, userCode) {
		return nil, fmt.Errorf("the page %q does not show the code that was entered: %q", at.title, at.text)
	}
	return at, nil
}

// open fetches a page.
func (p *person) open(ctx context.Context, address string) (*page, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	return p.do(req)
}

// submit sends the page's only form, completed with what the person types.
func (p *person) submit(ctx context.Context, at *page, typed url.Values) (*page, error) {
	if at.action == "" {
		return nil, fmt.Errorf("the page %q has no form: %q", at.title, at.text)
	}
	values := url.Values{}
	for name, value := range at.fields {
		switch name {
		case "login":
			value = p.name
		case "password":
			value = "any will do"
		}
		values.Set(name, value)
	}
	maps.Copy(values, typed)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, at.action, strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if req.URL.Host == at.url.Host {
		req.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return p.do(req)
}

func (p *person) do(req *http.Request) (*page, error) {
	res, err := p.browser.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	root, err := html.Parse(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, err
	}
	at := &page{fields: map[string]string{}, url: res.Request.URL, status: res.StatusCode, refresh: res.Header.Get("Refresh") != ""}
	at.read(root, res.Request.URL)
	at.text = strings.Join(strings.Fields(at.text), " ")
	return at, nil
}

// A page is what a person can see of a page, and its form.
type page struct {
	url         *url.URL // at the end of all redirects
	status      int
	name        string // what it calls itself for tests, data-page; "" is none of this library's
	refresh     bool   // it loads itself again
	title, text string
	action      string            // where the form goes
	fields      map[string]string // inputs with their values; buttons are not among them
	cancel      string            // where the Cancel link leads
	button      string            // where a link leads that looks like a button
	scopes      []string          // the innermost list: what consent is asked for
}

// field returns the value of an input.
func (at *page) field(name string) string { return at.fields[name] }

func (at *page) read(n *html.Node, base *url.URL) {
	switch n.Type {
	case html.TextNode:
		at.text += n.Data + " "
	case html.ElementNode:
		switch n.Data {
		case "title":
			at.title = strings.TrimSpace(text(n))
			return
		case "style", "script", "details":
			return
		case "form":
			at.action = resolve(base, attribute(n, "action"))
		case "input":
			at.fields[attribute(n, "name")] = attribute(n, "value")
		case "a":
			switch href := resolve(base, attribute(n, "href")); {
			case strings.Contains(text(n), "Cancel"):
				at.cancel = href
			case attribute(n, "class") == "button":
				at.button = href
			}
		case "body":
			at.name = attribute(n, "data-page")
		case "li":
			// The scopes are a list within the list of what is asked for.
			if list := n.Parent; list != nil && list.Parent != nil && list.Parent.Data == "ul" {
				at.scopes = append(at.scopes, strings.TrimSpace(text(n)))
			}
		}
	}
	for c := range n.ChildNodes() {
		at.read(c, base)
	}
}

func text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var all string
	for c := range n.ChildNodes() {
		all += text(c)
	}
	return all
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func resolve(base *url.URL, ref string) string {
	u, err := base.Parse(ref)
	if err != nil {
		return ""
	}
	return u.String()
}
