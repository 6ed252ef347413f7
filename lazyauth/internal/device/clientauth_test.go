package device_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

var (
	// refusesClient is the answer of RFC 6749 §5.2.
	refusesClient = answer(401, "application/json", `{"error":"invalid_client"}`, "WWW-Authenticate", `Basic realm="as"`)

	// noClient is what a server says that reads the body alone, and finds nobody there.
	noClient = answer(400, "application/json", `{"error":"invalid_request","error_description":"client_id is missing"}`)
)

// inBody answers clients that authenticate in the body, and refuses others.
func inBody(refused, then reply) reply {
	return func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Authorization") != "" {
			return refused(req)
		}
		return then(req)
	}
}

// inHeader is the opposite of inBody.
func inHeader(refused, then reply) reply {
	return func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Authorization") == "" {
			return refused(req)
		}
		return then(req)
	}
}

// confidential is a client with a secret, of which it is not known how to authenticate.
func confidential(t *testing.T, s *server) *device.Client {
	return client(t, s, func(c *device.Config) {
		c.ClientSecret = clientSecret
		c.Endpoints.Revocation = "https://as.example/revoke"
	})
}

// used tells how the requests to a path authenticated.
func used(t *testing.T, s *server, path string) string {
	t.Helper()
	var list []string
	for _, r := range s.to(path) {
		basic, post := r.header.Get("Authorization") != "", strings.Contains(r.body, "client_secret=")
		switch {
		case basic && strings.Contains(r.body, "client_"), !basic && !post:
			t.Errorf("to %s: not one authentication: %v %s", path, r.header, r.body)
		case basic:
			list = append(list, "basic")
		default:
			list = append(list, "post")
		}
	}
	return strings.Join(list, "+")
}

func wantUsed(t *testing.T, s *server, path, want string) {
	t.Helper()
	if got := used(t, s, path); got != want {
		t.Errorf("to %s: %s, want %s", path, got, want)
	}
}

// The header is refused before anybody is asked: the body is tried at once, and is what
// all later requests use.
func TestClientAuth_FoundOutAtTheDeviceEndpoint(t *testing.T) {
	for name, refusal := range map[string]reply{
		"invalid_client":        refusesClient,
		"under 400":             oauthError("invalid_client"),
		"under 200, as GitHub":  answer(200, "application/json", `{"error":"incorrect_client_credentials"}`),
		"nobody in the body":    noClient,
		"401 without any words": answer(401, "", ""),
		"401 in HTML":           answer(401, "text/html", "<h1>Unauthorized"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).on("/device_authorization", inBody(refusal, ok(issued))).
					on("/token", inBody(refusesClient, ok(granted))).on("/revoke", inBody(refusesClient, answer(200, "", "")))
				c := confidential(t, s)
				if _, err := c.Poll(t.Context(), authorize(t, c, s), nil); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
					t.Fatal(err)
				}
				if err := c.Revoke(t.Context(), accessToken, device.AccessToken); err != nil {
					t.Fatal(err)
				}
				wantUsed(t, s, "/device_authorization", "basic+post")
				wantUsed(t, s, "/token", "post+post")
				wantUsed(t, s, "/revoke", "post")
			})
		})
	}
}

// Where the device endpoint takes anybody, the first poll finds it out. The next one is
// sent when it is due and no sooner.
func TestClientAuth_FoundOutByPolls(t *testing.T) {
	for name, script := range map[string]struct {
		token []reply
		used  string
	}{
		"at once":                   {[]reply{inBody(refusesClient, ok(granted))}, "basic+post"},
		"nobody in the body":        {[]reply{inBody(noClient, ok(granted))}, "basic+post"},
		"pending, then refused":     {[]reply{oauthError("authorization_pending"), inBody(refusesClient, ok(granted))}, "basic+basic+post"},
		"refused, pending, granted": {[]reply{refusesClient, oauthError("authorization_pending"), inBody(refusesClient, ok(granted))}, "basic+post+post"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).on("/token", script.token...)
				c := confidential(t, s)
				auth := authorize(t, c, s)
				if _, err := c.Poll(t.Context(), auth, nil); err != nil {
					t.Fatal(err)
				}
				wantUsed(t, s, "/device_authorization", "basic")
				wantUsed(t, s, "/token", script.used)
				polls := s.to("/token")
				for i := 1; i < len(polls); i++ {
					if apart := polls[i].received.Sub(polls[i-1].answered); apart < auth.Interval {
						t.Errorf("poll %d came %v after the answer to the one before", i, apart)
					}
				}
				// What brought a token is all that is used from now on.
				if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
					t.Fatal(err)
				}
				wantUsed(t, s, "/token", script.used+"+post")
			})
		})
	}
}

func TestClientAuth_RefreshFindsItOut(t *testing.T) {
	s := new(server).on("/token", inBody(refusesClient, ok(granted)))
	c := confidential(t, s)
	for range 2 {
		if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
			t.Fatal(err)
		}
	}
	wantUsed(t, s, "/token", "basic+post+post")
}

// A device endpoint that reads the body alone, and a token endpoint that wants the header.
func TestClientAuth_EndpointsThatDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).on("/device_authorization", inBody(noClient, ok(issued))).
			on("/token", inHeader(refusesClient, ok(granted)))
		c := confidential(t, s)
		if _, err := c.Poll(t.Context(), authorize(t, c, s), nil); err != nil {
			t.Fatal(err)
		}
		wantUsed(t, s, "/token", "post+basic")
	})
}

