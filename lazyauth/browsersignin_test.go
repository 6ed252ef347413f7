package lazyauth_test

import (
	"errors"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

// A porter signs whoever comes in as the one whose name stands in the answer.
type porter struct {
	at   string // the page
	to   string // where it sends people
	fail error  // of Begin and Finish
	anew bool   // what Begin was told last
}

func (d *porter) RedirectURI() string { return d.at + "/signed-in" }

func (d *porter) Session(r *http.Request) (lazyauth.Principal, string, error) {
	c, err := r.Cookie("porter")
	if err != nil {
		return lazyauth.Principal{}, "", err
	}
	return lazyauth.Principal{Subject: c.Value}, "Mx " + c.Value + " <b>", nil
}

func (d *porter) Begin(_ *http.Request, back string, anew bool) (string, []*http.Cookie, error) {
	d.anew = anew
	return d.to, []*http.Cookie{{Name: "porter-back", Value: url.QueryEscape(back)}}, d.fail
}

func (d *porter) Finish(r *http.Request) (string, []*http.Cookie, error) {
	c, err := r.Cookie("porter-back")
	if err != nil {
		return "", nil, lazyauth.ErrSignInElsewhere
	}
	back, _ := url.QueryUnescape(c.Value)
	over := &http.Cookie{Name: c.Name, MaxAge: -1}
	if d.fail != nil {
		return back, []*http.Cookie{over}, d.fail
	}
	return back, []*http.Cookie{over, {Name: "porter", Value: r.URL.Query().Get("as")}}, nil
}

func (d *porter) End(*http.Request) []*http.Cookie {
	return []*http.Cookie{{Name: "porter", MaxAge: -1}}
}

// newLobby returns an office whose people sign in at a porter.
func newLobby(t *testing.T) (*office, *porter) {
	t.Helper()
	d := &porter{at: connectURL, to: "https://login.example.com/authorize?x=1&y=<2>"}
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{PublicURL: connectURL, SignIn: d})
	if err != nil {
		t.Fatal(err)
	}
	s := world.Setup{Service: func(s *lazyauth.Service) { s.Flows, s.ConnectPage = []lazyauth.Flow{lazyauth.FlowRedirect}, page }}
	s.Options.Principal = world.ByClientName
	s.AS.People = []fakeas.Person{{Subject: "ada", Name: "Ada Example"}}
	s.AS.Clients = []fakeas.Client{{
		ID: fakeas.DefaultClientID, RedirectURIs: []string{page.RedirectURI(lazyauth.Service{Name: "Notes", Issuer: fakeas.DefaultIssuer})},
	}}
	return &office{world.New(t, s), page}, d
}

var formField = regexp.MustCompile(`<input type="hidden" name="([a-z]+)" value="([^"]*)">`)

// fields returns the hidden fields of a page with one form.
func fields(v world.Visit) url.Values {
	form := url.Values{}
	for _, f := range formField.FindAllStringSubmatch(v.HTML, -1) {
		form.Set(f[1], html.UnescapeString(f[2]))
	}
	return form
}

// Nobody is signed in at the browser: the page signs them in, they come back to the link that they came from, and
// the call goes on.
func TestBrowserSignIn_ComesBackToTheLink(t *testing.T) {
	world.InBothEras(t, func(t *testing.T, era string) {
		o, d := newLobby(t)
		call, link := o.asks(era)
		v := o.Visitor(o.page, "")
		page := v.Get(link)
		shows(t, page, http.StatusForbidden, "signed-out", "Then you come back to this page", `action="`+connectURL+`/sign-in"`)
		left := v.Do(http.MethodPost, connectURL+"/sign-in", fields(page), nil)
		shows(t, left, http.StatusOK, "signing-in", "on your way to login.example.com")
		if left.Onward() != d.to || d.anew {
			t.Errorf("the page leads to %q, anew: %t", left.Onward(), d.anew)
		}
		back := v.Get(connectURL + "/signed-in?as=ada")
		if back.Status != http.StatusSeeOther || back.Location != link {
			t.Fatalf("status %d, to %q and not to %q", back.Status, back.Location, link)
		}
		shows(t, v.Get(back.Location), http.StatusOK, "consent", "You are signed in as Mx ada &lt;b&gt;")
		o.waits(call)
		v.User = "ada" // at the authorization server of the API
		shows(t, v.Connects(link), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
	})
}

// Whose session ends, or is another's, while they are at the authorization server, signs in again from there, and is
// back at the link; what they had brought stays nowhere.
func TestBrowserSignIn_SessionOverMeanwhile(t *testing.T) {
	for name, change := range map[string]struct {
		cookie, page string
	}{"nobody's": {"", "signed-out"}, "somebody else's": {"eve", "foreign"}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o, _ := newLobby(t)
				call, link := o.asks(world.Modern)
				v := o.Visitor(o.page, "")
				v.Cookies()["porter"] = &http.Cookie{Name: "porter", Value: "ada"}
				back := v.SignsIn(v.Continues(link), "ada")
				delete(v.Cookies(), "porter")
				if change.cookie != "" {
					v.Cookies()["porter"] = &http.Cookie{Name: "porter", Value: change.cookie}
				}
				page := v.ComesBack(back)
				shows(t, page, http.StatusForbidden, change.page)
				o.waits(call)
				if change.cookie != "" {
					page = v.Do(http.MethodPost, connectURL+"/sign-out", fields(page), nil)
				}
				shows(t, v.Do(http.MethodPost, connectURL+"/sign-in", fields(page), nil), http.StatusOK, "signing-in")
				if at := v.Get(connectURL + "/signed-in?as=ada").Location; at != link {
					t.Errorf("they are led to %q", at)
				}
				v.User = "ada"
				shows(t, v.Connects(link), http.StatusOK, "signed-in")
				(<-call).Succeeds(t, "Ada")
			})
		})
	}
}

