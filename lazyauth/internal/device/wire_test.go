package device_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The bytes on the wire of a whole login and a refresh, for each way a client can
// identify itself.
func TestRequestsOnTheWire(t *testing.T) {
	const (
		grant = "grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Adevice_code"
		id    = "client_id=notes-client"
		inBod = "&client_secret=s3cr3t%3A%2F%2B+with+space~"
		basic = "Basic bm90ZXMtY2xpZW50OnMzY3IzdCUzQSUyRiUyQit3aXRoK3NwYWNlfg=="
	)
	for _, test := range []struct {
		name                   string
		secret                 string
		style                  oauth2.AuthStyle
		authorization          string
		device, token, refresh string
	}{
		{
			"public", "", oauth2.AuthStyleAutoDetect, "",
			"audience=api&" + id + "&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			id + "&device_code=" + deviceCode + "&" + grant,
			id + "&grant_type=refresh_token&refresh_token=" + refreshToken,
		},
		{
			"public, whatever the style", "", oauth2.AuthStyleInHeader, "",
			"audience=api&" + id + "&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			id + "&device_code=" + deviceCode + "&" + grant,
			id + "&grant_type=refresh_token&refresh_token=" + refreshToken,
		},
		{
			"client_secret_post", clientSecret, oauth2.AuthStyleInParams, "",
			"audience=api&" + id + inBod + "&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			id + inBod + "&device_code=" + deviceCode + "&" + grant,
			id + inBod + "&grant_type=refresh_token&refresh_token=" + refreshToken,
		},
		{
			"client_secret_basic", clientSecret, oauth2.AuthStyleInHeader, basic,
			"audience=api&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			"device_code=" + deviceCode + "&" + grant,
			"grant_type=refresh_token&refresh_token=" + refreshToken,
		},
		{
			"a secret without a style", clientSecret, oauth2.AuthStyleAutoDetect, basic,
			"audience=api&resource=https%3A%2F%2Fapi.example%2Fa&resource=https%3A%2F%2Fapi.example%2Fb&scope=notes%3Aread+profile",
			"device_code=" + deviceCode + "&" + grant,
			"grant_type=refresh_token&refresh_token=" + refreshToken,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).on("/token", ok(granted))
				params := url.Values{"audience": {"api"}, "resource": {"https://api.example/a", "https://api.example/b"}}
				c := client(t, s, func(config *device.Config) {
					config.ClientSecret, config.AuthStyle, config.Params = test.secret, test.style, params
				})
				params.Set("audience", "changed after New")
				auth := authorize(t, c, s)
				if _, err := c.Poll(t.Context(), auth, nil); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Refresh(t.Context(), refreshToken, scopes.Of("profile")); err != nil {
					t.Fatal(err)
				}
				wantHeader := http.Header{
					"Accept":       {"application/json"},
					"Content-Type": {"application/x-www-form-urlencoded"},
					"User-Agent":   {device.DefaultUserAgent()},
				}
				if test.authorization != "" {
					wantHeader.Set("Authorization", test.authorization)
				}
				want := []request{
					{url: "https://as.example/device_authorization", body: test.device},
					{url: "https://as.example/token", body: test.token},
					{url: "https://as.example/token", body: test.refresh},
				}
				if len(s.requests) != len(want) {
					t.Fatalf("%d requests", len(s.requests))
				}
				for i, got := range s.requests {
					if got.method != "POST" || got.url != want[i].url || got.body != want[i].body {
						t.Errorf("request %d: %s %s\n%s\nwant %s\n%s", i, got.method, got.url, got.body, want[i].url, want[i].body)
					}
					if len(got.header) != len(wantHeader) {
						t.Errorf("request %d has headers %v", i, got.header)
					}
					for name := range wantHeader {
						if got.header.Get(name) != wantHeader.Get(name) {
							t.Errorf("request %d has %s: %s", i, name, got.header.Get(name))
						}
					}
				}
				s.checkClosed(t)
			})
		})
	}
}

func TestAnEmptyScopeIsLeftOut(t *testing.T) {
	s := new(server).on("/device_authorization", ok(issued))
	if _, err := client(t, s, nil).Authorize(t.Context(), scopes.Set{}); err != nil {
		t.Fatal(err)
	}
	if got := s.requests[0].body; got != "client_id=notes-client" {
		t.Errorf("body %s", got)
	}
}

func TestAnEndpointKeepsItsQuery(t *testing.T) {
	s := new(server).on("/token", ok(granted))
	c := client(t, s, func(config *device.Config) { config.Endpoints.Token = "https://as.example/token?tenant=1" })
	if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
		t.Fatal(err)
	}
	if got := s.requests[0].url; got != "https://as.example/token?tenant=1" {
		t.Errorf("sent to %s", got)
	}
}

// Over a real connection: it is kept for the next request, because each body is
// read to its end, and a redirect to another server is not followed.
func TestOnARealConnection(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		t.Error("the redirect was followed")
	}))
	defer elsewhere.Close()
	peers := map[string]bool{}
	as := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		peers[req.RemoteAddr] = true
		if req.FormValue("refresh_token") == "" {
			http.Redirect(w, req, elsewhere.URL, http.StatusTemporaryRedirect)
			return
		}
		http.SetCookie(w, &http.Cookie{Name: "session", Value: "1"})
		if len(req.Cookies()) > 0 {
			t.Error("a cookie came back")
		}
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, granted+strings.Repeat(" ", 20_000))
	}))
	defer as.Close()
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	c := client(t, nil, func(config *device.Config) {
		config.Endpoints = device.Endpoints{DeviceAuthorization: as.URL, Token: as.URL}
		config.Transport = transport
	})
	for range 3 {
		if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
			t.Fatal(err)
		}
	}
	if len(peers) != 1 {
		t.Errorf("%d connections for three requests", len(peers))
	}
	_, err := c.Authorize(t.Context(), scopes.Set{})
	wantError(t, err, device.ErrInvalid)
}

