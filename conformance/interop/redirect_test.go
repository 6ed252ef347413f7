package interop_test

import (
	"context"
	"crypto/rand"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// The stories below are those of a redirect, told by the library itself: what a browser brings
// back is the point, and no host sees that. What hosts see is in redirect_hosts_test.go.

// The person follows the link, signs in, approves, and comes back to a page that says whose
// account it is. The same answer once more, as a browser loads it that is taken back, does nothing:
// the server would take a code that comes twice for stolen, and end the grant.
func TestRedirect_Approved(t *testing.T) {
	tellAt(t, andChromium(sites()), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada := newRedirecting(t, as), meet(t)
		s := r.begin("whoami")
		r.shows(s.link)
		caught := s.walk(ada, approves)
		if landed := r.lands(ada, caught, "signed-in"); !strings.Contains(landed.text, ada.name) {
			t.Errorf("the page does not say whose account it is: %s", landed.text)
		}
		r.lands(ada, caught, "signed-in")
		token := s.granted(ada.name, 1)
		if status, challenge := as.me(t, token.AccessToken); status != http.StatusOK {
			t.Errorf("the API says %d %s", status, challenge)
		}
	})
}

// shows judges a link that a host would show: it goes to the authorization server, with a
// challenge, or with a pushed request and nothing else; and says nothing of the person.
func (r *redirecting) shows(link string) {
	r.Helper()
	u, err := url.Parse(link)
	if err != nil || !strings.HasPrefix(link, r.as.endpoints(r.T).Authorization+"?") {
		r.Fatalf("the link %s, %v", link, err)
	}
	q, names := u.Query(), slices.Sorted(maps.Keys(u.Query()))
	switch {
	case q.Has("login_hint"):
		r.Errorf("the link tells of the person: %s", link)
	case q.Has("request_uri"):
		if !slices.Equal(names, []string{"client_id", "request_uri"}) {
			r.Errorf("a link with a pushed request has %q", names)
		}
	case r.as == world.strict:
		r.Errorf("not pushed, where that is demanded: %s", link)
	case q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 || len(q.Get("state")) < 43:
		r.Errorf("the link %s", link)
	}
}

// The person says no, and is told so.
func TestRedirect_Denied(t *testing.T) {
	tellAt(t, sites(), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada := newRedirecting(t, as), meet(t)
		s := r.begin("whoami")
		r.lands(ada, s.walk(ada, denies), "denied")
		s.failed(lazyauth.ReasonDenied)
		if codes := r.presented(); len(codes) != 0 {
			t.Errorf("codes: %+v", codes)
		}
	})
}

// The person opens the link and goes away. A call that waited for them gives up; others go on when
// they open the link again.
func TestRedirect_Abandoned(t *testing.T) {
	tellAt(t, sites(), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada := newRedirecting(t, as), meet(t)
		first := r.begin("whoami")
		if caught, err := ada.walk(r.ctx, first.link, abandons); caught != nil || err != nil {
			t.Fatalf("sent back to %v, %v", caught, err)
		}
		ctx, cancel := context.WithCancel(r.ctx)
		gone := r.join(ctx, "whoami")
		cancel()
		if err := <-gone.done; !errors.Is(err, context.Canceled) {
			t.Errorf("whoever goes away has %v", err)
		}
		second := r.join(r.ctx, "whoami")
		second.link = first.link
		r.lands(ada, second.walk(ada, approves), "signed-in")
		second.granted(ada.name, 1)
		first.granted(ada.name, 1)
	})
}

// An answer with another state belongs to nobody, and its code is presented nowhere; the right one is
// still good.
func TestRedirect_WrongState(t *testing.T) {
	tellAt(t, sites(), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada := newRedirecting(t, as), meet(t)
		s := r.begin("whoami")
		caught := s.walk(ada, approves)
		r.lands(ada, with(caught, "state", rand.Text()+rand.Text()), "nothing")
		r.lands(ada, with(caught, "state", ""), "nothing")
		r.lands(ada, caught, "signed-in")
		s.granted(ada.name, 1)
	})
}

