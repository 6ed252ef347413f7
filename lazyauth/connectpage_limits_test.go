package lazyauth_test

import (
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/httplimit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

// A flood of links that are nobody's, of callbacks and of sign-ins ends at the address that they
// come from: nobody gets to the page from there, whatever their link is. It costs the sign-ins under way nothing,
// and people find theirs as before.
func TestConnectPage_ManyTries(t *testing.T) {
	const code = "AAAAAAAAAAAAAAAAAAAAAA"
	for name, flood := range map[string]func(eve *world.Visitor, link string) world.Visit{
		"unknown links":   func(eve *world.Visitor, _ string) world.Visit { return eve.Get(connectURL + "?f=" + code) },
		"somebody else's": func(eve *world.Visitor, link string) world.Visit { return eve.Get(link) },
		"what is no link": func(eve *world.Visitor, _ string) world.Visit {
			return eve.Get(connectURL + "?f=" + code + "&f=" + code)
		},
		"callbacks": func(eve *world.Visitor, _ string) world.Visit {
			return eve.Get(connectURL + "/callback/x?code=a-code-of-nobody&state=" + code[:16] + "." + strings.Repeat("B", 43))
		},
		"ends of sign-ins": func(eve *world.Visitor, _ string) world.Visit { return eve.Get(connectURL + "/done?a=" + code[:16]) },
		"forms of other pages": func(eve *world.Visitor, link string) world.Visit {
			return eve.Do(http.MethodPost, link, map[string][]string{"f": {code}, "answer": {"continue"}}, nil)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := newOffice(t, world.Setup{})
				call, link := o.asks(world.Modern)
				pages := httplimit.New(&httplimit.Limits{Tries: 30}).Pages(o.page)
				eve, ada := o.Visitor(pages, "eve"), o.Visitor(pages, "ada")
				for n := range 1000 {
					if v := flood(eve, link); (v.Status == http.StatusTooManyRequests) != (n >= 30) {
						t.Fatalf("request %d is answered %d", n, v.Status)
					}
				}
				for _, address := range []string{link, connectURL + "?f=" + code, connectURL} {
					v := ada.Get(address)
					if v.Status != http.StatusTooManyRequests || v.Header.Get("Retry-After") == "" || len(v.Header["Set-Cookie"]) > 0 {
						t.Errorf("%s is answered %d, %v", address, v.Status, v.Header)
					}
				}
				o.waits(call)
				time.Sleep(30 * time.Second)
				shows(t, ada.Connects(link), http.StatusOK, "signed-in")
				(<-call).Succeeds(t, "Ada")
			})
		})
	}
}

// Sign-ins that are begun again and again, by the person whose they are, end there as well.
func TestConnectPage_ManyAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(world.Modern)
		ada := o.Visitor(httplimit.New(&httplimit.Limits{Tries: 30}).Pages(o.page), "ada")
		for range 30 {
			ada.Continues(link)
		}
		if v := ada.Get(link); v.Status != http.StatusTooManyRequests {
			t.Errorf("answered %d", v.Status)
		}
		time.Sleep(30 * time.Second)
		shows(t, ada.Connects(link), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
	})
}
