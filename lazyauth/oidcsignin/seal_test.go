package oidcsignin_test

import (
	"bytes"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

func keyed(bytesOf ...string) func(*oidcsignin.Options) {
	return func(o *oidcsignin.Options) {
		for _, b := range bytesOf {
			o.Keys = append(o.Keys, bytes.Repeat([]byte(b), 32))
		}
	}
}

// Keys are rotated: what was sealed before the new one came is good until the old one goes.
func TestKeys_Rotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		as := newDouble(t)
		old, both, last := newSite(t, as, keyed("a")), newSite(t, as, keyed("b", "a")), newSite(t, as, keyed("b"))
		before := old.browser()
		before.signsIn("ada")
		between := both.browser()
		between.signsIn("eve")
		for at, want := range map[*site][2]string{old: {"ada", ""}, both: {"ada", "eve"}, last: {"", "eve"}} {
			for i, b := range []*browser{before, between} {
				(&browser{at, b.cookies}).is(want[i])
			}
		}
		(&browser{newSite(t, as, nil), before.cookies}).is("") // a key of its own
	})
}

// sessionName returns what a sign-in calls the cookie of a session.
func sessionName(t *testing.T, s *oidcsignin.SignIn) string {
	t.Helper()
	return s.End(request(publicURL))[0].Name
}

// A cookie is good for the purpose, page, issuer, client and kind of identity that it was sealed for, by whatever name.
func TestKeys_WhatACookieIsFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, newDouble(t), keyed("a"))
		b := s.browser()
		b.signsIn("ada")
		mine := only(b).Value
		for name, set := range map[string]func(*oidcsignin.Options){
			"the same":         func(*oidcsignin.Options) {},
			"another client":   func(o *oidcsignin.Options) { o.ClientID = "another" },
			"another issuer":   func(o *oidcsignin.Options) { o.Issuer += "/x" },
			"another page":     func(o *oidcsignin.Options) { o.PublicURL += "/x" },
			"another identity": by(oidcsignin.ByClaim("employee_id")),
		} {
			o := options(s.as, s.log)
			keyed("a")(&o)
			set(&o)
			other, err := oidcsignin.New(o)
			if err != nil {
				t.Fatal(err)
			}
			r := request(publicURL)
			r.AddCookie(&http.Cookie{Name: sessionName(t, other), Value: mine})
			if who, _, err := other.Session(r); (err == nil) != (name == "the same") {
				t.Errorf("%s: %v, %v", name, who, err)
			}
		}
		begun := s.browser()
		begun.leaves(publicURL)
		begun.cookies = map[string]*http.Cookie{"x": {Name: sessionName(t, s.signIn), Value: only(begun).Value}}
		begun.is("") // an attempt's for a session's
		twice := request(publicURL)
		twice.AddCookie(only(b))
		twice.AddCookie(only(b))
		if _, _, err := s.signIn.Session(twice); err == nil {
			t.Error("which of two cookies of one name is the session?")
		}
	})
}

// Whatever a browser sends for cookies and an answer: no panic, nobody is signed in, nobody asked.
func FuzzCookies(f *testing.F) {
	f.Add("", "", "state=x&code=y")
	f.Add("AAAA", "AAAA", "state=AAAAAAAAAAAAAAAA."+strings.Repeat("B", 43)+"&code=y")
	f.Add(strings.Repeat("A", 4000), "%", "state=AAAAAAAAAAAAAAAA."+strings.Repeat("B", 43)+"&error=y&iss=z")
	f.Fuzz(func(t *testing.T, session, attempt, query string) {
		as := newDouble(t)
		s, err := oidcsignin.New(options(as, new(journal)))
		if err != nil {
			t.Fatal(err)
		}
		_, set, err := s.Begin(request(publicURL), publicURL, false)
		if err != nil {
			t.Fatal(err)
		}
		begun := set[0].Name
		r := request(publicURL + "/signed-in")
		r.URL.RawQuery = query
		r.AddCookie(&http.Cookie{Name: begun[:len(begun)-17], Value: session})
		r.AddCookie(&http.Cookie{Name: begun, Value: attempt})
		if values, err := url.ParseQuery(query); err == nil && len(values.Get("state")) > 16 {
			r.AddCookie(&http.Cookie{Name: begun[:len(begun)-16] + values.Get("state")[:16], Value: attempt})
		}
		if who, name, err := s.Session(r); err == nil || who.Subject != "" || name != "" {
			t.Errorf("%v is signed in", who)
		}
		if _, set, err := s.Finish(r); err == nil || len(set) != 0 {
			t.Errorf("cookies %v, %v", set, err)
		}
		if _, set, err := s.Begin(r, publicURL, false); err != nil || len(set) == 0 || len(set) > 10 {
			t.Errorf("cookies %v, %v", set, err)
		}
		if s.End(r); as.count("/token") != 0 {
			t.Error("the issuer was asked for a token")
		}
	})
}

// The browser keeps a session for as long as it is good.
func TestSession_Life(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSite(t, newDouble(t), func(o *oidcsignin.Options) { o.SessionLife = time.Hour }).browser()
		b.signsIn("ada")
		if only(b).MaxAge != 3600 {
			t.Errorf("the browser keeps it for %d s", only(b).MaxAge)
		}
		time.Sleep(time.Hour)
		b.is("")
	})
}
