package device_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestNoExportedTypePrintsASecret(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", ok(granted))
		c := client(t, s, func(c *settings) {
			c.Credentials.Secret, c.UseComplete = clientSecret, true
			c.Params.Authorization = url.Values{"login_hint": {accessToken}}
		})
		checkNoSecret(t, c.Client)
		checkNoSecret(t, *c.Client)

		auth := authorize(t, c, s)
		if auth.VerificationURIComplete == "" {
			t.Error("no complete URI, though asked for")
		}
		checkNoSecret(t, auth)
		checkNoSecret(t, *auth)
		if text := fmt.Sprint(auth); !strings.Contains(text, "https://as.example/device") {
			t.Errorf("an authorization prints as %s", text)
		}

		token, err := poll(t.Context(), c, auth, func(event device.PollEvent) { checkNoSecret(t, event) })
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
		"error_description": answer(401, "application/json", scripted.JSON(map[string]any{"error": "invalid_client", "error_description": echo})),
		"error":             answer(401, "application/json", scripted.JSON(map[string]any{"error": echo})),
		"transport":         broken(errors.New("cannot send " + echo)),
		"token_type":        ok(scripted.JSON(map[string]any{"access_token": accessToken, "token_type": accessToken + echo})),
		"body":              answer(403, "text/html", "<html>access_token="+accessToken+" "+echo),
		"body, in JSON":     answer(403, "application/json", scripted.JSON(map[string]any{"message": echo, "access_token": accessToken, "next": scripted.JSON(map[string]string{"client_secret": "s3cr3t"})})),
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				for _, style := range []oauth2.AuthStyle{oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams} {
					s := new(server)
					c := client(t, s, func(config *settings) {
						config.Credentials.Secret, config.Credentials.AuthStyle = clientSecret, style
					})
					auth := authorize(t, c, s)
					s.On("/token", answer)
					_, pollErr := poll(t.Context(), c, auth, nil)
					_, refreshErr := c.Refresh(t.Context(), refreshToken, scopes.Set{})
					for _, err := range []error{pollErr, refreshErr} {
						e, isError := errors.AsType[*oauth.Error](err)
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
					pollErr.(*oauth.Error).Detail = strings.ReplaceAll(pollErr.(*oauth.Error).Detail, refreshToken, "")
					refreshErr.(*oauth.Error).Detail = cutCodes(refreshErr.(*oauth.Error).Detail)
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
