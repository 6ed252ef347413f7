package connect_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"golang.org/x/oauth2"
)

// An authorization server that sends people on to other sites before it shows its page, and back.
func TestHops(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{hops: true})
	call := o.asks(modern, "ada")
	ada := o.visitor("ada")
	ada.connects(call.link, "ada")
	call.succeeds("ada")
	if n := o.hopped.Load(); n != 2 {
		t.Errorf("it went by other sites %d times, want twice", n)
	}
}

// What a redirect would come to in place of the page that leads on: Chromium holds form-action against all redirects
// after a form.
func TestRedirectsAreHeldAgainstThePolicy(t *testing.T) {
	t.Parallel()
	elsewhere := evil(t, ssoHost, "")
	b := newBrowser(t)
	b.opens(serves(t, mcpHost, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPost {
			http.Redirect(w, r, elsewhere, http.StatusSeeOther)
			return
		}
		w.Header().Set("Content-Security-Policy", "form-action 'self'")
		w.Header().Set("Content-Type", "text/html")
		fmt.Fprint(w, `<!doctype html><title>A form</title><body><form method="post"><button>Go</button></form>
			<script>document.addEventListener('securitypolicyviolation', (e) => { document.body.dataset.page = e.effectiveDirective; delete document.documentElement.dataset.left; });</script>`)
	})))
	b.presses("button")
	if at := b.seesBut(""); at.Name != "form-action" {
		t.Errorf("the browser shows %q at %s", at.Name, at.URL)
	}
}

// A server that takes pushed requests alone: the address has nothing in it.
func TestPushedOnly(t *testing.T) {
	t.Parallel()
	o := newOffice(t, setup{as: fakeas.Options{Push: fakeas.PushRequired}})
	call := o.asks(legacy, "ada")
	ada := o.visitor("ada")
	authorization := o.leadsOn(ada, call.link)
	if strings.Contains(authorization, "state=") || !strings.Contains(authorization, "request_uri=") {
		t.Errorf("the address is %s", authorization)
	}
	ada.connects(call.link, "ada")
	call.succeeds("ada")
}

// A flight that falls back to the device flow has a code that anybody can enter: whose account it is that comes of it
// has to be known. Here its server knows no other flow; that nobody comes to the page within 45 seconds has the same
// effect, for which lazyauth/connectpage_test.go has virtual time.
func TestFallsBackToDevice(t *testing.T) {
	both := []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice}
	for user, comesTo := range map[string]func(*call){
		"ada": func(c *call) { c.succeeds("ada") },
		"eve": func(c *call) { c.fails("unverified") }, // the attacker, who has sent link and code to ada
	} {
		t.Run("asked by "+user, func(t *testing.T) {
			t.Parallel()
			var o *office
			s := setup{flows: both, as: fakeas.Options{NoAuthorization: true}}
			s.options.VerifyUser = func(_ context.Context, who lazyauth.Principal, token *oauth2.Token) error {
				if access, ok := o.as.Introspect(token.AccessToken); !ok || access.Subject != who.Subject {
					return errors.New("somebody else's account")
				}
				return nil
			}
			o = newOffice(t, s)
			call := o.asks(modern, user)
			waiting := o.as.Waiting()
			if len(waiting) != 1 || strings.HasPrefix(call.link, o.base) || !strings.Contains(call.message, waiting[0].UserCode) {
				t.Fatalf("it did not fall back: %s, %s", call.link, call.message)
			}
			ada := newBrowser(t)
			ada.opens(call.link)
			ada.shows(200, "enter")
			ada.types("#user_code", waiting[0].UserCode)
			ada.presses("button[type=submit]")
			ada.shows(200, "confirm")
			ada.presses(approves)
			ada.shows(200, "approved")
			comesTo(call)
		})
	}
	t.Run("nothing knows accounts", func(t *testing.T) {
		t.Parallel()
		o := newOffice(t, setup{flows: both, as: fakeas.Options{NoAuthorization: true}})
		call := o.starts(modern, "ada")
		call.fails("unsupported") // by the page, and by a code that nothing would confirm
		if n := o.as.Count(fakeas.DeviceAuthorization, ""); n != 0 || call.wasAsked() {
			t.Errorf("ada was asked (%t), and there are %d codes", call.wasAsked(), n)
		}
	})
}

// Behind a proxy that cuts off the beginning of the path, all that a browser is given is as the browser sees it: the
// link, the form, the redirect URI, the last page. The cookies belong to the host, which a path is no part of.
func TestBehindAProxy(t *testing.T) {
	for _, path := range []string{"/connect", "/a/b/connect"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			o := newOffice(t, setup{prefix: "/apps/notes", path: path})
			call := o.asks(modern, "ada")
			if !strings.HasPrefix(call.link, o.base+path+"?f=") || !strings.Contains(o.base, "/apps/notes") {
				t.Errorf("the link is %s", call.link)
			}
			ada := o.visitor("ada")
			authorization := o.leadsOn(ada, call.link)
			if at := must[string](ada, "location.href"); at != o.base+path {
				t.Errorf("the form leads to %s", at)
			}
			u, err := url.Parse(authorization)
			if err != nil {
				t.Fatal(err)
			}
			if uri := u.Query().Get("redirect_uri"); !strings.HasPrefix(uri, o.base+path+"/callback/") {
				t.Errorf("the redirect URI is %s", uri)
			}
			for _, c := range ada.ofAttempts() {
				if c.Path != "/" || c.Domain != mcpHost || !c.Secure || !c.HTTPOnly || c.SameSite != "Lax" {
					t.Errorf("cookie %+v", c)
				}
			}
			ada.opens(call.link)
			ada.shows(200, "consent")
			ada.presses(goesOn)
			ada.signsIn("ada")
			if at := ada.shows(200, "signed-in"); !strings.HasPrefix(at.URL, o.base+path+"/done?") {
				t.Errorf("the last page is at %s", at.URL)
			}
			call.succeeds("ada")
		})
	}
}
