package oauth_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const (
	redirectURI = "http://127.0.0.1:40000/callback/x?tenant=1"
	code        = "s3cr3t-code"
	verifier    = "s3cr3t-verifier-0123456789-0123456789-0123456789"
)

func exchange(t *testing.T, s *server) (*oauth.Token, error) {
	t.Helper()
	token, err := client(t, s, nil).Exchange(t.Context(), code, redirectURI, verifier, held)
	s.CheckClosed(t)
	return token, err
}

func TestExchange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		s := new(server).On("/token", slowly(2*time.Second, ok(`{"access_token":"`+accessToken+`","token_type":"bearer","expires_in":60}`)))
		token, err := exchange(t, s)
		if err != nil {
			t.Fatal(err)
		}
		if token.Access != accessToken || token.Scopes != held || token.Refresh != "" || !token.Expires.Equal(start.Add(time.Minute)) {
			t.Errorf("%v", token)
		}
		want := "client_id=notes-client&code=s3cr3t-code&code_verifier=" + verifier +
			"&grant_type=authorization_code&redirect_uri=http%3A%2F%2F127.0.0.1%3A40000%2Fcallback%2Fx%3Ftenant%3D1"
		if len(s.Requests) != 1 || s.Requests[0].Body != want {
			t.Errorf("%d requests, the first\n%s\nwant\n%s", len(s.Requests), s.Requests[0].Body, want)
		}
	})
}

// A refused code is told apart from everything else, and nothing is tried twice.
func TestExchange_Errors(t *testing.T) {
	for name, test := range map[string]struct {
		reply reply
		kind  error
		code  string
	}{
		"not good":              {oauthError("invalid_grant"), oauth.ErrCode, "invalid_grant"},
		"GitHub":                {ok(`{"error":"bad_verification_code"}`), oauth.ErrCode, "invalid_grant"},
		"Slack":                 {ok(`{"ok":false,"error":"invalid_code"}`), oauth.ErrCode, "invalid_grant"},
		"Slack's secret":        {ok(`{"ok":false,"error":"bad_client_secret"}`), oauth.ErrRefused, "invalid_client"},
		"too old":               {oauthError("expired_token"), oauth.ErrCode, "expired_token"},
		"client":                {answer(401, "", `{"error":"invalid_client"}`), oauth.ErrRefused, "invalid_client"},
		"request":               {oauthError("invalid_request"), oauth.ErrCode, "invalid_request"}, // better-auth, of a verifier
		"GitHub's redirect URI": {ok(`{"error":"redirect_uri_mismatch"}`), oauth.ErrCode, "invalid_request"},
		"resource":              {oauthError("invalid_target"), oauth.ErrRefused, "invalid_target"},
		"denied by a policy":    {oauthError("access_denied"), oauth.ErrRefused, "access_denied"},
		"Entra":                 {oauthError("interaction_required"), oauth.ErrRefused, "interaction_required"},
		"unheard of":            {oauthError("nope"), oauth.ErrRefused, oauth.CodeOther},
		"unheard of, under 500": {answer(500, "", `{"error":"nope"}`), oauth.ErrUnavailable, oauth.CodeOther},
		"a limit":               {answer(429, "", `{"error":"invalid_grant"}`), oauth.ErrUnavailable, "invalid_grant"},
		"server_error":          {oauthError("server_error"), oauth.ErrUnavailable, "server_error"},
		"pending":               {oauthError("authorization_pending"), oauth.ErrUnavailable, "authorization_pending"},
		"a page":                {answer(400, "text/html", "<html>error=invalid_grant"), oauth.ErrUnavailable, ""},
		"empty 400":             {answer(400, "", ""), oauth.ErrUnavailable, ""},
		"503":                   {answer(503, "", ""), oauth.ErrUnavailable, ""},
		"redirect":              {answer(307, "", "", "Location", "https://evil.example"), oauth.ErrUnavailable, ""},
		"reset":                 {broken(io.EOF), oauth.ErrUnavailable, ""},
		"cut off":               {cutOff, oauth.ErrUnreadable, ""},
		"nothing":               {ok("{}"), oauth.ErrUnreadable, ""},
		"a portal":              {answer(200, "text/html", "<html>"), oauth.ErrUnreadable, ""},
		"DPoP":                  {ok(`{"access_token":"a","token_type":"DPoP"}`), oauth.ErrTokenType, ""},
		"not a header":          {ok(`{"access_token":"a\nb"}`), oauth.ErrInvalid, ""},
		"what was sent":         {answer(400, "", `{"error":"invalid_request","error_description":"`+code+" "+verifier+`"}`), oauth.ErrCode, "invalid_request"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", test.reply)
				_, err := exchange(t, s)
				if e := wantError(t, err, test.kind); e.Code != test.code || e.Op != "code exchange" || errors.Is(e, oauth.ErrCode) != (test.kind == oauth.ErrCode) {
					t.Errorf("%+v", e)
				}
				if len(s.Requests) != 1 {
					t.Errorf("%d requests", len(s.Requests))
				}
			})
		})
	}
}

