package interop_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// The stories below are those of a grant that is kept in a file: their servers are
// processes of their own, and there is more than one of them.

// Two servers at the same time, one of each era, and then a third: the person signs in
// once. The first two refresh at the same moment, again and again, at a server that ends
// the grant when a refresh token is presented twice.
func TestKeptTogether(t *testing.T) {
	t.Parallel()
	one := newStory(t, storyOptions{kind: forgetfulClient, kept: true, era: legacy, start: startGoSDK})
	two := one.another(modern, one.folder)

	whoami := one.begin("whoami", nil)
	one.approve(one.prompted(whoami))
	one.answered(whoami, one.person.name)
	two.call("whoami", nil, one.person.name)
	one.rotates(4, two)
	one.finish(1)
	two.finish(0)

	three := one.another(modern, one.folder)
	three.call("whoami", nil, one.person.name)
	three.finish(0)
	one.presentedOnce()
	if n := len(grantFiles(t, one.folder)); n != 1 {
		t.Errorf("%d grants are kept, want one", n)
	}
}

// rotates makes calls, on this host and on others at once, until the token was refreshed
// so many times more. None may ask anybody.
func (s *story) rotates(times int, others ...*story) {
	s.Helper()
	again := time.NewTicker(100 * time.Millisecond)
	defer again.Stop()
	for until := s.refreshes() + times; s.refreshes() < until; {
		calls := []*calling{s.begin("whoami", nil)}
		for _, other := range others {
			calls = append(calls, other.begin("whoami", nil))
		}
		for _, c := range calls {
			c.answered(c, s.person.name)
			if n := len(c.prompts); n != 0 {
				s.Fatalf("the person was asked: %+v", <-c.prompts)
			}
		}
		select {
		case <-again.C:
		case <-s.ctx.Done():
			s.Fatalf("refreshed %d times, want %d", s.refreshes(), until)
		}
	}
}

// presentedOnce fails if a refresh token was presented twice.
func (s *story) presentedOnce() {
	s.Helper()
	var all []string
	for _, e := range s.as.of(s.T, s.client) {
		if e.GrantType != "refresh_token" {
			continue
		}
		if e.Presented == "" || slices.Contains(all, e.Presented) {
			s.Errorf("a refresh token was presented again, or none: %+v", e)
		}
		all = append(all, e.Presented)
	}
}

// grantFiles names the files in which grants are kept.
func grantFiles(t *testing.T, folder string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(folder, "*.grant"))
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// Somebody has stolen a refresh token and uses it after it was replaced: the server ends
// the whole family. The person is asked once for all calls, and the new grant is kept in
// the place of the old one.
func TestFamilyRevoked(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{kind: forgetfulClient, kept: true}, func(t *testing.T, s *story) {
		whoami := s.begin("whoami", nil)
		s.approve(s.prompted(whoami))
		s.answered(whoami, s.person.name)
		s.rotates(2)

		family := s.tokens()
		stolen := ""
		for _, e := range s.as.of(t, s.client) {
			if e.Presented != "" {
				stolen = e.Presented
				break
			}
		}
		var refused tokenAnswer
		endpoint := s.as.endpoints(t).Token
		post(t, endpoint, url.Values{"client_id": {s.client.ID}, "grant_type": {"refresh_token"}, "refresh_token": {stolen}}, &refused)
		if refused.Error != "invalid_grant" {
			t.Errorf("a replaced refresh token: %+v", refused)
		}
		s.dead(family)

		one, two := s.begin("whoami", nil), s.begin("whoami", nil)
		s.approve(s.prompted(one))
		s.answered(one, s.person.name)
		s.answered(two, s.person.name)
		s.finish(2)

		// A server that starts now finds the new grant, and it lives.
		next := s.another(s.options.era, s.folder)
		next.call("whoami", nil, s.person.name)
		next.finish(0)
	})
}

// tokens returns the tokens that the client was given, each once.
func (s *story) tokens() (all []string) {
	s.Helper()
	for _, e := range s.as.of(s.T, s.client) {
		for _, token := range []string{e.AccessToken, e.RefreshToken} {
			if token != "" && !slices.Contains(all, token) {
				all = append(all, token)
			}
		}
	}
	return all
}

// dead fails unless all tokens are nobody's.
func (s *story) dead(tokens []string) {
	s.Helper()
	if len(tokens) == 0 {
		s.Error("there are no tokens")
	}
	for _, token := range tokens {
		if who, _, err := s.as.api.introspect(s.T.Context(), token); who != "" || err != nil {
			s.Errorf("a token that should be dead is that of %q, %v", who, err)
		}
	}
}