func TestNewRefusesAndQuotesNothing(t *testing.T) {
	for name, change := range map[string]func(*device.Config){
		"no client id":              func(c *device.Config) { c.ClientID = "" },
		"client id with a line end": func(c *device.Config) { c.ClientID = "s3cr3t\r\n" },
		"client secret, not ASCII":  func(c *device.Config) { c.ClientSecret = "s3cr3té" },
		"unknown style":             func(c *device.Config) { c.AuthStyle = 3 },
		"user agent of two lines":   func(c *device.Config) { c.UserAgent = "s3cr3t\r\nX-Evil: 1" },
		"long user agent":           func(c *device.Config) { c.UserAgent = strings.Repeat("s3cr3t", 50) },
		"negative style":            func(c *device.Config) { c.AuthStyle = -1 },
		"no token endpoint":         func(c *device.Config) { c.Endpoints.Token = "" },
		"no device endpoint":        func(c *device.Config) { c.Endpoints.DeviceAuthorization = "" },
		"http endpoint":             func(c *device.Config) { c.Endpoints.Token = "http://s3cr3t.example/" },
		"user info":                 func(c *device.Config) { c.Endpoints.Token = "https://s3cr3t@as.example/" },
		"http revocation":           func(c *device.Config) { c.Endpoints.Revocation = "http://s3cr3t.example/" },
		"parameter client_id":       func(c *device.Config) { c.Params = url.Values{"client_id": {"s3cr3t"}} },
		"parameter scope":           func(c *device.Config) { c.Params = url.Values{"scope": {"s3cr3t"}} },
		"a nameless token type":     func(c *device.Config) { c.BearerNames = []string{"  "} },
		"DPoP as a bearer token":    func(c *device.Config) { c.BearerNames = []string{"BearerToken", " dpop "} },
		"MAC as a bearer token":     func(c *device.Config) { c.BearerNames = []string{"MAC"} },
		"parameter device_code":     func(c *device.Config) { c.Params = url.Values{"device_code": {"s3cr3t"}} },
	} {
		config := device.Config{
			Endpoints: device.Endpoints{DeviceAuthorization: "https://as.example/d", Token: "https://as.example/t"},
			ClientID:  "notes-client",
		}
		if _, err := device.New(config); err != nil {
			t.Fatal(err)
		}
		change(&config)
		_, err := device.New(config)
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
		if _, err := device.New(device.Config{
			Endpoints: device.Endpoints{DeviceAuthorization: base + "/d", Token: base + "/t", Revocation: base + "/r"},
			ClientID:  "notes-client",
		}); err != nil {
			t.Errorf("%s: %v", base, err)
		}
	}
}

// An answer that is no OAuth is described to the operator, and to nobody else. What may
// hold a token is not shown.
func TestDetail_TellsWhatSomebodyInBetweenAnswered(t *testing.T) {
	for _, test := range []struct {
		name  string
		reply reply
		want  string
	}{
		{"a page of a CDN", answer(403, "text/html", "<html>\n<title>Access evil\x1b denied</title>"), `content type "text/html", body "<html> <title>Access evil\x1b denied</title>"`},
		{"a gateway", answer(404, "application/json", `{"message":"no evil route"}`), `content type "application/json", body "{\"message\":\"no evil route\"}"`},
		{"maintenance under 200", answer(200, "application/json", `{"status":"maintenance"}`), `body "{\"status\":\"maintenance\"}"`},
		{"a long page", answer(403, "text/html", "<html>"+strings.Repeat("evil ", 9000)), `body "<html>evil `},
		{"a redirect", answer(307, "", "", "Location", "https://evil.example/"), `redirected to "https://evil.example/"`},
		{"a token that was cut off", answer(200, "application/json", `{"access_token":"`+accessToken), "a body of 40 bytes"},
		{"a token under 403", answer(403, "application/json", `{"data":{"accessToken" : "`+accessToken+`"}}`), "a body of"},
		{"a token in XML", answer(200, "text/xml", `<AccessToken>`+accessToken+`</AccessToken>`), "a body of"},
		{"a token in a form", answer(403, "text/html", `access_token=`+accessToken), "a body of"},
		{"nothing but a token", answer(200, "text/plain", accessToken), "a body of"},
		{"a binary", answer(200, "application/json", "\x1f\x8b\x08\x00"+accessToken), "a body of"},
		{"the client secret", answer(403, "text/plain", "we got "+clientSecret), `body "we got [secret]"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(server).on("/device_authorization", test.reply)
			c := client(t, s, func(c *device.Config) { c.ClientSecret = clientSecret })
			_, err := c.Authorize(t.Context(), scopes.Set{})
			e := wantError(t, err, device.ErrInvalid)
			if !strings.Contains(e.Detail, test.want) || len(e.Detail) > 700 {
				t.Errorf("detail %s, want %s", e.Detail, test.want)
			}
			if strings.Contains(e.Error(), "evil") {
				t.Errorf("the error quotes the server: %v", e)
			}
		})
	}
}
