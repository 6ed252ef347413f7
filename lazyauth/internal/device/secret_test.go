package device_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

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

func TestNoExportedTypePrintsASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).on("/token", ok(granted))
		config := device.Config{
			Endpoints:    device.Endpoints{DeviceAuthorization: "https://as.example/device_authorization", Token: "https://as.example/token"},
			ClientID:     "notes-client",
			ClientSecret: clientSecret,
			Params:       url.Values{"login_hint": {accessToken}},
			UseComplete:  true,
		}
		checkNoSecret(t, config)
		checkNoSecret(t, &config)
		config.Transport = s
		c, err := device.New(config)
		if err != nil {
			t.Fatal(err)
		}
		checkNoSecret(t, c)
		checkNoSecret(t, *c)

		auth := authorize(t, c, s)
		if auth.VerificationURIComplete == "" {
			t.Error("no complete URI, though asked for")
		}
		checkNoSecret(t, auth)
		checkNoSecret(t, *auth)
		if text := fmt.Sprint(auth); !strings.Contains(text, "https://as.example/device") {
			t.Errorf("an authorization prints as %s", text)
		}

		token, err := c.Poll(t.Context(), auth, func(event device.PollEvent) { checkNoSecret(t, event) })
		if err != nil {
			t.Fatal(err)
		}
		checkNoSecret(t, token)
		checkNoSecret(t, *token)
		if text := fmt.Sprint(token); !strings.Contains(text, `"notes:read profile"`) {
			t.Errorf("a token prints as %s", text)
		}
	})
}

// A server that repeats what it was sent, and a transport that quotes it, must not
// bring secrets into the operator's log.
func TestEchoedSecretsAreBlottedOut(t *testing.T) {
	basic := base64.StdEncoding.EncodeToString([]byte("notes-client:" + url.QueryEscape(clientSecret)))
	echo := strings.Join([]string{
		"no!", strings.ToLower(userCode), "wdjbmjht", deviceCode, refreshToken, clientSecret, url.QueryEscape(clientSecret), basic,
	}, " ")
	answers := map[string]reply{
		"error_description": answer(401, "application/json", toJSON(map[string]any{"error": "invalid_client", "error_description": echo})),
		"error":             answer(401, "application/json", toJSON(map[string]any{"error": echo})),
		"transport":         broken(errors.New("cannot send " + echo)),
		"token_type":        ok(toJSON(map[string]any{"access_token": accessToken, "token_type": accessToken + echo})),
		"body":              answer(403, "text/html", "<html>access_token="+accessToken+" "+echo),
		"body, in JSON":     answer(403, "application/json", toJSON(map[string]any{"message": echo, "access_token": accessToken, "next": toJSON(map[string]string{"client_secret": "s3cr3t"})})),
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
					s := new(server)
					c := client(t, s, func(config *device.Config) {
						config.ClientSecret, config.AuthStyle = clientSecret, style
					})
					auth := authorize(t, c, s)
					s.on("/token", answer)
					_, pollErr := c.Poll(t.Context(), auth, nil)
					_, refreshErr := c.Refresh(t.Context(), refreshToken, scopes.Set{})
					for _, err := range []error{pollErr, refreshErr} {
						e, isError := errors.AsType[*device.Error](err)
						if !isError {
							t.Fatalf("error %v", err)
						}
						if strings.Contains(e.Error(), "no!") || strings.Contains(e.Code, "no!") {
							t.Errorf("the server's text is in %q", e.Error())
						}
						if strings.Contains(e.Detail, basic) {
							t.Errorf("the credentials are in %s", e.Detail)
						}
					}
					// Each call knows the secrets it has itself sent and received.
					pollErr.(*device.Error).Detail = strings.ReplaceAll(pollErr.(*device.Error).Detail, refreshToken, "")
					refreshErr.(*device.Error).Detail = cutCodes(refreshErr.(*device.Error).Detail)
					checkNoSecret(t, pollErr)
					checkNoSecret(t, refreshErr)
				}
			})
		})
	}
}

func cutCodes(text string) string {
	return strings.NewReplacer(deviceCode, "", strings.ToLower(userCode), "", "wdjbmjht", "").Replace(text)
}

// What nobody has told this package is secret, and looks it, in a body that could not be
// read.
func TestSecretsOfOthersAreBlottedOut(t *testing.T) {
	for _, text := range []string{
		`{"access_token":"s3cr3t`,
		`{"x":1,"refresh_token" : "s3cr3t\"more","y":`,
		`"{\"id_token\":\"s3cr3t\"`,
		`{'device_code':'s3cr3t'`,
		`access_token=s3cr3t&x=1<`,
		`<a href="/cb?code=s3cr3t&state=1">`,
		`<input name=client_secret value=1> client-secret: s3cr3t`,
		`eyJhbGciOiJSUzI1NiIsInR5cCI6IkpXVCJ9s3cr3t`,
		`{"access_token":"\u0073s3cr3t"`,
		`{"user_code":"AB s3cr3t CD"`,
	} {
		s := new(server).on("/token", answer(503, "text/plain", text))
		_, err := client(t, s, nil).Refresh(t.Context(), refreshToken, scopes.Set{})
		e := wantError(t, err, device.ErrUnavailable)
		if !strings.Contains(e.Detail, "[secret]") && !strings.Contains(e.Detail, "a body of") {
			t.Errorf("%s: %s", text, e.Detail)
		}
	}
}

func TestDetailIsBoundedASCIIOnOneLine(t *testing.T) {
	hostile := strings.Repeat("\u202e\x00\x1b[31m\n\U0010ffff\xff", 1000)
	s := new(server).on("/token", answer(400, "application/json", toJSON(map[string]any{
		"error": hostile, "error_description": hostile,
	})))
	_, err := client(t, s, nil).Refresh(context.Background(), refreshToken, scopes.Set{})
	e := wantError(t, err, device.ErrRefused)
	if e.Code != device.CodeOther {
		t.Errorf("code %q", e.Code)
	}
	if len(e.Detail) > 1500 || e.Detail == "" {
		t.Errorf("a detail of %d bytes", len(e.Detail))
	}
	for _, r := range e.Detail {
		if r < ' ' || r > '~' {
			t.Fatalf("detail has %q", r)
		}
	}
}

func toJSON(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}
