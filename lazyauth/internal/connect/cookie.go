package connect

import (
	"net/http"
	"strings"
	"time"
)

const (
	mostCookies = 8  // of attempts, in one browser
	mostLooked  = 64 // cookies that are looked at for that

	// A browser takes a cookie of the first name from this very host alone, over https, and sends it to no other.
	// Browsers disagree on that for http on loopback, where the other name is used.
	cookiePrefix    = "__Host-lazyauth-"
	cookiePrefixDev = "lazyauth-insecure-"
)

// cookieName names the cookie of an attempt.
func (p *Page) cookieName(attempt string) string {
	if p.secure {
		return cookiePrefix + attempt
	}
	return cookiePrefixDev + attempt
}

// ticket returns what the cookie of an attempt says, if the browser has it. It asks no table.
func (p *Page) ticket(r *http.Request, attempt string) (ticket, bool) {
	name := p.cookieName(attempt)
	cookies := r.CookiesNamed(name)
	var t ticket
	if len(cookies) != 1 || !p.sealer.open(cookies[0].Value, &t, "cookie", name) || t.isOver() {
		return ticket{}, false
	}
	return t, true
}

func (p *Page) setCookie(w http.ResponseWriter, name, value string, life time.Duration) {
	age := int(life.Seconds())
	if value == "" {
		age = -1
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // over http on loopback there is no Secure
		Name: name, Value: value, Path: "/", MaxAge: age, Secure: p.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

// keep gives the browser the cookie of a new attempt, and takes those away that are of no use any more: those
// that are over, and, of more than there may be, those that end first. One that cannot be read may be another page's of
// this host, or another process's, and is the first of these; it ends by itself in any case.
func (p *Page) keep(w http.ResponseWriter, r *http.Request, attempt string, t ticket) {
	type kept struct {
		name string
		ends int64
	}
	prefix := p.cookieName("")
	var all []kept
	drop := func(name string) { p.setCookie(w, name, "", 0) }
	looked := 0
	for _, c := range r.Cookies() {
		if !strings.HasPrefix(c.Name, prefix) {
			continue
		}
		if looked++; looked > mostLooked {
			break
		}
		var old ticket
		if p.sealer.open(c.Value, &old, "cookie", c.Name) && old.isOver() {
			drop(c.Name)
			continue
		}
		all = append(all, kept{c.Name, old.Ends}) // at no time, if it is not known
	}
	for len(all) >= mostCookies {
		first := 0
		for i := range all {
			if all[i].ends < all[first].ends {
				first = i
			}
		}
		drop(all[first].name)
		all = append(all[:first], all[first+1:]...)
	}
	name := p.cookieName(attempt)
	p.setCookie(w, name, p.sealer.seal(t, "cookie", name), time.Until(time.Unix(t.Ends, 0)))
}