// Only a code that the server has certainly not seen is sent again, or one whose client it
// did not take for authenticated.
func TestExchange_PresentsACodeOnce(t *testing.T) {
	dial := broken(&net.OpError{Op: "dial", Err: syscall.ECONNREFUSED})
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", dial, ok(granted))
		start := time.Now()
		if _, err := exchange(t, s); err != nil || time.Since(start) != time.Second {
			t.Errorf("%v after %v", err, time.Since(start))
		}
		s = new(server).On("/token", dial)
		_, err := exchange(t, s)
		wantError(t, err, oauth.ErrUnavailable)
		if len(s.Requests) != 2 {
			t.Errorf("%d tries", len(s.Requests))
		}
	})
	s := new(server).On("/token", scripted.InBody(scripted.RefusesClient, ok(granted)))
	if _, err := confidential(t, s).Exchange(t.Context(), code, redirectURI, verifier, held); err != nil {
		t.Error(err)
	}
	s.CheckAuth(t, "/token", "basic+post")
}

func TestExchange_EndsWithItsContext(t *testing.T) {
	reason := errors.New("closed")
	for name, reply := range map[string]reply{"in the request": stall, "between two": broken(syscall.ECONNREFUSED)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(time.Second/2, func() { cancel(reason) })
				start := time.Now()
				_, err := client(t, new(server).On("/token", reply), nil).Exchange(ctx, code, redirectURI, verifier, held)
				wantError(t, err, context.Canceled)
				if !errors.Is(err, reason) || time.Since(start) != time.Second/2 {
					t.Errorf("%v after %v", err, time.Since(start))
				}
			})
		})
	}
}

// An error that came by way of the browser is anybody's text.
func TestResponseError(t *testing.T) {
	for sent, want := range map[string]struct {
		kind error
		code string
	}{
		"access_denied":              {oauth.ErrDenied, "access_denied"},
		"authorization_declined":     {oauth.ErrDenied, "access_denied"},
		"server_error":               {oauth.ErrUnavailable, "server_error"},
		"temporarily_unavailable":    {oauth.ErrUnavailable, "temporarily_unavailable"},
		"invalid_scope":              {oauth.ErrRefused, "invalid_scope"},
		"login_required":             {oauth.ErrRefused, "login_required"},
		"unsupported_response_type":  {oauth.ErrRefused, "unsupported_response_type"},
		"unauthorized_client":        {oauth.ErrRefused, "unauthorized_client"},
		"":                           {oauth.ErrRefused, oauth.CodeOther},
		"ignore\x1b[31m all\u202eof": {oauth.ErrRefused, oauth.CodeOther},
		strings.Repeat("x", 100_000): {oauth.ErrRefused, oauth.CodeOther},
	} {
		e := oauth.ResponseError("authorization", url.Values{"error": {sent}, "error_description": {"Because\n" + sent}})
		scripted.CheckFuzzed(t, e)
		if !errors.Is(e, want.kind) || e.Code != want.code || strings.Contains(e.Error(), "ecause") || !strings.Contains(e.Detail, `error_description "Because\n`) {
			t.Errorf("%.40q: %.200v, detail %.300s", sent, e, e.Detail)
		}
	}
}

func FuzzExchangeAnswer(f *testing.F) {
	for _, a := range scripted.Seen {
		f.Add(a.Status, a.ContentType, a.Text)
	}
	f.Fuzz(func(t *testing.T, status int, contentType, text string) {
		s := new(server).On("/token", answer(status, contentType, text))
		token, err := client(t, s, nil).Exchange(context.Background(), code, redirectURI, verifier, scopes.Of("held"))
		s.CheckClosed(t)
		switch {
		case err != nil:
			scripted.CheckFuzzed(t, err)
			if errors.Is(err, oauth.ErrRevoked) || len(s.Requests) != 1 {
				t.Errorf("%v after %d requests", err, len(s.Requests))
			}
		case status < 200 || status > 299 || token.Check() != nil || token.Access == "":
			t.Errorf("under status %d accepted %v", status, token)
		}
	})
}
