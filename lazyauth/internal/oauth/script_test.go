package oauth_test

import (
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
)

type (
	server = scripted.Server
	reply  = scripted.Reply
)

var (
	answer, ok, oauthError = scripted.Answer, scripted.OK, scripted.OAuthError
	broken, stall, slowly  = scripted.Broken, scripted.Stall, scripted.Slowly
	cutOff                 = scripted.CutOff

	wantError, checkNoSecret = scripted.WantError, scripted.CheckNoSecret
)

const (
	accessToken  = scripted.AccessToken
	refreshToken = scripted.RefreshToken
	clientSecret = scripted.ClientSecret
	granted      = scripted.Granted
)

// client returns a public client of s; change may be nil.
func client(t testing.TB, s *server, change func(*oauth.Config)) *oauth.Client {
	t.Helper()
	config := oauth.Config{
		Endpoints:   oauth.Endpoints{Issuer: "https://as.example", Token: "https://as.example/token"},
		Credentials: oauth.Credentials{ID: "notes-client"},
		Transport:   s,
	}
	if change != nil {
		change(&config)
	}
	c, err := oauth.New(config)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
