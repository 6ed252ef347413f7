package oauth_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

func FuzzFields(f *testing.F) {
	f.Add("", granted)
	f.Add("text/plain", "a=b&c=d")
	f.Add("application/json; charset=\"", "{}")
	f.Add(";;;", "a=%zz")
	f.Fuzz(func(t *testing.T, contentType, text string) {
		if n := oauth.ReadFields(contentType, []byte(text)); n > len(text) {
			t.Errorf("%d members in %d bytes", n, len(text))
		}
	})
}
