package device_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

var held = scopes.Of("profile", "notes:read")

func refresh(t *testing.T, r reply) (*device.Token, error) {
	t.Helper()
	s := new(server).on("/token", r)
	token, err := client(t, s, nil).Refresh(t.Context(), refreshToken, held)
	if len(s.requests) > 1 {
		t.Errorf("%d requests for one refresh", len(s.requests))
	}
	s.checkClosed(t)
	return token, err
}

func TestTokensAsServersSendThem(t *testing.T) {
	const hour = time.Hour
	for name, test := range map[string]struct {
		reply   reply
		scopes  scopes.Set
		life    time.Duration
		refresh string
	}{
		"strict": {ok(granted), held, hour, refreshToken},
		"GitHub, form": {answer(200, "application/x-www-form-urlencoded", "access_token="+accessToken+"&scope=repo%2Cgist&token_type=bearer"),
			scopes.Of("repo", "gist"), 0, refreshToken},
		"GitHub, none granted": {ok(`{"access_token":"` + accessToken + `","token_type":"bearer","scope":""}`), scopes.Set{}, 0, refreshToken},
		"no scope":             {ok(`{"access_token":"` + accessToken + `","token_type":"BEARER"}`), held, 0, refreshToken},
		"null members":         {ok(`{"access_token":"` + accessToken + `","scope":null,"refresh_token":null,"expires_in":null,"token_type":null}`), held, 0, refreshToken},
		"scope as a list":      {ok(`{"access_token":"` + accessToken + `","scope":["b","a"]}`), scopes.Of("a", "b"), 0, refreshToken},
		"Azure AD v1":          {ok(`{"access_token":"` + accessToken + `","expires_in":"3599","token_type":"Bearer"}`), held, 3599 * time.Second, refreshToken},
		"rotated":              {ok(`{"access_token":"` + accessToken + `","refresh_token":"new"}`), held, 0, "new"},
		"as text":              {answer(200, "text/plain", granted), held, hour, refreshToken},
		"created":              {answer(201, "application/json", granted), held, hour, refreshToken},
		"zero life":            {ok(`{"access_token":"` + accessToken + `","expires_in":0}`), held, 0, refreshToken},
		"negative life":        {ok(`{"access_token":"` + accessToken + `","expires_in":-3600}`), held, 0, refreshToken},
		"life is NaN":          {ok(`{"access_token":"` + accessToken + `","expires_in":"NaN"}`), held, 0, refreshToken},
		"life is endless":      {ok(`{"access_token":"` + accessToken + `","expires_in":1e300}`), held, 87600 * hour, refreshToken},
		"life is fractional":   {ok(`{"access_token":"` + accessToken + `","expires_in":1.5}`), held, 1500 * time.Millisecond, refreshToken},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				token, err := refresh(t, slowly(2*time.Second, test.reply))
				if err != nil {
					t.Fatal(err)
				}
				if token.Access != accessToken || token.Type != "Bearer" || token.Scopes != test.scopes || token.Refresh != test.refresh {
					t.Errorf("%v, refresh token %q", token, token.Refresh)
				}
				var expires time.Time
				if test.life > 0 {
					expires = start.Add(test.life) // from the request, not from the answer
				}
				if !token.Expires.Equal(expires) {
					t.Errorf("expires %v, want %v", token.Expires, expires)
				}
			})
		})
	}
}

// hostileTokens are answers that look like a success and cannot be used.
var hostileTokens = map[string]string{
	"line end in the token":  `{"access_token":"a\r\nX-Evil: 1"}`,
	"control character":      `{"access_token":"a\u0000b"}`,
	"space":                  `{"access_token":"a b"}`,
	"not ASCII":              `{"access_token":"tökén"}`,
	"delete":                 `{"access_token":"a\u007f"}`,
	"invalid UTF-8":          "{\"access_token\":\"a\xff\"}",
	"too long":               `{"access_token":"` + strings.Repeat("a", 16<<10+1) + `"}`,
	"refresh token too long": `{"access_token":"a","refresh_token":"` + strings.Repeat("a", 16<<10+1) + `"}`,
	"refresh token line end": `{"access_token":"a","refresh_token":"a\n"}`,
	"DPoP":                   `{"access_token":"a","token_type":"DPoP"}`,
	"mac":                    `{"access_token":"a","token_type":"mac"}`,
	"Bearer and more":        `{"access_token":"a","token_type":"Bearer x"}`,
	"number as type":         `{"access_token":"a","token_type":1}`,
	"scope with a quote":     `{"access_token":"a","scope":"\""}`,
	"scope with a line end":  `{"access_token":"a","scope":"a\nb"}`,
	"scope too long":         `{"access_token":"a","scope":"` + strings.Repeat("a", 257) + `"}`,
}

