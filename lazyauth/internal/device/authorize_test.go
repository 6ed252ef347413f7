package device_test

import (
	"context"
	"errors"
	"io"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestAuthorize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/device_authorization", slowly(2*time.Second, ok(issued)))
		start := time.Now()
		auth := authorize(t, client(t, s, nil), s)
		if auth.UserCode != userCode || auth.VerificationURI != "https://as.example/device" {
			t.Errorf("shown: %q at %q", auth.UserCode, auth.VerificationURI)
		}
		if auth.VerificationURIComplete != "" {
			t.Errorf("a complete URI nobody asked for: %q", auth.VerificationURIComplete)
		}
		// Counted from the request: the server cannot have started later.
		if !auth.Expires.Equal(start.Add(15*time.Minute)) || auth.Interval != 5*time.Second {
			t.Errorf("expires %v after the request, interval %v", auth.Expires.Sub(start), auth.Interval)
		}
		s.CheckClosed(t)
	})
}

func TestNumbersAreBounded(t *testing.T) {
	for _, test := range []struct {
		raw                string
		interval, lifetime time.Duration
	}{
		{"", 5 * time.Second, 15 * time.Minute},
		{"null", 5 * time.Second, 15 * time.Minute},
		{"0", 5 * time.Second, 15 * time.Minute},
		{"-1", 5 * time.Second, 15 * time.Minute},
		{"-9223372036854775808", 5 * time.Second, 15 * time.Minute},
		{"-1e400", 5 * time.Second, 15 * time.Minute},
		{`"NaN"`, 5 * time.Second, 15 * time.Minute},
		{`"-Inf"`, 5 * time.Second, 15 * time.Minute},
		{`""`, 5 * time.Second, 15 * time.Minute},
		{`"soon"`, 5 * time.Second, 15 * time.Minute},
		{"true", 5 * time.Second, 15 * time.Minute},
		{"[7]", 5 * time.Second, 15 * time.Minute},
		{`{"seconds":7}`, 5 * time.Second, 15 * time.Minute},
		{"7", 7 * time.Second, 7 * time.Second},
		{`"7"`, 7 * time.Second, 7 * time.Second}, // Azure AD v1
		{`" 7 "`, 7 * time.Second, 7 * time.Second},
		{"7.5", 7500 * time.Millisecond, 7500 * time.Millisecond},
		{`"7.5"`, 7500 * time.Millisecond, 7500 * time.Millisecond},
		{"0.001", time.Second, time.Millisecond},
		{"1e-300", time.Second, 0},
		{"61", 61 * time.Second, 61 * time.Second},
		{"899", 899 * time.Second, 899 * time.Second}, // shorter than the code's life, so it is meant
		{"5000", 5 * time.Second, time.Hour},          // milliseconds, as an interval
		{"30000", 30 * time.Second, time.Hour},
		{"1200", 5 * time.Second, 20 * time.Minute}, // either: no less than everybody may
		{"61000", time.Hour, time.Hour},             // not even in milliseconds
		{"9223372036854775807", time.Hour, time.Hour},
		{"9223372036854775808", time.Hour, time.Hour},
		{"1e400", time.Hour, time.Hour},
		{`"Inf"`, time.Hour, time.Hour},
		{strings.Repeat("9", 10000), time.Hour, time.Hour},
	} {
		for name, want := range map[string]time.Duration{"interval": test.interval, "expires_in": test.lifetime} {
			t.Run(name+" "+test.raw[:min(len(test.raw), 20)], func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					s := new(server).On("/device_authorization", ok(with(name, test.raw)))
					start := time.Now()
					auth := authorize(t, client(t, s, nil), s)
					got := auth.Interval
					if name == "expires_in" {
						got = auth.Expires.Sub(start)
					}
					if got != want {
						t.Errorf("%s is %v, want %v", name, got, want)
					}
				})
			})
		}
	}
}

