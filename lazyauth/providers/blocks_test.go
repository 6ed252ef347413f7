package providers_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"log"
	"net/url"
	"os"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
	"golang.org/x/oauth2/endpoints"
)

// The blocks of docs/providers.md, as they stand there, so that they compile: see docs_test.go.

func wholeBlock(server *mcp.Server, listIssues mcp.ToolHandlerFor[struct{}, any]) {
	service, err := providers.GitHub(providers.App{ClientID: "Ov23li0123456789abcd"})
	if err != nil {
		log.Fatal(err)
	}
	service.ScopeNames = map[string]string{"repo": "your repositories, private ones too"}
	auth, err := lazyauth.New(service, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer auth.Close()
	lazyauth.AddTool(server, auth, &mcp.Tool{Name: "list_issues"}, scopes.Of("repo"), listIssues)
}

func gitHubBlock() (lazyauth.Service, error) {
	service, err := providers.GitHub(providers.App{ClientID: "Ov23li0123456789abcd"})
	return service, err
}

func gitHubEnterpriseBlock() (lazyauth.Service, error) {
	service, err := providers.GitHubEnterprise("github.example.com", providers.App{ClientID: "Ov23li0123456789abcd"})
	return service, err
}

func gitHubByRedirectBlock() (lazyauth.Service, error) {
	service, err := providers.GitHub(providers.App{
		ClientID:     "Ov23li0123456789abcd",
		ClientSecret: os.Getenv("GITHUB_CLIENT_SECRET"),
		RedirectURI:  "http://127.0.0.1/callback", // registered as the callback URL
	})
	return service, err
}

func gitHubAppBlock() (lazyauth.Service, error) {
	service, err := providers.GitHub(providers.App{ClientID: "Iv23li0123456789abcd"})
	service.Dialect, service.Hierarchy = nil, nil // and have your tools need scopes.Set{}
	return service, err
}

func gitLabBlock() (lazyauth.Service, error) {
	service, err := providers.GitLab(providers.App{ClientID: "0123abcd", RedirectURI: "http://127.0.0.1/callback"})
	return service, err
}

func gitLabSelfManagedBlock() (lazyauth.Service, error) {
	service, err := providers.GitLabSelfManaged("https://gitlab.example.com", providers.App{
		ClientID:    "0123abcd",
		RedirectURI: "http://127.0.0.1/callback",
	})
	return service, err
}

func googleBlock() (lazyauth.Service, error) {
	service, err := providers.Google(providers.App{ClientID: "123-abc.apps.googleusercontent.com", ClientSecret: "GOCSPX-abc"})
	return service, err
}

func googleDeviceBlock() (lazyauth.Service, error) {
	service, err := providers.GoogleDevice(providers.App{ClientID: "123-tv.apps.googleusercontent.com", ClientSecret: "GOCSPX-def"})
	return service, err
}

func entraBlock() (lazyauth.Service, error) {
	service, err := providers.Entra("organizations", providers.App{
		ClientID:    "3f1c0c52-9b6f-4f0a-8f0d-6a1d7e1b2c3d",
		RedirectURI: "http://localhost",
	})
	return service, err
}

func entraOwnAPIBlock() (lazyauth.Service, error) {
	service, err := providers.Entra("contoso.onmicrosoft.com", providers.App{ClientID: "3f1c0c52-9b6f-4f0a-8f0d-6a1d7e1b2c3d"})
	service.Name = "Contoso Notes"
	service.APIOrigins = []string{"https://notes.contoso.com"}
	service.UserInfo = "" // Graph's, which takes no token of another API
	service.Scopes = scopes.Of("offline_access")
	return service, err
}

func oktaBlock() (lazyauth.Service, error) {
	service, err := providers.Okta("acme.okta.com", "default", providers.App{
		ClientID:    "0oa1b2c3d4",
		RedirectURI: "http://127.0.0.1:8123/callback",
	})
	service.Name = "Acme Notes"
	service.APIOrigins = []string{"https://notes.example.com"}
	return service, err
}

func oktaItselfBlock() (lazyauth.Service, error) {
	service, err := providers.Okta("acme.okta.com", "", providers.App{
		ClientID:    "0oa1b2c3d4",
		RedirectURI: "http://127.0.0.1:8123/callback",
	})
	return service, err
}

func auth0Block() (lazyauth.Service, error) {
	service, err := providers.Auth0("acme.eu.auth0.com", "https://notes.example.com", providers.App{
		ClientID:    "AbCdEf012345",
		RedirectURI: "http://127.0.0.1:8123/callback",
	})
	service.Name = "Acme Notes"
	service.APIOrigins = []string{"https://notes.example.com"}
	return service, err
}

func keycloakBlock() (lazyauth.Service, error) {
	service, err := providers.Keycloak("https://sso.example.com", "acme", providers.App{
		ClientID:    "notes-mcp",
		RedirectURI: "http://127.0.0.1/callback",
	})
	service.Name = "Acme Notes"
	service.APIOrigins = []string{"https://notes.example.com"}
	return service, err
}

func zitadelBlock() (lazyauth.Service, error) {
	service, err := providers.Zitadel("https://acme.zitadel.cloud", providers.App{
		ClientID:    "232685602728952637",
		RedirectURI: "http://127.0.0.1:8123/callback",
	})
	service.Name = "Acme Notes"
	service.APIOrigins = []string{"https://notes.example.com"}
	return service, err
}

func authentikBlock() (lazyauth.Service, error) {
	service, err := providers.Authentik("https://auth.example.com", "notes", providers.App{
		ClientID:    "AbCdEf012345",
		RedirectURI: "http://127.0.0.1/callback",
	})
	service.Name = "Acme Notes"
	service.APIOrigins = []string{"https://notes.example.com"}
	return service, err
}

func cognitoBlock() (lazyauth.Service, error) {
	service, err := providers.Cognito("eu-central-1_AbCdEfGhI", providers.App{
		ClientID:    "4f1k2h3j",
		RedirectURI: "http://localhost:8123/callback",
	})
	service.Name = "Acme Notes"
	service.APIOrigins = []string{"https://notes.example.com"}
	service.UserInfo = "https://acme.auth.eu-central-1.amazoncognito.com/oauth2/userInfo"
	return service, err
}

func slackBlock() (lazyauth.Service, error) {
	service, err := providers.Slack(providers.App{
		ClientID:    "123456789012.1234567890123",
		RedirectURI: "http://localhost:8123/callback",
	})
	return service, err
}

func afterSlack(ctx context.Context, slackError string) error {
	switch slackError {
	case "missing_scope": // asks the person; name what you call for, and not what the answer lists
		return lazyauth.Require(ctx, scopes.Of("channels:history"))
	case "token_expired", "token_revoked", "invalid_auth":
		return lazyauth.RejectToken(ctx, nil) // refreshes, or asks the person to sign in anew
	}
	return errors.New("slack: " + slackError)
}

func notionBlock() (lazyauth.Service, error) {
	service, err := providers.Notion(providers.App{
		ClientID:     os.Getenv("NOTION_CLIENT_ID"),
		ClientSecret: os.Getenv("NOTION_CLIENT_SECRET"),
		RedirectURI:  "http://localhost:8123/callback",
	})
	service.InsecureAssumePKCE = true // Notion documents none: read the field's comment
	return service, err
}

func linearBlock() (lazyauth.Service, error) {
	service, err := providers.Linear(providers.App{
		ClientID:    "0123456789abcdef",
		RedirectURI: "http://localhost:8123/callback",
	})
	return service, err
}

func atlassianBlock() (lazyauth.Service, error) {
	service, err := providers.Atlassian(providers.App{
		ClientID:     os.Getenv("ATLASSIAN_CLIENT_ID"),
		ClientSecret: os.Getenv("ATLASSIAN_CLIENT_SECRET"),
		RedirectURI:  "http://localhost:8123/callback",
	})
	return service, err
}

func jiraBase(ctx context.Context) (string, error) {
	res, err := lazyauth.Client(ctx).Get("https://api.atlassian.com/oauth/token/accessible-resources")
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	var sites []struct{ ID, URL string }
	if err := json.NewDecoder(io.LimitReader(res.Body, 1<<20)).Decode(&sites); err != nil {
		return "", err
	}
	if len(sites) == 0 {
		return "", errors.New("the sign-in gave access to no site")
	}
	return "https://api.atlassian.com/ex/jira/" + url.PathEscape(sites[0].ID), nil // + "/rest/api/3/issue/NOTES-1"
}

func anotherBlock() (lazyauth.Service, error) {
	service := lazyauth.Service{
		Name:        "Acme Notes",
		Issuer:      "https://auth.example.com",
		ClientID:    "notes-mcp",
		APIOrigins:  []string{"https://notes.example.com"},
		Flows:       []lazyauth.Flow{lazyauth.FlowRedirect, lazyauth.FlowDevice},
		RedirectURI: "http://127.0.0.1/callback",
	}
	return service, nil
}

func endpointsOfXOAuth2Block() (lazyauth.Service, error) {
	service := lazyauth.Service{
		Name:       "GitLab",
		Endpoint:   endpoints.GitLab,
		ClientID:   "0123abcd",
		APIOrigins: []string{"https://gitlab.com"},
	}
	return service, nil
}

// blocks are those that make a service.
var blocks = map[string]func() (lazyauth.Service, error){
	"gitHub":             gitHubBlock,
	"gitHubEnterprise":   gitHubEnterpriseBlock,
	"gitHubByRedirect":   gitHubByRedirectBlock,
	"gitHubApp":          gitHubAppBlock,
	"gitLab":             gitLabBlock,
	"gitLabSelfManaged":  gitLabSelfManagedBlock,
	"google":             googleBlock,
	"googleDevice":       googleDeviceBlock,
	"entra":              entraBlock,
	"entraOwnAPI":        entraOwnAPIBlock,
	"okta":               oktaBlock,
	"oktaItself":         oktaItselfBlock,
	"auth0":              auth0Block,
	"keycloak":           keycloakBlock,
	"zitadel":            zitadelBlock,
	"authentik":          authentikBlock,
	"cognito":            cognitoBlock,
	"slack":              slackBlock,
	"notion":             notionBlock,
	"linear":             linearBlock,
	"atlassian":          atlassianBlock,
	"another":            anotherBlock,
	"endpointsOfXOAuth2": endpointsOfXOAuth2Block,
}