// The person logs out of one of two servers, each of which has a grant of its own. The
// tokens of that one are dead at the authorization server. Those of the other one are,
// too, if both were approved in the same browser: for this server that is one grant. The
// library cannot know; the other server finds out when it next calls, and asks once.
func TestLogOut(t *testing.T) {
	t.Parallel()
	for name, jars := range map[string]int{"one cookie jar": 1, "a fresh jar each": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bothEras(t, storyOptions{kept: true}, func(t *testing.T, s *story) {
				whoami := s.begin("whoami", nil)
				s.approve(s.prompted(whoami))
				s.answered(whoami, s.person.name)
				mine := s.tokens()
				if jars == 2 {
					s.person.changeBrowser()
				}
				other := s.another(s.options.era, s.folder+" of another")
				whoami = other.begin("whoami", nil)
				other.approve(other.prompted(whoami))
				other.answered(whoami, s.person.name)
				all := s.tokens()

				s.answered(s.begin("log_out", nil), "")
				s.dead(mine)
				if left := grantFiles(t, s.folder); len(left) != 0 {
					t.Errorf("after the logout there is %q", left)
				}
				theirs := slices.DeleteFunc(all, func(token string) bool { return slices.Contains(mine, token) })
				prompts := 1
				if jars == 1 {
					s.dead(theirs)
					whoami = other.begin("whoami", nil)
					other.approve(other.prompted(whoami))
					other.answered(whoami, s.person.name)
					prompts = 2
				}
				other.call("whoami", nil, s.person.name)
				other.finish(prompts)
				s.finish(1)
			})
		})
	}
}

// Logging out, at both authorization servers: whatever tokens they issued are dead, and
// nothing is kept.
func TestRevoke(t *testing.T) {
	t.Parallel()
	for name, as := range map[string]*provider{"oidc-provider": world.as, "better-auth": world.better["plain"]} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := as.register(t, publicClient)
			visitor, err := as.meet(t.Context(), as)
			if err != nil {
				t.Fatal(err)
			}
			folder := filepath.Join(t.TempDir(), "grants")
			auth := keeping(t, as, client, folder)
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			err = auth.Authorize(ctx, lazyauth.LocalUser, scopes.Of("profile"),
				func(ctx context.Context, p elicit.Prompt) error {
					return visitor.approve(ctx, p.VerificationURI, p.UserCode)
				})
			if err != nil {
				t.Fatal(err)
			}
			var last exchange
			for _, last = range as.of(t, client) {
			}
			if who, _, err := as.api.introspect(ctx, last.AccessToken); who != visitor.self().name || last.RefreshToken == "" {
				t.Fatalf("signed in as %q, %v, a refresh token: %t", who, err, last.RefreshToken != "")
			}
			other := keeping(t, as, client, folder)
			if s, err := other.Status(ctx, lazyauth.LocalUser); s == nil || !s.Renewable || err != nil {
				t.Errorf("another process finds %+v, %v", s, err)
			}

			// The other one logs out: what is kept is whose it is.
			if err := other.Revoke(ctx, lazyauth.LocalUser); err != nil {
				t.Error(err)
			}
			for _, token := range []string{last.AccessToken, last.RefreshToken} {
				if who, _, err := as.api.introspect(ctx, token); who != "" || err != nil {
					t.Errorf("after the logout a token is that of %q, %v", who, err)
				}
			}
			endpoint := as.endpoints(t).Token
			var refused tokenAnswer
			post(t, endpoint, url.Values{"client_id": {client.ID}, "grant_type": {"refresh_token"}, "refresh_token": {last.RefreshToken}}, &refused)
			if refused.Error != "invalid_grant" {
				t.Errorf("after the logout the refresh token is good for %+v", refused)
			}
			if status, _ := as.me(t, last.AccessToken); status != http.StatusUnauthorized {
				t.Errorf("after the logout the API says %d", status)
			}
			if left := grantFiles(t, folder); len(left) != 0 {
				t.Errorf("after the logout there is %q", left)
			}
			// Once more, with nothing there, and where the tokens are dead already.
			if err := other.Revoke(ctx, lazyauth.LocalUser); err != nil {
				t.Errorf("logged out again: %v", err)
			}
			// RFC 7009 section 2.2 asks for 200 here; better-auth answers 400, as others do
			// that have revoked nothing.
			err = auth.Revoke(ctx, lazyauth.LocalUser)
			if unknown := name == "better-auth"; errors.Is(err, lazyauth.ErrNotRevoked) != unknown || (err != nil) != unknown {
				t.Errorf("dead tokens revoked: %v", err)
			}
		})
	}
}

// keeping returns an interceptor that keeps its grants in a folder.
func keeping(t *testing.T, as *provider, client oidcClient, folder string) *lazyauth.Interceptor {
	t.Helper()
	kept, err := store.File(folder, storeKey)
	if err != nil {
		t.Fatal(err)
	}
	auth, err := lazyauth.New(lazyauth.Service{
		Name: "Notes", Issuer: as.Issuer, ClientID: client.ID, Scopes: scopes.Of("offline_access"),
	}, &lazyauth.Options{Store: kept})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := auth.Close(); err != nil {
			t.Error(err)
		}
	})
	return auth
}

// Our server ends while the person is still reading. The sign-in is in the store, and the next call,
// of the next server, goes on with the code that they have.
func TestServerRestarts(t *testing.T) {
	t.Parallel()
	bothEras(t, storyOptions{kept: true}, func(t *testing.T, s *story) {
		s.prompted(s.begin("whoami", nil))
		s.cancel()
		s.finish(1)

		next := s.another(s.options.era, s.folder)
		whoami := next.begin("whoami", nil)
		next.approve(next.prompted(whoami))
		next.answered(whoami, s.person.name)
		next.call("whoami", nil, s.person.name)
		next.finish(1)
		if len(*s.codes) != 1 {
			t.Errorf("the codes %q, want one", *s.codes)
		}
	})
}
