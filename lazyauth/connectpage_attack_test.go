package lazyauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/world"
)

// What a browser brings that is not its own leaves its address at once, whatever is wrong with it: who was led here by
// an attacker has nothing to be talked out of. Only what is no window shows nothing else.
func TestConnectPage_NothingStaysInTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		_, link := o.asks(world.Modern)
		back := o.Visitor(o.page, "ada").SignsIn(o.Visitor(o.page, "ada").Continues(link), "ada")
		u, _ := url.Parse(back)
		for name, change := range map[string]func(q url.Values){
			"as it is":            func(url.Values) {},
			"a state of nobody's": func(q url.Values) { q.Set("state", "a-state-of-nobody") },
			"a long state":        func(q url.Values) { q.Set("state", strings.Repeat("a-long-state", 100)) },
			"two states":          func(q url.Values) { q.Add("state", "a-state-of-nobody") },
			"no state":            func(q url.Values) { q.Del("state") },
			"an error beside it":  func(q url.Values) { q.Set("error", "x") },
			"another issuer":      func(q url.Values) { q.Set("iss", "https://evil.example") },
		} {
			q := u.Query()
			change(q)
			u.RawQuery = q.Encode()
			for _, user := range []string{"eve", ""} {
				got := o.Visitor(o.page, user).Get(u.String())
				if got.Status != http.StatusSeeOther || !strings.HasPrefix(got.Location, connectURL+"/") || strings.ContainsAny(got.Location, "?#") || got.HTML != "" {
					t.Errorf("%s: status %d, to %q", name, got.Status, got.Location)
				}
				if at := o.Visitor(o.page, user).Follows(got); at.Status < 400 || !strings.Contains(at.HTML, "Do not copy") {
					t.Errorf("%s: %d, %s", name, at.Status, at.HTML)
				}
			}
		}
	})
}

// Nor does what its own browser brings to an attempt that takes nothing any more: the server has not been given that
// code, and one that ignores PKCE would exchange it for whoever reads it.
func TestConnectPage_NothingStaysOfAnOldAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{})
		call, link := o.asks(world.Modern)
		ada := o.Visitor(o.page, "ada")
		older, refused := ada.SignsIn(ada.Continues(link), "ada"), ada.SignsIn(ada.Continues(link), "ada")
		leads := func(callback, page string) {
			t.Helper()
			got := ada.Get(callback)
			if got.Status != http.StatusSeeOther || got.Location != connectURL+"/"+page || got.HTML != "" {
				t.Errorf("status %d, to %q, want %s", got.Status, got.Location, page)
			}
			shows(t, ada.Follows(got), http.StatusGone, page)
		}
		leads(older, "newer")
		u, _ := url.Parse(refused)
		q := u.Query()
		q.Set("code", "no-such-code")
		u.RawQuery = q.Encode()
		shows(t, ada.ComesBack(u.String()), http.StatusOK, "again")
		leads(refused, "already")
		shows(t, ada.Connects(link), http.StatusOK, "signed-in")
		(<-call).Succeeds(t, "Ada")
		leads(refused, "ended")
	})
}

// That somebody is not who their browser is signed in as is what an attack looks like: whoever runs the server can see
// it.
func TestConnectPage_NotMeIsTraced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var told []string
		o := newOffice(t, world.Setup{Options: lazyauth.Options{Trace: &lazyauth.Trace{
			Redirected: func(_ context.Context, info lazyauth.RedirectedInfo) { told = append(told, fmt.Sprint(info.Err)) },
		}}})
		_, link := o.asks(world.Modern)
		victim := o.Visitor(o.page, "ada")
		victim.Do(http.MethodPost, connectURL, victim.Get(link).Form("not-me"), nil)
		synctest.Wait()
		if !strings.Contains(strings.Join(told, "\n"), "they are somebody else") {
			t.Errorf("told: %q", told)
		}
	})
}

// Who sends the form again and again has no more pushed than they may begin.
func TestConnectPage_PushesAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, world.Setup{AS: fakeas.Options{Push: fakeas.PushRequired}})
		_, link := o.asks(world.Modern)
		ada := o.Visitor(o.page, "ada")
		form := ada.Get(link).Form("continue")
		var last world.Visit
		for range 200 {
			last = ada.Do(http.MethodPost, connectURL, form, nil)
		}
		shows(t, last, http.StatusTooManyRequests, "too-often")
		if after := last.Header.Get("Retry-After"); after != "600" {
			t.Errorf("to come back after %q", after)
		}
		if n := o.AS.Count(fakeas.PushedAuthorization, ""); n != 50 {
			t.Errorf("%d requests were pushed", n)
		}
	})
}
