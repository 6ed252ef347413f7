package device_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
)

// metadata is what an issuer publishes; members replace or, if empty, remove.
func metadata(issuer string, members ...string) string {
	all := map[string]string{
		"issuer":                        issuer,
		"device_authorization_endpoint": "https://as.example/device_authorization",
		"token_endpoint":                "https://as.example/token",
		"revocation_endpoint":           "https://as.example/revoke",
	}
	for i := 0; i < len(members); i += 2 {
		all[members[i]] = members[i+1]
	}
	for name, value := range all {
		if value == "" {
			delete(all, name)
		}
	}
	return toJSON(all)
}

func discover(t *testing.T, s *server, issuer string) (device.Endpoints, error) {
	t.Helper()
	found, err := device.Discover(t.Context(), s, issuer, device.DiscoverOptions{})
	s.checkClosed(t)
	return found, err
}

func TestDiscoverLooksWhereTheRFCsSay(t *testing.T) {
	for _, test := range []struct{ issuer, oauth, openid string }{
		{"https://as.example", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		{"https://as.example/", "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"},
		{"https://as.example/t/1", "/.well-known/oauth-authorization-server/t/1", "/t/1/.well-known/openid-configuration"},
		{"https://as.example/t/1/", "/.well-known/oauth-authorization-server/t/1", "/t/1/.well-known/openid-configuration"},
	} {
		for _, at := range []string{test.oauth, test.openid} {
			s := new(server).on(at, ok(metadata(test.issuer)))
			found, err := discover(t, s, test.issuer)
			if err != nil {
				t.Errorf("%s at %s: %v", test.issuer, at, err)
				continue
			}
			if found != (device.Endpoints{
				Issuer:              test.issuer,
				DeviceAuthorization: "https://as.example/device_authorization",
				Token:               "https://as.example/token",
				Revocation:          "https://as.example/revoke",
			}) {
				t.Errorf("%s at %s: found %+v", test.issuer, at, found)
			}
			want := []string{"https://as.example" + test.oauth, "https://as.example" + test.openid}
			if at == test.oauth {
				want = want[:1]
			}
			var got []string
			for _, r := range s.requests {
				got = append(got, r.url)
				if r.method != "GET" || r.header.Get("Accept") != "application/json" || len(r.header) != 2 {
					t.Errorf("%s with %v", r.method, r.header)
				}
			}
			if strings.Join(got, " ") != strings.Join(want, " ") {
				t.Errorf("%s: asked %q, want %q", test.issuer, got, want)
			}
		}
	}
}

// What servers answer at an address they do not know: the other form is tried.
func TestNotThere(t *testing.T) {
	for name, reply := range map[string]reply{
		"404":             answer(404, "text/html", "<html>"),
		"404 as JSON":     answer(404, "application/json", `{"error":"not_found"}`),
		"400":             answer(400, "", ""),
		"401":             answer(401, "", "no"),
		"403":             answer(403, "application/xml", "<Error/>"),
		"405":             answer(405, "", ""),
		"500":             answer(500, "text/html", "<html>"),
		"500 as JSON":     answer(500, "application/json", `{"error":"server_error"}`),
		"redirect":        answer(302, "text/html", "<a>", "Location", "https://as.example/login"),
		"a web app":       answer(200, "text/html", "<!doctype html><html>"),
		"nothing":         answer(200, "application/json", ""),
		"no device login": ok(metadata("https://as.example", "device_authorization_endpoint", "")),
		"another issuer":  ok(metadata("https://as.example/")),
		"too large":       ok(metadata("https://as.example") + strings.Repeat(" ", 64<<10)),
	} {
		s := new(server).on("/.well-known/oauth-authorization-server", reply).
			on("/.well-known/openid-configuration", ok(metadata("https://as.example")))
		if _, err := discover(t, s, "https://as.example"); err != nil || len(s.requests) != 2 {
			t.Errorf("%s: %v after %d requests", name, err, len(s.requests))
		}
	}
}

func TestDiscoverySaysWhatIsWrong(t *testing.T) {
	none := answer(404, "text/html", "<html>")
	for _, test := range []struct {
		name          string
		oauth, openid reply
		kind          error
		says          string
	}{
		{"nothing there", none, none, device.ErrInvalid, "no metadata found"},
		{"no device endpoint", ok(metadata("https://as.example", "device_authorization_endpoint", "")), none, device.ErrInvalid, "device_authorization_endpoint is missing"},
		{"no device endpoint, OpenID", none, ok(metadata("https://as.example", "device_authorization_endpoint", "")), device.ErrInvalid, "device_authorization_endpoint is missing"},
		{"no token endpoint", ok(metadata("https://as.example", "token_endpoint", "")), none, device.ErrInvalid, "token_endpoint is missing"},
		{"http endpoint", ok(metadata("https://as.example", "token_endpoint", "http://as.example/token")), none, device.ErrInvalid, "token_endpoint is not https"},
		{"loopback endpoint", ok(metadata("https://as.example", "token_endpoint", "http://127.0.0.1/token")), none, device.ErrInvalid, "token_endpoint is not https"},
		{"user info", ok(metadata("https://as.example", "device_authorization_endpoint", "https://as.example@evil.example/")), none, device.ErrInvalid, "device_authorization_endpoint has user info"},
		{"another issuer", ok(metadata("https://evil.example")), none, device.ErrInvalid, "another issuer"},
		{"no issuer", ok(metadata("")), none, device.ErrInvalid, "another issuer"},
		{"a slash more", ok(metadata("https://as.example/")), none, device.ErrInvalid, "another issuer"},
		{"too large", ok(metadata("https://as.example") + strings.Repeat(" ", 64<<10)), none, device.ErrInvalid, "too large"},
		{"503, then not there", answer(503, "", ""), none, device.ErrUnavailable, "unavailable"},
		{"not there, then 503", none, answer(503, "", ""), device.ErrUnavailable, "unavailable"},
		{"429", answer(429, "", `{"error":"slow_down"}`), none, device.ErrUnavailable, "unavailable"},
		{"reset", broken(io.EOF), none, device.ErrUnavailable, "the connection failed"},
		{"cut off", cutOff, none, device.ErrUnavailable, "the connection failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(server).on("/.well-known/oauth-authorization-server", test.oauth).
				on("/.well-known/openid-configuration", test.openid)
			found, err := discover(t, s, "https://as.example")
			e := wantError(t, err, test.kind)
			if !strings.Contains(e.Error(), test.says) || strings.Contains(e.Error(), "evil") || found != (device.Endpoints{}) {
				t.Errorf("%v, found %+v", e, found)
			}
			if !strings.Contains(e.Detail, "oauth-authorization-server: ") {
				t.Errorf("detail %s", e.Detail)
			}
		})
	}
}

