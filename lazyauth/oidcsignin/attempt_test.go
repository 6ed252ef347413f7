package oidcsignin_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/oidcsignin"
)

const link = publicURL + "?f=AAAAAAAAAAAAAAAAAAAAAA"

// Whoever opens a link signs in, and comes back to it. The page says as whom they are signed in.
func TestSignIn_ComesBackToTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSite(t, newDouble(t), nil).browser()
		to := b.leaves(link)
		if len(b.cookies) != 1 {
			t.Errorf("cookies of an attempt: %v", b.cookies)
		}
		v := b.get(b.as.approves(to, "ada"))
		if v.status != http.StatusSeeOther || v.location != link {
			t.Errorf("%d, back to %q", v.status, v.location)
		}
		b.is("ada")
		if len(b.cookies) != 1 {
			t.Errorf("cookies of a session: %v", b.cookies)
		}
		b.shows(b.get(v.location), http.StatusForbidden, "foreign") // nobody asked for it
		time.Sleep(8*time.Hour - time.Second)
		b.is("ada")
		time.Sleep(time.Second)
		b.is("")
	})
}

// Nothing but a form of the page begins anything: the issuer is not asked, and no cookie is set.
func TestSignIn_StartedByThePageAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSite(t, newDouble(t), nil).browser()
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			for _, at := range []string{publicURL, link, publicURL + "/sign-in", publicURL + "/sign-in?back=", publicURL + "/sign-out"} {
				if v := b.do(method, at, nil, nil); v.location != "" || strings.Contains(v.html, issuerURL) {
					t.Errorf("%s %s leads somewhere", method, at)
				}
			}
		}
		form := url.Values{"back": {""}}
		for _, from := range []string{"cross-site", "same-site", "none"} {
			b.shows(b.do(http.MethodPost, publicURL+"/sign-in", form, http.Header{"Sec-Fetch-Site": {from}}), http.StatusForbidden, "forged")
		}
		if len(b.cookies) != 0 || len(b.as.asked) != 0 {
			t.Errorf("cookies %v, the issuer was asked %v", b.cookies, b.as.asked)
		}
	})
}

// bring is what becomes of an answer that is not as it should be.
type bring struct {
	change   func(answer url.Values)
	in       func(b *browser) // what happens in the browser before
	page     string
	status   int
	notAsked bool // the issuer was asked for no token
}

// An answer counts in the browser that began the sign-in, for that, once, and from the issuer that it was sent to.
func TestSignIn_Answer(t *testing.T) {
	elsewhere := func(in func(*browser)) bring {
		return bring{in: in, page: "elsewhere", status: http.StatusForbidden, notAsked: true}
	}
	failed := func(change func(url.Values)) bring {
		return bring{change: change, page: "unsigned", status: http.StatusForbidden, notAsked: true}
	}
	for name, story := range map[string]bring{
		"without the cookie": elsewhere(func(b *browser) { clear(b.cookies) }),
		"with the cookie of another attempt": elsewhere(func(b *browser) {
			mine := only(b)
			clear(b.cookies)
			b.leaves(publicURL)
			other := only(b)
			clear(b.cookies)
			b.cookies[mine.Name] = &http.Cookie{Name: mine.Name, Value: other.Value}
		}),
		"with a cookie that was changed": elsewhere(func(b *browser) {
			c := only(b)
			other := "A"
			if c.Value[20] == 'A' {
				other = "B"
			}
			c.Value = c.Value[:20] + other + c.Value[21:]
		}),
		"of another page with other keys": elsewhere(func(b *browser) {
			mine, other := only(b), newSite(b.t, b.as, nil).browser()
			other.leaves(publicURL)
			b.cookies[mine.Name] = &http.Cookie{Name: mine.Name, Value: only(other).Value}
		}),
		"too late":                          elsewhere(func(*browser) { time.Sleep(15 * time.Minute) }),
		"with another state of the attempt": {change: func(v url.Values) { v.Set("state", v.Get("state")[:17]+strings.Repeat("A", 43)) }, page: "elsewhere", status: http.StatusForbidden, notAsked: true},
		"with a state of nobody's":          {change: func(v url.Values) { v.Set("state", "x") }, page: "elsewhere", status: http.StatusForbidden, notAsked: true},
		"without a state":                   {change: func(v url.Values) { v.Del("state") }, page: "elsewhere", status: http.StatusForbidden, notAsked: true},
		"with two codes":                    {change: func(v url.Values) { v.Add("code", "x") }, page: "elsewhere", status: http.StatusForbidden, notAsked: true},
		"with a code and an error":          {change: func(v url.Values) { v.Set("error", "x") }, page: "elsewhere", status: http.StatusForbidden, notAsked: true},
		"with a code without an end":        {change: func(v url.Values) { v.Set("code", strings.Repeat("x", 9000)) }, page: "elsewhere", status: http.StatusForbidden, notAsked: true},
		"from another issuer":               failed(func(v url.Values) { v.Set("iss", "https://evil.example") }),
		"from almost the issuer":            failed(func(v url.Values) { v.Set("iss", issuerURL+"/") }),
		"from no issuer though promised":    failed(func(v url.Values) { v.Del("iss") }),
		"with a made up code":               {change: func(v url.Values) { v.Set("code", "made-up") }, page: "unsigned", status: http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newSite(t, newDouble(t), nil).browser()
				to := b.leaves(publicURL)
				if story.in != nil {
					story.in(b)
				}
				b.as.answer = story.change
				b.shows(b.get(b.as.approves(to, "ada")), story.status, story.page)
				b.as.answer = nil
				b.is("")
				if n := b.as.count("/token"); (n == 0) != story.notAsked {
					t.Errorf("asked for a token %d times", n)
				}
				clear(b.cookies)
				b.signsIn("ada")
			})
		})
	}
}

