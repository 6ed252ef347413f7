package scripted

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// What scripts have in them that must be told to nobody.
const (
	DeviceCode   = "device-code-0123456789"
	UserCode     = "WDJB-MJHT"
	AccessToken  = "access-token-0123456789"
	RefreshToken = "refresh-token-0123456789"
	ClientSecret = "s3cr3t:/+ with space~"
)

// Granted is a token response.
const Granted = `{"access_token":"` + AccessToken + `","token_type":"Bearer","expires_in":3600,
	"refresh_token":"` + RefreshToken + `","scope":"notes:read profile"}`

// Seen are seeds for fuzzing: what servers and what is in between have been seen to say.
var Seen = []struct {
	Status            int
	ContentType, Text string
}{
	{200, "application/json", Granted},
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

// WantError checks the kind of an error and that it tells nothing it must not.
func WantError(t testing.TB, err, kind error) *oauth.Error {
	t.Helper()
	e, isError := errors.AsType[*oauth.Error](err)
	if !isError || !errors.Is(err, kind) {
		t.Fatalf("got error %v, want one that is %q", err, kind)
	}
	CheckNoSecret(t, e)
	return e
}

// CheckNoSecret looks for secrets in every form a value can be printed in, those above and
// any other that has s3cr3t in it.
func CheckNoSecret(t testing.TB, value any) {
	t.Helper()
	for _, text := range everyForm(value) {
		for _, secret := range []string{DeviceCode, UserCode, "WDJBMJHT", AccessToken, RefreshToken, ClientSecret, "s3cr3t"} {
			if strings.Contains(strings.ToLower(text), strings.ToLower(secret)) {
				t.Errorf("the secret %q is in %s", secret, text)
			}
		}
	}
}

// everyForm prints a value in the ways that logs and tests do.
func everyForm(value any) []string {
	var forms []string
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		forms = append(forms, fmt.Sprintf(verb, value), fmt.Sprintf(verb, []any{value}))
	}
	if text, err := json.Marshal(value); err == nil {
		forms = append(forms, string(text))
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("value", "value", value)
	slog.New(slog.NewJSONHandler(&log, nil)).Info("value", "value", value)
	return append(forms, log.String())
}

// CheckFuzzed holds for every error, whatever the server has said: its text is ASCII on one
// line, and bounded.
func CheckFuzzed(t testing.TB, err error) {
	t.Helper()
	e, isError := errors.AsType[*oauth.Error](err)
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

// Visible reports whether a text is of visible ASCII, and not empty.
func Visible(text string) bool {
	for i := range len(text) {
		if text[i] <= ' ' || text[i] > '~' {
			return false
		}
	}
	return text != ""
}

// JSON returns the value in JSON.
func JSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