func TestUserCodes(t *testing.T) {
	for code, fit := range map[string]bool{
		"WDJB-MJHT": true, "ABC123DEF": true, "123456": true, "a": true, "AB CD EF": true, "a.b_c": true,
		strings.Repeat("A", 32): true,

		" AB": true, "AB\r\n": true, // without the blanks

		"": false, " ": false, strings.Repeat("A", 33): false, "AB  CD": false, "AB--CD": false, "-": false,
		"AB\nCD": false, "AB\x00": false, "AB\x7f": false, "AB\u202eCD": false, "ÄB": false, "АВ": false, "AB\tCD": false,
		"[x](y)": false, "<b>": false, "AB:CD": false, "A/B": false, "`ls`": false, "\x1b[31m": false, "AB!": false,
	} {
		s := new(server).On("/device_authorization", ok(with("user_code", scripted.JSON(code))))
		auth, err := client(t, s, nil).Authorize(t.Context(), scopes.Set{})
		if fit {
			if err != nil || auth.UserCode != strings.TrimSpace(code) {
				t.Errorf("%q: refused: %v", code, err)
			}
			continue
		}
		e := wantError(t, err, oauth.ErrInvalid)
		if !strings.Contains(e.Error(), "the user code ") || code != "" && len(code) > 3 && strings.Contains(e.Error()+e.Detail, code) {
			t.Errorf("%q: error %v, detail %s", code, e, e.Detail)
		}
	}
}

func TestVerificationURIs(t *testing.T) {
	long := "https://as.example/" + strings.Repeat("a", 2048)
	moved := map[string]string{ // trimmed (blanks), or resolved (RFC 3986 §5)
		" https://as.example/":          "https://as.example/",
		"https://as.example/\n":         "https://as.example/",
		"\ufeffhttps://as.example/":     "", // that is no blank
		"\t\u00a0https://as.example/d ": "https://as.example/d",
		"/device":                       "https://as.example/device",
		" /device?x=1\r\n":              "https://as.example/device?x=1",
		"device":                        "https://as.example/device",
		"../device":                     "https://as.example/device",
		"//login.example/device":        "https://login.example/device",
		"//as@evil.example/":            "",
		"/device#frag":                  "",
		"/de vice":                      "",
		"/\\evil.example":               "",
		"as.example/device":             "", // the name of a host, without a scheme
	}
	for uri, fit := range map[string]bool{
		"https://as.example/device":           true,
		"https://other.example:8443/d?x=1&y":  true,
		"https://xn--bcher-kva.example/":      true,
		"https://192.0.2.1/d":                 true,
		"https://[2001:db8::1]/d":             true,
		"HTTPS://AS.example/device":           true,
		"https://as.example/%E2%80%AE":        true,
		"":                                    false,
		"http://as.example/device":            false,
		"http://127.0.0.1/device":             false, // the server is not on loopback
		"http://localhost:80/device":          false,
		"ftp://as.example/":                   false,
		"javascript:alert(1)":                 false,
		"data:text/html,x":                    false,
		"file:///etc/passwd":                  false,
		"https:as.example":                    false,
		"https://":                            false,
		"https:///device":                     false,
		"https://:443/device":                 false,
		"https://as.example@evil.example/":    false,
		"https://@evil.example/":              false,
		"https://u:p@evil.example/":           false,
		"https://as.example/#frag":            false,
		"https://as.example/#":                false,
		"https://as.example\\@evil.example/":  false,
		"https://as.example/a b":              false,
		"https://as.example/\x00":             false,
		"https://as.example/\x7f":             false,
		"https://as.example/\u202e":           false,
		"https://аs.example/":                 false, // Cyrillic
		"https://%D0%B0s.example/":            false, // the same, encoded
		"https://as.example%2fevil.example/":  false,
		"https://as.example%00/":              false,
		"https://[fe80::1%25eth0]/":           false,
		"https://[::1":                        false,
		"https://as.example:port/":            false,
		"https://as.example/%zz":              false,
		"https://as.example/<script>":         false,
		"https://as.example/\"":               false,
		"https://as.example/[x](https://b.c)": true, // brackets and parentheses are URL characters
		"https://as_1.example/":               true,
		"https://as!.example/":                false,
		long:                                  false,
	} {
		moved[uri] = ""
		if fit {
			moved[uri] = uri
		}
	}
	for uri, want := range moved {
		for _, name := range []string{"verification_uri", "verification_url"} {
			text := strings.ReplaceAll(with("verification_uri", scripted.JSON(uri)), `"verification_uri"`, `"`+name+`"`)
			s := new(server).On("/device_authorization", ok(text))
			auth, err := client(t, s, nil).Authorize(t.Context(), scopes.Set{})
			if want != "" {
				if err != nil || auth.VerificationURI != want {
					t.Errorf("%s %q: %v, %v", name, uri, auth, err)
				}
				continue
			}
			e := wantError(t, err, oauth.ErrInvalid)
			if !strings.Contains(e.Error(), "the verification URI ") || strings.Contains(e.Error(), ".example") {
				t.Errorf("%s %q: %v", name, uri, err)
			}
		}
	}
}