// only returns the one cookie of a browser.
func only(b *browser) *http.Cookie {
	b.t.Helper()
	if len(b.cookies) != 1 {
		b.t.Fatalf("cookies %v", b.cookies)
	}
	for _, c := range b.cookies {
		return c
	}
	return nil
}

// An answer that comes twice counts once, also where the browser kept the cookie.
func TestSignIn_Replayed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSite(t, newDouble(t), nil).browser()
		to := b.leaves(link)
		kept := only(b)
		back := b.as.approves(to, "ada")
		b.get(back)
		b.shows(b.get(back), http.StatusForbidden, "elsewhere")
		b.cookies[kept.Name] = kept
		b.shows(b.get(back), http.StatusForbidden, "elsewhere")
		if n := b.as.count("/token"); n != 1 {
			t.Errorf("the code was presented %d times", n)
		}
		b.is("ada")
	})
}

// Login CSRF: the attacker has the victim's browser load an answer with the attacker's code. It has no cookie of that
// sign-in; and in a sign-in that it did begin, whose state has leaked, the code has another verifier and nonce.
func TestSignIn_CodeOfSomebodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, newDouble(t), nil)
		victim, attacker := s.browser(), s.browser()
		theirs := s.as.approves(attacker.leaves(publicURL), "eve")
		victim.shows(victim.get(theirs), http.StatusForbidden, "elsewhere")
		victim.is("")

		u, _ := url.Parse(theirs)
		s.as.answer = func(v url.Values) { v.Set("code", u.Query().Get("code")) }
		victim.shows(victim.get(s.as.approves(victim.leaves(publicURL), "ada")), http.StatusForbidden, "unsigned")
		s.as.answer = nil
		victim.is("")
		if log := s.log.String(); !strings.Contains(log, "invalid_grant") {
			t.Errorf("the log does not say why: %s", log)
		}
		victim.signsIn("ada")
	})
}

// What the issuer answers in place of a code is not shown, and the person may try again.
func TestSignIn_Refused(t *testing.T) {
	for _, failure := range []string{"access_denied", "login_required", "<script>alert(1)</script>"} {
		synctest.Test(t, func(t *testing.T) {
			b := newSite(t, newDouble(t), nil).browser()
			v := b.get(b.as.fails(b.leaves(link), failure))
			b.shows(v, http.StatusForbidden, "unsigned")
			b.is("")
			back := b.get(b.as.approves(b.onward(b.posts(v, "/sign-in")), "ada"))
			if back.location != link {
				t.Errorf("back to %q", back.location)
			}
			b.is("ada")
		})
	}
}