func TestAnotherIssuerIsShownToTheOperator(t *testing.T) {
	s := new(server).on("/.well-known/oauth-authorization-server", ok(metadata("https://as.example/")))
	_, err := discover(t, s, "https://as.example")
	if e := wantError(t, err, device.ErrInvalid); !strings.Contains(e.Detail, `"https://as.example/"`) {
		t.Errorf("detail %s", e.Detail)
	}
}

func TestAnyIssuer(t *testing.T) {
	for _, named := range []string{"https://{tenant}.example", ""} {
		s := new(server).on("/.well-known/oauth-authorization-server", ok(metadata(named)))
		found, err := device.Discover(t.Context(), s, "https://as.example", device.DiscoverOptions{AnyIssuer: true})
		if err != nil || found.Issuer != "https://as.example" || found.Token == "" {
			t.Errorf("%q: %+v, %v", named, found, err)
		}
	}
}

func TestEndpointsElsewhere(t *testing.T) {
	// Google's token endpoint is on another host than its issuer.
	s := new(server).on("/.well-known/oauth-authorization-server",
		ok(metadata("https://as.example", "token_endpoint", "https://oauth2.example/token", "revocation_endpoint", "http://as.example/revoke")))
	found, err := discover(t, s, "https://as.example")
	if err != nil || found.Token != "https://oauth2.example/token" || found.Revocation != "" {
		t.Errorf("%+v, %v", found, err)
	}
	// Loopback endpoints are for loopback issuers.
	s = new(server).on("/.well-known/oauth-authorization-server",
		ok(metadata("http://127.0.0.1:9070", "token_endpoint", "http://127.0.0.1:9070/token", "device_authorization_endpoint", "http://localhost:9071/d")))
	if found, err = discover(t, s, "http://127.0.0.1:9070"); err != nil || found.Token != "http://127.0.0.1:9070/token" {
		t.Errorf("%+v, %v", found, err)
	}
}

func TestIssuersThatAreRefused(t *testing.T) {
	for _, issuer := range []string{
		"", "as.example", "http://as.example", "https://", "https://as.example?x=1", "https://as.example/?", "https://as.example/#x",
		"https://u@as.example", "https://as.example/\n", "ftp://as.example", "https://as.example/" + strings.Repeat("a", 2048),
	} {
		s := new(server)
		_, err := discover(t, s, issuer)
		wantError(t, err, device.ErrInvalid)
		if device.CheckIssuer(issuer) == nil {
			t.Errorf("%q passes for an issuer", issuer)
		}
		if len(s.requests) != 0 {
			t.Errorf("%q: %d requests", issuer, len(s.requests))
		}
	}
}

func TestDiscoveryEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).on("/.well-known/oauth-authorization-server", stall)
		start := time.Now()
		_, err := discover(t, s, "https://as.example")
		wantError(t, err, device.ErrUnavailable)
		if time.Since(start) != 30*time.Second || len(s.requests) != 1 {
			t.Errorf("%d requests in %v", len(s.requests), time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("closed")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		s := new(server).on("/.well-known/oauth-authorization-server", stall)
		_, err := device.Discover(ctx, s, "https://as.example", device.DiscoverOptions{})
		wantError(t, err, context.Canceled)
		if !errors.Is(err, reason) {
			t.Error(err)
		}
	})
}
