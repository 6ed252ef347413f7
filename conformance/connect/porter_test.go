package connect_test

import (
	"errors"
	"net/http"
	"net/url"
	"sync/atomic"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// A porter signs people in by forms of the page, as whoever they say at its site. It is as little as that takes:
// package oidcsignin has one for use.
type porter struct {
	at    string // the page
	to    string // where it sends people
	fails atomic.Pointer[error]
}

func (p *porter) fail() error {
	if err := p.fails.Load(); err != nil {
		return *err
	}
	return nil
}

func (p *porter) RedirectURI() string { return p.at + "/signed-in" }

func (p *porter) Session(r *http.Request) (lazyauth.Principal, string, error) {
	c, err := r.Cookie(sessionCookie)
	if err != nil || c.Value == "" {
		return lazyauth.Principal{}, "", errors.New("nobody is signed in")
	}
	return lazyauth.Principal{Issuer: "https://idp.test", Subject: c.Value}, c.Value + "@example.com", nil
}

const backCookie = "__Host-back"

func keeps(name, value string) *http.Cookie {
	return &http.Cookie{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true, SameSite: http.SameSiteLaxMode}
}

func (p *porter) Begin(_ *http.Request, back string, _ bool) (string, []*http.Cookie, error) {
	return p.to, []*http.Cookie{keeps(backCookie, url.QueryEscape(back))}, p.fail()
}

func (p *porter) Finish(r *http.Request) (string, []*http.Cookie, error) {
	c, err := r.Cookie(backCookie)
	if err != nil {
		return "", nil, lazyauth.ErrSignInElsewhere
	}
	back, err := url.QueryUnescape(c.Value)
	return back, []*http.Cookie{keeps(sessionCookie, r.URL.Query().Get("as"))}, errors.Join(err, p.fail())
}

func (p *porter) End(*http.Request) []*http.Cookie {
	return []*http.Cookie{keeps(sessionCookie, "")}
}
