package providers_test

import (
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
)

// What is missing or cannot be is an error of the preset, which says what it is and what to write, and no
// riddle of what is made of it.
func TestApp_ErrorsSayWhatToWrite(t *testing.T) {
	type made = func() (lazyauth.Service, error)
	id := providers.App{ClientID: clientID}
	with := func(secret, uri string) providers.App {
		return providers.App{ClientID: clientID, ClientSecret: secret, RedirectURI: uri}
	}
	page, _ := newPage(t)
	at := func(secret, uri string) providers.App {
		return providers.App{ClientID: clientID, ClientSecret: secret, RedirectURI: uri, ConnectPage: page}
	}
	const fixed, local = "http://127.0.0.1:8123/callback", "http://localhost:8123/callback"
	for name, test := range map[string]struct {
		make made
		want []string
	}{
		"GitHub with a secret":      {func() (lazyauth.Service, error) { return providers.GitHub(with("s", "")) }, []string{"device flow has no use", "leave it empty"}},
		"GitHub by a redirect":      {func() (lazyauth.Service, error) { return providers.GitHub(with("", fixed)) }, []string{"ClientSecret is empty", "RedirectURI empty"}},
		"GitHub by a page":          {func() (lazyauth.Service, error) { return providers.GitHub(at("", "")) }, []string{"ClientSecret is empty", "ConnectPage"}},
		"Enterprise by a page":      {func() (lazyauth.Service, error) { return providers.GitHubEnterprise("github.example.com", at("s", "")) }, []string{"no PKCE", "device flow"}},
		"a device by a page":        {func() (lazyauth.Service, error) { return providers.GoogleDevice(at("s", "")) }, []string{"clients for devices have none", "web application"}},
		"a page, and this machine":  {func() (lazyauth.Service, error) { return providers.Linear(at("", local)) }, []string{"both a ConnectPage", "set one of them"}},
		"Google by both":            {func() (lazyauth.Service, error) { return providers.Google(at("s", fixed)) }, []string{"both a ConnectPage"}},
		"Enterprise without a host": {func() (lazyauth.Service, error) { return providers.GitHubEnterprise("", id) }, []string{"host is empty", "github.example.com"}},
		"Enterprise with a URL":     {func() (lazyauth.Service, error) { return providers.GitHubEnterprise("https://github.example.com", id) }, []string{`"https://github.example.com" is not a host`, "without https://"}},
		"Enterprise by a redirect": {func() (lazyauth.Service, error) {
			return providers.GitHubEnterprise("github.example.com", with("s", fixed))
		}, []string{"no PKCE", "device flow"}},
		"Enterprise at github.com": {func() (lazyauth.Service, error) { return providers.GitHubEnterprise("GitHub.com", id) }, []string{"there is GitHub"}},
		"GitLab without a server":  {func() (lazyauth.Service, error) { return providers.GitLabSelfManaged("", id) }, []string{"address of the server is empty", "https://gitlab.example.com"}},
		"GitLab without a scheme":  {func() (lazyauth.Service, error) { return providers.GitLabSelfManaged("gitlab.example.com", id) }, []string{"with https://"}},
		"GitLab over http":         {func() (lazyauth.Service, error) { return providers.GitLabSelfManaged("http://gitlab.example.com", id) }, []string{"is not https"}},
		"GitLab with a password": {func() (lazyauth.Service, error) {
			return providers.GitLabSelfManaged("https://u:p4ssw0rd@gitlab.example.com", id)
		}, []string{"more than a host and a path"}},
		"Google without a secret":      {func() (lazyauth.Service, error) { return providers.Google(id) }, []string{"ClientSecret is empty", "desktop apps"}},
		"a device with a redirect":     {func() (lazyauth.Service, error) { return providers.GoogleDevice(with("s", fixed)) }, []string{"clients for devices have none", "desktop app"}},
		"Entra without a tenant":       {func() (lazyauth.Service, error) { return providers.Entra("", id) }, []string{"tenant is empty", "contoso.onmicrosoft.com"}},
		"Entra with a URL":             {func() (lazyauth.Service, error) { return providers.Entra("https://login.microsoftonline.com/x", id) }, []string{"tenant", "name alone"}},
		"Okta without a domain":        {func() (lazyauth.Service, error) { return providers.Okta("", "default", id) }, []string{"domain is empty", "acme.okta.com"}},
		"Okta with a word":             {func() (lazyauth.Service, error) { return providers.Okta("acme", "default", id) }, []string{"is one word", "acme.okta.com"}},
		"Okta with a server's address": {func() (lazyauth.Service, error) { return providers.Okta("acme.okta.com", "oauth2/default", id) }, []string{"authorization server", "such as default"}},
		"Okta without a port": {func() (lazyauth.Service, error) {
			return providers.Okta("acme.okta.com", "", with("", "http://127.0.0.1/cb"))
		}, []string{"has no port", "8123"}},
		"Auth0 without an audience": {func() (lazyauth.Service, error) { return providers.Auth0("acme.eu.auth0.com", "", id) }, []string{"audience is empty", "identifier"}},
		"Auth0 with a slash":        {func() (lazyauth.Service, error) { return providers.Auth0("acme.eu.auth0.com/", "a", id) }, []string{"is not a host", "without a path"}},
		"Keycloak without a realm":  {func() (lazyauth.Service, error) { return providers.Keycloak("https://sso.example.com", "", id) }, []string{"realm is empty"}},
		"Keycloak with a realm's path": {func() (lazyauth.Service, error) {
			return providers.Keycloak("https://sso.example.com", "realms/acme", id)
		}, []string{"realm", "name alone"}},
		"Zitadel without a server":     {func() (lazyauth.Service, error) { return providers.Zitadel("", id) }, []string{"https://acme.zitadel.cloud"}},
		"Authentik without a slug":     {func() (lazyauth.Service, error) { return providers.Authentik("https://auth.example.com", "", id) }, []string{"slug of the application is empty"}},
		"Cognito without a region":     {func() (lazyauth.Service, error) { return providers.Cognito("AbCdEfGhI", with("", local)) }, []string{"names no region", "eu-central-1_"}},
		"Cognito by the device flow":   {func() (lazyauth.Service, error) { return providers.Cognito("eu-central-1_A", id) }, []string{"there is no device flow", local}},
		"Cognito on an address":        {func() (lazyauth.Service, error) { return providers.Cognito("eu-central-1_A", with("", fixed)) }, []string{"not on localhost", local}},
		"Slack with a secret":          {func() (lazyauth.Service, error) { return providers.Slack(with("s", local)) }, []string{"enable PKCE", "leave the secret empty"}},
		"Slack by the device flow":     {func() (lazyauth.Service, error) { return providers.Slack(id) }, []string{"there is no device flow", "a ConnectPage"}},
		"Notion without a secret":      {func() (lazyauth.Service, error) { return providers.Notion(with("", local)) }, []string{"ClientSecret is empty", "every request"}},
		"Linear without a port":        {func() (lazyauth.Service, error) { return providers.Linear(with("", "http://localhost/callback")) }, []string{"has no port"}},
		"Atlassian without a secret":   {func() (lazyauth.Service, error) { return providers.Atlassian(with("", local)) }, []string{"ClientSecret is empty", "every client"}},
		"Atlassian by the device flow": {func() (lazyauth.Service, error) { return providers.Atlassian(with("s", "")) }, []string{"there is no device flow"}},
	} {
		_, err := test.make()
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		for _, part := range append(test.want, "providers: ") {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q does not say %q", name, err, part)
			}
		}
		if strings.Contains(err.Error(), "p4ssw0rd") {
			t.Errorf("%s: a password is repeated: %v", name, err)
		}
	}
}

// Without a client id it is lazyauth.New that says so, unless the program registers itself.
func TestApp_WithoutAClientID(t *testing.T) {
	service := preset(t)(providers.Keycloak("https://sso.example.com", "acme", providers.App{RedirectURI: "http://127.0.0.1/callback"}))
	if _, err := lazyauth.New(service, nil); err == nil || !strings.Contains(err.Error(), "ClientID is empty") {
		t.Errorf("%v", err)
	}
	service.Registration = &lazyauth.Registration{ClientName: "Notes for MCP"}
	auth, err := lazyauth.New(service, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := auth.Close(); err != nil {
		t.Error(err)
	}
}
