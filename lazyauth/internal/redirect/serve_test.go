package redirect_test

import (
	"net/http"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
)

func checkHeaders(t *testing.T, p page) {
	t.Helper()
	for name, want := range map[string]string{
		"Content-Security-Policy": redirect.Policy, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer",
		"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY",
	} {
		if got := p.header.Get(name); got != want {
			t.Errorf("%s: %q", name, got)
		}
	}
	if p.status == http.StatusMethodNotAllowed && p.header.Get("Allow") != "GET" {
		t.Errorf("Allow: %q", p.header.Get("Allow"))
	}
}