func TestUnusableTokensEndTheLoginAndTheRefresh(t *testing.T) {
	for name, text := range hostileTokens {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				token, err := refresh(t, ok(text))
				wantError(t, err, device.ErrInvalid)
				if token != nil {
					t.Error("a token all the same")
				}
				s := new(server).on("/token", ok(text))
				c := client(t, s, nil)
				var last device.PollEvent
				_, err = c.Poll(t.Context(), authorize(t, c, s), func(e device.PollEvent) { last = e })
				wantError(t, err, device.ErrInvalid)
				if last.Outcome != device.Invalid || last.Attempt != 1 {
					t.Errorf("event %+v", last)
				}
			})
		})
	}
}

func TestTheOperatorSeesWhichTokenType(t *testing.T) {
	_, err := refresh(t, ok(`{"access_token":"a-token","token_type":"DPoP"}`))
	if e := wantError(t, err, device.ErrInvalid); !strings.Contains(e.Detail, `"DPoP"`) || strings.Contains(e.Error(), "DPoP") {
		t.Errorf("%v, detail %s", e, e.Detail)
	}
}

func TestRefreshErrors(t *testing.T) {
	for _, test := range []struct {
		name  string
		reply reply
		kind  error
		code  string
	}{
		{"revoked", oauthError("invalid_grant"), device.ErrRevoked, "invalid_grant"},
		{"GitHub", ok(`{"error":"bad_refresh_token"}`), device.ErrRevoked, "invalid_grant"},
		{"expired", oauthError("expired_token"), device.ErrRevoked, "expired_token"},
		{"Entra wants the person", oauthError("interaction_required"), device.ErrRevoked, "interaction_required"},
		{"consent", oauthError("consent_required"), device.ErrRevoked, "consent_required"},
		{"client", answer(401, "", `{"error":"invalid_client"}`), device.ErrRefused, "invalid_client"},
		{"pending", oauthError("authorization_pending"), device.ErrRefused, "authorization_pending"},
		{"unheard of", oauthError("nope"), device.ErrRefused, device.CodeOther},
		{"server_error", answer(500, "", `{"error":"server_error"}`), device.ErrUnavailable, "server_error"},
		{"busy", answer(503, "", `{"error":"temporarily_unavailable"}`), device.ErrUnavailable, "temporarily_unavailable"},
		{"slow_down", oauthError("slow_down"), device.ErrUnavailable, "slow_down"},
		{"reset", broken(io.EOF), device.ErrUnavailable, ""},
		{"cut off", cutOff, device.ErrUnavailable, ""},
		{"503", answer(503, "text/html", "<html>"), device.ErrUnavailable, ""},
		{"429", answer(429, "", ""), device.ErrUnavailable, ""},
		{"empty 400", answer(400, "", ""), device.ErrInvalid, ""},
		{"empty 401", answer(401, "", ""), device.ErrInvalid, ""},
		{"redirect", answer(307, "", "", "Location", "https://evil.example/"), device.ErrUnavailable, ""},
		{"200 {}", ok("{}"), device.ErrInvalid, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := refresh(t, test.reply)
			if e := wantError(t, err, test.kind); e.Code != test.code || e.Op != "refresh" {
				t.Errorf("%+v has code %q", e, e.Code)
			}
		})
	}
}

func TestRefreshEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := refresh(t, stall)
		wantError(t, err, device.ErrUnavailable)
		if time.Since(start) != 30*time.Second {
			t.Errorf("after %v", time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("logged out")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		start := time.Now()
		_, err := client(t, new(server).on("/token", stall), nil).Refresh(ctx, refreshToken, held)
		wantError(t, err, context.Canceled)
		if time.Since(start) != time.Second || !errors.Is(err, reason) {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestRefreshWithoutATokenSendsNothing(t *testing.T) {
	s := new(server)
	if _, err := client(t, s, nil).Refresh(t.Context(), "", held); err == nil || len(s.requests) != 0 {
		t.Errorf("%v, %d requests", err, len(s.requests))
	}
}
