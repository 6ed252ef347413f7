package interop_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
)

// A verdict is what somebody makes of a page that asks for their consent.
type verdict string

const (
	approves verdict = "approves"
	denies   verdict = "denies"
	abandons verdict = "abandons" // at the first page they see
)

// A browser is what somebody walks through a redirect with, up to the address on this machine
// that the authorization server sends them back to (RFC 6749 §4.1.2). That is caught before it
// is loaded, so that it can be loaded changed, twice, in another browser, or never.
type browser interface {
	// walk opens the address of a prompt, signs in where that is asked, and decides. What was
	// caught is nil for those who abandon it.
	walk(ctx context.Context, address string, v verdict) (caught *url.URL, err error)
	// load opens an address and everything that it leads to.
	load(ctx context.Context, address *url.URL) (*page, error)
}

// answers reports whether an address is the answer to an authorization request: at least a
// code or an error, and the state.
func answers(u *url.URL) bool {
	q := u.Query()
	return q.Has("state") && (q.Has("code") || q.Has("error"))
}

// with returns an address with a parameter of another value; "" leaves it out.
func with(address *url.URL, name, value string) *url.URL {
	changed, q := *address, address.Query()
	if q.Set(name, value); value == "" {
		q.Del(name)
	}
	changed.RawQuery = q.Encode()
	return &changed
}

// errCaught stops the plain browser where an answer was caught.
var errCaught = errors.New("an answer was caught")

// walk does so on the pages of oidc-provider.
func (p *person) walk(ctx context.Context, address string, v verdict) (caught *url.URL, err error) {
	p.browser.CheckRedirect = func(req *http.Request, via []*http.Request) error {
		if answers(req.URL) {
			caught = req.URL
			return errCaught
		}
		if len(via) > maxPages {
			return errors.New("redirected too often")
		}
		return nil
	}
	defer func() { p.browser.CheckRedirect = nil }()
	at, err := p.open(ctx, address)
	for range maxPages {
		switch {
		case errors.Is(err, errCaught):
			return caught, nil
		case err != nil:
			return nil, err
		case at.status != http.StatusOK:
			return nil, fmt.Errorf("%s says %d: %q", at.url.Path, at.status, at.text)
		case v == abandons:
			return nil, nil
		case at.field("prompt") == "consent" && v == denies:
			at, err = p.open(ctx, at.cancel)
			continue
		case at.field("prompt") == "consent":
			p.consents(at)
		}
		at, err = p.submit(ctx, at, nil)
	}
	return nil, fmt.Errorf("still on %q after %d pages", at.title, maxPages)
}

// load does so. A page that loads itself again is loaded again.
func (p *person) load(ctx context.Context, address *url.URL) (*page, error) {
	at, err := p.open(ctx, address.String())
	for range maxPages {
		if err != nil || !at.refresh {
			return at, err
		}
		at, err = p.open(ctx, at.url.String())
	}
	return nil, fmt.Errorf("%q loads itself again and again", at.title)
}
