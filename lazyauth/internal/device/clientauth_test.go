package device_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth/scripted"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// confidential is a client with a secret, of which it is not known how to authenticate.
func confidential(t *testing.T, s *server) flow {
	return client(t, s, func(c *settings) {
		c.Credentials.Secret = clientSecret
		c.Endpoints.Revocation = "https://as.example/revoke"
	})
}

// The header is refused before anybody is asked: the body is tried at once, and is what
// all later requests use.
func TestClientAuth_FoundOutAtTheDeviceEndpoint(t *testing.T) {
	for name, refusal := range map[string]reply{
		"invalid_client":        scripted.RefusesClient,
		"under 400":             oauthError("invalid_client"),
		"under 200, as GitHub":  answer(200, "application/json", `{"error":"incorrect_client_credentials"}`),
		"nobody in the body":    scripted.NoClient,
		"401 without any words": answer(401, "", ""),
		"401 in HTML":           answer(401, "text/html", "<h1>Unauthorized"),
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/device_authorization", scripted.InBody(refusal, ok(issued))).
					On("/token", scripted.InBody(scripted.RefusesClient, ok(granted))).On("/revoke", scripted.InBody(scripted.RefusesClient, answer(200, "", "")))
				c := confidential(t, s)
				if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
					t.Fatal(err)
				}
				if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
					t.Fatal(err)
				}
				if err := c.Revoke(t.Context(), accessToken, oauth.AccessToken); err != nil {
					t.Fatal(err)
				}
				s.CheckAuth(t, "/device_authorization", "basic+post")
				s.CheckAuth(t, "/token", "post+post")
				s.CheckAuth(t, "/revoke", "post")
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
		"at once":                   {[]reply{scripted.InBody(scripted.RefusesClient, ok(granted))}, "basic+post"},
		"nobody in the body":        {[]reply{scripted.InBody(scripted.NoClient, ok(granted))}, "basic+post"},
		"pending, then refused":     {[]reply{oauthError("authorization_pending"), scripted.InBody(scripted.RefusesClient, ok(granted))}, "basic+basic+post"},
		"refused, pending, granted": {[]reply{scripted.RefusesClient, oauthError("authorization_pending"), scripted.InBody(scripted.RefusesClient, ok(granted))}, "basic+post+post"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := new(server).On("/token", script.token...)
				c := confidential(t, s)
				auth := authorize(t, c, s)
				if _, err := poll(t.Context(), c, auth, nil); err != nil {
					t.Fatal(err)
				}
				s.CheckAuth(t, "/device_authorization", "basic")
				s.CheckAuth(t, "/token", script.used)
				polls := s.To("/token")
				for i := 1; i < len(polls); i++ {
					if apart := polls[i].Received.Sub(polls[i-1].Answered); apart < auth.Interval {
						t.Errorf("poll %d came %v after the answer to the one before", i, apart)
					}
				}
				// What brought a token is all that is used from now on.
				if _, err := c.Refresh(t.Context(), refreshToken, scopes.Set{}); err != nil {
					t.Fatal(err)
				}
				s.CheckAuth(t, "/token", script.used+"+post")
			})
		})
	}
}

// A device endpoint that reads the body alone, and a token endpoint that wants the header.
func TestClientAuth_EndpointsThatDisagree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/device_authorization", scripted.InBody(scripted.NoClient, ok(issued))).
			On("/token", scripted.InHeader(scripted.RefusesClient, ok(granted)))
		c := confidential(t, s)
		if _, err := poll(t.Context(), c, authorize(t, c, s), nil); err != nil {
			t.Fatal(err)
		}
		s.CheckAuth(t, "/token", "post+basic")
	})
}

// A secret that is wrong is refused in both ways: two requests, and the error says so.
func TestClientAuth_WrongSecret(t *testing.T) {
	check := func(t *testing.T, err error) {
		t.Helper()
		e := wantError(t, err, oauth.ErrRefused)
		if e.Code != "invalid_client" || !strings.Contains(e.Detail, "the client authenticated by client_secret_basic, then by client_secret_post") ||
			!strings.Contains(e.Detail, "percent-encoded in the header (RFC 6749 section 2.3.1)") {
			t.Errorf("code %s, detail %s", e.Code, e.Detail)
		}
	}
	t.Run("device endpoint", func(t *testing.T) {
		s := new(server).On("/device_authorization", scripted.RefusesClient)
		_, err := confidential(t, s).Authorize(t.Context(), scopes.Set{})
		check(t, err)
		s.CheckAuth(t, "/device_authorization", "basic+post")
	})
	t.Run("nobody in the body", func(t *testing.T) {
		s := new(server).On("/device_authorization", scripted.InBody(scripted.NoClient, scripted.RefusesClient))
		_, err := confidential(t, s).Authorize(t.Context(), scopes.Set{})
		check(t, err)
	})
	t.Run("polls", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := new(server).On("/token", scripted.RefusesClient)
			c := confidential(t, s)
			for range 2 { // and the next sign-in looks again
				_, err := poll(t.Context(), c, authorize(t, c, s), nil)
				check(t, err)
			}
			s.CheckAuth(t, "/token", "basic+post+basic+post")
		})
	})
}

// Two sign-ins at once share what they find out, and both come to an end.
func TestClientAuth_TwoPollersAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := new(server).On("/token", slowly(2*time.Second, scripted.InBody(scripted.RefusesClient, ok(granted))))
		c := confidential(t, s)
		ended := make(chan error, 2)
		for range 2 {
			auth := authorize(t, c, s)
			go func() {
				_, err := poll(t.Context(), c, auth, nil)
				ended <- err
			}()
		}
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
		s.CheckAuth(t, "/token", "basic+basic+post+post")
	})
}
