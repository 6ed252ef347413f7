package fakeas_test

import (
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

func TestRefreshRotates(t *testing.T) {
	p := newPeer(t, &fakeas.Options{TokenLifetime: time.Hour})
	first := p.login("profile notes:read")
	second := p.refresh(first.text("refresh_token"), "scope", "notes:read")
	if outcome(second) != "ok" || second.text("scope") != "notes:read" || second.members["expires_in"] != 3600.0 ||
		second.text("refresh_token") == first.text("refresh_token") {
		t.Fatalf("refreshed: %s", second.body)
	}
	third := p.refresh(second.text("refresh_token"))
	if third.text("scope") != "profile notes:read" {
		t.Errorf("the narrower refresh narrowed the grant: %q", third.text("scope"))
	}
	p.flawless()

	// The first one again: refused, the others live on.
	if got := outcome(p.refresh(first.text("refresh_token"))); got != "invalid_grant" {
		t.Errorf("replaced refresh token: %s", got)
	}
	if got := outcome(p.refresh(third.text("refresh_token"))); got != "ok" {
		t.Errorf("newest refresh token: %s", got)
	}
}

func TestReuseDetected(t *testing.T) {
	p := newPeer(t, &fakeas.Options{DetectReuse: true})
	first := p.login("profile")
	second := p.refresh(first.text("refresh_token"))
	p.refresh(first.text("refresh_token"))
	if got := outcome(p.refresh(second.text("refresh_token"))); got != "invalid_grant" {
		t.Errorf("refresh after reuse: %s", got)
	}
	if a := p.call(fakeas.Me, second.text("access_token")); a.status != http.StatusUnauthorized {
		t.Errorf("access after reuse: %d", a.status)
	}
	if got := p.broke(); !slices.Equal(got, []fakeas.Rule{fakeas.RefreshTokenReused}) {
		t.Errorf("violations: %v", p.as.Violations())
	}
}

// A client that never got the replacement cannot know of it.
func TestReuseAfterLostAnswer(t *testing.T) {
	for name, b := range map[string]fakeas.Behaviour{"lost": fakeas.Lose(), "cut": fakeas.Cut()} {
		t.Run(name, func(t *testing.T) {
			p := newPeer(t, nil)
			token := p.login("profile").text("refresh_token")
			p.as.Script(fakeas.Refresh, b)
			if _, err := p.do(p.form(fakeas.Refresh, "grant_type", "refresh_token", "refresh_token", token)); err == nil {
				t.Fatal("the answer got through")
			}
			if got := outcome(p.refresh(token)); got != "invalid_grant" {
				t.Errorf("again: %s", got)
			}
			p.flawless()
		})
	}
}

func TestWithoutRefreshOrRotation(t *testing.T) {
	p := newPeer(t, &fakeas.Options{NoRefresh: true})
	if a := p.login("profile"); a.text("refresh_token") != "" || a.members["expires_in"] != nil {
		t.Errorf("token: %s", a.body)
	}
	p = newPeer(t, &fakeas.Options{NoRotation: true})
	token := p.login("profile").text("refresh_token")
	for range 2 {
		if a := p.refresh(token); outcome(a) != "ok" || a.text("refresh_token") != "" {
			t.Errorf("refresh: %s", a.body)
		}
	}
	p.flawless()
}

func TestRevocation(t *testing.T) {
	revoke := func(p *peer, token string) int {
		return p.must(p.form(fakeas.Revocation, "token", token, "token_type_hint", "refresh_token")).status
	}
	for _, test := range []struct {
		name            string
		shared          bool
		which           string
		access, refresh string // what becomes of the revoked grant's tokens
		other           int    // and of another grant's access token
	}{
		{"access token", false, "access_token", "401", "ok", 200},
		{"refresh token", false, "refresh_token", "401", "invalid_grant", 200},
		{"access token of a shared grant", true, "access_token", "401", "invalid_grant", 401},
		{"refresh token of a shared grant", true, "refresh_token", "401", "invalid_grant", 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := newPeer(t, &fakeas.Options{SharedGrant: test.shared})
			other, token := p.login("profile"), p.login("profile")
			if got := revoke(p, token.text(test.which)); got != http.StatusOK {
				t.Fatalf("revocation: %d", got)
			}
			if a := p.call(fakeas.Me, token.text("access_token")); a.status != http.StatusUnauthorized {
				t.Errorf("access token: %d", a.status)
			}
			if a := p.call(fakeas.Me, other.text("access_token")); a.status != test.other {
				t.Errorf("the other grant's access token: %d, want %d", a.status, test.other)
			}
			if got := outcome(p.refresh(token.text("refresh_token"))); got != test.refresh {
				t.Errorf("refresh token: %s, want %s", got, test.refresh)
			}
			if got := outcome(p.call(fakeas.Me, p.login("profile").text("access_token"))); got != "nothing" {
				t.Errorf("a new grant: %s", got)
			}
		})
	}
	p := newPeer(t, nil)
	if got := revoke(p, "never issued"); got != http.StatusOK {
		t.Errorf("unknown token: %d, RFC 7009 §2.2 says 200", got)
	}
	p.flawless()
}

func TestWhatHappensToServers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{TokenLifetime: time.Hour})
		status := func(token answer) int { return p.call(fakeas.Me, token.text("access_token")).status }
		token := p.login("profile")
		time.Sleep(time.Hour - time.Nanosecond)
		if got := status(token); got != http.StatusOK {
			t.Errorf("within its lifetime: %d", got)
		}
		time.Sleep(time.Nanosecond)
		if got := status(token); got != http.StatusUnauthorized {
			t.Errorf("after its lifetime: %d", got)
		}

		token = p.refresh(token.text("refresh_token"))
		p.as.ExpireAccessTokens()
		if got := status(token); got != http.StatusUnauthorized {
			t.Errorf("expired: %d", got)
		}
		token = p.refresh(token.text("refresh_token"))
		p.as.RevokeRefreshTokens()
		if got := outcome(p.refresh(token.text("refresh_token"))); got != "invalid_grant" {
			t.Errorf("revoked refresh token: %s", got)
		}
		if got := status(token); got != http.StatusOK {
			t.Errorf("its access token: %d", got)
		}
		p.as.RevokeAll()
		if got := status(token); got != http.StatusUnauthorized {
			t.Errorf("revoked: %d", got)
		}
		p.flawless() // the client had no part in it
	})
}
