package interop_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// First call, more scopes in the same session, nothing asked twice: the same as
// at oidc-provider, but for what the two do differently. The issuer has a path,
// and its metadata is where RFC 8414 §3.1 wants it.
func TestBetterAuthFirstCall(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{as: world.better["plain"]}, func(t *testing.T, s *story) {
		s.call("ping", nil, "")
		whoami := s.begin("whoami", nil)
		s.approve(s.prompted(whoami))
		s.answered(whoami, s.person.name)
		notes := s.begin("list_notes", nil)
		s.approve(s.prompted(notes))
		s.answered(notes, "")
		s.call("whoami", nil, s.person.name)
		s.finish(2)
		s.alive(2)
		s.discovered()

		if want := []string{"profile", "notes:read", "profile"}; !slices.Equal(s.person.consented, want) {
			t.Errorf("the person was asked for %q, want %q", s.person.consented, want)
		}
	})
}

// discovered fails unless the library found the metadata in the right place and
// looked in no other.
func (s *story) discovered() {
	s.Helper()
	found := false
	for _, e := range s.as.journal(s.T) {
		switch {
		case s.as.at(e, s.as.metadata()):
			found = true
		case strings.Contains(e.Path, "/.well-known/") && e.Status != http.StatusOK:
			s.Errorf("asked for metadata where there is none: %+v", e)
		}
	}
	if !found {
		s.Error("nobody asked for the metadata of the issuer with a path")
	}
}

func TestBetterAuthDenied(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{as: world.better["plain"]}, func(t *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		s.deny(s.prompted(whoami))
		s.refused(whoami, "denied")
		s.call("ping", nil, "")
		again := s.begin("whoami", nil)
		s.approve(s.prompted(again))
		s.answered(again, s.person.name)
		s.finish(2)
	})
}

// The server says slow_down, to a poll for a code that the person has approved
// by then. The call survives it; that the next poll is as late as the server now
// wants, finish has seen.
func TestBetterAuthSlowDown(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{as: world.better["hurried"]}, func(t *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		address, code := s.prompted(whoami)
		s.polled() // the second poll is the one that is too early, and finds the approval, or comes just before it
		s.approve(address, code)
		s.answered(whoami, s.person.name)
		s.finish(1)

		if !slices.ContainsFunc(s.as.of(t, s.client), func(e exchange) bool { return e.Error == "slow_down" }) {
			t.Errorf("the server never said slow_down: %+v", s.as.of(t, s.client))
		}
	})
}

// polled waits until the server has answered a poll.
func (s *story) polled() {
	s.Helper()
	every := time.NewTicker(100 * time.Millisecond)
	defer every.Stop()
	answered := func(e exchange) bool { return e.GrantType != "" && e.Status != 0 }
	for !slices.ContainsFunc(s.as.of(s.T, s.client), answered) {
		select {
		case <-every.C:
		case <-s.ctx.Done():
			s.Fatalf("nobody polls\n%s", s.stderr())
		}
	}
}

// Refresh with rotation, for a server that has to ask for it.
func TestBetterAuthRefresh(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{as: world.better["forgetful"], offline: true}, refreshing)
}

// Every way to be a client. The server authenticates clients at both endpoints,
// and ids and secrets have to be form-encoded.
func TestBetterAuthClients(t *testing.T) {
	t.Parallel()
	for name, c := range clientKinds {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			as := world.better["plain"]
			client := as.register(t, c.kind)
			visitor, err := as.meet(t.Context(), as)
			if err != nil {
				t.Fatal(err)
			}
			auth, err := lazyauth.New(lazyauth.Service{
				Name: "Notes", Issuer: as.Issuer, Endpoint: oauth2.Endpoint{AuthStyle: c.style},
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
					return visitor.approve(ctx, p.VerificationURI, p.UserCode)
				})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
