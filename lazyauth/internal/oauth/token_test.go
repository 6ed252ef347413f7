package oauth_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

var held = scopes.Of("profile", "notes:read")

func refresh(t *testing.T, r reply) (*oauth.Token, error) {
	t.Helper()
	s := new(server).On("/token", r)
	token, err := client(t, s, nil).Refresh(t.Context(), refreshToken, held)
	if len(s.Requests) > 1 {
		t.Errorf("%d requests for one refresh", len(s.Requests))
	}
	s.CheckClosed(t)
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
		// GitHub answers "scope":"" for tokens that have none to lose.
		"GitHub, no scopes":    {ok(`{"access_token":"` + accessToken + `","token_type":"bearer","scope":""}`), held, 0, refreshToken},
		"blank scope":          {ok(`{"access_token":"` + accessToken + `","token_type":" Bearer\n","scope":" , "}`), held, 0, refreshToken},
		"empty list of scopes": {ok(`{"access_token":"` + accessToken + `","scope":[]}`), held, 0, refreshToken},
		"fewer":                {ok(`{"access_token":"` + accessToken + `","scope":"profile"}`), scopes.Of("profile"), 0, refreshToken},
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
	"Apigee":                 `{"access_token":"a","token_type":"BearerToken"}`,
	"eBay":                   `{"access_token":"a","token_type":"User Access Token"}`,
	"a list as type":         `{"access_token":"a","token_type":["Bearer"]}`,
}

func TestUnusableTokensEndTheRefresh(t *testing.T) {
	for name, text := range hostileTokens {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				token, err := refresh(t, ok(text))
				e := wantError(t, err, oauth.ErrInvalid)
				if errors.Is(e, oauth.ErrTokenType) != strings.Contains(text, "token_type") || errors.Is(e, oauth.ErrUnreadable) {
					t.Errorf("it is %v", e)
				}
				if token != nil {
					t.Error("a token all the same")
				}
			})
		})
	}
}

func TestTheOperatorSeesWhichTokenType(t *testing.T) {
	_, err := refresh(t, ok(`{"access_token":"a-token","token_type":"DPoP"}`))
	if e := wantError(t, err, oauth.ErrInvalid); !strings.Contains(e.Detail, `"DPoP"`) || strings.Contains(e.Error(), "DPoP") {
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
		{"revoked", oauthError("invalid_grant"), oauth.ErrRevoked, "invalid_grant"},
		{"GitHub", ok(`{"error":"bad_refresh_token"}`), oauth.ErrRevoked, "invalid_grant"},
		{"Slack", ok(`{"ok":false,"error":"invalid_refresh_token"}`), oauth.ErrRevoked, "invalid_grant"},
		{"GitHub's other spelling", oauthError("bad_verification_code"), oauth.ErrRevoked, "invalid_grant"},
		{"revoked, as text", answer(401, "text/html", `{"error":"invalid_grant"}`), oauth.ErrRevoked, "invalid_grant"},
		{"Entra wants the person", oauthError("interaction_required"), oauth.ErrRefused, "interaction_required"},
		{"consent", oauthError("consent_required"), oauth.ErrRefused, "consent_required"},
		// A device code can be expired or denied; of a grant these say nothing.
		{"expired", oauthError("expired_token"), oauth.ErrRefused, "expired_token"},
		{"denied", oauthError("access_denied"), oauth.ErrRefused, "access_denied"},
		{"client", answer(401, "", `{"error":"invalid_client"}`), oauth.ErrRefused, "invalid_client"},
		{"pending", oauthError("authorization_pending"), oauth.ErrUnavailable, "authorization_pending"},
		{"unheard of", oauthError("nope"), oauth.ErrRefused, oauth.CodeOther},
		{"unheard of, under 500", answer(500, "", `{"error":"nope"}`), oauth.ErrUnavailable, oauth.CodeOther},
		{"a limit", answer(429, "", `{"error":"too_many_requests"}`, "Retry-After", "7"), oauth.ErrUnavailable, oauth.CodeOther},
		{"a limit with OAuth's word", answer(429, "", `{"error":"invalid_grant"}`), oauth.ErrUnavailable, "invalid_grant"},
		{"a sentence", answer(400, "application/json", `{"message":"invalid_grant"}`), oauth.ErrUnavailable, ""},
		{"an object", answer(401, "application/json", `{"error":{"code":"invalid_grant"}}`), oauth.ErrUnavailable, ""},
		{"a page", answer(400, "text/html", `<html>error=invalid_grant`), oauth.ErrUnavailable, ""},
		{"another page", answer(401, "text/html", "<html>"), oauth.ErrUnavailable, ""},
		{"server_error", answer(500, "", `{"error":"server_error"}`), oauth.ErrUnavailable, "server_error"},
		{"busy", answer(503, "", `{"error":"temporarily_unavailable"}`), oauth.ErrUnavailable, "temporarily_unavailable"},
		{"slow_down", oauthError("slow_down"), oauth.ErrUnavailable, "slow_down"},
		{"reset", broken(io.EOF), oauth.ErrUnavailable, ""},
		{"cut off", cutOff, oauth.ErrUnreadable, ""},
		{"too large", ok(strings.Repeat(" ", 64<<10) + granted), oauth.ErrUnreadable, ""},
		{"maintenance", ok(`{"status":"maintenance"}`), oauth.ErrUnreadable, ""},
		{"200 page", answer(200, "text/html", "<html>"), oauth.ErrUnreadable, ""},
		{"200 and a sentence", ok(`{"error":"boom"}`), oauth.ErrUnreadable, oauth.CodeOther},
		{"204", answer(204, "", ""), oauth.ErrUnreadable, ""},
		{"503", answer(503, "text/html", "<html>"), oauth.ErrUnavailable, ""},
		{"429", answer(429, "", ""), oauth.ErrUnavailable, ""},
		{"empty 400", answer(400, "", ""), oauth.ErrUnexplained, ""},
		{"blank 400", answer(400, "", "\r\n"), oauth.ErrUnexplained, ""},
		{"empty 401", answer(401, "", ""), oauth.ErrUnavailable, ""},
		{"empty 403", answer(403, "", ""), oauth.ErrUnavailable, ""},
		{"redirect", answer(307, "", "", "Location", "https://evil.example/"), oauth.ErrUnavailable, ""},
		{"200 {}", ok("{}"), oauth.ErrUnreadable, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := refresh(t, test.reply)
			if e := wantError(t, err, test.kind); e.Code != test.code || e.Op != "refresh" {
				t.Errorf("%+v has code %q", e, e.Code)
			}
		})
	}
}

