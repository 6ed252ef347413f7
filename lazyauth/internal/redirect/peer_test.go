package redirect_test

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/internal/pipenet"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// peer is a sign-in at an authorization server that judges it.
type peer struct {
	*world
	as *fakeas.Server
}

func newPeer(t *testing.T, opts fakeas.Options, request redirect.Request) *peer {
	t.Helper()
	as := fakeas.New(&opts)
	endpoints, err := oauth.Discover(t.Context(), as.Transport(), as.Issuer(), oauth.DiscoverOptions{
		Want: func(e oauth.Endpoints) error { return authcode.Lacks(e, false) },
	})
	if err != nil {
		t.Fatal(err)
	}
	client, err := oauth.New(oauth.Config{Endpoints: endpoints, Credentials: oauth.Credentials{ID: fakeas.DefaultClientID}, Transport: as.Transport()})
	if err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, machine: new(pipenet.Machine)}
	w.flow, err = redirect.New(redirect.Config{Client: client, Service: "Notes", Listen: w.machine.Listen})
	if err != nil {
		t.Fatal(err)
	}
	w.begin(request)
	return &peer{w, as}
}

// request returns the authorization request, to which the start page sends a browser first.
func (p *peer) request(b *browser) string {
	if p.auth.Kind() != redirect.Start {
		return p.auth.Link()
	}
	return b.get(p.auth.Link()).location
}

// approve has the person approve, and returns where the browser is sent.
func (p *peer) approve(b *browser) string {
	p.Helper()
	location, err := p.as.ApproveURL(p.Context(), p.request(b))
	if err != nil {
		p.Fatal(err)
	}
	return location
}

func (p *peer) noViolations() {
	p.Helper()
	for _, v := range p.as.Violations() {
		p.Errorf("violation: %v", v)
	}
}

// A strict server has nothing to object to, whatever the link is.
func TestPeer(t *testing.T) {
	for name, test := range map[string]struct {
		opts    fakeas.Options
		request redirect.Request
		kind    redirect.Kind
	}{
		"start":            {fakeas.Options{}, redirect.Request{Link: redirect.Opened, LoginHint: "ada"}, redirect.Start},
		"start, pushed":    {fakeas.Options{Push: fakeas.PushRequired}, redirect.Request{Link: redirect.Opened, LoginHint: "ada"}, redirect.Start},
		"pushed":           {fakeas.Options{Push: fakeas.PushRequired, NoHintInURL: true}, redirect.Request{LoginHint: "ada"}, redirect.Pushed},
		"pushed, by leave": {fakeas.Options{Push: fakeas.PushAccepted, PushLifetime: 10 * time.Minute}, redirect.Request{}, redirect.Pushed},
		"plain":            {fakeas.Options{NoHintInURL: true}, redirect.Request{LoginHint: "ada"}, redirect.Plain},
		"plain, no iss":    {fakeas.Options{NoIss: true}, redirect.Request{}, redirect.Plain},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPeer(t, test.opts, test.request)
				if p.auth.Kind() != test.kind {
					t.Errorf("kind %s", p.auth.Kind())
				}
				b := p.browser()
				back := p.approve(b)
				answer := b.get(back)
				token := p.token()
				if _, ok := p.as.Introspect(token.Access); !ok || token.Scopes.String() != "notes:read profile" {
					t.Errorf("token %v is not the server's", token)
				}
				go p.auth.Finish(t.Context(), redirect.Outcome{Account: "ada"})
				p.done(b, answer).wants(t, 200, "signed-in")
				b.get(back) // once more: the code is not sent again
				if n := p.as.Count(fakeas.Exchange, fakeas.OK); n != 1 {
					t.Errorf("%d exchanges", n)
				}
				p.noViolations()
			})
		})
	}
}

func TestPeer_Denied(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, fakeas.Options{}, redirect.Request{})
		location, err := p.as.DenyURL(t.Context(), p.request(nil))
		if err != nil {
			t.Fatal(err)
		}
		b := p.browser()
		answer := b.get(location)
		p.fails(oauth.ErrDenied)
		p.done(b, answer).wants(t, 200, "denied")
		p.noViolations()
	})
}

// A code of another client's sign-in, with the state of this one: the server refuses the code,
// for its challenge is another one, and the person's own still counts.
func TestPeer_OtherCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, fakeas.Options{}, redirect.Request{})
		link, _ := url.Parse(p.auth.Link())
		query := link.Query()
		query.Set("code_challenge", strings.Repeat("A", 43))
		link.RawQuery = query.Encode()
		stolen, err := p.as.ApproveURL(t.Context(), link.String())
		if err != nil {
			t.Fatal(err)
		}
		b := p.browser()
		p.done(b, b.get(stolen)).wants(t, 200, "again")
		p.waits()
		b.get(p.approve(b))
		p.token()
	})
}

// A code that came too late is refused, and the next one is not.
func TestPeer_LateCode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, fakeas.Options{}, redirect.Request{Link: redirect.Opened})
		b := p.browser()
		back := p.approve(b)
		time.Sleep(2 * time.Minute)
		p.done(b, b.get(back)).wants(t, 200, "again")
		b.get(p.approve(b))
		p.token()
	})
}

// The answer to the exchange is lost: the code is not sent again, though the server has taken it.
func TestPeer_AnswerLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, fakeas.Options{}, redirect.Request{Link: redirect.Opened})
		p.as.Script(fakeas.Exchange, fakeas.Lose())
		b := p.browser()
		back := p.approve(b)
		p.done(b, b.get(back)).wants(t, 200, "again")
		p.done(b, b.get(back)).wants(t, 200, "again")
		b.get(p.approve(b))
		p.token()
		p.noViolations()
	})
}

// A server whose metadata does not list S256 is refused before anybody is asked.
func TestPeer_WithoutPKCE(t *testing.T) {
	as := fakeas.New(&fakeas.Options{PKCE: fakeas.PKCEIgnored})
	_, err := oauth.Discover(t.Context(), as.Transport(), as.Issuer(), oauth.DiscoverOptions{
		Want: func(e oauth.Endpoints) error { return authcode.Lacks(e, false) },
	})
	if !errors.Is(err, authcode.ErrNoPKCE) {
		t.Errorf("error %v", err)
	}
	if n := as.Count(fakeas.Authorization, fakeas.OK); n != 0 {
		t.Errorf("%d authorization requests", n)
	}
}

// An answer that names another issuer is not used, and the right one still is (RFC 9207).
func TestPeer_MixUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, fakeas.Options{}, redirect.Request{})
		p.as.Script(fakeas.Response, fakeas.WithIss("https://evil.example"))
		b := p.browser()
		b.get(p.approve(b)).wants(t, 400, "mixed-up")
		p.waits()
		if n := len(p.as.Journal()); n == 0 || p.as.Count(fakeas.Exchange, fakeas.OK) != 0 {
			t.Error("the code was sent")
		}
		b.get(p.approve(b))
		p.token()
	})
}
