package server

import (
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// A proxy of this machine may stand in front of demo users, for TLS.
func TestAPublicURLOnLoopback(t *testing.T) {
	cfg := &Config{DemoUsers: []string{"ada"}, Connect: true, Listen: "127.0.0.1:0", PublicURL: "https://127.0.0.1:8443"}
	page, err := connectPage(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if uri := page.RedirectURI(lazyauth.Service{Name: "Notes"}); !strings.HasPrefix(uri, cfg.PublicURL+ConnectPath+"/callback/") || cfg.demoCookieName() != "__Host-"+DemoCookie {
		t.Errorf("redirect URI %q, cookie %q", uri, cfg.demoCookieName())
	}
}
