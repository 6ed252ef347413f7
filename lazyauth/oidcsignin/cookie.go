package oidcsignin

import (
	"net/http"
	"strings"
	"time"
)

const (
	mostAttempts = 8  // cookies of attempts, in one browser
	mostLooked   = 64 // cookies that are looked at for that

	// A browser takes a cookie of the first name from this very host alone, over https, and sends it to no other.
	// Browsers disagree on that for http on loopback, where the other name is used.
	cookiePrefix    = "__Host-oidc-"
	cookiePrefixDev = "oidc-insecure-"
	tagLength       = 8 // of what tells several pages of one host apart
)

// cookies names and makes the cookies of one page.
type cookies struct {
	session string // the name of the one of a session; those of attempts begin with it and a dash
	secure  bool
}

func newCookies(tag string, secure bool) cookies {
	prefix := cookiePrefix
	if !secure {
		prefix = cookiePrefixDev
	}
	return cookies{prefix + tag[:tagLength], secure}
}

func (c cookies) attempt(id string) string { return c.session + "-" + id }

// one returns the value of the cookie of a name, if the browser sent one and no more.
func (c cookies) one(r *http.Request, name string) (string, bool) {
	list := r.CookiesNamed(name)
	if len(list) != 1 {
		return "", false
	}
	return list[0].Value, true
}

func (c cookies) set(name, value string, life time.Duration) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // over http on loopback there is no Secure
		Name: name, Value: value, Path: "/", MaxAge: max(1, int(life.Seconds())), Secure: c.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	}
}

// drop returns what takes a cookie away.
func (c cookies) drop(name string) *http.Cookie {
	gone := c.set(name, "", 0) //nolint:gosec // as there
	gone.MaxAge = -1
	return gone
}

// makeRoom takes cookies of attempts away that are of no use any more, and, of more than there may be beside another
// one, those that end first.
func (c cookies) makeRoom(r *http.Request, opens func(name, value string) (ends int64, ok bool)) []*http.Cookie {
	type kept struct {
		name string
		ends int64
	}
	var all []kept
	var gone []*http.Cookie
	looked := 0
	for _, cookie := range r.Cookies() {
		if !strings.HasPrefix(cookie.Name, c.attempt("")) {
			continue
		}
		if looked++; looked > mostLooked {
			break
		}
		if ends, ok := opens(cookie.Name, cookie.Value); ok {
			all = append(all, kept{cookie.Name, ends})
		} else {
			gone = append(gone, c.drop(cookie.Name))
		}
	}
	for len(all) >= mostAttempts {
		first := 0
		for i := range all {
			if all[i].ends < all[first].ends {
				first = i
			}
		}
		gone = append(gone, c.drop(all[first].name))
		all = append(all[:first], all[first+1:]...)
	}
	return gone
}
