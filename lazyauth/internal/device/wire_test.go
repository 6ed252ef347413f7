package device_test

import (
	"maps"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The bytes on the wire of a whole login and a refresh, for each way a client can
// identify itself.
func TestRequestsOnTheWire(t *testing.T) {
	const (
		grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
		id    = "client_id=notes-client"
		inBod = "&client_secret=s3cr3t%3A%2F%2B+with+space~"
		basic = "Basic bm90ZXMtY2xpZW50OnMzY3IzdCUzQSUyRiUyQit3aXRoK3NwYWNlfg=="
	)
	for _, test := range []struct {
		name                   string
		secret                 string
		style                  oauth2.AuthStyle
		authorization          string
		device, token, refresh string
	}{
		{
			"public", "", oauth2.AuthStyleAutoDetect, "",
			"audience=api&" + id + "&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			id + "&device_code=" + deviceCode + "&" + grant,
			id + "&grant_type=refresh_token&refresh_token=" + refreshToken,
		},
		{
			"public, whatever the style", "", oauth2.AuthStyleInHeader, "",
			"audience=api&" + id + "&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			id + "&device_code=" + deviceCode + "&" + grant,
			id + "&grant_type=refresh_token&refresh_token=" + refreshToken,
		},
		{
			"client_secret_post", clientSecret, oauth2.AuthStyleInParams, "",
			"audience=api&" + id + inBod + "&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			id + inBod + "&device_code=" + deviceCode + "&" + grant,
			id + inBod + "&grant_type=refresh_token&refresh_token=" + refreshToken,
		},
		{
			"client_secret_basic", clientSecret, oauth2.AuthStyleInHeader, basic,
			"audience=api&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			"device_code=" + deviceCode + "&" + grant,
			"grant_type=refresh_token&refresh_token=" + refreshToken,
		},
		{
			"a secret without a style", clientSecret, oauth2.AuthStyleAutoDetect, basic,
			"audience=api&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			"device_code=" + deviceCode + "&" + grant,
			"grant_type=refresh_token&refresh_token=" + refreshToken,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", ok(granted))
				params := url.Values{"audience": {"api"}, "resource": {"https://api.example/a", "https://api.example/b"}}
				c := client(t, s, func(config *settings) {
					config.Credentials.Secret, config.Credentials.AuthStyle, config.Params.Authorization = test.secret, test.style, params
				})
				params.Set("audience", "changed after New")
				auth := authorize(t, c, s)
				if _, err := poll(t.Context(), c, auth, nil); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Refresh(t.Context(), refreshToken, scopes.Of("profile")); err != nil {
					t.Fatal(err)
				}
				wantHeader := http.Header{
					"Accept":       {"application/json"},
					"Content-Type": {"application/x-www-form-urlencoded"},
					"User-Agent":   {oauth.DefaultUserAgent()},
				}
				if test.authorization != "" {
					wantHeader.Set("Authorization", test.authorization)
				}
				want := []request{
					{URL: "https://as.example/device_authorization", Body: test.device},
					{URL: "https://as.example/token", Body: test.token},
					{URL: "https://as.example/token", Body: test.refresh},
				}
				if len(s.Requests) != len(want) {
					t.Fatalf("%d requests", len(s.Requests))
				}
				for i, got := range s.Requests {
					if got.Method != "POST" || got.URL != want[i].URL || got.Body != want[i].Body {
						t.Errorf("request %d: %s %s\n%s\nwant %s\n%s", i, got.Method, got.URL, got.Body, want[i].URL, want[i].Body)
					}
					maps.DeleteFunc(got.Header, func(_ string, values []string) bool { return len(values) == 0 }) // not sent
					if len(got.Header) != len(wantHeader) {
						t.Errorf("request %d has headers %v", i, got.Header)
					}
					for name := range wantHeader {
						if got.Header.Get(name) != wantHeader.Get(name) {
							t.Errorf("request %d has %s: %s", i, name, got.Header.Get(name))
						}
					}
				}
				s.CheckClosed(t)
			})
		})
	}
}