func TestVerificationOnLoopbackOnlyFromLoopback(t *testing.T) {
	for uri, fit := range map[string]bool{
		"http://127.0.0.1:9070/device": true,
		"http://[::1]/device":          true,
		"http://localhost/device":      true,
		"https://as.example/device":    true,
		"http://as.example/device":     false,
		"http://localhost.evil.test/":  false,
		"http://127.0.0.1.evil.test/":  false,
		"http://128.0.0.1/":            false,
		"http://2130706433/":           false, // 127.0.0.1 to some resolvers
		"http://0x7f.1/":               false,
		"http://0.0.0.0/":              false,
		"http://[::]/":                 false,
	} {
		s := new(server).On("/device_authorization", ok(with("verification_uri", scripted.JSON(uri))))
		c := client(t, s, func(config *settings) {
			config.Endpoints.DeviceAuthorization = "http://127.0.0.1:9070/device_authorization"
		})
		if _, err := c.Authorize(t.Context(), scopes.Set{}); (err == nil) != fit {
			t.Errorf("%s: %v", uri, err)
		}
	}
}

func TestCompleteURIOnlyIfAskedForAndOfTheSameOrigin(t *testing.T) {
	for complete, fit := range map[string]bool{
		"https://as.example/device?user_code=WDJB-MJHT": true,
		"https://as.example:443/d":                      true,
		"https://AS.EXAMPLE/d":                          true,
		"":                                              false,
		"https://evil.example/device?user_code=WDJB-MJHT":   false,
		"https://as.example:8443/d":                         false,
		"http://as.example/d":                               false,
		"https://as.example@evil.example/":                  false,
		"https://as.example/\u202e":                         false,
		"https://as.example/d#x":                            false,
		"https://as.example/" + strings.Repeat("a", 2048):   false,
		"https://sub.as.example/device?user_code=WDJB-MJHT": false,
	} {
		for _, use := range []bool{true, false} {
			s := new(server).On("/device_authorization", ok(with("verification_uri_complete", scripted.JSON(complete))))
			c := client(t, s, func(config *settings) { config.UseComplete = use })
			auth, err := c.Authorize(t.Context(), scopes.Set{})
			if err != nil {
				t.Fatal(err)
			}
			want := ""
			if fit && use {
				want = complete
			}
			if auth.VerificationURIComplete != want || auth.VerificationURI != "https://as.example/device" {
				t.Errorf("%q, use %t: %q", complete, use, auth.VerificationURIComplete)
			}
		}
	}
}

// Twitch's verification URI contains the code. It is shown with the code only if the
// configuration wants that, and else without, if it is certain what that is.
func TestVerificationURI_WithTheCodeInIt(t *testing.T) {
	const twitch = "https://www.twitch.tv/activate?public=true&device-code="
	for _, test := range []struct{ uri, code, plain string }{
		{twitch + "ABC", "ABC", "https://www.twitch.tv/activate?public=true"},
		{twitch + "abcdefgh", "ABCD-EFGH", "https://www.twitch.tv/activate?public=true"},
		{"https://as.example/d?c=WDJB%2DMJHT", "WDJB-MJHT", "https://as.example/d"},
		{"https://as.example/d?c=WDJB-MJHT&again=WDJBMJHT", "WDJB-MJHT", "https://as.example/d"},
		// Nobody knows what these are without it.
		{"https://as.example/d/WDJB-MJHT", "WDJB-MJHT", ""},
		{"https://as.example/d?c=WDJB-MJHT&next=/x/WDJB-MJHT", "WDJB-MJHT", ""},
		{"https://as.example/d?WDJB-MJHT", "WDJB-MJHT", ""},
		{"https://as.example/d?c=x%WDJB-MJHT", "WDJB-MJHT", ""},
		// A short code may stand in a word.
		{"https://as.example/device?view=abc", "AB", "https://as.example/device?view=abc"},
	} {
		for _, use := range []bool{false, true} {
			text := strings.Replace(with("verification_uri", scripted.JSON(test.uri)), scripted.JSON(userCode), scripted.JSON(test.code), 1)
			s := new(server).On("/device_authorization", ok(text))
			c := client(t, s, func(config *settings) { config.UseComplete = use })
			auth, err := c.Authorize(t.Context(), scopes.Set{})
			plain, complete := test.plain, ""
			if use && plain != test.uri {
				complete = test.uri
			}
			switch {
			case plain == "" && !use:
				e := wantError(t, err, oauth.ErrInvalid)
				if !strings.Contains(e.Error(), "the verification URI contains the user code") {
					t.Errorf("%s: %v", test.uri, e)
				}
				continue
			case plain == "":
				plain = test.uri
			}
			if err != nil || auth.VerificationURI != plain || auth.VerificationURIComplete != complete {
				t.Errorf("%s, use %t: %v, %+v", test.uri, use, err, auth)
			}
		}
	}
}