func TestToken_TypesByTheAuthorsWord(t *testing.T) {
	for _, name := range []string{"BearerToken", "User Access Token", " bearertoken ", "BEARER", "DPoP", "MAC", "N_A"} {
		s := new(server).On("/token", ok(`{"access_token":"`+accessToken+`","token_type":"`+name+`"}`))
		c := client(t, s, func(config *oauth.Config) { config.BearerNames = []string{" BearerToken", "user access token"} })
		token, err := c.Refresh(t.Context(), refreshToken, held)
		if name == "DPoP" || name == "MAC" || name == "N_A" {
			wantError(t, err, oauth.ErrTokenType)
		} else if err != nil || token.Type != "Bearer" {
			t.Errorf("%q: %v, %v", name, token, err)
		}
	}
}

// Servers grant more than was asked for, and other things than scopes. What exceeds the
// need never fails a sign-in, and what is malformed counts for nothing.
func TestToken_GrantedScopes(t *testing.T) {
	var entra, google []string
	for n := range 150 {
		entra = append(entra, fmt.Sprintf("https://graph.microsoft.com/%c.ReadWrite.All", 'A'+n%26)+strings.Repeat("x", n/26))
	}
	for n := range 90 {
		google = append(google, fmt.Sprintf("https://www.googleapis.com/auth/api%d.readonly", n))
	}
	for name, test := range map[string]struct {
		scope   string // JSON
		want    string
		missing string
		dropped string // a part of it
	}{
		"Entra":              {scripted.JSON(strings.Join(entra, " ") + " profile"), "", "notes:read", ""},
		"Google":             {scripted.JSON(strings.Join(append(google, "notes:read profile"), " ")), "", "", ""},
		"a quote":            {`"profile \"quoted\" notes:read"`, "notes:read profile", "", `1 that cannot be scopes: "\"quoted\""`},
		"an escape":          {`"profile \u001b[31m notes:read"`, "notes:read profile", "", `1 that cannot be scopes: "\x1b[31m"`},
		"too long":           {`"profile ` + strings.Repeat("a", 300) + `"`, "profile", "notes:read", `1 that cannot be scopes: "aaa`},
		"a line end":         {`"profile\nnotes:read"`, "notes:read profile", "", ""},
		"a number among":     {`["profile",1]`, "profile", "notes:read", `1 that cannot be scopes: "1"`},
		"objects among":      {`["profile",{"a":[]},null,"notes:read"]`, "notes:read profile", "", `1 that cannot be scopes: "{\"a\":[]} null"`},
		"a number":           {`7`, "", "notes:read profile", `1 that cannot be scopes: "7"`},
		"an object":          {`{"profile":true}`, "", "notes:read profile", `1 that cannot be scopes: "{\"profile\":true}"`},
		"true":               {`true`, "", "notes:read profile", `"true"`},
		"null":               {`null`, "notes:read profile", "", ""},
		"nothing":            {`""`, "", "notes:read profile", ""},
		"a token":            {`"profile \\` + accessToken + `"`, "profile", "notes:read", `1 that cannot be scopes: "\\[secret]"`},
		"many that are none": {`"` + strings.Repeat(`\\ `, 9999) + `profile"`, "profile", "notes:read", `9999 that cannot be scopes: "\\ \\`},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", ok(`{"access_token":"`+accessToken+`","scope":`+test.scope+`}`))
				c := client(t, s, nil)
				token, failed := c.ReadToken("test", c.Post(t.Context(), "https://as.example/token", nil), time.Now(), held)
				if failed != nil {
					t.Fatal(failed)
				}
				if test.want == "" && test.dropped == "" && test.missing != "notes:read profile" {
					test.want = token.Scopes.String()
					if n := token.Scopes.Len(); n != 151 && n != 92 {
						t.Errorf("%d scopes", n)
					}
				}
				if token.Scopes.String() != test.want || token.Missing.String() != test.missing {
					t.Errorf("granted %q, missing %q", token.Scopes, token.Missing)
				}
				if !strings.HasPrefix(token.Dropped, test.dropped) && !strings.Contains(token.Dropped, test.dropped) || (token.Dropped == "") != (test.dropped == "") || len(token.Dropped) > 1000 {
					t.Errorf("dropped %s", token.Dropped)
				}
				checkNoSecret(t, token)
			})
		})
	}
}

