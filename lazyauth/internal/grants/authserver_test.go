package grants_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The endpoints are discovered once, for all that is asked of the server.
func TestAuthServer_DiscoveredOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}})
		w.wants(fakeas.Metadata, 0) // nothing is asked before it is needed
		w.signsIn(profile)
		later(2 * time.Hour)
		w.has(profile)
		if err := w.me.Forget(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wants(fakeas.Metadata, 1)
	})
}

// Whoever comes while the endpoints are looked for waits for that one look, and no longer
// than they want to; its failure is everybody's. Who comes later has a new one.
func TestAuthServer_OneDiscoveryForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{})
		w.as.Script(fakeas.Metadata, fakeas.Stall())
		began := time.Now()
		var calls []<-chan outcome
		for n := range 20 {
			calls = append(calls, w.asksAs(t.Context(), w.keeper.Owner(grants.Principal{Issuer: "i", Subject: fmt.Sprint(n)}), profile, caller{}))
			later(time.Second)
		}
		hasty, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		(<-w.asksAs(hasty, w.me, profile, caller{})).fails(context.DeadlineExceeded)
		if took := time.Since(began); took != 21*time.Second {
			t.Errorf("who waits for a second waited for %v", took-20*time.Second)
		}
		for _, c := range calls {
			(<-c).fails(oauth.ErrUnavailable)
		}
		if took := time.Since(began); took != 30*time.Second {
			t.Errorf("the discovery took %v", took)
		}
		w.wants(fakeas.Metadata, 1)
		later(time.Second)
		w.signsIn(profile)
		w.wants(fakeas.Metadata, 2)
	})
}

// A discovery ends with the last who waits for it, be it that they log out and can wait no
// longer, and Close waits for that. Who comes then begins another.
func TestAuthServer_EndOfADiscovery(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{keeper: operatedBy(&source{})})
		ada := w.keeper.Owner(grants.Principal{Issuer: "i", Subject: "ada"})
		c := w.asksAs(t.Context(), ada, profile, caller{})
		w.approves()
		g := (<-c).holds(profile)
		late := newWorld(t, setup{shared: w.as, keeper: func(_ *world, c *grants.Config) { c.RevokeOnClose = 3 * time.Second }})
		w.as.Script(fakeas.Metadata, fakeas.Stall().Times(2))
		began := time.Now()
		if err := late.keeper.RevokeAll([]*grants.Grant{g}); !errors.Is(err, grants.ErrNotRevoked) || time.Since(began) != 3*time.Second {
			t.Errorf("after %v: %v", time.Since(began), err)
		}
		last := late.asks(profile)
		synctest.Wait()
		late.close()
		w.wants(fakeas.Metadata, 3)
		(<-last).fails(grants.ErrClosed)
		if took := time.Since(began); took != 3*time.Second {
			t.Errorf("Close took %v", took-3*time.Second)
		}
	})
}

// A server that does not offer device authorization says so by what its metadata lacks; who
// knows better names the endpoint, and has the others discovered.
func TestAuthServer_NoDeviceEndpoint(t *testing.T) {
	for name, metadata := range map[string]func(map[string]any){
		"left out": func(m map[string]any) { delete(m, "device_authorization_endpoint") },
		"null":     func(m map[string]any) { m["device_authorization_endpoint"] = nil },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{as: fakeas.Options{Metadata: metadata, OpenID: true}})
				(<-w.asks(profile)).fails(oauth.ErrUnsupported)
				w.wants(fakeas.DeviceAuthorization, 0)
				knows := newWorld(t, setup{shared: w.as, server: func(c *oauth.Config) {
					c.Endpoints.DeviceAuthorization = c.Endpoints.Issuer + "/device_authorization"
				}})
				knows.signsIn(profile)
				if err := knows.me.Forget(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// Who names both endpoints beside the issuer is not made to have metadata, and with the
// endpoints named no issuer is needed.
func TestAuthServer_GivenEndpointsNeedNoMetadata(t *testing.T) {
	for _, issuer := range []string{"", fakeas.DefaultIssuer} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, setup{as: fakeas.Options{NoMetadata: true}, server: func(c *oauth.Config) {
				at := c.Endpoints.Issuer
				c.Endpoints = oauth.Endpoints{Issuer: issuer, DeviceAuthorization: at + "/device_authorization", Token: at + "/token", Revocation: at + "/revoke"}
			}})
			w.signsIn(profile)
			if err := w.me.Forget(t.Context()); err != nil {
				t.Error(err)
			}
			w.wants(fakeas.Metadata, 0)
			w.wants(fakeas.Elsewhere, 0)
		})
	}
}