// A secret that is wrong is refused in both ways: two requests, and the error says so.
func TestClientAuth_WrongSecret(t *testing.T) {
	check := func(t *testing.T, err error) {
		t.Helper()
		e := wantError(t, err, device.ErrRefused)
		if e.Code != "invalid_client" || !strings.Contains(e.Detail, "the client authenticated by client_secret_basic, then by client_secret_post") ||
			!strings.Contains(e.Detail, "percent-encoded in the header (RFC 6749 section 2.3.1)") {
			t.Errorf("code %s, detail %s", e.Code, e.Detail)
		}
	}
	t.Run("device endpoint", func(t *testing.T) {
		s := new(server).on("/device_authorization", refusesClient)
		_, err := confidential(t, s).Authorize(t.Context(), scopes.Set{})
		check(t, err)
		wantUsed(t, s, "/device_authorization", "basic+post")
	})
	t.Run("nobody in the body", func(t *testing.T) {
		s := new(server).on("/device_authorization", inBody(noClient, refusesClient))
		_, err := confidential(t, s).Authorize(t.Context(), scopes.Set{})
		check(t, err)
	})
	t.Run("polls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).on("/token", refusesClient)
			c := confidential(t, s)
			for range 2 { // and the next sign-in looks again
				_, err := c.Poll(t.Context(), authorize(t, c, s), nil)
				check(t, err)
			}
			wantUsed(t, s, "/token", "basic+post+basic+post")
		})
	})
	t.Run("refresh", func(t *testing.T) {
		s := new(server).on("/token", refusesClient)
		_, err := confidential(t, s).Refresh(t.Context(), refreshToken, scopes.Set{})
		check(t, err)
		wantUsed(t, s, "/token", "basic+post")
	})
}

// What the author, the metadata or an earlier token has settled is not tried otherwise;
// neither is a public client.
func TestClientAuth_Settled(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*device.Config)
		used   string
	}{
		"author, header":   {func(c *device.Config) { c.AuthStyle = oauth2.AuthStyleInHeader }, "basic"},
		"author, body":     {func(c *device.Config) { c.AuthStyle = oauth2.AuthStyleInParams }, "post"},
		"metadata, header": {func(c *device.Config) { c.Endpoints.AuthStyle = oauth2.AuthStyleInHeader }, "basic"},
		"metadata, body":   {func(c *device.Config) { c.Endpoints.AuthStyle = oauth2.AuthStyleInParams }, "post"},
		"author against metadata": {func(c *device.Config) {
			c.AuthStyle, c.Endpoints.AuthStyle = oauth2.AuthStyleInHeader, oauth2.AuthStyleInParams
		}, "basic"},
		"author against metadata 2": {func(c *device.Config) {
			c.AuthStyle, c.Endpoints.AuthStyle = oauth2.AuthStyleInParams, oauth2.AuthStyleInHeader
		}, "post"},
	} {
		s := new(server).on("/device_authorization", refusesClient)
		c := client(t, s, func(c *device.Config) {
			c.ClientSecret = clientSecret
			test.change(c)
		})
		_, err := c.Authorize(t.Context(), scopes.Set{})
		e := wantError(t, err, device.ErrRefused)
		wantUsed(t, s, "/device_authorization", test.used)
		if want := "the client authenticated by client_secret_" + test.used; !strings.Contains(e.Detail, want) || strings.Contains(e.Detail, "then by") {
			t.Errorf("%s: detail %s", name, e.Detail)
		}
	}
	s := new(server).on("/token", ok(granted), refusesClient)
	c := confidential(t, s)
	if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
		t.Fatal(err)
	}
	_, err := c.Refresh(t.Context(), refreshToken, scopes.Set{})
	wantError(t, err, device.ErrRefused)
	wantUsed(t, s, "/token", "basic+basic")

	s = new(server).on("/device_authorization", refusesClient)
	_, err = client(t, s, nil).Authorize(t.Context(), scopes.Set{})
	if e := wantError(t, err, device.ErrRefused); len(s.requests) != 1 || strings.Contains(e.Detail, "authenticated by") {
		t.Errorf("%d requests of a public client, detail %s", len(s.requests), e.Detail)
	}
}

// Other refusals are not about how the client authenticates.
func TestClientAuth_OtherErrorsAreNotTriedAgain(t *testing.T) {
	for _, code := range []string{"invalid_scope", "unauthorized_client", "invalid_target", "a_word_of_its_own"} {
		s := new(server).on("/device_authorization", answer(401, "application/json", fmt.Sprintf(`{"error":%q}`, code)))
		_, err := confidential(t, s).Authorize(t.Context(), scopes.Set{})
		wantError(t, err, device.ErrRefused)
		wantUsed(t, s, "/device_authorization", "basic")
	}
}

// Two sign-ins at once share what they find out, and both come to an end.
func TestClientAuth_TwoPollersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).on("/token", slowly(2*time.Second, inBody(refusesClient, ok(granted))))
		c := confidential(t, s)
		ended := make(chan error, 2)
		for range 2 {
			auth := authorize(t, c, s)
			go func() {
				_, err := c.Poll(t.Context(), auth, nil)
				ended <- err
			}()
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		wantUsed(t, s, "/token", "basic+basic+post+post")
	})
}
