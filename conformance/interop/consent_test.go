package interop_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Two approvals: whoami, then list_notes, which needs more. At oidc-provider two
// flows that are approved in one browser are one grant, which ends as a whole
// when one of its tokens is revoked; a client that tidies up after a step-up
// signs the person out there, and nowhere else. So both are looked at.
func TestTwoApprovals(t *testing.T) {
	t.Parallel()
	for name, jars := range map[string]int{"one cookie jar": 1, "a fresh jar each": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothEras(t, storyOptions{}, func(t *testing.T, s *story) {
				whoami := s.begin("whoami", nil)
				s.approve(s.prompted(whoami))
				s.answered(whoami, s.person.name)
				if jars == 2 {
					s.person.changeBrowser()
				}
				notes := s.begin("list_notes", nil)
				s.approve(s.prompted(notes))
				s.answered(notes, "")
				s.call("whoami", nil, s.person.name)
				s.call("list_notes", nil, "")
				if grants := s.alive(2); len(grants) != jars {
					t.Errorf("grants %q, want %d: this is not the story that it should be", grants, jars)
				}
				s.finish(2)
				s.alive(2) // nor when the server ends
			})
		})
	}
}

// alive fails unless the client was given tokens this many times, all of them are
// good, and nobody asked for one to be revoked. It returns which grants the
// tokens belong to, where the authorization server tells.
func (s *story) alive(flows int) (grants []string) {
	s.Helper()
	for _, e := range s.as.of(s.T, s.client) {
		if s.as.at(e, s.as.Revocation) {
			s.Errorf("a token was revoked: %+v", e)
		}
		if e.AccessToken == "" {
			continue
		}
		flows--
		if !slices.Contains(grants, e.Grant) {
			grants = append(grants, e.Grant)
		}
		who, has, err := s.as.api.introspect(s.T.Context(), e.AccessToken)
		if want := strings.Fields(e.Scope); err != nil || who != s.person.name || !slices.Equal(has, want) {
			s.Errorf("the token for %q is now that of %q for %q, %v", want, who, has, err)
		}
		if e.RefreshToken == "" || e.Grant == "" {
			continue // better-auth gives none here, or tells nobody of them
		}
		if who, _, err := s.as.api.introspect(s.T.Context(), e.RefreshToken); err != nil || who != s.person.name {
			s.Errorf("the refresh token for %q is now that of %q, %v", e.Scope, who, err)
		}
	}
	if flows != 0 {
		s.Errorf("flows without a token: %d", flows)
	}
	return grants
}

// The person grants less than the tool needs: the call ends and says what is
// missing, nobody is asked again for it, neither by the next call, and what was granted
// works. Asked again because they want it they may grant it, and then it is there.
func TestNarrowed(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{kept: true}, func(t *testing.T, s *story) {
		text := map[string]any{"text": "read this"}
		s.person.withheld = []string{"notes:write"}
		create := s.begin("create_note", text)
		s.approve(s.prompted(create))
		s.narrowed(create, "notes:write")
		s.narrowed(s.begin("create_note", text), "notes:write")
		s.call("whoami", nil, s.person.name)

		s.person.withheld = nil
		s.person.changeBrowser() // this server asks nobody twice in one
		s.call("ask_again", nil, "")
		again := s.begin("create_note", text)
		s.approve(s.prompted(again))
		s.answered(again, "")
		s.call("whoami", nil, s.person.name)
		s.alive(2)
		s.finish(2)
	})
}

// The same in the middle of a session: a step-up that brings less than asked for,
// even less than was there before, takes nothing away.
func TestNarrowedStepUp(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{}, func(t *testing.T, s *story) {
		create := s.begin("create_note", map[string]any{"text": "before"})
		s.approve(s.prompted(create))
		s.answered(create, "")

		s.person.changeBrowser()
		s.person.withheld = []string{"notes:read", "notes:write"}
		notes := s.begin("list_notes", nil)
		s.approve(s.prompted(notes))
		s.narrowed(notes, "notes:read")
		s.call("create_note", map[string]any{"text": "after"}, "")
		s.call("whoami", nil, s.person.name)
		s.alive(2)
		s.finish(2)

		if got := s.as.api.written(s.person.name); !slices.Equal(got, []string{"before", "after"}) {
			t.Errorf("notes written: %q", got)
		}
	})
}

// narrowed waits for a call to end for want of a scope, which it names.
func (s *story) narrowed(c *calling, missing string) {
	s.Helper()
	r := s.refused(c, "narrowed")
	if !strings.Contains(r.text(), missing) {
		s.Errorf("%s: %q does not say that %s is missing", c.tool, r.text(), missing)
	}
}

// The authorization server itself grants less: it leaves out a scope that it does
// not know, and says so only in the scope of its answer.
func TestNarrowedByServer(t *testing.T) {
	t.Parallel()
	client, eve := world.as.register(t, publicClient), newPerson("eve")
	auth, err := lazyauth.New(lazyauth.Service{Name: "Notes", Issuer: world.as.Issuer, ClientID: client.ID}, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer auth.Close()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	asked := 0
	err = auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("profile", "notes:share"),
		func(ctx context.Context, p elicit.Prompt) error {
			asked++
			return eve.approve(ctx, p.VerificationURI, p.UserCode)
		})
	if failed, ok := errors.AsType[*lazyauth.Error](err); !ok || failed.Reason != lazyauth.ReasonNarrowed || failed.Missing != scopes.Of("notes:share") || asked != 1 {
		t.Errorf("asked %d times, then: %v", asked, err)
	}
}
