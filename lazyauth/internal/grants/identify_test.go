package grants_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/store"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

func asksUserInfo(w *world, c *grants.Config) { c.UserInfo = w.as.URL(fakeas.Me) }

// Who signed in is learnt once, from the service, and kept over refreshes and restarts.
func TestIdentify_UserInfo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, setup{as: fakeas.Options{TokenLifetime: time.Hour}, store: store.Memory(), keeper: asksUserInfo})
		c := w.asks(profile)
		if err := w.as.ApproveAs("eve", w.person().UserCode); err != nil {
			t.Fatal(err)
		}
		eve := grants.Identity{Subject: "eve", Name: "eve"}
		for _, g := range []*grants.Grant{(<-c).holds(profile), w.another().has(profile)} {
			if g.Identity() != eve {
				t.Errorf("it is the grant of %+v", g.Identity())
			}
		}
		later(2 * time.Hour)
		for _, w := range []*world{w, w.another()} {
			if g := w.has(profile); g.Identity() != eve {
				t.Errorf("refreshed, it is the grant of %+v", g.Identity())
			}
		}
		w.wants(fakeas.Refresh, 1)
		w.wants(fakeas.Me, 1)
	})
}

// Services name people by claims of several names and types. What cannot be shown is passed
// over, and told.
func TestIdentify_Claims(t *testing.T) {
	for name, test := range map[string]struct {
		answer fakeas.Behaviour
		want   grants.Identity
		told   int
	}{
		"OpenID Connect":  {fakeas.Raw(200, nil, `{"sub":"1","preferred_username":"ada","email":"ada@example.test","name":"Ada"}`), grants.Identity{Subject: "1", Name: "ada"}, 0},
		"GitHub":          {fakeas.Raw(200, nil, `{"id":12345678901234567890,"login":"ada","name":"Ada"}`), grants.Identity{Subject: "12345678901234567890", Name: "ada"}, 0},
		"GitLab":          {fakeas.Raw(200, nil, `{"id":7,"username":"ada","name":"Ada Example","email":"ada@example.test"}`), grants.Identity{Subject: "7", Name: "ada"}, 0},
		"Atlassian":       {fakeas.Raw(200, nil, `{"account_id":"557058:a","email":"ada@example.test","name":"Ada Example","nickname":"ada"}`), grants.Identity{Subject: "557058:a", Name: "ada@example.test"}, 0},
		"Slack":           {fakeas.Raw(200, nil, `{"ok":true,"team":"Example","user":"ada","team_id":"T1","user_id":"U1"}`), grants.Identity{Subject: "U1", Name: "ada"}, 0},
		"no name":         {fakeas.Raw(200, nil, `{"sub":"1"}`), grants.Identity{Subject: "1", Name: "1"}, 0},
		"no subject":      {fakeas.Raw(200, nil, `{"email":"ada@example.test"}`), grants.Identity{Name: "ada@example.test"}, 0},
		"hostile name":    {fakeas.Raw(200, nil, `{"sub":"1","preferred_username":"\u001b[2J","email":"ada@example.test"}`), grants.Identity{Subject: "1", Name: "ada@example.test"}, 0},
		"other types":     {fakeas.Raw(200, nil, `{"sub":{"x":1},"id":[1],"preferred_username":true,"name":"Ada"}`), grants.Identity{Name: "Ada"}, 0},
		"a number":        {fakeas.Raw(200, nil, `{"sub":4711,"login":"ada"}`), grants.Identity{Subject: "4711", Name: "ada"}, 0},
		"any script":      {fakeas.Raw(200, nil, `{"sub":"1","preferred_username":"अदा","name":"x"}`), grants.Identity{Subject: "1", Name: "अदा"}, 0},
		"bidi override":   {fakeas.Raw(200, nil, `{"sub":"1","preferred_username":"a\u202eb","email":"ada@example.test"}`), grants.Identity{Subject: "1", Name: "ada@example.test"}, 0},
		"hostile subject": {fakeas.Raw(200, nil, `{"sub":"u\n1","name":"Ada\u3000Lovelace"}`), grants.Identity{Name: "Ada\u3000Lovelace"}, 0},
		"nobody":          {fakeas.Raw(200, nil, `{"sub":"","name":null}`), grants.Identity{}, 1},
		"no object":       {fakeas.Raw(200, nil, `["ada"]`), grants.Identity{}, 1},
		"two objects":     {fakeas.Raw(200, nil, `{"sub":"1"}{"sub":"2"}`), grants.Identity{}, 1},
		"more after it":   {fakeas.Raw(200, nil, `{"sub":"1"}]`), grants.Identity{}, 1},
		"a new line":      {fakeas.Raw(200, nil, `{"sub":"1"}`+"\n"), grants.Identity{Subject: "1", Name: "1"}, 0},
		"null":            {fakeas.Raw(200, nil, `null`), grants.Identity{}, 1},
		"no JSON":         {fakeas.Raw(200, http.Header{"Content-Type": {"text/html"}}, `<html>`), grants.Identity{}, 1},
		"too long":        {fakeas.Raw(200, nil, `{"pad":"`+strings.Repeat("x", 64<<10)+`","sub":"1"}`), grants.Identity{}, 1},
		"too long a name": {fakeas.Raw(200, nil, `{"sub":"1","login":"`+strings.Repeat("x", 257)+`"}`), grants.Identity{Subject: "1", Name: "1"}, 0},
		"no such page":    {fakeas.Unavailable(404, 0), grants.Identity{}, 1},
		"a redirect":      {fakeas.Redirect(302, "https://evil.example/me"), grants.Identity{}, 1},
		"broken off":      {fakeas.Drop(), grants.Identity{}, 1},
		"no answer":       {fakeas.Stall(), grants.Identity{}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{keeper: asksUserInfo})
				w.as.Script(fakeas.Me, test.answer)
				began := time.Now()
				if g := w.signsIn(profile); g.Identity() != test.want {
					t.Errorf("it is the grant of %+v", g.Identity())
				}
				if told := w.told("unidentified"); len(told) != test.told || strings.Contains(w.text(), "evil") {
					t.Errorf("told %v", told)
				}
				if took := time.Since(began); took > 16*time.Second {
					t.Errorf("it took %v", took)
				}
				w.wants(fakeas.Elsewhere, 0)
			})
		})
	}
}