// A server may narrow the token and not the grant: the whole is asked for by name.
func TestRefreshFor_NamesTheScopes(t *testing.T) {
	s := new(server).On("/token", ok(`{"access_token":"`+accessToken+`","scope":"profile"}`))
	c := client(t, s, nil)
	token, err := c.Refresh(t.Context(), refreshToken, held)
	if err != nil || token.Missing != scopes.Of("notes:read") {
		t.Fatalf("%v, missing %q", err, token.Missing)
	}
	if _, err := c.RefreshFor(t.Context(), refreshToken, token.Scopes.Union(token.Missing)); err != nil {
		t.Fatal(err)
	}
	if _, err := c.RefreshFor(t.Context(), refreshToken, scopes.Set{}); err != nil {
		t.Fatal(err)
	}
	for n, want := range []string{"", "notes:read profile", ""} {
		form, _ := url.ParseQuery(s.Requests[n].Body)
		if got := form.Get("scope"); got != want || form.Has("scope") != (want != "") {
			t.Errorf("refresh %d asks for %q", n, got)
		}
	}
}

func TestRefreshEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		_, err := refresh(t, stall)
		wantError(t, err, oauth.ErrUnavailable)
		if time.Since(start) != 30*time.Second {
			t.Errorf("after %v", time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("logged out")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		start := time.Now()
		_, err := client(t, new(server).On("/token", stall), nil).Refresh(ctx, refreshToken, held)
		wantError(t, err, context.Canceled)
		if time.Since(start) != time.Second || !errors.Is(err, reason) {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
	})
}

func TestRefreshWithoutATokenSendsNothing(t *testing.T) {
	s := new(server)
	if _, err := client(t, s, nil).Refresh(t.Context(), "", held); err == nil || len(s.Requests) != 0 {
		t.Errorf("%v, %d requests", err, len(s.Requests))
	}
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
	case "invalid_grant", "bad_refresh_token", "bad_verification_code", "incorrect_device_code", "invalid_code", "invalid_refresh_token":
		return true
	}
	return false
}

// Nothing but the server's own word ends a grant, and nothing but that takes away a
// login without saying why.
func FuzzNothingElseEndsAGrant(f *testing.F) {
	for _, a := range scripted.Seen {
		f.Add(a.Status, a.ContentType, a.Text)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, text string) {
		s := new(server).On("/token", answer(status, contentType, text)).On("/revoke", answer(status, contentType, text))
		c := client(t, s, func(config *oauth.Config) { config.Endpoints.Revocation = "https://as.example/revoke" })
		for name, refresh := range map[string]func(context.Context, string, scopes.Set) (*oauth.Token, error){
			"Refresh": c.Refresh, "RefreshFor": c.RefreshFor,
		} {
			_, err := refresh(context.Background(), refreshToken, scopes.Of("held"))
			if err == nil {
				continue
			}
			scripted.CheckFuzzed(t, err)
			if errors.Is(err, oauth.ErrRevoked) && !saysGone(text) {
				t.Errorf("%s: ended by %d %q", name, status, text)
			}
		}
		if err := c.Revoke(context.Background(), refreshToken, oauth.RefreshToken); err != nil {
			scripted.CheckFuzzed(t, err)
			if errors.Is(err, oauth.ErrRevoked) {
				t.Errorf("a revocation: %v", err)
			}
		} else if status != 200 && status != 204 {
			t.Errorf("revoked by %d %q", status, text)
		}
		s.CheckClosed(t)
	})
}

func FuzzTokenAnswer(f *testing.F) {
	for _, a := range scripted.Seen {
		f.Add(a.Status, a.ContentType, a.Text)
	}
	for _, text := range hostileTokens {
		f.Add(200, "application/json", text)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, text string) {
		s := new(server).On("/token", answer(status, contentType, text))
		start := time.Now()
		token, err := client(t, s, nil).Refresh(context.Background(), refreshToken, scopes.Of("held"))
		s.CheckClosed(t)
		if err != nil {
			scripted.CheckFuzzed(t, err)
			return
		}
		if status < 200 || status > 299 || !scripted.Visible(token.Access) || len(token.Access) > 16<<10 || token.Type != "Bearer" {
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
