package redirect_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

// A redirect URI that an author names is used as it is named, and is on this machine.
func TestParseTarget(t *testing.T) {
	for raw, want := range map[string]string{
		"http://127.0.0.1:8085/cb":     "http://127.0.0.1:8085/cb",
		"http://127.0.0.1:8085":        "http://127.0.0.1:8085",
		"http://127.0.0.1:8085/":       "http://127.0.0.1:8085/",
		"http://LOCALHOST:8085/CB":     "http://LOCALHOST:8085/CB",
		"http://[::1]:8085/a/b-c._~":   "http://[::1]:8085/a/b-c._~",
		"http://127.0.0.1/cb":          "http://127.0.0.1:4711/cb",
		"http://localhost":             "http://localhost:4711",
		"http://localhost/":            "http://localhost:4711/",
		"http://127.1.2.3/cb":          "http://127.1.2.3:4711/cb",
		"http://127.0.0.1:65535/start": "http://127.0.0.1:65535/start",
	} {
		if got := redirect.At(raw, 4711); got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
	for _, raw := range []string{
		"", "127.0.0.1:8085", "https://127.0.0.1:8085/cb", "http://192.0.2.1:8085/cb", "http://localhost.evil.example/cb",
		"http://127.0.0.1.evil.example/", "http://0.0.0.0:8085/", "http://127.0.0.1:0/", "http://127.0.0.1:08085/", "http://127.0.0.1:70000/",
		"http://127.0.0.1:/cb", "http://127.1:8085/", "http://[::ffff:127.0.0.1]:8085/", "http://[::1%25lo]:8085/",
		"http://127.0.0.1:8085/cb?a=b", "http://127.0.0.1:8085/cb?", "http://127.0.0.1:8085/cb#x", "http://user@127.0.0.1:8085/",
		"http://127.0.0.1:8085/a b", "http://127.0.0.1:8085/%63b", "http://127.0.0.1:8085/a/../b", "http://127.0.0.1:8085/./b",
		"http://127.0.0.1:8085/done", "http://127.0.0.1:8085/start/x", "custom:/cb", "http://ⅼocalhost/",
	} {
		if host, port, path, err := redirect.ParseTarget(raw); err == nil {
			t.Errorf("%q is %s %d %s", raw, host, port, path)
		} else if len(raw) > 8 && strings.Contains(err.Error(), raw) {
			t.Errorf("the error quotes it: %v", err)
		}
	}
}

func TestIsHost(t *testing.T) {
	for _, test := range []struct {
		field, host string
		port        int
		want        bool
	}{
		{"127.0.0.1:8085", "127.0.0.1", 8085, true},
		{"LocalHost:8085", "localhost", 8085, true},
		{"[::1]:8085", "[::1]", 8085, true},
		{"127.0.0.1", "127.0.0.1", 80, true},
		{"127.0.0.1:80", "127.0.0.1", 80, true},
		{"127.0.0.1", "127.0.0.1", 8085, false},
		{"", "127.0.0.1", 8085, false},
		{"localhost:8085", "127.0.0.1", 8085, false},
		{"127.0.0.1:8085.", "127.0.0.1", 8085, false},
		{"127.0.0.1:08085", "127.0.0.1", 8085, false},
		{"127.0.0.1.:8085", "127.0.0.1", 8085, false},
		{"evil.example:8085", "127.0.0.1", 8085, false},
		{"::1:8085", "[::1]", 8085, false},
	} {
		if got := redirect.IsHost(test.field, test.host, test.port); got != test.want {
			t.Errorf("%q for %s at %d: %t", test.field, test.host, test.port, got)
		}
	}
}

// Whatever host is accepted names this machine and that port.
func FuzzIsHost(f *testing.F) {
	for _, seed := range []string{"127.0.0.1:8085", "localhost:8085", "[::1]:8085", "127.0.0.1", "evil.example", "127.0.0.1:8085@evil.example"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		for _, host := range []string{"127.0.0.1", "localhost", "[::1]"} {
			if redirect.IsHost(field, host, 8085) && strings.ToLower(field) != host+":8085" {
				t.Errorf("%q is %s", field, host)
			}
		}
	})
}

// Whatever is taken for a redirect URI is on loopback, and comes back to the path that is compared.
func FuzzParseTarget(f *testing.F) {
	for _, seed := range []string{"http://127.0.0.1:8085/cb", "http://localhost", "http://[::1]/", "http://127.0.0.1:8085/%2e%2e/", "http://evil.example/"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, raw string) {
		host, port, path, err := redirect.ParseTarget(raw)
		if err != nil {
			return
		}
		if host != "localhost" && host != "[::1]" && !strings.HasPrefix(host, "127.") {
			t.Errorf("%q is on %s", raw, host)
		}
		u, err := url.Parse(redirect.At(raw, 4711))
		if err != nil || u.Scheme != "http" || u.RawQuery != "" || u.Fragment != "" || u.Path != path && (path != "/" || u.Path != "") || port < 0 || port > 65535 {
			t.Errorf("%q is %v, path %s, port %d", raw, u, path, port)
		}
	})
}
