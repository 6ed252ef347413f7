package oauth_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// Only what the server says counts, and a page under 200 is not the server's.
func TestRevoke(t *testing.T) {
	for _, test := range []struct {
		name  string
		reply reply
		kind  error // nil: it is done
	}{
		{"as specified", answer(200, "", ""), nil},
		{"blank", answer(200, "text/html", "\r\n"), nil},
		{"no content", answer(204, "", ""), nil},
		{"empty object", ok("{}"), nil},
		{"null", ok("null"), nil},
		{"true", ok("true"), nil},
		{"OK", answer(200, "text/plain", "OK\n"), nil},
		{"success", ok(`{"status":"success","message":"the token was revoked"}`), nil},
		{"a number", ok(`{"code":200,"success":true}`), nil},
		{"revoked", ok(`{"revoked":true,"error":null}`), nil},

		{"error under 200", ok(`{"status":"error"}`), oauth.ErrNotRevoked},
		{"failure", ok(`{"success":false}`), oauth.ErrNotRevoked},
		{"500 under 200", ok(`{"status":500}`), oauth.ErrNotRevoked},
		{"maintenance", ok(`{"status":"maintenance"}`), oauth.ErrNotRevoked},
		{"OAuth's error under 200", ok(`{"error":"invalid_request"}`), oauth.ErrNotRevoked},
		{"an error of another form", ok(`{"error":{"code":1},"success":true}`), oauth.ErrNotRevoked},
		{"a sentence", ok(`{"message":"not found"}`), oauth.ErrNotRevoked},
		{"a page", answer(200, "text/html", "<html>"), oauth.ErrNotRevoked},
		{"false", ok("false"), oauth.ErrNotRevoked},
		{"later", answer(202, "", ""), oauth.ErrNotRevoked},
		{"unknown, at better-auth", oauthError("invalid_request"), oauth.ErrNotRevoked},
		{"unknown", oauthError("invalid_grant"), oauth.ErrNotRevoked},
		{"empty 400", answer(400, "", ""), oauth.ErrNotRevoked},
		{"unheard of", oauthError("nope"), oauth.ErrNotRevoked},
		{"not this kind", oauthError("unsupported_token_type"), oauth.ErrNotRevoked},
		{"no such page", answer(404, "text/html", "<html>"), oauth.ErrNotRevoked},
		{"no such method", answer(405, "", ""), oauth.ErrNotRevoked},
		{"conflict", answer(409, "", ""), oauth.ErrNotRevoked},
		{"media type", answer(415, "", ""), oauth.ErrNotRevoked},
		{"unprocessable", answer(422, "application/json", `{"message":"x"}`), oauth.ErrNotRevoked},
		{"redirect", answer(302, "", "", "Location", "https://evil.example/"), oauth.ErrNotRevoked},

		{"client", answer(401, "", `{"error":"invalid_client"}`), oauth.ErrRefused},
		{"client, forbidden", answer(403, "", `{"error":"unauthorized_client"}`), oauth.ErrRefused},
		{"limit", answer(429, "", `{"error":"too_many_requests"}`), oauth.ErrUnavailable},
		{"busy", answer(503, "text/html", "<html>"), oauth.ErrUnavailable},
		{"server_error", oauthError("server_error"), oauth.ErrUnavailable},
		{"slow_down", oauthError("slow_down"), oauth.ErrUnavailable},
		{"reset", broken(io.EOF), oauth.ErrUnavailable},
		{"cut off", cutOff, oauth.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(server).On("/revoke", test.reply)
			c := client(t, s, func(config *oauth.Config) { config.Endpoints.Revocation = "https://as.example/revoke" })
			err := c.Revoke(t.Context(), refreshToken, oauth.RefreshToken)
			if test.kind == nil {
				if err != nil {
					t.Error(err)
				}
			} else if e := wantError(t, err, test.kind); e.Op != "revocation" {
				t.Errorf("%+v", e)
			}
			if len(s.Requests) != 1 {
				t.Errorf("%d requests", len(s.Requests))
			}
			s.CheckClosed(t)
		})
	}
}

func TestRevoke_SaysWhichKindIsNotSupported(t *testing.T) {
	s := new(server).On("/revoke", oauthError("unsupported_token_type"))
	c := client(t, s, func(config *oauth.Config) { config.Endpoints.Revocation = "https://as.example/revoke" })
	e := wantError(t, c.Revoke(t.Context(), accessToken, oauth.AccessToken), oauth.ErrNotRevoked)
	if e.Code != "unsupported_token_type" {
		t.Errorf("code %q", e.Code)
	}
}

func TestRevoke_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("shutting down")
	cancel(reason)
	c := client(t, new(server).On("/revoke", stall), func(config *oauth.Config) { config.Endpoints.Revocation = "https://as.example/revoke" })
	err := c.Revoke(ctx, refreshToken, oauth.RefreshToken)
	wantError(t, err, context.Canceled)
	if !errors.Is(err, reason) {
		t.Error(err)
	}
}

func TestRevoke_WithoutAnEndpoint(t *testing.T) {
	s := new(server)
	c := client(t, s, nil)
	wantError(t, c.Revoke(t.Context(), refreshToken, oauth.RefreshToken), oauth.ErrRefused)
	if c.CanRevoke() || len(s.Requests) != 0 {
		t.Errorf("%d requests", len(s.Requests))
	}
}
