package device_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// checkFuzzed holds for every error of this package.
func checkFuzzed(t *testing.T, err error) {
	e, isError := errors.AsType[*device.Error](err)
	if !isError {
		t.Fatalf("error %v", err)
	}
	for _, text := range []string{e.Error(), e.Detail, e.Code} {
		for i := range len(text) {
			if text[i] < ' ' || text[i] > '~' {
				t.Fatalf("error text %q", text)
			}
		}
	}
	if len(e.Error()) > 300 || len(e.Detail) > 4000 || len(e.Code) > 40 {
		t.Errorf("error of %d bytes, detail of %d, code of %d", len(e.Error()), len(e.Detail), len(e.Code))
	}
}

func visible(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != ""
}

// saysGone reports whether OAuth's word for a grant that has ended, in one of its
// spellings, is the error of an answer, read by other means than those of the package.
func saysGone(text string) bool {
	var members map[string]any
	code := ""
	if json.Unmarshal([]byte(strings.TrimPrefix(text, "\ufeff")), &members) == nil {
		code, _ = members["error"].(string)
	} else if form, err := url.ParseQuery(strings.TrimSpace(text)); err == nil {
		code = form.Get("error")
	}
	switch code {
	case "invalid_grant", "bad_refresh_token", "bad_verification_code", "incorrect_device_code":
		return true
	}
	return false
}

// answers are seeds: what servers and what is in between have been seen to say.
var answers = []struct {
	status            int
	contentType, text string
}{
	{200, "application/json", granted},
	{400, "application/json", `{"error":"invalid_grant","error_description":"x"}`},
	{200, "application/x-www-form-urlencoded", "error=bad_refresh_token&error_uri=x"},
	{200, "application/x-www-form-urlencoded", "access_token=a&scope=b,c&token_type=bearer&expires_in=7"},
	{200, "text/plain", "error=slow_down&interval=1e99"},
	{500, "", ""},
	{400, "", ""},
	{401, "text/html", "<html>error=invalid_grant"},
	{400, "application/json", `{"message":"invalid_grant"}`},
	{400, "application/json", `{"error":{"code":"invalid_grant"}}`},
	{200, "application/json", `{"status":"maintenance"}`},
	{200, "application/json", "{}"},
	{204, "", ""},
	{200, "application/json", "\x1f\x8b\x08\x00"},
	{429, "application/json", `{"error":"invalid_grant"}`},
	{400, "application/json", `{"error":"expired_token"}`},
	{403, "application/json", `{"error_code":"rate_limit_exceeded"}`},
	{400, "application/json", `{"status":400,"message":"authorization_pending"}`},
	{200, "application/json", `{"access_token":"a","scope":["a",1,{}],"token_type":" Bearer "}`},
	{200, "application/json", `{"access_token":"a","scope":"\u0000 \" b"}`},
	{200, "application/json", `{"status":"error"}`},
	{200, "application/json", `{"success":true}`},
	{302, "text/html", "<html>"},
}

// Nothing but the server's own word ends a grant, and nothing but that takes away a
// login without saying why.
func FuzzNothingElseEndsAGrant(f *testing.F) {
	for _, a := range answers {
		f.Add(a.status, a.contentType, a.text)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, text string) {
		s := new(server).on("/token", answer(status, contentType, text)).on("/revoke", answer(status, contentType, text))
		c := client(t, s, func(config *device.Config) { config.Endpoints.Revocation = "https://as.example/revoke" })
		for name, refresh := range map[string]func(context.Context, string, scopes.Set) (*device.Token, error){
			"Refresh": c.Refresh, "RefreshFor": c.RefreshFor,
		} {
			_, err := refresh(context.Background(), refreshToken, scopes.Of("held"))
			if err == nil {
				continue
			}
			checkFuzzed(t, err)
			if errors.Is(err, device.ErrRevoked) && !saysGone(text) {
				t.Errorf("%s: ended by %d %q", name, status, text)
			}
		}
		if err := c.Revoke(context.Background(), refreshToken, device.RefreshToken); err != nil {
			checkFuzzed(t, err)
			if errors.Is(err, device.ErrRevoked) {
				t.Errorf("a revocation: %v", err)
			}
		} else if status != 200 && status != 204 {
			t.Errorf("revoked by %d %q", status, text)
		}
		s.checkClosed(t)
	})
}

