package device_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

type (
	server  = scripted.Server
	reply   = scripted.Reply
	request = scripted.Request
)

var (
	answer, ok, oauthError = scripted.Answer, scripted.OK, scripted.OAuthError
	broken, stall, slowly  = scripted.Broken, scripted.Stall, scripted.Slowly
	cutOff                 = scripted.CutOff

	wantError, checkNoSecret = scripted.WantError, scripted.CheckNoSecret
)

const (
	deviceCode   = scripted.DeviceCode
	userCode     = scripted.UserCode
	accessToken  = scripted.AccessToken
	refreshToken = scripted.RefreshToken
	clientSecret = scripted.ClientSecret
	granted      = scripted.Granted
)

// settings are those of both clients.
type settings struct {
	oauth.Config
	device.Options
}

// flow is the device flow of a client, and the client.
type flow struct {
	*device.Client
	common *oauth.Client
}

// Refresh is the client's.
func (f flow) Refresh(ctx context.Context, refreshToken string, held scopes.Set) (*oauth.Token, error) {
	return f.common.Refresh(ctx, refreshToken, held)
}

// Revoke is the client's.
func (f flow) Revoke(ctx context.Context, token string, kind oauth.TokenKind) error {
	return f.common.Revoke(ctx, token, kind)
}

const issued = `{"device_code":"` + deviceCode + `","user_code":"` + userCode + `",
	"verification_uri":"https://as.example/device","verification_uri_complete":"https://as.example/device?user_code=` + userCode + `",
	"expires_in":900,"interval":5}`

// client returns a public client of s; change may be nil.
func client(t testing.TB, s *server, change func(*settings)) flow {
	t.Helper()
	config := settings{Config: oauth.Config{
		Endpoints: oauth.Endpoints{
			Issuer:              "https://as.example",
			DeviceAuthorization: "https://as.example/device_authorization",
			Token:               "https://as.example/token",
		},
		Credentials: oauth.Credentials{ID: "notes-client"},
		Transport:   s,
	}}
	if change != nil {
		change(&config)
	}
	common, err := oauth.New(config.Config)
	if err != nil {
		t.Fatal(err)
	}
	c, err := device.New(common, config.Options)
	if err != nil {
		t.Fatal(err)
	}
	return flow{c, common}
}

// authorize gets a device code, answered with issued unless the script says else.
func authorize(t testing.TB, c flow, s *server) *device.Authorization {
	t.Helper()
	if !s.Has("/device_authorization") {
		s.On("/device_authorization", ok(issued))
	}
	auth, err := c.Authorize(context.Background(), scopes.Of("profile", "notes:read"))
	if err != nil {
		t.Fatal(err)
	}
	return auth
}

// with returns the usual device answer with one member replaced by raw JSON, or
// without it if raw is empty.
func with(name, raw string) string {
	members := map[string]string{
		"device_code": `"` + deviceCode + `"`, "user_code": `"` + userCode + `"`,
		"verification_uri": `"https://as.example/device"`, "expires_in": "900", "interval": "5",
	}
	members[name] = raw
	var list []string
	for name, raw := range members {
		if raw != "" {
			list = append(list, fmt.Sprintf("%q:%s", name, raw))
		}
	}
	return "{" + strings.Join(list, ",") + "}"
}

// poll polls until something comes of it, or ctx ends.
func poll(ctx context.Context, c flow, auth *device.Authorization, observe func(device.PollEvent)) (*oauth.Token, error) {
	for attempt := 1; ; attempt++ {
		if auth != nil && !oauth.Sleep(ctx, time.Until(auth.Next())) {
			return nil, oauth.Ended(ctx, "poll")
		}
		token, event, err := c.Poll(ctx, auth, attempt)
		if observe != nil && event.Outcome != "" {
			observe(event)
		}
		if token != nil || err != nil {
			return token, err
		}
	}
}