// Whoever is signed in as somebody else is signed out by saying so, and signs in anew.
func TestBrowserSignIn_NotMe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, d := newLobby(t)
		call, link := o.asks(world.Modern) // the attacker's
		v := o.Visitor(o.page, "")
		v.Cookies()["porter"] = &http.Cookie{Name: "porter", Value: "ada"} // by the attacker's login CSRF
		no := v.Do(http.MethodPost, connectURL, v.Get(link).Form("not-me"), nil)
		shows(t, no, http.StatusOK, "not-me", "This browser was signed in", "Sign in as yourself")
		if len(v.Cookies()) != 0 {
			t.Errorf("cookies %v", v.Cookies())
		}
		shows(t, v.Get(link), http.StatusForbidden, "signed-out")
		shows(t, v.Do(http.MethodPost, connectURL+"/sign-in", fields(no), nil), http.StatusOK, "signing-in")
		if !d.anew {
			t.Error("the sign-in is not begun anew")
		}
		shows(t, v.Get(v.Get(connectURL+"/signed-in?as=eve").Location), http.StatusForbidden, "foreign", "not for Mx eve")
		o.waits(call)
		<-call
	})
}

// The page of a link that is not theirs lets people sign out, and in as who they are.
func TestBrowserSignIn_SignOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := newLobby(t)
		call, link := o.asks(world.Modern)
		v := o.Visitor(o.page, "")
		v.Cookies()["porter"] = &http.Cookie{Name: "porter", Value: "eve"}
		foreign := v.Get(link)
		shows(t, foreign, http.StatusForbidden, "foreign", `action="`+connectURL+`/sign-out"`)
		out := v.Do(http.MethodPost, connectURL+"/sign-out", fields(foreign), nil)
		shows(t, out, http.StatusOK, "left")
		if len(v.Cookies()) != 0 {
			t.Errorf("cookies %v", v.Cookies())
		}
		v.Do(http.MethodPost, connectURL+"/sign-in", fields(out), nil)
		shows(t, v.Get(v.Get(connectURL+"/signed-in?as=ada").Location), http.StatusOK, "consent")
		o.waits(call)
		<-call
	})
}

