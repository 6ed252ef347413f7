package connect_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/connect"
)

const (
	address = "https://mcp.example.com/connect"
	attempt = "AAAAAAAAAAAAAAAA"
	code    = "AAAAAAAAAAAAAAAAAAAAAA"
)

func nobody(*http.Request) (connect.Person, error) {
	return connect.Person{}, errors.New("nobody is signed in")
}

func with(name, value string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, address, nil)
	r.Header.Set("Cookie", name+"="+value)
	return r
}

// A cookie opens under its own name, at its own page, in time, once.
func TestCookie_OpensForItsAttemptAlone(t *testing.T) {
	s, other := connect.NewSealer(address, nobody), connect.NewSealer(address, nobody)
	name, value := s.Cookie(attempt, code, time.Now().Add(time.Minute))
	if link, ok := s.Opens(with(name, value), attempt); !ok || link != code {
		t.Fatalf("its own cookie: %q, %t", link, ok)
	}
	another := strings.Replace(name, attempt, "BBBBBBBBBBBBBBBB", 1)
	_, over := s.Cookie(attempt, code, time.Now().Add(-time.Second))
	for what, test := range map[string]struct {
		s       connect.Sealer
		r       *http.Request
		attempt string
	}{
		"under the name of another attempt": {s, with(another, value), "BBBBBBBBBBBBBBBB"},
		"at another process":                {other, with(name, value), attempt},
		"after its end":                     {s, with(name, over), attempt},
		"altered":                           {s, with(name, value[:len(value)-1]+"A"), attempt},
		"cut short":                         {s, with(name, value[:20]), attempt},
		"twice":                             {s, with(name, value+"; "+name+"="+value), attempt},
		"empty":                             {s, with(name, ""), attempt},
		"missing":                           {s, httptest.NewRequest(http.MethodGet, address, nil), attempt},
	} {
		if strings.HasSuffix(value, "A") && what == "altered" {
			continue
		}
		if link, ok := test.s.Opens(test.r, test.attempt); ok || link != "" {
			t.Errorf("%s: it opens, for %q", what, link)
		}
	}
}

// A browser has eight of them at the most, however many windows there are; those that end first go, and what
// cannot be read.
func TestCookie_AtMostEight(t *testing.T) {
	s := connect.NewSealer(address, nobody)
	r := httptest.NewRequest(http.MethodPost, address, nil)
	for n := range 12 {
		name, value := s.Cookie(strings.Repeat(string(rune('a'+n)), 16), code, time.Now().Add(time.Duration(n+1)*time.Minute))
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	r.AddCookie(&http.Cookie{Name: "__Host-lazyauth-unreadable", Value: "x"})
	r.AddCookie(&http.Cookie{Name: "session", Value: "x"})
	w := httptest.NewRecorder()
	s.Keep(w, r, attempt, code, time.Now().Add(time.Hour))
	dropped, set := map[string]bool{}, 0
	for _, c := range w.Result().Cookies() {
		if c.MaxAge < 0 {
			dropped[c.Name] = true
		} else {
			set++
		}
	}
	if set != 1 || len(dropped) != 6 || dropped["session"] || !dropped["__Host-lazyauth-unreadable"] || !dropped["__Host-lazyauth-"+strings.Repeat("a", 16)] || dropped["__Host-lazyauth-"+strings.Repeat("l", 16)] {
		t.Errorf("%d set, and dropped %v", set, dropped)
	}
}

// Whatever a browser sends for a cookie: no panic, and nothing opens that was not sealed.
func FuzzCookie(f *testing.F) {
	s := connect.NewSealer(address, nobody)
	name, value := s.Cookie(attempt, code, time.Now().Add(time.Hour))
	for _, seed := range []string{value, value[:30], "", "x", strings.Repeat("A", 5000), value + "=", "%"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r := httptest.NewRequest(http.MethodGet, address, nil)
		r.Header.Set("Cookie", name+"="+text)
		if link, ok := s.Opens(r, attempt); ok && (text != value || link != code) && strings.Trim(strings.TrimSpace(text), `"`) != value && !strings.HasPrefix(text, value+";") {
			t.Errorf("%q opens, for %q", text, link)
		}
	})
}
