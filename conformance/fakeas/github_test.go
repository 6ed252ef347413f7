package fakeas_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
)

// postForm sends a request and reads the form that a GitHub answers with.
func (p *peer) postForm(req *http.Request) url.Values {
	p.t.Helper()
	a := p.must(req)
	values, err := url.ParseQuery(a.body)
	if err != nil || a.status != http.StatusOK || !strings.HasPrefix(a.header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		p.t.Errorf("answer: %d %s %s", a.status, a.header.Get("Content-Type"), a.body)
	}
	return values
}

// names are those of a form's values, sorted.
func names(values url.Values) string {
	var list []string
	for name := range values {
		list = append(list, name)
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func TestGitHubSignIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{
			Dialect: fakeas.GitHub, Scopes: []string{"user", "read:user", "gist"},
			TokenLifetime: time.Hour, // not told
		})
		d := p.postForm(p.form(fakeas.DeviceAuthorization, "scope", "read:user user gist"))
		if got, want := names(d), "device_code expires_in interval user_code verification_uri"; got != want {
			t.Errorf("device authorization has %s, want %s", got, want)
		}
		if got := p.postForm(p.pollRequest(d.Get("device_code"))); got.Get("error") != "authorization_pending" {
			t.Errorf("poll: %v", got)
		}
		if got := p.postForm(p.pollRequest(d.Get("device_code"))); got.Get("error") != "slow_down" || got.Get("interval") != "10" {
			t.Errorf("poll at once again: %v, want slow_down with the new interval", got)
		}
		if err := p.as.Approve(d.Get("user_code")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Second)
		token := p.postForm(p.pollRequest(d.Get("device_code")))
		if got, want := names(token), "access_token scope token_type"; got != want {
			t.Errorf("token has %s, want %s", got, want)
		}
		if token.Get("scope") != "user,gist" || token.Get("token_type") != "bearer" {
			t.Errorf("token: %v", token)
		}
	})
}

func TestGitHubAnswersInJSONIfAsked(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Dialect: fakeas.GitHub})
	req := p.form(fakeas.DeviceAuthorization, "scope", "profile")
	req.Header.Set("Accept", "application/json")
	if a := p.must(req); a.text("user_code") == "" {
		t.Errorf("device authorization: %s", a.body)
	}
	p.flawless()
}

func TestGitHubErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{Dialect: fakeas.GitHub})
		wantError := func(req *http.Request, want string) {
			t.Helper()
			if got := p.postForm(req); got.Get("error") != want {
				t.Errorf("%v, want %s", got, want)
			}
		}
		wantError(p.form(fakeas.DeviceAuthorization, "client_id", "nobody"), "incorrect_client_credentials")
		wantError(p.pollRequest("made-up"), "incorrect_device_code")
		denied := p.postForm(p.form(fakeas.DeviceAuthorization))
		if err := p.as.Deny(denied.Get("user_code")); err != nil {
			t.Fatal(err)
		}
		wantError(p.pollRequest(denied.Get("device_code")), "access_denied")
		late := p.postForm(p.form(fakeas.DeviceAuthorization))
		time.Sleep(10 * time.Minute)
		wantError(p.pollRequest(late.Get("device_code")), "expired_token")
		p.as.Script(fakeas.DeviceAuthorization, fakeas.Error(http.StatusBadRequest, "device_flow_disabled"))
		wantError(p.form(fakeas.DeviceAuthorization), "device_flow_disabled")
		p.flawless()
	})
}

func TestGitHubAPI(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Dialect: fakeas.GitHub, Scopes: []string{"profile", "notes:read", "notes:write", "user", "user:email"}})
	signIn := func(scope string) string {
		d := p.postForm(p.form(fakeas.DeviceAuthorization, "scope", scope))
		if err := p.as.Approve(d.Get("user_code")); err != nil {
			t.Fatal(err)
		}
		return p.postForm(p.pollRequest(d.Get("device_code"))).Get("access_token")
	}
	profile, all := signIn("profile"), signIn("profile notes:read notes:write")
	normal := signIn("profile user:email user")
	for _, test := range []struct {
		name, token    string
		op             fakeas.Operation
		status         int
		accepted, held []string
	}{
		{"hidden", profile, fakeas.ListNotes, 404, []string{"notes:read"}, []string{"profile"}},
		{"refused", profile, fakeas.CreateNote, 403, []string{"notes:write"}, []string{"profile"}},
		{"allowed", all, fakeas.CreateNote, 201, []string{"notes:write"}, []string{"profile, notes:read, notes:write"}},
		{"included", normal, fakeas.Me, 200, []string{"profile"}, []string{"profile, user"}},
		{"bad token", "made-up", fakeas.Me, 401, []string{"profile"}, nil},
		{"no token", "", fakeas.Me, 401, []string{"profile"}, nil},
	} {
		a := p.call(test.op, test.token)
		if a.status != test.status || !slices.Equal(a.header.Values("X-Accepted-Oauth-Scopes"), test.accepted) ||
			!slices.Equal(a.header.Values("X-Oauth-Scopes"), test.held) || a.header.Get("WWW-Authenticate") != "" {
			t.Errorf("%s: %d %v", test.name, a.status, a.header)
		}
		if test.status >= 400 && a.body != `{"message":"`+http.StatusText(test.status)+`"}` {
			t.Errorf("%s: %s", test.name, a.body)
		}
	}
	if n := p.as.Count(fakeas.ListNotes, "insufficient_scope"); n != 1 {
		t.Errorf("the journal tells %d requests that lacked scopes, want 1", n)
	}
	p.flawless()
}

func TestIntrospect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPeer(t, &fakeas.Options{TokenLifetime: time.Hour})
		login := p.login("profile notes:read")
		token := login.text("access_token")
		access, ok := p.as.Introspect(token)
		if !ok || access.Subject != "ada" || access.ClientID != fakeas.DefaultClientID ||
			strings.Join(access.Scopes, " ") != "profile notes:read" || !access.Expires.Equal(time.Now().Add(time.Hour)) {
			t.Errorf("%+v, %t", access, ok)
		}
		access.Scopes[0] = "admin"
		if again, _ := p.as.Introspect(token); again.Scopes[0] != "profile" {
			t.Error("what it returned is not the caller's to change")
		}
		for _, none := range []string{"", "made-up", login.text("refresh_token")} {
			if access, ok := p.as.Introspect(none); ok {
				t.Errorf("%+v for what is no access token", access)
			}
		}
		revoked := p.login("profile").text("access_token")
		p.as.RevokeAll()
		if _, ok := p.as.Introspect(revoked); ok {
			t.Error("a revoked token counts")
		}
		expired := p.login("profile").text("access_token")
		time.Sleep(time.Hour)
		if _, ok := p.as.Introspect(expired); ok {
			t.Error("an expired token counts")
		}
	})
}

// An authorization code that was used is refused under GitHub's own name for it.
func TestGitHubCode(t *testing.T) {
	p := newPeer(t, &fakeas.Options{Dialect: fakeas.GitHub, PKCE: fakeas.PKCEOptional})
	code := p.code()
	if got := p.postForm(p.exchangeRequest(code)); got.Get("access_token") == "" || got.Has("refresh_token") || got.Get("scope") != "profile,notes:read" {
		t.Errorf("token: %v", got)
	}
	if got := p.postForm(p.exchangeRequest(code)); got.Get("error") != "bad_verification_code" {
		t.Errorf("used code: %v", got)
	}
}
