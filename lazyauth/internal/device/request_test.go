package device_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/oauth2"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// form returns the parameters of a request.
func form(t *testing.T, r request) url.Values {
	t.Helper()
	values, err := url.ParseQuery(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// unless refuses requests in whose form there is something, or is not ("!name").
func unless(t *testing.T, name string, refused, then reply) reply {
	return func(req *http.Request) (*http.Response, error) {
		body, err := req.GetBody()
		if err != nil {
			t.Error(err)
		}
		copied := *req
		copied.Body, copied.Form, copied.PostForm = body, nil, nil
		if copied.ParseForm() != nil {
			t.Error("no form")
		}
		if plain, not := strings.CutPrefix(name, "!"); copied.PostForm.Has(plain) != not {
			return refused(req)
		}
		return then(req)
	}
}

func s256(s *settings) { s.Endpoints.Features.S256 = true }

// Where the metadata lists S256, the code is bound to a verifier of its own, which each
// poll shows and nothing else does.
func TestPKCE_OnTheWire(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", pending, ok(granted))
		c := client(t, s, s256)
		seen := map[string]bool{}
		for range 2 {
			if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
				t.Fatal(err)
			}
			devices, polls := s.To("/device_authorization"), s.To("/token")
			asked := form(t, devices[len(devices)-1])
			challenge := asked.Get("code_challenge")
			if asked.Get("code_challenge_method") != "S256" || len(challenge) != 43 || seen[challenge] || asked.Has("code_verifier") {
				t.Errorf("asked with %v", asked)
			}
			seen[challenge] = true
			for _, poll := range polls[len(polls)-1:] {
				polled := form(t, poll)
				if verifier := polled.Get("code_verifier"); oauth2.S256ChallengeFromVerifier(verifier) != challenge || polled.Has("code_challenge") {
					t.Errorf("polled with %v", polled)
				}
			}
		}
		if first := form(t, s.To("/token")[0]); !first.Has("code_verifier") {
			t.Errorf("the first poll is without: %v", first)
		}
		if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
			t.Fatal(err)
		}
		polls := s.To("/token")
		if last := form(t, polls[len(polls)-1]); last.Has("code_verifier") {
			t.Errorf("refreshed with %v", last)
		}
	})
}

func TestPKCE_NotListedOrNotWanted(t *testing.T) {
	for name, change := range map[string]func(*settings){
		"not listed": nil,
		"not wanted": func(s *settings) { s256(s); s.SkipPKCE = true },
	} {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/token", ok(granted))
			c := client(t, s, change)
			if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
				t.Fatal(err)
			}
			for _, r := range s.Requests {
				if strings.Contains(r.Body, "code_challenge") || strings.Contains(r.Body, "code_verifier") {
					t.Errorf("%s: %s", name, r.Body)
				}
			}
		})
	}
}

// A verifier is as secret as the code.
func TestPKCE_AnEchoedVerifierIsBlottedOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server)
		s.On("/token", func(req *http.Request) (*http.Response, error) {
			text, _ := url.ParseQuery(s.To("/device_authorization")[0].Body)
			body, err := req.GetBody()
			if err != nil {
				return nil, err
			}
			copied := *req
			copied.Body = body
			_ = copied.ParseForm()
			return answer(400, "", scripted.JSON(map[string]string{
				"error": "invalid_grant", "error_description": text.Get("client_id") + " sent " + copied.PostForm.Get("code_verifier"),
			}))(req)
		})
		c := client(t, s, s256)
		_, err := poll(t.Context(), c, authorize(t, c, s), nil)
		if e := wantError(t, err, device.ErrUnknownCode); !strings.Contains(e.Detail, `"notes-client sent [secret]"`) {
			t.Errorf("detail %s", e.Detail)
		}
	})
}