// Whatever answers a poll, the login ends with a token or an error that is true, and in
// time.
func FuzzPollAnswer(f *testing.F) {
	for _, a := range answers {
		f.Add(a.status, a.contentType, a.text)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, text string) {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).on("/token", answer(status, contentType, text), oauthError("access_denied"))
			c := client(t, s, nil)
			start := time.Now()
			var events []device.PollEvent
			_, err := c.Poll(t.Context(), authorize(t, c, s), func(e device.PollEvent) { events = append(events, e) })
			if took := time.Since(start); took > 15*time.Minute {
				t.Errorf("it took %v", took)
			}
			if err != nil {
				checkFuzzed(t, err)
			}
			for _, e := range events {
				for i := range len(e.Detail) {
					if e.Detail[i] < ' ' || e.Detail[i] > '~' {
						t.Fatalf("detail %q", e.Detail)
					}
				}
				if len(e.Detail) > 4000 {
					t.Errorf("a detail of %d bytes", len(e.Detail))
				}
			}
			for _, gap := range gaps(s) {
				if gap < 5*time.Second {
					t.Errorf("polled after %v", gap)
				}
			}
			s.checkClosed(t)
		})
	})
}

func FuzzTokenAnswer(f *testing.F) {
	for _, a := range answers {
		f.Add(a.status, a.contentType, a.text)
	}
	for _, text := range hostileTokens {
		f.Add(200, "application/json", text)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, text string) {
		s := new(server).on("/token", answer(status, contentType, text))
		start := time.Now()
		token, err := client(t, s, nil).Refresh(context.Background(), refreshToken, scopes.Of("held"))
		s.checkClosed(t)
		if err != nil {
			checkFuzzed(t, err)
			return
		}
		if status < 200 || status > 299 || !visible(token.Access) || len(token.Access) > 16<<10 || token.Type != "Bearer" {
			t.Errorf("under status %d accepted %q, %v", status, token.Access, token)
		}
		if _, err := scopes.Parse(token.Scopes.String()); err != nil {
			t.Errorf("scopes %q", token.Scopes)
		}
		if !token.Expires.IsZero() && (token.Expires.Before(start) || token.Expires.After(start.AddDate(11, 0, 0))) {
			t.Errorf("expires %v", token.Expires)
		}
		// As a header it is one line.
		if _, err := http.NewRequest("GET", "https://api.example", nil); err != nil || strings.ContainsAny(token.Access, "\r\n") {
			t.Errorf("token %q", token.Access)
		}
	})
}