func TestAuthorizeReadsOtherEncodings(t *testing.T) {
	form := "device_code=" + deviceCode + "&user_code=" + userCode +
		"&verification_uri=https%3A%2F%2Fas.example%2Fdevice&expires_in=900&interval=7"
	for name, reply := range map[string]reply{
		"form":                answer(200, "application/x-www-form-urlencoded; charset=utf-8", form), // GitHub
		"form, no label":      answer(200, "", form),
		"form as text":        answer(200, "text/plain", form+"\n"),
		"JSON as text":        answer(200, "text/plain", with("interval", "7")),
		"JSON as HTML":        answer(200, "text/html", with("interval", "7")),
		"JSON with BOM":       ok("\xef\xbb\xbf" + with("interval", "7")),
		"created":             answer(201, "application/json", with("interval", "7")),
		"message and numbers": ok(strings.Replace(with("interval", `"7"`), "{", `{"message":"To sign in","x":[1,{}],"error":null,`, 1)),
		"empty error":         ok(strings.Replace(with("interval", "7"), "{", `{"error":"",`, 1)),
	} {
		s := new(server).On("/device_authorization", reply)
		auth, err := client(t, s, nil).Authorize(t.Context(), scopes.Set{})
		if err != nil || auth.UserCode != userCode || auth.Interval != 7*time.Second {
			t.Errorf("%s: %v, %v", name, auth, err)
		}
	}
}

func TestAuthorizeErrors(t *testing.T) {
	for _, test := range []struct {
		name  string
		reply reply
		kind  error
		code  string
	}{
		{"400", oauthError("invalid_client"), oauth.ErrRefused, "invalid_client"},
		{"200 with an error", ok(`{"error":"device_flow_disabled"}`), oauth.ErrRefused, "device_flow_disabled"},
		{"200 with an error and a code", ok(strings.Replace(issued, "{", `{"error":"invalid_scope",`, 1)), oauth.ErrRefused, "invalid_scope"},
		{"500 with an error", answer(500, "", `{"error":"unauthorized_client"}`), oauth.ErrRefused, "unauthorized_client"},
		{"302 with an error", answer(302, "", `{"error":"invalid_target"}`, "Location", "https://evil.example/"), oauth.ErrRefused, "invalid_target"},
		{"form error", answer(200, "application/x-www-form-urlencoded", "error=incorrect_client_credentials"), oauth.ErrRefused, "invalid_client"},
		{"unheard-of error", oauthError("unheard_of"), oauth.ErrRefused, oauth.CodeOther},
		{"server_error", answer(500, "", `{"error":"server_error"}`), oauth.ErrUnavailable, "server_error"},
		{"slow_down", answer(429, "", `{"error":"slow_down"}`), oauth.ErrUnavailable, "slow_down"},
		{"a limit", answer(429, "", `{"error":"too_many_requests"}`), oauth.ErrUnavailable, oauth.CodeOther},
		{"a limit with OAuth's word", answer(429, "", `{"error":"access_denied"}`), oauth.ErrUnavailable, "access_denied"},
		{"a time-out", answer(408, "", `{"error":"timeout"}`), oauth.ErrUnavailable, oauth.CodeOther},
		{"Google's quota", answer(403, "", `{"error_code":"rate_limit_exceeded"}`), oauth.ErrUnavailable, "slow_down"},
		{"Google's member with another code", answer(403, "", `{"error_code":"access_denied"}`), oauth.ErrInvalid, ""},
		{"disabled client", answer(403, "", `{"error":"unauthorized_client"}`), oauth.ErrRefused, "unauthorized_client"},
		{"unheard-of error under 500", answer(500, "", `{"error":"boom"}`), oauth.ErrUnavailable, oauth.CodeOther},
		{"unheard-of error under 200", ok(`{"error":"boom"}`), oauth.ErrInvalid, oauth.CodeOther},
		{"a sentence for the person", answer(400, "", `{"message":"unauthorized_client"}`), oauth.ErrInvalid, ""},
		{"empty object", ok(`{}`), oauth.ErrInvalid, ""},
		{"null", ok(`null`), oauth.ErrInvalid, ""},
		{"list", ok(`[]`), oauth.ErrInvalid, ""},
		{"nothing", ok(``), oauth.ErrInvalid, ""},
		{"HTML", answer(200, "text/html", "<html><a href='?x&error=invalid_client'>"), oauth.ErrInvalid, ""},
		{"HTML as text", answer(200, "text/plain", "<html><a href='?x&error=invalid_client'>"), oauth.ErrInvalid, ""},
		{"404", answer(404, "text/html", "<html>"), oauth.ErrInvalid, ""},
		{"no device code", ok(with("device_code", "")), oauth.ErrInvalid, ""},
		{"number as device code", ok(with("device_code", "12")), oauth.ErrInvalid, ""},
		{"long device code", ok(with("device_code", scripted.JSON(strings.Repeat("s3cr3t", 1000)))), oauth.ErrInvalid, ""},
		{"other case", ok(strings.ToUpper(issued)), oauth.ErrInvalid, ""},
		{"two values", ok(issued + issued), oauth.ErrInvalid, ""},
		{"too large", ok(issued + strings.Repeat(" ", 64<<10)), oauth.ErrInvalid, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/device_authorization", test.reply)
				_, err := client(t, s, nil).Authorize(t.Context(), scopes.Of("profile"))
				if e := wantError(t, err, test.kind); e.Code != test.code || e.Op != "device authorization" {
					t.Errorf("%+v has code %q", e, e.Code)
				}
				want := 1
				if test.kind == oauth.ErrUnavailable { // it may go better the next time
					want = 2
				}
				if n := len(s.Requests); n != want {
					t.Errorf("%d requests", n)
				}
				s.CheckClosed(t)
			})
		})
	}
}

func TestARedirectIsNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := new(server).On("/device_authorization", answer(status, "", "", "Location", "https://as.example/elsewhere"))
		_, err := client(t, s, nil).Authorize(t.Context(), scopes.Set{})
		e := wantError(t, err, oauth.ErrInvalid)
		if !strings.Contains(e.Error(), "redirect") || strings.Contains(e.Error(), "elsewhere") {
			t.Errorf("%d: %v", status, err)
		}
		if len(s.Requests) != 1 {
			t.Errorf("%d: %d requests", status, len(s.Requests))
		}
	}
}

func TestAuthorizeSurvivesOnePassingFault(t *testing.T) {
	for name, test := range map[string]struct {
		fault reply
		pause time.Duration
	}{
		"reset":               {broken(io.EOF), time.Second},
		"cut off":             {cutOff, time.Second},
		"503":                 {answer(503, "text/html", "<html>"), time.Second},
		"503 in three":        {answer(503, "", "", "Retry-After", "3"), 3 * time.Second},
		"429":                 {answer(429, "", ""), time.Second},
		"429 in OAuth's form": {answer(429, "", `{"error":"too_many_requests"}`, "Retry-After", "4"), 4 * time.Second},
		"no answer in time":   {stall, 31 * time.Second},
		"500, not OAuth JSON": {answer(500, "", `{"error":{"code":500}}`), time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/device_authorization", test.fault, ok(issued))
				start := time.Now()
				auth := authorize(t, client(t, s, nil), s)
				if took := time.Since(start); took != test.pause {
					t.Errorf("took %v", took)
				}
				if life := time.Until(auth.Expires); life != 15*time.Minute {
					t.Errorf("expires in %v", life)
				}
			})
		})
	}
}

// Whoever answers with a page, the operator sees what it was.
func TestAuthorize_TellsTheOperatorWhatCame(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		want  string
	}{
		"a page":   {answer(403, "text/html", "\n<html><title>Attention Required!</title>\n<b>"), `content type "text/html", body "<html><title>Attention Required!</title> <b>"`},
		"nothing":  {answer(400, "", ""), ""},
		"no OAuth": {answer(404, "application/json", `{"message":"no Route matched"}`), `content type "application/json", body "{\"message\":\"no Route matched\"}"`},
		"gzip":     {answer(200, "application/json", "\x1f\x8b\x08\x00\x00"), `content type "application/json", a body of 5 bytes that are not text, and begin with 1f8b0800`},
		"a word":   {answer(401, "", `{"error":"invalid_client","error_description":"x"}`), `error "invalid_client", error_description "x"`},
		"another":  {answer(401, "", `{"error":"client disabled"}`), `error "client disabled"`},
		"escapes":  {answer(400, "text/plain", "\x1b[31m\u202e"), `content type "text/plain", a body of 8 bytes that are not text, and begin with 1b5b3331`},
		"letters":  {answer(400, "text/plain\x1b", "ä\u202e"+strings.Repeat("ö", 200)), `content type "text/plain\x1b", body "\u00e4\u202e` + strings.Repeat(`\u00f6`, 77) + `\xc3"...`},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := client(t, new(server).On("/device_authorization", test.reply), nil).Authorize(t.Context(), scopes.Set{})
			e, isError := errors.AsType[*oauth.Error](err)
			if !isError || e.Detail != test.want {
				t.Errorf("detail %s, want %s", e.Detail, test.want)
			}
		})
	}
}

