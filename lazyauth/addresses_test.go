package lazyauth_test

import (
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
)

// An address that cannot be one is named by its field, with its value, and what to write.
func TestNew_Addresses(t *testing.T) {
	const https = ": write an https URL (http is for a loopback address alone)"
	for want, change := range map[string]func(*lazyauth.Service){
		`Service.Issuer "http://as.example": the issuer is not https: write the https URL by which`: func(s *lazyauth.Service) { s.Issuer = "http://as.example" },
		`Service.Issuer "https://as.example?...": the issuer has a query`:                           func(s *lazyauth.Service) { s.Issuer = "https://as.example?key=hush" },
		`Service.Issuer "https://as.example/\x1b[2J": the issuer has a character`:                   func(s *lazyauth.Service) { s.Issuer = "https://as.example/\x1b[2J" },
		"Service.Issuer (which is not shown":                                                        func(s *lazyauth.Service) { s.Issuer = "https://me:hush@as.example" },
		`Service.Issuer "https://` + strings.Repeat("x", 112) + `...": the issuer is too long`:      func(s *lazyauth.Service) { s.Issuer = "https://" + strings.Repeat("x", 9000) },
		`write "https://as.example", or`:                                                            func(s *lazyauth.Service) { s.Issuer = "https://as.example/.well-known/oauth-authorization-server" },
		`write "https://as.example/one", or`:                                                        func(s *lazyauth.Service) { s.Issuer = "https://as.example/one/.well-known/openid-configuration" },
		`write "https://as.example/two/x", or`: func(s *lazyauth.Service) {
			s.Issuer = "https://as.example/.well-known/oauth-authorization-server/two/x"
		},
		`Service.Endpoint.DeviceAuthURL "http://as.example/d": the device authorization endpoint is not https` + https: func(s *lazyauth.Service) { s.Endpoint.DeviceAuthURL = "http://as.example/d" },
		`Service.Endpoint.TokenURL "as.example/t": the token endpoint is not https` + https:                            func(s *lazyauth.Service) { s.Endpoint.TokenURL = "as.example/t" },
		`Service.RevocationURL "https:///r": the revocation endpoint has no host` + https:                              func(s *lazyauth.Service) { s.RevocationURL = "https:///r" },
		`Service.Endpoint.AuthURL "http://as.example/a": the authorization endpoint is not https` + https: func(s *lazyauth.Service) {
			s.Flows, s.Endpoint.AuthURL = []lazyauth.Flow{lazyauth.FlowRedirect}, "http://as.example/a"
		},
	} {
		s := lazyauth.Service{Name: "Notes", Issuer: "https://as.example", ClientID: "c"}
		change(&s)
		_, err := lazyauth.New(s, nil)
		if err == nil || !strings.HasPrefix(err.Error(), "lazyauth: ") || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hush") {
			t.Errorf("the error is %v, want %q in it, and no secret", err, want)
		}
	}
	for _, issuer := range []string{"https://as.example/", "https://as.example/well-known/x", "https://as.example/.well-known/ours/x", "http://127.0.0.1:9070"} {
		auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: issuer, ClientID: "c"}, nil)
		if err != nil {
			t.Errorf("%s: %v", issuer, err)
			continue
		}
		auth.Close()
	}
}