func FuzzDeviceAnswer(f *testing.F) {
	f.Add("application/json", issued)
	f.Add("", "device_code=a&user_code=b&verification_url=https%3A%2F%2Fas.example")
	for _, raw := range []string{"-1", "1e400", `"NaN"`, "null", "{}", `"9223372036854775808"`} {
		f.Add("application/json", with("interval", raw))
		f.Add("application/json", with("expires_in", raw))
	}
	for _, uri := range []string{"http://127.0.0.1", "https://a@b", "https://a\\@b", "https://%61", "https://[::1%25x]", "https://a#"} {
		f.Add("application/json", with("verification_uri", toJSON(uri)))
	}
	f.Add("application/json", `{"error":"slow_down"}`)
	f.Fuzz(func(t *testing.T, contentType, text string) {
		s := new(server).on("/device_authorization", answer(200, contentType, text))
		c := client(t, s, func(config *device.Config) { config.UseComplete = true })
		start := time.Now()
		auth, err := c.Authorize(context.Background(), scopes.Set{})
		s.checkClosed(t)
		if err != nil {
			checkFuzzed(t, err)
			return
		}
		if auth.Interval < time.Second || auth.Interval > time.Hour {
			t.Errorf("interval %v", auth.Interval)
		}
		if auth.Expires.Before(start) || auth.Expires.After(time.Now().Add(time.Hour)) {
			t.Errorf("expires %v", auth.Expires)
		}
		if len(auth.UserCode) > 32 || !visible(strings.ReplaceAll(auth.UserCode, " ", "")) {
			t.Errorf("user code %q", auth.UserCode)
		}
		uri, err := url.Parse(auth.VerificationURI)
		if err != nil || !visible(auth.VerificationURI) || uri.Scheme != "https" || uri.User != nil || uri.Fragment != "" || !visible(uri.Hostname()) {
			t.Errorf("verification URI %q", auth.VerificationURI)
		}
		if auth.VerificationURIComplete != "" {
			complete, err := url.Parse(auth.VerificationURIComplete)
			if err != nil || complete.Scheme != "https" || !strings.EqualFold(complete.Hostname(), uri.Hostname()) {
				t.Errorf("complete URI %q of %q", auth.VerificationURIComplete, auth.VerificationURI)
			}
		}
	})
}

func FuzzDiscoveryAnswer(f *testing.F) {
	f.Add(200, metadata("https://as.example"), 404, "")
	f.Add(404, "<html>", 200, metadata("https://as.example"))
	f.Add(200, metadata("https://as.example", "token_endpoint", "http://localhost"), 200, "{}")
	f.Add(503, "", 200, `{"issuer":"https://as.example"}`)
	f.Fuzz(func(t *testing.T, status1 int, text1 string, status2 int, text2 string) {
		s := new(server).on("/.well-known/oauth-authorization-server", answer(status1, "", text1)).
			on("/.well-known/openid-configuration", answer(status2, "", text2))
		found, err := device.Discover(context.Background(), s, "https://as.example", device.DiscoverOptions{})
		s.checkClosed(t)
		if err != nil {
			checkFuzzed(t, err)
			return
		}
		if found.Issuer != "https://as.example" {
			t.Errorf("issuer %q", found.Issuer)
		}
		for _, endpoint := range []string{found.Token, found.DeviceAuthorization} {
			u, err := url.Parse(endpoint)
			if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || !visible(endpoint) || u.Hostname() == "" {
				t.Errorf("endpoint %q", endpoint)
			}
		}
		// What was found is what New accepts.
		if _, err := device.New(device.Config{Endpoints: found, ClientID: "x"}); err != nil {
			t.Error(err)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	now := time.Date(2026, 2, 1, 10, 0, 0, 0, time.UTC)
	for _, text := range []string{"", "0", "-1", "120", "1e99", "NaN", "Inf", "0x7fffffffffffffff", "Sun, 01 Feb 2026 10:00:40 GMT", "Fri, 31 Dec 9999 23:59:59 GMT"} {
		f.Add(text, "")
		f.Add(text, "Thu, 01 Jan 0001 00:00:00 GMT")
	}
	f.Fuzz(func(t *testing.T, text, date string) {
		header := http.Header{"Retry-After": {text}, "Date": {date}}
		if got := device.ReadRetryAfter(header, now); got < 0 || got > 5*time.Minute {
			t.Errorf("%q at %q is %v", text, date, got)
		}
	})
}

func FuzzFields(f *testing.F) {
	f.Add("", granted)
	f.Add("text/plain", "a=b&c=d")
	f.Add("application/json; charset=\"", "{}")
	f.Add(";;;", "a=%zz")
	f.Fuzz(func(t *testing.T, contentType, text string) {
		if n := device.ReadFields(contentType, []byte(text)); n > len(text) {
			t.Errorf("%d members in %d bytes", n, len(text))
		}
	})
}