// A server that finds the device request malformed may mean the challenge, or miss the
// client in the body. It is asked otherwise before anybody else is asked.
func TestRequest_FoundMalformed(t *testing.T) {
	malformed := oauthError("invalid_request")
	confidential := func(s *settings) {
		s.Credentials.Secret, s.Credentials.AuthStyle = clientSecret, oauth2.AuthStyleInHeader
	}
	for name, test := range map[string]struct {
		change  func(*settings)
		reply   reply
		sent    []string // by request: what is in it of the challenge, the client id
		polled  string
		refused bool
	}{
		"the challenge":             {s256, unless(t, "code_challenge", malformed, ok(issued)), []string{"challenge id", "id"}, "id", false},
		"the challenge, in 500":     {s256, unless(t, "code_challenge", answer(500, "", `{"error":"invalid_request"}`), ok(issued)), []string{"challenge id", "id"}, "id", false},
		"no client in the body":     {confidential, unless(t, "!client_id", malformed, ok(issued)), []string{"", "id"}, "id", false},
		"the same, with PKCE":       {func(s *settings) { s256(s); confidential(s) }, unless(t, "!client_id", malformed, ok(issued)), []string{"challenge", "challenge id"}, "verifier id", false},
		"the challenge of a secret": {func(s *settings) { s256(s); confidential(s) }, unless(t, "code_challenge", malformed, ok(issued)), []string{"challenge", "challenge id", ""}, "", false},
		"something else":            {func(s *settings) { s256(s); confidential(s) }, malformed, []string{"challenge", "challenge id", ""}, "", true},
		"nothing to be changed":     {nil, malformed, []string{"id"}, "", true},
		"another error":             {s256, oauthError("invalid_scope"), []string{"challenge id"}, "", true},
		"nothing wrong":             {func(s *settings) { s256(s); confidential(s) }, ok(issued), []string{"challenge"}, "verifier", false},
		"then trouble":              {s256, unless(t, "code_challenge", malformed, answer(503, "", "")), []string{"challenge id", "id"}, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/device_authorization", test.reply).On("/token", ok(granted))
				c := client(t, s, test.change)
				auth, err := c.Authorize(t.Context(), scopes.Of("profile"))
				var sent []string
				for _, r := range s.To("/device_authorization") {
					sent = append(sent, parts(t, r))
				}
				if strings.Join(sent, "; ") != strings.Join(test.sent, "; ") {
					t.Errorf("sent %q, want %q", sent, test.sent)
				}
				if test.refused {
					if e := wantError(t, err, oauth.ErrRefused); e.Code != "invalid_request" && e.Code != "invalid_scope" {
						t.Errorf("%v", e)
					}
					return
				}
				if err != nil {
					t.Fatal(err)
				}
				if _, err := poll(t.Context(), c, auth, nil); err != nil {
					t.Fatal(err)
				}
				if got := parts(t, s.To("/token")[0]); got != test.polled {
					t.Errorf("polled with %q, want %q", got, test.polled)
				}
			})
		})
	}
}

// parts tells what a request has of what is tried.
func parts(t *testing.T, r request) string {
	var list []string
	f := form(t, r)
	for _, part := range []struct{ name, text string }{{"code_challenge", "challenge"}, {"code_verifier", "verifier"}, {"client_id", "id"}} {
		if f.Has(part.name) {
			list = append(list, part.text)
		}
	}
	return strings.Join(list, " ")
}

// Whatever a server makes of challenges, the person approves once.
func TestPKCE_AtAServer(t *testing.T) {
	for name, options := range map[string]fakeas.Options{
		"demanded":                    {DevicePKCE: fakeas.PKCERequired},
		"taken":                       {DevicePKCE: fakeas.PKCEOptional},
		"ignored":                     {DevicePKCE: fakeas.PKCEIgnored},
		"not known":                   {PKCE: fakeas.PKCEIgnored},
		"demanded, with a secret":     {DevicePKCE: fakeas.PKCERequired, Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, Secret: clientSecret}}},
		"demanded, not in the header": {DevicePKCE: fakeas.PKCERequired, Clients: []fakeas.Client{{ID: fakeas.DefaultClientID, Secret: clientSecret, Auth: fakeas.PostAuth}}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				as := fakeas.New(&options)
				endpoints, err := oauth.Discover(t.Context(), as.Transport(), as.Issuer(), oauth.DiscoverOptions{Want: device.Offered})
				if err != nil {
					t.Fatal(err)
				}
				config := oauth.Config{Endpoints: endpoints, Credentials: oauth.Credentials{ID: fakeas.DefaultClientID}, Transport: as.Transport()}
				if options.Clients != nil {
					config.Credentials.Secret = clientSecret
				}
				common, err := oauth.New(config)
				if err != nil {
					t.Fatal(err)
				}
				c, err := device.New(common, device.Options{})
				if err != nil {
					t.Fatal(err)
				}
				auth, err := c.Authorize(t.Context(), scopes.Of("profile"))
				if err != nil {
					t.Fatal(err)
				}
				time.AfterFunc(12*time.Second, func() {
					if err := as.Approve(auth.UserCode); err != nil {
						t.Error(err)
					}
				})
				if _, err := poll(t.Context(), flow{Client: c}, auth, nil); err != nil {
					t.Error(err)
				}
				for _, v := range as.Violations() {
					t.Errorf("violation: %v", v)
				}
			})
		})
	}
}
