package providers_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// slackDialect answers token requests as docs.slack.dev/reference/methods/oauth.v2.access does (read on
// 2026-11-26): under 200, with "ok", and with the user's token in authed_user, or not at all in the answer itself.
func slackDialect(_ *http.Request, a *fakeas.Answer) {
	if a.Operation != fakeas.Exchange {
		return
	}
	a.Status = http.StatusOK
	if code, failed := a.Members["error"]; failed {
		if code == "invalid_grant" {
			code = "invalid_code"
		}
		a.Members = map[string]any{"ok": false, "error": code}
		return
	}
	user := map[string]any{"id": "U1234", "token_type": "user"}
	for _, name := range []string{"access_token", "refresh_token", "expires_in"} {
		if value, ok := a.Members[name]; ok {
			user[name] = value
		}
	}
	if scope, ok := a.Members["scope"].(string); ok {
		user["scope"] = strings.ReplaceAll(scope, " ", ",")
	}
	a.Members = map[string]any{"ok": true, "app_id": "A0KRD7HC3", "team": map[string]any{"id": "T9TK3CUKW", "name": "Slack Softball Team"}, "authed_user": user}
}

// slackAuthorize is the page of docs.slack.dev/authentication/using-pkce (read on 2026-11-26): a redirect to
// localhost cannot ask for what stands in scope, which are a bot's, and a user's stand in
// user_scope, with commas.
func slackAuthorize(params url.Values) error {
	switch {
	case params.Get("scope") != "":
		return errors.New("desktop redirects cannot ask for bot scopes")
	case strings.Contains(params.Get("user_scope"), " "):
		return errors.New("invalid scope")
	}
	params.Set("scope", strings.ReplaceAll(params.Get("user_scope"), ",", " "))
	params.Del("user_scope")
	return nil
}

func TestSlack_UserScopesAndToken(t *testing.T) {
	uri := fixedURI(t, "localhost")
	d := newDouble(fakeas.Options{ExactPorts: true, Dialect: slackDialect}, app(uri), "chat:write users:read", map[string]fakeas.Operation{
		"https://slack.com/oauth/v2/authorize":  fakeas.Authorization,
		"https://slack.com/api/oauth.v2.access": fakeas.Exchange,
	})
	d.authorize = slackAuthorize
	d.whoever("https://slack.com/api/auth.test", "", map[string]any{"ok": true, "user": "ada", "user_id": "U1234", "team": "Example"})
	need := scopes.Of("chat:write", "users:read")
	naive := lazyauth.Service{
		Endpoint: oauth2.Endpoint{AuthURL: "https://slack.com/oauth/v2/authorize", TokenURL: "https://slack.com/api/oauth.v2.access"},
		Flows:    []lazyauth.Flow{lazyauth.FlowRedirect}, RedirectURI: uri, InsecureAssumePKCE: true,
	}
	d.refuses(t, naive, need, "", "bot scopes")
	naive.Spelling = lazyauth.Spelling{ScopeParam: "user_scope", ScopeSeparator: ","}
	d.refuses(t, naive, need, "", errAgain.Error())

	status := d.passes(t, preset(t)(providers.Slack(providers.App{ClientID: clientID, RedirectURI: uri})), need, "ada")
	if status.Scopes != need || !status.Renewable || status.Identity.Subject != "U1234" {
		t.Errorf("%+v", status)
	}
}
