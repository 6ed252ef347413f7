package providers_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// ada is a caller over HTTP.
var ada = lazyauth.Principal{Issuer: "https://idp.example.com", Subject: "ada"}

// newPage returns a connect page at whose browsers Ada is signed in, and what is to be registered for a service.
func newPage(t *testing.T) (page *lazyauth.ConnectPage, register func(lazyauth.Service) string) {
	t.Helper()
	page, err := lazyauth.NewConnectPage(lazyauth.ConnectOptions{
		PublicURL: "https://mcp.example.com/connect", Who: func(*http.Request) (lazyauth.Principal, error) { return ada, nil },
	})
	if err != nil {
		t.Fatal(err)
	}
	return page, page.RedirectURI
}

var (
	inForm = regexp.MustCompile(`name="token" value="([^"]*)"`)
	leads  = regexp.MustCompile(`http-equiv="refresh" content="0;url=([^"]*)"`)
)

// connect is Ada's browser: it opens a link of the page, continues, approves at the provider, and comes back.
func (d *double) connect(ctx context.Context, page *lazyauth.ConnectPage, link string) error {
	var cookies []*http.Cookie
	load := func(method, address, form string) *httptest.ResponseRecorder {
		r := httptest.NewRequestWithContext(ctx, method, address, strings.NewReader(form))
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		if form != "" {
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		}
		for _, c := range cookies {
			r.AddCookie(c)
		}
		w := httptest.NewRecorder()
		page.ServeHTTP(w, r)
		cookies = append(cookies, w.Result().Cookies()...)
		return w
	}
	token := inForm.FindStringSubmatch(load(http.MethodGet, link, "").Body.String())
	u, err := url.Parse(link)
	if err != nil || token == nil {
		return errors.New("the link shows no form")
	}
	form := url.Values{"f": {u.Query().Get("f")}, "token": {token[1]}, "answer": {"continue"}}
	u.RawQuery = ""
	away := leads.FindStringSubmatch(load(http.MethodPost, u.String(), form.Encode()).Body.String())
	if away == nil {
		return errors.New("the page leads nowhere")
	}
	back, err := d.approve(ctx, html.UnescapeString(away[1]))
	if err != nil {
		return err
	}
	last := load(http.MethodGet, back, "").Header().Get("Location")
	for ctx.Err() == nil {
		switch shown := load(http.MethodGet, last, "").Body.String(); {
		case strings.Contains(shown, `data-page="signed-in"`):
			return nil
		case !strings.Contains(shown, `data-page="working"`): // which loads itself again
			return errAgain
		}
	}
	return ctx.Err()
}

// A refresh token comes to a web application only if the request has access_type=offline, and again only with
// prompt=consent (developers.google.com/identity/protocols/oauth2/web-server, read on 2026-11-27; the second by others'
// practice). A client that does not say so has people sign in once an hour.
func TestGoogle_ByAPage(t *testing.T) {
	page, register := newPage(t)
	app := providers.App{ClientID: clientID, ClientSecret: clientSecret, ConnectPage: page}
	service := preset(t)(providers.Google(app))
	d := newGoogle(confidential(fakeas.EitherAuth, register(service)))
	offline := false
	d.authorize = func(params url.Values) error {
		offline = params.Get("access_type") == "offline" && params.Get("prompt") == "consent"
		params.Del("access_type")
		return nil
	}
	d.options.Dialect = func(r *http.Request, a *fakeas.Answer) {
		googleDialect(r, a)
		if !offline {
			delete(a.Members, "refresh_token")
		}
	}
	need := scopes.Of(googleScope + "calendar.readonly")
	naive := service
	naive.Params = nil
	if status := d.passes(t, naive, need, "ada@example.com"); status.Renewable {
		t.Error("the double gives a refresh token to whoever asks for none")
	}
	if status := d.passes(t, service, need, "ada@example.com"); !status.Renewable {
		t.Error("there is no refresh token")
	}
}