func TestAuthorizeGivesUpAfterTwo(t *testing.T) {
	for name, test := range map[string]struct {
		fault    reply
		requests int
		took     time.Duration
	}{
		"refused connection": {broken(errors.New("dial tcp: connection refused")), 2, time.Second},
		"no answer":          {stall, 2, 61 * time.Second},
		"a limit":            {answer(429, "", `{"error":"too_many_requests"}`, "Retry-After", "60"), 1, 0},
		"in ten minutes":     {answer(503, "", "", "Retry-After", "600"), 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/device_authorization", test.fault)
				start := time.Now()
				_, err := client(t, s, nil).Authorize(t.Context(), scopes.Set{})
				wantError(t, err, oauth.ErrUnavailable)
				if took := time.Since(start); took != test.took || len(s.Requests) != test.requests {
					t.Errorf("%d requests in %v", len(s.Requests), took)
				}
			})
		})
	}
}

func TestAuthorizeEndsWithItsContext(t *testing.T) {
	reason := errors.New("the caller went away")
	for name, reply := range map[string]reply{"in the request": stall, "between two": broken(io.EOF)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				s := new(server).On("/device_authorization", reply)
				time.AfterFunc(time.Second/2, func() { cancel(reason) })
				start := time.Now()
				_, err := client(t, s, nil).Authorize(ctx, scopes.Set{})
				wantError(t, err, context.Canceled)
				if !errors.Is(err, reason) || time.Since(start) != time.Second/2 {
					t.Errorf("after %v: %v", time.Since(start), err)
				}
			})
		})
	}
}

func TestAnEmptyScopeIsLeftOut(t *testing.T) {
	s := new(server).On("/device_authorization", ok(issued))
	if _, err := client(t, s, nil).Authorize(t.Context(), scopes.Set{}); err != nil {
		t.Fatal(err)
	}
	if got := s.Requests[0].Body; got != "client_id=notes-client" {
		t.Errorf("body %s", got)
	}
}

func FuzzDeviceAnswer(f *testing.F) {
	f.Add("application/json", issued)
	f.Add("", "device_code=a&user_code=b&verification_url=https%3A%2F%2Fas.example")
	for _, raw := range []string{"-1", "1e400", `"NaN"`, "null", "{}", `"9223372036854775808"`} {
		f.Add("application/json", with("interval", raw))
		f.Add("application/json", with("expires_in", raw))
	}
	for _, uri := range []string{"http://127.0.0.1", "https://a@b", "https://a\\@b", "https://%61", "https://[::1%25x]", "https://a#"} {
		f.Add("application/json", with("verification_uri", scripted.JSON(uri)))
	}
	f.Add("application/json", `{"error":"slow_down"}`)
	f.Fuzz(func(t *testing.T, contentType, text string) {
		s := new(server).On("/device_authorization", answer(200, contentType, text))
		c := client(t, s, func(config *settings) { config.UseComplete = true })
		start := time.Now()
		auth, err := c.Authorize(context.Background(), scopes.Set{})
		s.CheckClosed(t)
		if err != nil {
			scripted.CheckFuzzed(t, err)
			return
		}
		if auth.Interval < time.Second || auth.Interval > time.Hour {
			t.Errorf("interval %v", auth.Interval)
		}
		if auth.Expires.Before(start) || auth.Expires.After(time.Now().Add(time.Hour)) {
			t.Errorf("expires %v", auth.Expires)
		}
		if len(auth.UserCode) > 32 || !scripted.Visible(strings.ReplaceAll(auth.UserCode, " ", "")) {
			t.Errorf("user code %q", auth.UserCode)
		}
		uri, err := url.Parse(auth.VerificationURI)
		if err != nil || !scripted.Visible(auth.VerificationURI) || uri.Scheme != "https" || uri.User != nil || uri.Fragment != "" || !scripted.Visible(uri.Hostname()) {
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