// A mix-up (RFC 9207): an answer that names another authorization server, or none where this one
// promises to name itself. The code is presented to neither of them.
func TestRedirect_MixedUp(t *testing.T) {
	tellAt(t, sites(), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada := newRedirecting(t, as), meet(t)
		s := r.begin("whoami")
		caught := s.walk(ada, approves)
		code := caught.Query().Get("code")
		for name, iss := range map[string]string{"another": world.plain.Issuer, "none": "", "almost": as.Issuer + "/"} {
			if landed := r.lands(ada, with(caught, "iss", iss), "mixed-up"); landed.text == "" {
				t.Errorf("%s: an empty page", name)
			}
		}
		for _, server := range []*provider{as, world.plain} {
			for _, e := range server.journal(t) {
				if e.Code == code {
					t.Errorf("the code was presented: %+v", e)
				}
			}
		}
		r.lands(ada, caught, "signed-in")
		s.granted(ada.name, 1)
	})
}

// A code that the server refuses ends nothing, since anybody who knows the state can bring one:
// here one that is made up. The page leads to a fresh start in this browser, by which the
// person signs in.
func TestRedirect_RefusedCode(t *testing.T) {
	tellAt(t, sites(), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada := newRedirecting(t, as), meet(t)
		s := r.begin("whoami")
		caught := s.walk(ada, approves)
		landed := r.lands(ada, with(caught, "code", rand.Text()), "again")
		if !strings.Contains(landed.button, caught.Host+"/start/") {
			t.Fatalf("the page leads to %q", landed.button)
		}
		s.link = landed.button
		again := s.walk(ada, approves)
		r.lands(ada, again, "signed-in")
		s.granted(ada.name, 2)
	})
}

// Somebody else's code, of a request of their own, is of no use: the verifier is another one.
func TestRedirect_AnothersCode(t *testing.T) {
	tellAt(t, sites(), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada, mallory := newRedirecting(t, as), meet(t), meet(t)
		s := r.begin("whoami")
		caught := s.walk(ada, approves)
		back := url.URL{Scheme: caught.Scheme, Host: caught.Host, Path: caught.Path}
		theirs := as.redirectTo(t, back.String(), r.client, "profile", as == world.strict)
		stolen, err := mallory.walk(r.ctx, theirs.address, approves)
		if err != nil {
			t.Fatal(err)
		}
		r.lands(ada, with(caught, "code", stolen.Query().Get("code")), "again")
		r.lands(ada, caught, "signed-in")
		s.granted(ada.name, 2)
	})
}

// Where the program opens the browser itself, the link is a page of its own that binds the sign-in to
// the browser which opened it. So somebody else's answer is refused even if they know the link
// and have an account: here they followed it, and have the person's browser load what came of it.
func TestRedirect_StartPage(t *testing.T) {
	tellAt(t, andChromium(sites()), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada, mallory := newRedirecting(t, as), meet(t), meet(t)
		s := r.beginHere("profile")
		if !strings.HasPrefix(s.link, "http://127.0.0.1:") || !strings.Contains(s.link, "/start/") {
			t.Fatalf("the link %s", s.link)
		}
		theirs := s.walk(mallory, approves)
		r.lands(ada, theirs, "foreign")
		caught := s.walk(ada, approves)
		r.lands(ada, theirs, "newer") // than that, of which this browser's cookie says nothing
		r.lands(ada, caught, "signed-in")
		s.granted(ada.name, 1)
	})
}

// A link that a host shows binds to no browser: whoever knows it can sign in by it with an account of
// theirs, and have the person's browser load what came of it. What is left is to say whose
// account it is, on the last page and in the result.
func TestRedirect_ShownLinkBindsNobody(t *testing.T) {
	tellAt(t, sites(), func(t *testing.T, as *provider, meet func(*testing.T) somebody) {
		r, ada, mallory := newRedirecting(t, as), meet(t), meet(t)
		s := r.begin("whoami")
		landed := r.lands(ada, s.walk(mallory, approves), "signed-in")
		if !strings.Contains(landed.text, "You signed in as "+mallory.name) || !strings.Contains(landed.text, "Not your account?") {
			t.Errorf("the page says %q", landed.text)
		}
		s.granted(mallory.name, 1)
	})
}