// Neither a GET nor another site begins or ends anything, and nothing leads away from the page.
func TestBrowserSignIn_Forged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, _ := newLobby(t)
		v := o.Visitor(o.page, "")
		for _, path := range []string{"/sign-in", "/sign-out"} {
			for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPut} {
				v.Cookies()["porter"] = &http.Cookie{Name: "porter", Value: "ada"}
				if got := v.Do(method, connectURL+path, url.Values{"back": {""}}, nil); got.Status != http.StatusMethodNotAllowed || len(v.Cookies()) != 1 {
					t.Errorf("%s %s: %d, cookies %v", method, path, got.Status, v.Cookies())
				}
			}
			for name, forge := range map[string]func(url.Values, http.Header){
				"another site":          func(_ url.Values, h http.Header) { h["Sec-Fetch-Site"] = []string{"cross-site"} },
				"another name of it":    func(_ url.Values, h http.Header) { h["Sec-Fetch-Site"] = []string{"same-site"} },
				"who knows where":       func(_ url.Values, h http.Header) { h["Sec-Fetch-Site"] = nil },
				"no form of the page":   func(f url.Values, _ http.Header) { f.Del("back") },
				"back to another site":  func(f url.Values, _ http.Header) { f.Set("back", "https://evil.example/") },
				"back to another host":  func(f url.Values, _ http.Header) { f.Set("back", ".evil.example/") },
				"back by user info":     func(f url.Values, _ http.Header) { f.Set("back", "@evil.example/") },
				"back to another path":  func(f url.Values, _ http.Header) { f.Set("back", "/../admin") },
				"back to a longer link": func(f url.Values, _ http.Header) { f.Set("back", "?f="+strings.Repeat("A", 22)+"&x=1") },
				"two ways back":         func(f url.Values, _ http.Header) { f["back"] = []string{"", ""} },
				"more than a form has":  func(f url.Values, _ http.Header) { f.Set("more", strings.Repeat("A", 5000)) },
			} {
				form, header := url.Values{"back": {""}}, http.Header{}
				forge(form, header)
				if got := v.Do(http.MethodPost, connectURL+path, form, header); got.Name != "forged" || got.Status < 400 || len(v.Cookies()) != 1 {
					t.Errorf("%s, %s: page %q, %d, cookies %v", path, name, got.Name, got.Status, v.Cookies())
				}
			}
		}
		v.Cookies()["porter-back"] = &http.Cookie{Name: "porter-back", Value: url.QueryEscape("https://evil.example/")}
		if got := v.Get(connectURL + "/signed-in?as=ada"); got.Location != connectURL {
			t.Errorf("a way back that is none of the page's leads to %q", got.Location)
		}
		for name, header := range map[string]http.Header{"in a frame": {"Sec-Fetch-Dest": {"iframe"}}, "ahead of time": {"Sec-Purpose": {"prefetch"}}} {
			if got := v.Do(http.MethodGet, connectURL+"/signed-in?as=ada", nil, header); got.Status != http.StatusBadRequest {
				t.Errorf("%s: %d", name, got.Status)
			}
		}
	})
}

// What goes wrong is said, with nothing of its text, and where it makes sense to try again.
func TestBrowserSignIn_Fails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o, d := newLobby(t)
		call, link := o.asks(world.Modern)
		v := o.Visitor(o.page, "")
		shows(t, v.ComesBack(connectURL+"/signed-in?as=ada"), http.StatusForbidden, "elsewhere")
		begin := func() world.Visit {
			return v.Do(http.MethodPost, connectURL+"/sign-in", fields(v.Get(link)), nil)
		}
		for name, want := range map[string]struct {
			err    error
			status int
			page   string
		}{
			"elsewhere": {lazyauth.ErrSignInElsewhere, http.StatusForbidden, "elsewhere"},
			"unreached": {lazyauth.ErrSignInUnreached, http.StatusServiceUnavailable, "unreachable"},
			"failed":    {errors.New("<b>secret"), http.StatusForbidden, "unsigned"},
		} {
			d.fail = want.err
			at := v.Follows(begin())
			shows(t, at, want.status, want.page)
			d.fail = nil
			begin()
			d.fail = want.err
			back := v.ComesBack(connectURL + "/signed-in?as=ada")
			shows(t, back, want.status, want.page)
			if d.fail = nil; strings.Contains(at.HTML+back.HTML, "secret") || len(v.Cookies()) != 0 {
				t.Errorf("%s: cookies %v, %s", name, v.Cookies(), back.HTML)
			}
			if want.page != "unsigned" {
				continue
			}
			v.Do(http.MethodPost, connectURL+"/sign-in", fields(back), nil)
			shows(t, v.Get(v.Get(connectURL+"/signed-in?as=ada").Location), http.StatusOK, "consent")
			v.Do(http.MethodPost, connectURL+"/sign-out", url.Values{"back": {""}}, nil)
		}
		d.to = "javascript:alert(1)"
		shows(t, begin(), http.StatusForbidden, "unsigned")
		o.waits(call)
		<-call
	})
}

func TestBrowserSignIn_Options(t *testing.T) {
	good := &porter{at: connectURL}
	who := func(*http.Request) (lazyauth.Principal, error) { return lazyauth.Principal{}, nil }
	for name, o := range map[string]lazyauth.ConnectOptions{
		"comes back elsewhere":    {SignIn: &porter{at: connectURL + "/"}},
		"beside Who":              {SignIn: good, Who: who},
		"beside Name":             {SignIn: good, Name: func(lazyauth.Principal) string { return "" }},
		"beside SignInURL":        {SignIn: good, SignInURL: "https://mcp.example.com/login"},
		"neither of them":         {},
		"a path of its own":       {PublicURL: connectURL + "/signed-in", Who: who},
		"another path of its own": {PublicURL: connectURL + "/sign-out", Who: who},
	} {
		if o.PublicURL == "" {
			o.PublicURL = connectURL
		}
		if _, err := lazyauth.NewConnectPage(o); err == nil || !strings.Contains(err.Error(), "ConnectOptions") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
