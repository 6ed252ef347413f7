package device_test

import (
	"context"
	"errors"
	"io"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
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

		{"error under 200", ok(`{"status":"error"}`), device.ErrNotRevoked},
		{"failure", ok(`{"success":false}`), device.ErrNotRevoked},
		{"500 under 200", ok(`{"status":500}`), device.ErrNotRevoked},
		{"maintenance", ok(`{"status":"maintenance"}`), device.ErrNotRevoked},
		{"OAuth's error under 200", ok(`{"error":"invalid_request"}`), device.ErrNotRevoked},
		{"an error of another form", ok(`{"error":{"code":1},"success":true}`), device.ErrNotRevoked},
		{"a sentence", ok(`{"message":"not found"}`), device.ErrNotRevoked},
		{"a page", answer(200, "text/html", "<html>"), device.ErrNotRevoked},
		{"false", ok("false"), device.ErrNotRevoked},
		{"later", answer(202, "", ""), device.ErrNotRevoked},
		{"unknown, at better-auth", oauthError("invalid_request"), device.ErrNotRevoked},
		{"unknown", oauthError("invalid_grant"), device.ErrNotRevoked},
		{"empty 400", answer(400, "", ""), device.ErrNotRevoked},
		{"unheard of", oauthError("nope"), device.ErrNotRevoked},
		{"not this kind", oauthError("unsupported_token_type"), device.ErrNotRevoked},
		{"no such page", answer(404, "text/html", "<html>"), device.ErrNotRevoked},
		{"no such method", answer(405, "", ""), device.ErrNotRevoked},
		{"conflict", answer(409, "", ""), device.ErrNotRevoked},
		{"media type", answer(415, "", ""), device.ErrNotRevoked},
		{"unprocessable", answer(422, "application/json", `{"message":"x"}`), device.ErrNotRevoked},
		{"redirect", answer(302, "", "", "Location", "https://evil.example/"), device.ErrNotRevoked},

		{"client", answer(401, "", `{"error":"invalid_client"}`), device.ErrRefused},
		{"client, forbidden", answer(403, "", `{"error":"unauthorized_client"}`), device.ErrRefused},
		{"limit", answer(429, "", `{"error":"too_many_requests"}`), device.ErrUnavailable},
		{"busy", answer(503, "text/html", "<html>"), device.ErrUnavailable},
		{"server_error", oauthError("server_error"), device.ErrUnavailable},
		{"slow_down", oauthError("slow_down"), device.ErrUnavailable},
		{"reset", broken(io.EOF), device.ErrUnavailable},
		{"cut off", cutOff, device.ErrUnavailable},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(server).on("/revoke", test.reply)
			c := client(t, s, func(config *device.Config) { config.Endpoints.Revocation = "https://as.example/revoke" })
			err := c.Revoke(t.Context(), refreshToken, device.RefreshToken)
			if test.kind == nil {
				if err != nil {
					t.Error(err)
				}
			} else if e := wantError(t, err, test.kind); e.Op != "revocation" {
				t.Errorf("%+v", e)
			}
			if len(s.requests) != 1 {
				t.Errorf("%d requests", len(s.requests))
			}
			s.checkClosed(t)
		})
	}
}

func TestRevoke_SaysWhichKindIsNotSupported(t *testing.T) {
	s := new(server).on("/revoke", oauthError("unsupported_token_type"))
	c := client(t, s, func(config *device.Config) { config.Endpoints.Revocation = "https://as.example/revoke" })
	e := wantError(t, c.Revoke(t.Context(), accessToken, device.AccessToken), device.ErrNotRevoked)
	if e.Code != "unsupported_token_type" {
		t.Errorf("code %q", e.Code)
	}
}

func TestRevoke_EndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	reason := errors.New("shutting down")
	cancel(reason)
	c := client(t, new(server).on("/revoke", stall), func(config *device.Config) { config.Endpoints.Revocation = "https://as.example/revoke" })
	err := c.Revoke(ctx, refreshToken, device.RefreshToken)
	wantError(t, err, context.Canceled)
	if !errors.Is(err, reason) {
		t.Error(err)
	}
}

func TestRevoke_WithoutAnEndpoint(t *testing.T) {
	s := new(server)
	c := client(t, s, nil)
	wantError(t, c.Revoke(t.Context(), refreshToken, device.RefreshToken), device.ErrRefused)
	if c.CanRevoke() || len(s.requests) != 0 {
		t.Errorf("%d requests", len(s.requests))
	}
}
