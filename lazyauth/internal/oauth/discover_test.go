package oauth_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
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
	return scripted.JSON(all)
}

func discover(t *testing.T, s *server, issuer string) (oauth.Endpoints, error) {
	t.Helper()
	found, err := oauth.Discover(t.Context(), s, issuer, oauth.DiscoverOptions{Want: wantDevice})
	s.CheckClosed(t)
	return found, err
}

// wantDevice is what the device flow wants.
func wantDevice(e oauth.Endpoints) error {
	if e.DeviceAuthorization == "" {
		return fmt.Errorf("%w: no device flow", oauth.ErrUnsupported)
	}
	return nil
}

func TestDiscoverLooksWhereTheRFCsSay(t *testing.T) {
	const plain, openID = "/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"
	for _, test := range []struct {
		issuer string
		places []string
	}{
		{"https://as.example", []string{plain, openID}},
		{"https://as.example/", []string{plain, openID}},
		{"https://as.example/t/1", []string{plain + "/t/1", openID + "/t/1", "/t/1" + openID}},
		{"https://as.example/t/1/", []string{plain + "/t/1", openID + "/t/1", "/t/1" + openID}},
	} {
		for n, at := range test.places {
			s := new(server).On(at, ok(metadata(test.issuer)))
			found, err := discover(t, s, test.issuer)
			if err != nil {
				t.Errorf("%s at %s: %v", test.issuer, at, err)
				continue
			}
			if found != (oauth.Endpoints{
				Issuer:              test.issuer,
				DeviceAuthorization: "https://as.example/device_authorization",
				Token:               "https://as.example/token",
				Revocation:          "https://as.example/revoke",
			}) {
				t.Errorf("%s at %s: found %+v", test.issuer, at, found)
			}
			var got []string
			for _, r := range s.Requests {
				got = append(got, strings.TrimPrefix(r.URL, "https://as.example"))
				if r.Method != "GET" || r.Header.Get("Accept") != "application/json" ||
					r.Header.Get("User-Agent") != oauth.DefaultUserAgent() || len(r.Header) != 2 {
					t.Errorf("%s with %v", r.Method, r.Header)
				}
			}
			if want := test.places[:n+1]; !slices.Equal(got, want) {
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
		s := new(server).On("/.well-known/oauth-authorization-server", reply).
			On("/.well-known/openid-configuration", ok(metadata("https://as.example")))
		if _, err := discover(t, s, "https://as.example"); err != nil || len(s.Requests) != 2 {
			t.Errorf("%s: %v after %d requests", name, err, len(s.Requests))
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
		{"nothing there", none, none, oauth.ErrInvalid, "no metadata found"},
		{"no device endpoint", ok(metadata("https://as.example", "device_authorization_endpoint", "")), none, oauth.ErrUnsupported, "no device flow"},
		{"no device endpoint, OpenID", none, ok(metadata("https://as.example", "device_authorization_endpoint", "")), oauth.ErrUnsupported, "no device flow"},
		{"null for one", ok(`{"issuer":"https://as.example","device_authorization_endpoint":null,"token_endpoint":"https://as.example/token"}`), none, oauth.ErrUnsupported, "no device flow"},
		{"an empty one", ok(`{"issuer":"https://as.example","device_authorization_endpoint":"","token_endpoint":"https://as.example/token"}`), none, oauth.ErrUnsupported, "no device flow"},
		{"nothing but an issuer", ok(`{"issuer":"https://as.example"}`), none, oauth.ErrUnsupported, "no device flow"},
		{"no device endpoint, then busy", ok(metadata("https://as.example", "device_authorization_endpoint", "")), answer(503, "", ""), oauth.ErrUnavailable, "unavailable"},
		{"redirect", answer(301, "", "", "Location", "https://login.evil.example/"), none, oauth.ErrInvalid, "redirects are not followed"},
		{"blocked", answer(403, "text/html", "<html>evil"), answer(403, "text/html", "<html>evil"), oauth.ErrInvalid, "HTTP status 403"},
		{"no token endpoint", ok(metadata("https://as.example", "token_endpoint", "")), none, oauth.ErrInvalid, "token_endpoint is missing"},
		{"http endpoint", ok(metadata("https://as.example", "token_endpoint", "http://as.example/token")), none, oauth.ErrInvalid, "token_endpoint is not https"},
		{"loopback endpoint", ok(metadata("https://as.example", "token_endpoint", "http://127.0.0.1/token")), none, oauth.ErrInvalid, "token_endpoint is not https"},
		{"user info", ok(metadata("https://as.example", "device_authorization_endpoint", "https://as.example@evil.example/")), none, oauth.ErrInvalid, "device_authorization_endpoint has user info"},
		{"another issuer", ok(metadata("https://evil.example")), none, oauth.ErrInvalid, "another issuer"},
		{"no issuer", ok(metadata("")), none, oauth.ErrInvalid, "another issuer"},
		{"a slash more", ok(metadata("https://as.example/")), none, oauth.ErrInvalid, "another issuer"},
		{"too large", ok(metadata("https://as.example") + strings.Repeat(" ", 64<<10)), none, oauth.ErrInvalid, "too large"},
		{"503, then not there", answer(503, "", ""), none, oauth.ErrUnavailable, "unavailable"},
		{"not there, then 503", none, answer(503, "", ""), oauth.ErrUnavailable, "unavailable"},
		{"429", answer(429, "", `{"error":"slow_down"}`), none, oauth.ErrUnavailable, "unavailable"},
		{"reset", broken(io.EOF), none, oauth.ErrUnavailable, "the connection failed"},
		{"cut off", cutOff, none, oauth.ErrUnavailable, "the connection failed"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := new(server).On("/.well-known/oauth-authorization-server", test.oauth).
				On("/.well-known/openid-configuration", test.openid)
			found, err := discover(t, s, "https://as.example")
			e := wantError(t, err, test.kind)
			if !strings.Contains(e.Error(), test.says) || strings.Contains(e.Error(), "evil") || found != (oauth.Endpoints{}) {
				t.Errorf("%v, found %+v", e, found)
			}
			if !strings.Contains(e.Detail, "oauth-authorization-server: ") {
				t.Errorf("detail %s", e.Detail)
			}
		})
	}
}

// The text of the error is for anybody; what to set is for the operator, who sees both
// issuers.
func TestDiscover_AnotherIssuerIsShownToTheOperator(t *testing.T) {
	for _, test := range []struct{ configured, named, says string }{
		{"https://as.example", "https://as.example/", "they differ by the slash at the end; configure the issuer as it is named there"},
		{"https://as.example/", "https://as.example", "by the slash at the end;"},
		{"https://as.example", "https://AS.example", "by upper and lower case or the port;"},
		{"https://as.example", "https://as.example:443", "by upper and lower case or the port;"},
		{"https://as.example:443", "https://as.example/", "by the slash at the end, and by upper and lower case or the port;"},
		{"https://as.example", "https://sts.evil.example/{tenantid}", "if that is the server you mean, configure its issuer as it is named there"},
		{"https://as.example", "https://as.example/Tenant", "if that is the server you mean"},
		{"https://as.example", "http://as.example", "if that is the server you mean"},
		{"https://as.example", "not evil\x1b[2J", "if that is the server you mean"},
		{"https://as.example", "", "the metadata names none"},
	} {
		s := new(server).On("/.well-known/oauth-authorization-server", ok(metadata(test.named)))
		_, err := discover(t, s, test.configured)
		e := wantError(t, err, oauth.ErrInvalid)
		if !strings.Contains(e.Detail, strconv.Quote(test.configured)) || !strings.Contains(e.Detail, test.says) ||
			test.named != "" && !strings.Contains(e.Detail, strconv.QuoteToASCII(test.named)) {
			t.Errorf("%s, named %q: detail %s", test.configured, test.named, e.Detail)
		}
		if !strings.Contains(e.Error(), "that of another issuer") || strings.Contains(e.Error(), "evil") || strings.Contains(e.Detail, "\x1b") {
			t.Errorf("%s, named %q: %v, detail %s", test.configured, test.named, e, e.Detail)
		}
	}
}

// Each place has its line in the operator's log: status, type and how the body begins.
func TestDiscover_DetailTellsWhatEachPlaceAnswered(t *testing.T) {
	s := new(server).
		On("/.well-known/oauth-authorization-server/t", answer(403, "text/html; charset=utf-8", "<!doctype html>\n<title>Attention\x1b[31m\u202erequired</title>"+strings.Repeat("x", 10_000))).
		On("/.well-known/openid-configuration/t", answer(302, "text/html", "", "Location", "https://login.example/?a=\x1b")).
		On("/t/.well-known/openid-configuration", ok(`["no object"]`))
	_, err := discover(t, s, "https://as.example/t")
	e := wantError(t, err, oauth.ErrInvalid)
	for _, want := range []string{
		`https://as.example/.well-known/oauth-authorization-server/t: no metadata found at the issuer (HTTP status 403, content type "text/html; charset=utf-8", body "<!doctype html> <title>Attention\x1b[31m\u202erequired</title>xxx`,
		`https://as.example/.well-known/openid-configuration/t: no metadata found at the issuer: redirects are not followed (HTTP status 302, content type "text/html", redirected to "https://login.example/?a=\x1b")`,
		`https://as.example/t/.well-known/openid-configuration: no metadata found at the issuer (HTTP status 200, content type "application/json", a body of 13 bytes)`,
	} {
		if !strings.Contains(e.Detail, want) {
			t.Errorf("detail %s\nlacks  %s", e.Detail, want)
		}
	}
	if len(e.Detail) > 2000 {
		t.Errorf("the detail has %d bytes", len(e.Detail))
	}
}

// What the author has named takes the place of the metadata's, which may lack it.
func TestDiscover_GivenEndpoints(t *testing.T) {
	for name, test := range map[string]struct {
		given    oauth.Endpoints
		metadata string
		want     oauth.Endpoints
	}{
		"device endpoint": {
			oauth.Endpoints{DeviceAuthorization: "https://given.example/device"},
			metadata("https://as.example", "device_authorization_endpoint", ""),
			oauth.Endpoints{DeviceAuthorization: "https://given.example/device", Token: "https://as.example/token", Revocation: "https://as.example/revoke"},
		},
		"token endpoint": {
			oauth.Endpoints{Token: "https://given.example/token"},
			metadata("https://as.example", "token_endpoint", "http://evil.example", "token_endpoint_auth_methods_supported", "client_secret_post"),
			oauth.Endpoints{DeviceAuthorization: "https://as.example/device_authorization", Token: "https://given.example/token", Revocation: "https://as.example/revoke"},
		},
		"revocation endpoint": {
			oauth.Endpoints{Revocation: "https://given.example/revoke"},
			metadata("https://as.example"),
			oauth.Endpoints{DeviceAuthorization: "https://as.example/device_authorization", Token: "https://as.example/token", Revocation: "https://given.example/revoke"},
		},
	} {
		s := new(server).On("/.well-known/oauth-authorization-server", ok(test.metadata))
		found, err := oauth.Discover(t.Context(), s, "https://as.example", oauth.DiscoverOptions{Given: test.given})
		test.want.Issuer = "https://as.example"
		if err != nil || found != test.want {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

func TestDiscover_AuthMethods(t *testing.T) {
	for list, want := range map[string]oauth2.AuthStyle{
		`["client_secret_post"]`:                          oauth2.AuthStyleInParams,
		`["client_secret_post","private_key_jwt","none"]`: oauth2.AuthStyleInParams,
		`["client_secret_basic"]`:                         oauth2.AuthStyleInHeader,
		`["client_secret_basic","client_secret_jwt"]`:     oauth2.AuthStyleInHeader,
		`["client_secret_basic","client_secret_post"]`:    oauth2.AuthStyleAutoDetect,
		`["private_key_jwt"]`:                             oauth2.AuthStyleAutoDetect,
		`["none"]`:                                        oauth2.AuthStyleAutoDetect,
		`[]`:                                              oauth2.AuthStyleAutoDetect,
		`null`:                                            oauth2.AuthStyleAutoDetect,
		`[1,{"a":["client_secret_post"]}]`:                oauth2.AuthStyleAutoDetect,
		`{"client_secret_post":true}`:                     oauth2.AuthStyleAutoDetect,
		`["CLIENT_SECRET_POST"]`:                          oauth2.AuthStyleAutoDetect,
	} {
		text := strings.TrimSuffix(metadata("https://as.example"), "}") + `,"token_endpoint_auth_methods_supported":` + list + `}`
		found, err := discover(t, new(server).On("/.well-known/oauth-authorization-server", ok(text)), "https://as.example")
		if err != nil || found.AuthStyle != want {
			t.Errorf("%s: style %v, %v, want %v", list, found.AuthStyle, err, want)
		}
	}
}

func TestAnyIssuer(t *testing.T) {
	for _, named := range []string{"https://{tenant}.example", ""} {
		s := new(server).On("/.well-known/oauth-authorization-server", ok(metadata(named)))
		found, err := oauth.Discover(t.Context(), s, "https://as.example", oauth.DiscoverOptions{AnyIssuer: true})
		if err != nil || found.Issuer != "https://as.example" || found.Token == "" {
			t.Errorf("%q: %+v, %v", named, found, err)
		}
	}
}

func TestEndpointsElsewhere(t *testing.T) {
	// Google's token endpoint is on another host than its issuer.
	s := new(server).On("/.well-known/oauth-authorization-server",
		ok(metadata("https://as.example", "token_endpoint", "https://oauth2.example/token", "revocation_endpoint", "http://as.example/revoke")))
	found, err := discover(t, s, "https://as.example")
	if err != nil || found.Token != "https://oauth2.example/token" || found.Revocation != "" {
		t.Errorf("%+v, %v", found, err)
	}
	// Loopback endpoints are for loopback issuers.
	s = new(server).On("/.well-known/oauth-authorization-server",
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
		wantError(t, err, oauth.ErrInvalid)
		if oauth.CheckIssuer(issuer) == nil {
			t.Errorf("%q passes for an issuer", issuer)
		}
		if len(s.Requests) != 0 {
			t.Errorf("%q: %d requests", issuer, len(s.Requests))
		}
	}
}

func TestDiscoveryEndsInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/.well-known/oauth-authorization-server", stall)
		start := time.Now()
		_, err := discover(t, s, "https://as.example")
		wantError(t, err, oauth.ErrUnavailable)
		if time.Since(start) != 30*time.Second || len(s.Requests) != 1 {
			t.Errorf("%d requests in %v", len(s.Requests), time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		late := slowly(25*time.Second, answer(404, "", ""))
		s := new(server).On("/.well-known/oauth-authorization-server/a", late).
			On("/.well-known/openid-configuration/a", late).On("/a/.well-known/openid-configuration", late)
		start := time.Now()
		_, err := discover(t, s, "https://as.example/a")
		wantError(t, err, oauth.ErrUnavailable)
		if time.Since(start) != time.Minute {
			t.Errorf("three slow places took %v", time.Since(start))
		}
	})
	synctest.Test(t, func(t *testing.T) {
		reason := errors.New("closed")
		ctx, cancel := context.WithCancelCause(t.Context())
		time.AfterFunc(time.Second, func() { cancel(reason) })
		s := new(server).On("/.well-known/oauth-authorization-server", stall)
		_, err := oauth.Discover(ctx, s, "https://as.example", oauth.DiscoverOptions{})
		wantError(t, err, context.Canceled)
		if !errors.Is(err, reason) {
			t.Error(err)
		}
	})
}

func FuzzDiscoveryAnswer(f *testing.F) {
	f.Add(200, metadata("https://as.example"), 404, "")
	f.Add(404, "<html>", 200, metadata("https://as.example"))
	f.Add(200, metadata("https://as.example", "token_endpoint", "http://localhost"), 200, "{}")
	f.Add(503, "", 200, `{"issuer":"https://as.example"}`)
	f.Add(200, metadata("https://as.example", "authorization_endpoint", "https://as.example/a?b", "registration_endpoint", "https://[::1]"), 200, `{"x_supported":[[],"a"]}`)
	f.Fuzz(func(t *testing.T, status1 int, text1 string, status2 int, text2 string) {
		s := new(server).On("/.well-known/oauth-authorization-server", answer(status1, "", text1)).
			On("/.well-known/openid-configuration", answer(status2, "", text2))
		found, err := oauth.Discover(context.Background(), s, "https://as.example", oauth.DiscoverOptions{})
		s.CheckClosed(t)
		if err != nil {
			scripted.CheckFuzzed(t, err)
			return
		}
		if found.Issuer != "https://as.example" {
			t.Errorf("issuer %q", found.Issuer)
		}
		for i, endpoint := range []string{found.Token, found.DeviceAuthorization, found.Authorization, found.PushedAuthorization, found.Registration, found.Revocation} {
			if endpoint == "" && i > 0 {
				continue
			}
			u, err := url.Parse(endpoint)
			if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || !scripted.Visible(endpoint) || u.Hostname() == "" {
				t.Errorf("endpoint %q", endpoint)
			}
		}
		// What was found is what New accepts.
		if _, err := oauth.New(oauth.Config{Endpoints: found, Credentials: oauth.Credentials{ID: "x"}}); err != nil {
			t.Error(err)
		}
	})
}

// What else a flow or a registration needs to know, as the metadata has it.
func TestDiscover_Features(t *testing.T) {
	for members, want := range map[string]oauth.Endpoints{
		``: {},
		`"authorization_endpoint":"https://as.example/authorize?tenant=1","pushed_authorization_request_endpoint":"https://as.example/par",
			"registration_endpoint":"https://other.example/register"`: {
			Authorization: "https://as.example/authorize?tenant=1", PushedAuthorization: "https://as.example/par", Registration: "https://other.example/register",
		},
		// One that cannot be used is as good as none, where nobody wants it.
		`"authorization_endpoint":"http://as.example/authorize","pushed_authorization_request_endpoint":"https://as@evil.example/",
			"registration_endpoint":["https://as.example/register"],"device_authorization_endpoint":"javascript:alert(1)"`: {},

		`"code_challenge_methods_supported":["plain","S256"]`: {Features: oauth.Features{S256: true}},
		`"code_challenge_methods_supported":["plain"]`:        {},
		`"code_challenge_methods_supported":["s256"]`:         {},
		`"code_challenge_methods_supported":[" S256"]`:        {},
		`"code_challenge_methods_supported":[["S256"],1]`:     {},
		`"code_challenge_methods_supported":"S256"`:           {Features: oauth.Features{S256: true}},
		`"code_challenge_methods_supported":{"S256":true}`:    {},

		`"authorization_response_iss_parameter_supported":true`:                    {Features: oauth.Features{IssuerInResponse: true}},
		`"authorization_response_iss_parameter_supported":"true"`:                  {Features: oauth.Features{IssuerInResponse: true}},
		`"authorization_response_iss_parameter_supported":false`:                   {},
		`"authorization_response_iss_parameter_supported":1`:                       {},
		`"authorization_response_iss_parameter_supported":[true]`:                  {},
		`"require_pushed_authorization_requests":true`:                             {Features: oauth.Features{PushedOnly: true}},
		`"client_id_metadata_document_supported":true`:                             {Features: oauth.Features{ClientIDMetadata: true}},
		`"client_id_metadata_document_supported":null`:                             {},
		`"response_types_supported":["code","code token"]`:                         {},
		`"response_types_supported":["code token","token"]`:                        {Features: oauth.Features{NoCode: true}},
		`"response_types_supported":[]`:                                            {},
		`"grant_types_supported":["authorization_code"]`:                           {Features: oauth.Features{Grants: oauth.Grants{Listed: true, AuthorizationCode: true}}},
		`"grant_types_supported":["password","refresh_token"]`:                     {Features: oauth.Features{Grants: oauth.Grants{Listed: true, RefreshToken: true}}},
		`"grant_types_supported":["urn:ietf:params:oauth:grant-type:device_code"]`: {Features: oauth.Features{Grants: oauth.Grants{Listed: true, DeviceCode: true}}},
	} {
		text := `{"issuer":"https://as.example","token_endpoint":"https://as.example/token",` + members + `}`
		if members == "" {
			text = strings.Replace(text, ",}", "}", 1)
		}
		s := new(server).On("/.well-known/oauth-authorization-server", ok(text))
		found, err := oauth.Discover(t.Context(), s, "https://as.example", oauth.DiscoverOptions{})
		want.Issuer, want.Token = "https://as.example", "https://as.example/token"
		if err != nil || found != want {
			t.Errorf("%s:\nfound %+v, %v\nwant  %+v", members, found, err, want)
		}
	}
}

// What nobody wants may be missing, or be unusable. What is wanted is looked for in every
// place, and the error says what was wrong with it.
func TestDiscover_WhatIsWanted(t *testing.T) {
	wantCode := func(e oauth.Endpoints) error {
		if e.Authorization == "" {
			return fmt.Errorf("%w: no authorization endpoint", oauth.ErrUnsupported)
		}
		return nil
	}
	none := answer(404, "", "")
	with := func(uri string) reply { return ok(metadata("https://as.example", "authorization_endpoint", uri)) }
	for name, test := range map[string]struct {
		oauth, openid reply
		want          func(oauth.Endpoints) error
		kind          error // nil: found
		says          string
	}{
		"nothing is":                     {ok(metadata("https://as.example", "device_authorization_endpoint", "")), none, nil, nil, ""},
		"nothing is, and one is evil":    {ok(metadata("https://as.example", "device_authorization_endpoint", "http://evil.example")), none, nil, nil, ""},
		"another one":                    {ok(metadata("https://as.example", "device_authorization_endpoint", "", "authorization_endpoint", "https://as.example/a")), none, wantCode, nil, ""},
		"the other one is unusable":      {ok(metadata("https://as.example", "device_authorization_endpoint", "http://evil.example", "authorization_endpoint", "https://as.example/a")), none, wantCode, nil, ""},
		"in the second place":            {ok(metadata("https://as.example")), with("https://as.example/a"), wantCode, nil, ""},
		"nowhere":                        {ok(metadata("https://as.example")), ok(metadata("https://as.example")), wantCode, oauth.ErrUnsupported, "no authorization endpoint"},
		"nowhere, and another is broken": {ok(metadata("https://as.example", "revocation_endpoint", "http://evil.example")), none, wantCode, oauth.ErrUnsupported, "no authorization endpoint"},
		"unusable":                       {with("http://evil.example/"), none, wantCode, oauth.ErrInvalid, "in the metadata authorization_endpoint is not https"},
		"unusable, then good":            {with("http://evil.example/"), with("https://as.example/a"), wantCode, nil, ""},
		"here no, there busy":            {ok(metadata("https://as.example")), answer(503, "", ""), wantCode, oauth.ErrUnavailable, "unavailable"},
	} {
		s := new(server).On("/.well-known/oauth-authorization-server", test.oauth).On("/.well-known/openid-configuration", test.openid)
		found, err := oauth.Discover(t.Context(), s, "https://as.example", oauth.DiscoverOptions{Want: test.want})
		if test.kind == nil {
			if err != nil || found.Token == "" || test.want != nil && found.Authorization != "https://as.example/a" {
				t.Errorf("%s: %+v, %v", name, found, err)
			}
			continue
		}
		if e := wantError(t, err, test.kind); !strings.Contains(e.Error(), test.says) || strings.Contains(e.Error(), "evil") || found != (oauth.Endpoints{}) {
			t.Errorf("%s: %v, found %+v", name, e, found)
		}
	}
}
