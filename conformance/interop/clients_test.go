package interop_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// clientKinds are the ways to be a client, and what the library has to be told
// about each.
var clientKinds = map[string]struct {
	kind  oidcClient
	style oauth2.AuthStyle
}{
	"public":              {publicClient, oauth2.AuthStyleAutoDetect},
	"client_secret_basic": {basicClient, oauth2.AuthStyleAutoDetect},
	"client_secret_post":  {postClient, oauth2.AuthStyleInParams},
	// Found out: the provider lists both methods, and takes the one that is registered.
	"client_secret_post, unsaid": {postClient, oauth2.AuthStyleAutoDetect},
}

// Every way to be a client, and every answer of a person, through the library
// itself. The provider holds a client to the one way that it registered.
func TestClients(t *testing.T) {
	t.Parallel()
	verdicts := map[string]struct {
		decide func(*person, context.Context, string, string) error
		reason lazyauth.Reason // of the error, none for a grant
	}{
		"approved":                   {(*person).approve, ""},
		"denied at the code page":    {(*person).deny, lazyauth.ReasonDenied},
		"denied at the consent page": {(*person).cancel, lazyauth.ReasonDenied},
	}
	for name, c := range clientKinds {
		for outcome, verdict := range verdicts {
			t.Run(name+"/"+outcome, func(t *testing.T) {
				t.Parallel()
				client, eve := world.as.register(t, c.kind), newPerson("eve")
				auth, err := lazyauth.New(lazyauth.Service{
					Name: "Notes", Issuer: world.as.Issuer, Endpoint: oauth2.Endpoint{AuthStyle: c.style},
					ClientID: client.ID, ClientSecret: client.Secret,
				}, nil)
				if err != nil {
					t.Fatal(err)
				}
				defer auth.Close()
				ctx, cancel := context.WithTimeout(t.Context(), patience)
				defer cancel()
				err = auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("notes:read", "profile"),
					func(ctx context.Context, p elicit.Prompt) error {
						return verdict.decide(eve, ctx, p.VerificationURI, p.UserCode)
					})
				failed, _ := errors.AsType[*lazyauth.Error](err)
				switch {
				case verdict.reason == "" && err != nil:
					t.Error(err)
				case verdict.reason != "" && (failed == nil || failed.Reason != verdict.reason):
					t.Errorf("error %v, want reason %s", err, verdict.reason)
				}
				last := exchange{}
				for _, last = range world.as.of(t, client) {
				}
				if granted := last.AccessToken != ""; granted != (verdict.reason == "") {
					t.Errorf("the last the provider saw: %+v", last)
				}
			})
		}
	}
}

// The same through the example's flags: a confidential client, found by issuer
// or by endpoints.
func TestServerFlags(t *testing.T) {
	t.Parallel()
	for name, endpoints := range map[string]bool{"issuer": false, "endpoints": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newStory(t, storyOptions{kind: basicClient, endpoints: endpoints, era: modern, start: startGoSDK})
			whoami := s.begin("whoami", nil)
			s.approve(s.prompted(whoami))
			s.answered(whoami, s.person.name)
			s.finish(1)
		})
	}
}

// An access token that lives for seconds is renewed with real rotation, twice:
// every call succeeds, nobody is asked again, and no refresh token is presented
// twice, which the provider would take for theft and end the grant.
func TestRefresh(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{kind: forgetfulClient}, refreshing)
}

func refreshing(t *testing.T, s *story) {
	whoami := s.begin("whoami", nil)
	s.signIn(whoami)
	s.answered(whoami, s.person.name)

	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	for s.refreshes() < 2 {
		// Two at a time: both need what only one may fetch.
		one, two := s.begin("whoami", nil), s.begin("whoami", nil)
		s.answered(one, s.person.name)
		s.answered(two, s.person.name)
		select {
		case <-again.C:
		case <-s.ctx.Done():
			t.Fatalf("refreshed %d times", s.refreshes())
		}
	}
	s.finish(1)
}

// refreshes returns how often the server's token was refreshed; none may fail.
func (s *story) refreshes() (n int) {
	s.Helper()
	for _, e := range s.as.of(s.T, s.client) {
		if e.GrantType == "refresh_token" {
			n++
			if e.Error != "" {
				s.Fatalf("a refresh failed: %+v", e)
			}
		}
	}
	return n
}