// What cannot be right is said when it is configured, with endpoints or without.
func TestAuthServer_Malformed(t *testing.T) {
	for name, config := range map[string]oauth.Config{
		"an issuer that is none":             {Endpoints: oauth.Endpoints{Issuer: "http://as.example.test"}, Credentials: oauth.Credentials{ID: "x"}},
		"an issuer that is none, and others": {Endpoints: oauth.Endpoints{Issuer: "as", DeviceAuthorization: "https://as.example.test/d", Token: "https://as.example.test/t"}, Credentials: oauth.Credentials{ID: "x"}},
		"an endpoint that is none":           {Endpoints: oauth.Endpoints{DeviceAuthorization: "http://as.example.test/d", Token: "https://as.example.test/t"}, Credentials: oauth.Credentials{ID: "x"}},
		"a secret of nobody":                 {Endpoints: oauth.Endpoints{Issuer: "https://as.example.test"}, Credentials: oauth.Credentials{Secret: "x"}},
	} {
		if _, err := grants.NewAuthorizationServer(config, grants.Clients{}, false, device.Offered); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// However the client has to authenticate, the person approves once, and the grant can be
// refreshed and ended.
func TestAuthServer_ClientAuthentication(t *testing.T) {
	const secret = "s3cret/with+odd=characters&%"
	unlisted := func(members map[string]any) { delete(members, "token_endpoint_auth_methods_supported") }
	both := func(members map[string]any) {
		members["token_endpoint_auth_methods_supported"] = []string{"client_secret_basic", "client_secret_post"}
	}
	for name, test := range map[string]struct {
		as      fakeas.Options
		method  fakeas.AuthMethod
		refused int // requests whose authentication is not the client's
	}{
		"the body alone is listed":                   {fakeas.Options{}, fakeas.PostAuth, 0},
		"the body alone, seen by the token endpoint": {fakeas.Options{OpenDevice: true}, fakeas.PostAuth, 0},
		"the header alone is listed":                 {fakeas.Options{}, fakeas.BasicAuth, 0},
		"either":                                     {fakeas.Options{}, fakeas.EitherAuth, 0},
		"nothing is listed":                          {fakeas.Options{Metadata: unlisted}, fakeas.PostAuth, 1},
		"nothing, seen by the token endpoint":        {fakeas.Options{Metadata: unlisted, OpenDevice: true}, fakeas.PostAuth, 1},
		"both are listed, one will do":               {fakeas.Options{Metadata: both}, fakeas.PostAuth, 1},
		"the header is not decoded":                  {fakeas.Options{RawBasic: true}, fakeas.EitherAuth, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.as.TokenLifetime = time.Minute
				test.as.Clients = []fakeas.Client{{ID: "notes", Secret: secret, Auth: test.method}}
				w := newWorld(t, setup{as: test.as, server: func(c *oauth.Config) { c.Credentials = oauth.Credentials{ID: "notes", Secret: secret} }})
				w.tolerated = []fakeas.Rule{fakeas.WrongAuthentication}
				w.secrets = append(w.secrets, secret)
				w.signsIn(profile)
				later(time.Minute)
				w.has(profile)
				if err := w.me.Forget(t.Context()); err != nil {
					t.Error(err)
				}
				if n := len(w.as.Violations()); n != test.refused {
					t.Errorf("%d requests authenticated wrongly, want %d", n, test.refused)
				}
			})
		})
	}
}

// Each request says by whom it is made.
func TestAuthServer_UserAgent(t *testing.T) {
	for _, set := range []string{"", "notes-mcp/1.2 (+https://notes.example)"} {
		synctest.Test(t, func(t *testing.T) {
			seen := map[string]int{}
			w := newWorld(t, setup{
				wire: func(next http.RoundTripper) http.RoundTripper {
					return roundTripper(func(req *http.Request) (*http.Response, error) {
						seen[req.Header.Get("User-Agent")]++
						return next.RoundTrip(req)
					})
				},
				server: func(c *oauth.Config) { c.UserAgent = set },
				keeper: func(w *world, c *grants.Config) { asksUserInfo(w, c); c.UserAgent = set },
			})
			w.signsIn(profile)
			if err := w.me.Forget(t.Context()); err != nil {
				t.Fatal(err)
			}
			for agent, n := range seen {
				if set != "" && agent != set || set == "" && !strings.HasPrefix(agent, "lazyauth") || n < 6 {
					t.Errorf("%d requests by %q", n, agent)
				}
			}
		})
	}
}

// oldNames is how some servers answered before RFC 8628 was finished.
func oldNames(_ *http.Request, a *fakeas.Answer) {
	if uri, ok := a.Members["verification_uri"]; ok {
		a.Members["verification_url"] = uri
		a.Members["interval"], a.Members["expires_in"] = "5", "600"
		delete(a.Members, "verification_uri")
	}
}

// Whatever a server's dialect is, and wherever its metadata, a grant can be had of it,
// refreshed and ended.
func TestAuthServer_Dialects(t *testing.T) {
	const tenant = "https://as.example.test/tenant/1"
	for name, as := range map[string]fakeas.Options{
		"scopes with commas":             {Dialect: fakeas.CommaScopes},
		"errors under 200":               {Dialect: fakeas.ErrorsUnder200},
		"old name of the URI":            {Dialect: oldNames},
		"form-encoded":                   {Dialect: func(_ *http.Request, a *fakeas.Answer) { a.Form = a.Operation != fakeas.Metadata }},
		"OpenID alone":                   {OpenID: true, NoMetadata: true},
		"issuer with a path":             {Issuer: tenant},
		"OpenID, inserted into the path": {Issuer: tenant, NoMetadata: true, OpenIDInserted: true},
		"OpenID, in front of the path":   {Issuer: tenant, NoMetadata: true, OpenID: true},
		"issuer with a slash at the end": {Issuer: "https://as.example.test/tenant/", NoMetadata: true, OpenIDInserted: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as.TokenLifetime, as.API = time.Hour, fakeas.DefaultAPI
				w := newWorld(t, setup{as: as})
				c := w.asks(scopes.Of("profile", "notes:read"))
				code := w.person().UserCode
				later(7 * time.Second) // the first poll is too early
				if err := w.as.Approve(code); err != nil {
					t.Fatal(err)
				}
				(<-c).holds(scopes.Of("profile", "notes:read"))
				later(2 * time.Hour)
				w.has(read)
				if err := w.me.Forget(t.Context()); err != nil {
					t.Error(err)
				}
			})
		})
	}
}
