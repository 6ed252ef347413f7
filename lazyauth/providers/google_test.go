package providers_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/conformance/fakeas"
	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/providers"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

const googleScope = "https://www.googleapis.com/auth/"

// newGoogle is Google's authorization server, with a client of one of the two types. Its metadata is
// that of developers.google.com/identity/openid-connect/openid-connect.
func newGoogle(client fakeas.Client) *double {
	d := newDouble(fakeas.Options{Dialect: googleDialect}, client, "openid email "+googleScope+"calendar.readonly "+googleScope+"drive.file", map[string]fakeas.Operation{
		"https://accounts.google.com/o/oauth2/v2/auth": fakeas.Authorization,
		"https://oauth2.googleapis.com/device/code":    fakeas.DeviceAuthorization,
		"https://oauth2.googleapis.com/token":          fakeas.Poll,
	})
	d.metadata = map[string]map[string]any{"https://accounts.google.com/.well-known/openid-configuration": {
		"issuer": "https://accounts.google.com", "authorization_endpoint": "https://accounts.google.com/o/oauth2/v2/auth",
		"device_authorization_endpoint": "https://oauth2.googleapis.com/device/code", "token_endpoint": "https://oauth2.googleapis.com/token",
		"revocation_endpoint": "https://oauth2.googleapis.com/revoke", "response_types_supported": []string{"code"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic"},
		"code_challenge_methods_supported":      []string{"plain", "S256"},
	}}
	d.whoever("https://openidconnect.googleapis.com/v1/userinfo", "email", map[string]any{"sub": "10769", "email": "ada@example.com"})
	return d
}

// googleDialect grants email by its other name (github.com/googleapis/google-api-python-client, pull
// request 1088), and speaks to devices as developers.google.com/identity/protocols/oauth2/limited-input-device
// has it (read on 2026-11-26): verification_url, and pending under 428.
func googleDialect(_ *http.Request, a *fakeas.Answer) {
	if scope, ok := a.Members["scope"].(string); ok {
		a.Members["scope"] = strings.ReplaceAll(" "+scope, " email", " "+googleScope+"userinfo.email")
	}
	switch {
	case a.Operation == fakeas.DeviceAuthorization && a.Members["verification_uri"] != nil:
		a.Members["verification_url"] = a.Members["verification_uri"]
		delete(a.Members, "verification_uri")
		delete(a.Members, "verification_uri_complete")
	case a.Members["error"] == "authorization_pending":
		a.Status = http.StatusPreconditionRequired
	}
}

// Desktop apps have a secret, which the token endpoint wants, and need no registered redirect URI
// (developers.google.com/identity/protocols/oauth2/native-app, read on 2026-11-26). A client without it
// is refused once the person has approved.
func TestGoogle_DesktopApp(t *testing.T) {
	desktop := confidential(fakeas.EitherAuth, "http://127.0.0.1")
	desktop.RedirectBelow = true // any path, at any port
	d := newGoogle(desktop)
	need := scopes.Of(googleScope + "calendar.readonly")
	d.refuses(t, lazyauth.Service{Issuer: "https://accounts.google.com", Flows: []lazyauth.Flow{lazyauth.FlowRedirect}},
		need, lazyauth.ReasonUnavailable, "invalid_client")
	d.passes(t, preset(t)(providers.Google(providers.App{ClientID: clientID, ClientSecret: clientSecret})), need, "ada@example.com")
}

// Who asks for email is granted it by another name, and a client that compares names takes it for
// a refusal.
func TestGoogle_NamesOfScopes(t *testing.T) {
	d := newGoogle(confidential(fakeas.PostAuth))
	d.refuses(t, lazyauth.Service{Issuer: "https://accounts.google.com", ClientSecret: clientSecret}, scopes.Of("email"), lazyauth.ReasonNarrowed, "email")
	d.passes(t, preset(t)(providers.GoogleDevice(providers.App{ClientID: clientID, ClientSecret: clientSecret})), scopes.Of("email"), "ada@example.com")
}
