package authcode_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
)

// What servers send beside the protocol's own is passed over; what has no value is not there.
func TestReadAnswer(t *testing.T) {
	for query, want := range map[string][4]string{
		"code=4%2F0AX-y_z&state=s&scope=email+openid&authuser=0&prompt=none": {"s", "4/0AX-y_z", "", ""}, // Google
		"code=c&state=s&session_state=d9&iss=https%3A%2F%2Fkc.example%2Fr":   {"s", "c", "", "https://kc.example/r"},
		"error=access_denied&error_description=no&error_uri=x&state=s&code=": {"s", "", "access_denied", ""},
		"state=s&code=c&iss=": {"s", "c", "", ""},
	} {
		a, ok := authcode.ReadAnswer(query)
		if got := [4]string{a.State, a.Code, a.Error, a.Issuer}; !ok || got != want {
			t.Errorf("%s: %q, %t", query, got, ok)
		}
	}
	for _, query := range []string{"", "state=s", "code=c", "code=c&state=s;x", "code=c&state=s&state=s", "code=c&error=e&state=s", "code=c%7f&state=s", "code=%c3%a4&state=s"} {
		if _, ok := authcode.ReadAnswer(query); ok {
			t.Errorf("%q is an answer", query)
		}
	}
}

// Whatever a browser is made to load: no panic, and what is gone by is bounded, and stands in
// it once.
func FuzzReadAnswer(f *testing.F) {
	for _, seed := range []string{
		"code=c&state=s", "error=access_denied&error_description=d&state=s&iss=https://as.example", "code=c&code=d&state=s",
		"%", "code=%00&state=s", "state=s&code=c&" + strings.Repeat("a&", 100), "a;b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		a, ok := authcode.ReadAnswer(query)
		if !ok {
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q is not a query: %v", query, err)
		}
		for name, got := range map[string]string{"state": a.State, "code": a.Code, "error": a.Error, "iss": a.Issuer} {
			if list := values[name]; len(list) > 1 || len(list) == 1 && list[0] != got || len(list) == 0 && got != "" {
				t.Errorf("%s is %q of %q", name, got, list)
			}
		}
		if a.State == "" || len(a.State) > 128 || (a.Code == "") == (a.Error == "") || len(a.Code) > 8<<10 {
			t.Errorf("state %q, code %q, error %q", a.State, a.Code, a.Error)
		}
		if a.Error == "" {
			return
		}
		e := a.Failure()
		if e == nil || e.Kind == nil || len(e.Detail) > 2000 || e.Code == "" {
			t.Errorf("%q: %#v", a.Error, e)
		}
		for i := range len(e.Detail) {
			if e.Detail[i] < ' ' || e.Detail[i] > '~' {
				t.Errorf("detail %q", e.Detail)
			}
		}
	})
}
