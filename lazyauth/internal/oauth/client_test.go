package oauth_test

import (
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

func TestNewRefusesAndQuotesNothing(t *testing.T) {
	for name, change := range map[string]func(*oauth.Config){
		"a secret without an id":    func(c *oauth.Config) { c.Credentials = oauth.Credentials{Secret: "s3cr3t"} },
		"client id with a line end": func(c *oauth.Config) { c.Credentials.ID = "s3cr3t\r\n" },
		"client secret, not ASCII":  func(c *oauth.Config) { c.Credentials.Secret = "s3cr3té" },
		"unknown style":             func(c *oauth.Config) { c.Credentials.AuthStyle = 3 },
		"user agent of two lines":   func(c *oauth.Config) { c.UserAgent = "s3cr3t\r\nX-Evil: 1" },
		"long user agent":           func(c *oauth.Config) { c.UserAgent = strings.Repeat("s3cr3t", 50) },
		"negative style":            func(c *oauth.Config) { c.Credentials.AuthStyle = -1 },
		"no token endpoint":         func(c *oauth.Config) { c.Endpoints.Token = "" },
		"http device endpoint":      func(c *oauth.Config) { c.Endpoints.DeviceAuthorization = "http://s3cr3t.example/" },
		"http authorization":        func(c *oauth.Config) { c.Endpoints.Authorization = "http://s3cr3t.example/" },
		"http pushed authorization": func(c *oauth.Config) { c.Endpoints.PushedAuthorization = "http://s3cr3t.example/" },
		"http registration":         func(c *oauth.Config) { c.Endpoints.Registration = "http://s3cr3t.example/" },
		"http endpoint":             func(c *oauth.Config) { c.Endpoints.Token = "http://s3cr3t.example/" },
		"user info":                 func(c *oauth.Config) { c.Endpoints.Token = "https://s3cr3t@as.example/" },
		"http revocation":           func(c *oauth.Config) { c.Endpoints.Revocation = "http://s3cr3t.example/" },
		"a nameless token type":     func(c *oauth.Config) { c.BearerNames = []string{"  "} },
		"DPoP as a bearer token":    func(c *oauth.Config) { c.BearerNames = []string{"BearerToken", " dpop "} },
		"MAC as a bearer token":     func(c *oauth.Config) { c.BearerNames = []string{"MAC"} },
	} {
		config := oauth.Config{
			Endpoints:   oauth.Endpoints{DeviceAuthorization: "https://as.example/d", Token: "https://as.example/t"},
			Credentials: oauth.Credentials{ID: "notes-client"},
		}
		if _, err := oauth.New(config); err != nil {
			t.Fatal(err)
		}
		change(&config)
		_, err := oauth.New(config)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNewAcceptsLoopback(t *testing.T) {
	for _, base := range []string{"http://127.0.0.1:9070", "http://127.8.8.8", "http://[::1]:80", "http://localhost:1", "http://LOCALHOST"} {
		if _, err := oauth.New(oauth.Config{
			Endpoints:   oauth.Endpoints{DeviceAuthorization: base + "/d", Token: base + "/t", Revocation: base + "/r"},
			Credentials: oauth.Credentials{ID: "notes-client"},
		}); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
}