// A session is made anew by each sign-in, so that what the browser had before, or somebody gave it, is worth nothing.
func TestSignIn_FixationAndRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, newDouble(t), nil)
		attacker, victim := s.browser(), s.browser()
		attacker.signsIn("eve")
		planted := only(attacker)
		victim.cookies[planted.Name] = &http.Cookie{Name: planted.Name, Value: planted.Value}
		victim.is("eve") // which the page says
		out := victim.posts(victim.get(publicURL), "/sign-out")
		victim.shows(out, http.StatusOK, "left")
		to := victim.onward(victim.posts(out, "/sign-in"))
		if !strings.Contains(to, "prompt=login") {
			t.Errorf("whoever is signed in at the issuer is taken for granted: %s", to)
		}
		victim.get(s.as.approves(to, "ada"))
		victim.is("ada")
		attacker.is("") // its session was ended there
		if only(victim).Value == planted.Value {
			t.Error("the session is the one that was there")
		}

		// Two windows: the second sign-in ends the session of the first.
		first := only(victim)
		other := s.browser()
		to = other.leaves(publicURL)
		other.cookies[first.Name] = &http.Cookie{Name: first.Name, Value: first.Value}
		other.get(s.as.approves(to, "ada"))
		other.is("ada")
		victim.is("")
	})
}

// A copy of the cookie of a session that was ended is good for nothing.
func TestSignIn_SignedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSite(t, newDouble(t), nil).browser()
		b.signsIn("ada")
		copied := only(b)
		b.shows(b.posts(b.get(publicURL), "/sign-out"), http.StatusOK, "left")
		b.is("")
		b.cookies[copied.Name] = copied
		b.is("")
	})
}

// One cookie an attempt, and eight in one browser: those that end first make room.
func TestSignIn_Attempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newSite(t, newDouble(t), nil).browser()
		var to []string
		for range 12 {
			to = append(to, b.leaves(publicURL))
			time.Sleep(time.Second)
		}
		if len(b.cookies) != 8 {
			t.Errorf("%d cookies", len(b.cookies))
		}
		b.shows(b.get(b.as.approves(to[0], "ada")), http.StatusForbidden, "elsewhere")
		b.get(b.as.approves(to[4], "ada"))
		b.is("ada")
		if len(b.cookies) != 8 { // seven of attempts, and the session's
			t.Errorf("%d cookies", len(b.cookies))
		}
	})
}

// What is asked of the issuer is what the options say.
func TestSignIn_Request(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, story := range map[string]struct {
			set  func(*oidcsignin.Options)
			anew bool
			want map[string]string
		}{
			"as it comes":         {nil, false, map[string]string{"scope": "openid profile email", "prompt": "", "max_age": "", "client_id": clientID, "redirect_uri": publicURL + "/signed-in"}},
			"anew":                {nil, true, map[string]string{"prompt": "login"}},
			"with an age":         {func(o *oidcsignin.Options) { o.MaxAge = time.Hour }, false, map[string]string{"max_age": "3600", "prompt": ""}},
			"with a prompt":       {func(o *oidcsignin.Options) { o.Prompt = "consent" }, false, map[string]string{"prompt": "consent"}},
			"a prompt, and anew":  {func(o *oidcsignin.Options) { o.Prompt = "consent" }, true, map[string]string{"prompt": "login"}},
			"a choice, and anew":  {func(o *oidcsignin.Options) { o.Prompt = "select_account" }, true, map[string]string{"prompt": "select_account"}},
			"with scopes":         {func(o *oidcsignin.Options) { o.Scopes = []string{"openid", "x"} }, false, map[string]string{"scope": "openid x"}},
			"with no more scopes": {func(o *oidcsignin.Options) { o.Scopes = []string{} }, false, map[string]string{"scope": "openid"}},
		} {
			s := newSite(t, newDouble(t), story.set)
			to, _, err := s.signIn.Begin(request(publicURL), publicURL, story.anew)
			u, _ := url.Parse(to)
			for parameter, want := range story.want {
				if got := u.Query().Get(parameter); err != nil || got != want {
					t.Errorf("%s: %s is %q, want %q; %v", name, parameter, got, want, err)
				}
			}
		}
	})
}

// Begin leads back to the page alone, whoever calls it.
func TestSignIn_BackToThePageAlone(t *testing.T) {
	s := newSite(t, newDouble(t), nil)
	for _, back := range []string{"", "https://evil.example", publicURL + ".evil.example", publicURL + "@evil.example", "/apps/connect", publicURL + "/" + strings.Repeat("x", 2000)} {
		if to, _, err := s.signIn.Begin(request(publicURL), back, false); err == nil {
			t.Errorf("%q: %s", back, to)
		}
	}
	var _ lazyauth.BrowserSignIn = s.signIn
}