// Providers without a device flow take callers over HTTP by way of a page, whatever they want of a redirect to
// this machine.
func TestApp_ByAPage(t *testing.T) {
	page, register := newPage(t)
	app := func(secret string) providers.App {
		return providers.App{ClientID: clientID, ClientSecret: secret, ConnectPage: page}
	}
	for name, test := range map[string]struct {
		service lazyauth.Service
		double  func(uri string) *double
		need    scopes.Set
		account string
	}{
		"GitHub": {preset(t)(providers.GitHub(app(clientSecret))), func(uri string) *double {
			return newGitHub(confidential(fakeas.PostAuth, uri), "https://github.com", "https://api.github.com")
		}, scopes.Of("gist"), "octocat"},
		"Slack": {preset(t)(providers.Slack(app(""))), func(uri string) *double {
			d := newDouble(fakeas.Options{Dialect: slackDialect}, fakeas.Client{ID: clientID, RedirectURIs: []string{uri}}, "chat:write users:read", map[string]fakeas.Operation{
				"https://slack.com/oauth/v2/authorize": fakeas.Authorization, "https://slack.com/api/oauth.v2.access": fakeas.Exchange,
			})
			d.authorize = slackAuthorize
			return d
		}, scopes.Of("chat:write"), ""},
		"Linear": {preset(t)(providers.Linear(app(""))), func(uri string) *double {
			d := newDouble(fakeas.Options{}, fakeas.Client{ID: clientID, RedirectURIs: []string{uri}}, "read write", map[string]fakeas.Operation{
				"https://linear.app/oauth/authorize": fakeas.Authorization, "https://api.linear.app/oauth/token": fakeas.Exchange,
			})
			d.authorize = func(params url.Values) error {
				params.Set("scope", strings.ReplaceAll(params.Get("scope"), ",", " "))
				return nil
			}
			return d
		}, scopes.Of("write"), ""},
		"Atlassian": {preset(t)(providers.Atlassian(app(clientSecret))), func(uri string) *double {
			const issuer = "https://auth.atlassian.com"
			return newIDP(fakeas.Options{Demand: map[fakeas.Operation][]string{fakeas.Authorization: {"audience=api.atlassian.com", "prompt=consent"}}},
				confidential(fakeas.PostAuth, uri), "offline_access read:jira-work", issuer, issuer, nil)
		}, scopes.Of("read:jira-work"), ""},
		"Cognito": {preset(t)(providers.Cognito("eu-central-1_AbCdEfGhI", app(""))), func(uri string) *double {
			return newIDP(fakeas.Options{}, fakeas.Client{ID: clientID, RedirectURIs: []string{uri}}, "openid profile notes/write",
				"https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI", "https://acme.auth.eu-central-1.amazoncognito.com/oauth2",
				map[string]any{"code_challenge_methods_supported": nil, "device_authorization_endpoint": nil})
		}, scopes.Of("notes/write"), ""},
		"Notion": {func() lazyauth.Service {
			service := preset(t)(providers.Notion(app(clientSecret)))
			service.InsecureAssumePKCE = true
			return service
		}(), func(uri string) *double {
			d := newDouble(fakeas.Options{PKCE: fakeas.PKCEIgnored, Dialect: noScope}, confidential(fakeas.BasicAuth, uri), "all", map[string]fakeas.Operation{
				"https://api.notion.com/v1/oauth/authorize": fakeas.Authorization, "https://api.notion.com/v1/oauth/token": fakeas.Exchange,
			})
			d.authorize = func(params url.Values) error { params.Del("owner"); return nil }
			return d
		}, scopes.Set{}, ""},
		"Keycloak": {preset(t)(providers.Keycloak("https://sso.example.com", "acme", app(clientSecret))), func(uri string) *double {
			const issuer = "https://sso.example.com/realms/acme"
			return newIDP(fakeas.Options{}, confidential(fakeas.EitherAuth, uri), "openid profile notes:write", issuer, issuer+"/protocol/openid-connect", nil)
		}, scopes.Of("notes:write"), ""},
		"Entra": {preset(t)(providers.Entra("contoso.example", app(clientSecret))), func(uri string) *double {
			d := newEntra("contoso.example")
			d.options.Clients = []fakeas.Client{confidential(fakeas.PostAuth, uri)}
			return d
		}, scopes.Of("Mail.Read"), "ada@contoso.com"},
	} {
		t.Run(name, func(t *testing.T) {
			uri := register(test.service)
			if !strings.HasPrefix(uri, "https://mcp.example.com/connect/callback/") {
				t.Errorf("what is to be registered is %s", uri)
			}
			test.double(uri).passes(t, test.service, test.need, test.account)
		})
	}
}

// And the others make services of it that lazyauth takes.
func TestApp_ByAPageOfOthers(t *testing.T) {
	page, _ := newPage(t)
	app := providers.App{ClientID: clientID, ClientSecret: clientSecret, ConnectPage: page}
	for name, service := range map[string]lazyauth.Service{
		"GitLab":    preset(t)(providers.GitLab(app)),
		"Okta":      preset(t)(providers.Okta("acme.okta.com", "default", app)),
		"Auth0":     preset(t)(providers.Auth0("acme.eu.auth0.com", "https://notes.example.com", app)),
		"Zitadel":   preset(t)(providers.Zitadel("https://acme.zitadel.cloud", app)),
		"authentik": preset(t)(providers.Authentik("https://auth.example.com", "notes", app)),
	} {
		auth, err := lazyauth.New(service, nil)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if err := auth.Close(); err != nil {
			t.Error(err)
		}
		if len(service.Flows) != 1 || service.Flows[0] != lazyauth.FlowRedirect || service.ConnectPage != page {
			t.Errorf("%s: people sign in by %v", name, service.Flows)
		}
	}
}