// The author's function is asked in the service's place, and no more is believed of it than
// can be shown.
func TestIdentify_ByTheAuthor(t *testing.T) {
	for name, test := range map[string]struct {
		id   grants.Identity
		err  error
		want grants.Identity
		told int
	}{
		"known":        {grants.Identity{Subject: "1", Name: "Ada"}, nil, grants.Identity{Subject: "1", Name: "Ada"}, 0},
		"nobody":       {grants.Identity{}, nil, grants.Identity{}, 0},
		"an error":     {grants.Identity{Name: "Ada"}, errors.New("x"), grants.Identity{}, 1},
		"hostile name": {grants.Identity{Subject: "1", Name: "Ada\x1b[2J"}, nil, grants.Identity{Subject: "1"}, 1},
		"too long":     {grants.Identity{Subject: strings.Repeat("x", 257), Name: strings.Repeat("x", 256)}, nil, grants.Identity{Name: strings.Repeat("x", 256)}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, setup{keeper: func(w *world, c *grants.Config) {
					asksUserInfo(w, c)
					c.Identify = func(_ context.Context, token *oauth2.Token) (grants.Identity, error) {
						if token.AccessToken != w.last() || token.RefreshToken != "" {
							t.Error("it is asked of another token, or has the refresh token")
						}
						return test.id, test.err
					}
				}})
				if g := w.signsIn(profile); g.Identity() != test.want || g.Identity().IsZero() != (test.want == grants.Identity{}) {
					t.Errorf("it is the grant of %+v", g.Identity())
				}
				if n := len(w.told("unidentified")); n != test.told {
					t.Errorf("told %d times", n)
				}
				w.wants(fakeas.Me, 0)
			})
		})
	}
}

// GitHub says in a header of that answer which scopes a token has. That of a person is known
// by then, and that of the operator by nothing else.
func TestIdentify_ScopesOfTheOperatorsToken(t *testing.T) {
	for name, test := range map[string]struct {
		header []string
		want   scopes.Set
		covers bool // whatever is needed
	}{
		"told":      {[]string{"profile, notes:read"}, scopes.Of("profile", "notes:read"), false},
		"none":      {[]string{""}, scopes.Set{}, false},
		"not told":  {nil, scopes.Set{}, true},
		"malformed": {[]string{"profile\x00"}, scopes.Set{}, true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				answer := fakeas.Raw(200, http.Header{"X-Oauth-Scopes": test.header}, `{"id":1,"login":"ada"}`)
				person := newWorld(t, setup{keeper: asksUserInfo})
				person.as.Script(fakeas.Me, answer.Times(2))
				if g := person.signsIn(scopes.Of("profile", "notes:write")); g.Held() != scopes.Of("profile", "notes:write") {
					t.Errorf("that of a person holds %q", g.Held())
				}
				w := newWorld(t, setup{shared: person.as, keeper: func(w *world, c *grants.Config) {
					asksUserInfo(w, c)
					c.Token = oauth2.StaticTokenSource(&oauth2.Token{AccessToken: person.last()})
				}})
				o := <-w.asks(scopes.Set{})
				if o.err != nil || !o.grant.Operators() || o.grant.Held() != test.want || o.grant.Identity().Name != "ada" || o.grant.Covers(write) != test.covers {
					t.Errorf("%v, of %+v, %v", o.grant, o.grant.Identity(), o.err)
				}
				if o = <-w.asks(write); test.covers {
					o.holds(write)
				} else if n, ok := errors.AsType[*grants.Narrowed](o.err); !ok || n.Missing != write || !n.Operators {
					t.Errorf("the error is %v", o.err)
				}
				w.wants(fakeas.DeviceAuthorization, 1)
			})
		})
	}
}
