package world

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"regexp"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// A Browser is a person's: it keeps cookies, and follows redirects on its machine. The pages of
// the authorization server are fakeas's to click through.
type Browser struct {
	w      *World
	client http.Client
}

// Browser returns a browser without cookies on a machine.
func (w *World) Browser(on *pipenet.Machine) *Browser {
	w.T.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		w.T.Fatal(err)
	}
	return &Browser{w, http.Client{
		Jar:           jar,
		Transport:     &http.Transport{DialContext: on.Dial, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// A Page is what a browser shows in the end.
type Page struct {
	Status int
	Name   string // data-page
	HTML   string
}

var pageName = regexp.MustCompile(`data-page="([^"]*)"`)

// Load loads an address on the machine, and those that it leads to there. It returns the last page,
// or an address elsewhere. If nothing listens, all is empty.
func (b *Browser) Load(address string) (page Page, elsewhere string) {
	b.w.T.Helper()
	for range 10 {
		u, err := url.Parse(address)
		if err != nil {
			b.w.T.Fatal(err)
		}
		b.w.noteLink(u)
		if u.Scheme != "http" {
			return Page{}, address
		}
		req, err := http.NewRequestWithContext(b.w.T.Context(), http.MethodGet, address, nil)
		if err != nil {
			b.w.T.Fatal(err)
		}
		res, err := b.client.Do(req)
		if err != nil {
			return Page{}, ""
		}
		text, err := io.ReadAll(res.Body)
		res.Body.Close()
		if err != nil {
			b.w.T.Error(err)
		}
		switch {
		case res.Header.Get("Location") != "":
			address = res.Header.Get("Location")
			if next, err := u.Parse(address); err == nil {
				address = next.String()
			}
		case res.Header.Get("Refresh") != "": // while the sign-in is being finished
			if u.Path != "/done" {
				return Page{}, ""
			}
		default:
			page = Page{Status: res.StatusCode, HTML: string(text)}
			if found := pageName.FindStringSubmatch(page.HTML); found != nil {
				page.Name = found[1]
			}
			return page, ""
		}
	}
	b.w.T.Fatal("the browser is led around")
	return Page{}, ""
}

// noteLink notes what in a link must be in no log: it is as good as a user code is.
func (w *World) noteLink(u *url.URL) {
	w.Secrets.addCode(u.Query().Get("state"))
	w.Secrets.addCode(u.Query().Get("f"))
	w.Secrets.addCode(u.Query().Get("request_uri"))
	w.Secrets.Add(u.Query().Get("code"))
	if nonce, ok := strings.CutPrefix(u.Path, "/start/"); ok {
		w.Secrets.addCode(nonce)
	}
}

// Way opens a link, and returns where the person signs in.
func (b *Browser) Way(link string) string {
	b.w.T.Helper()
	page, server := b.Load(link)
	if server == "" {
		b.w.T.Fatalf("the link leads to no authorization server: page %q", page.Name)
	}
	return server
}

// Approves opens a link, signs in as ada, grants what is asked for, or this, and comes back.
func (b *Browser) Approves(link string, granted ...string) Page {
	b.w.T.Helper()
	location, err := b.w.AS.ApproveURL(b.w.T.Context(), b.Way(link), granted...)
	if err != nil {
		b.w.T.Fatal(err)
	}
	page, _ := b.Load(location)
	return page
}

// Denies opens a link, denies what is asked for, and comes back.
func (b *Browser) Denies(link string) Page {
	b.w.T.Helper()
	location, err := b.w.AS.DenyURL(b.w.T.Context(), b.Way(link))
	if err != nil {
		b.w.T.Fatal(err)
	}
	page, _ := b.Load(location)
	return page
}

// SignsInBy has the local user sign in beforehand, with a browser.
func (w *World) SignsInBy(b *Browser, need ...string) {
	w.T.Helper()
	err := w.Auth.Authorize(w.T.Context(), lazyauth.LocalUser, scopes.Of(need...), func(_ context.Context, p elicit.Prompt) error {
		b.Approves(p.VerificationURI)
		return nil
	})
	if err != nil {
		w.T.Fatal(err)
	}
}
