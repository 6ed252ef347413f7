package providers

import (
	"net/url"

	"github.com/lazyauth/mcp-lazyauth/lazyauth"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"golang.org/x/oauth2"
)

// Google is for Google's APIs by a redirect, with an OAuth client of the type "Desktop app". Such a
// client needs no registered redirect URI: any port of 127.0.0.1 will do, and RedirectURI can be
// empty. It has a secret, which the token endpoint wants and which Google does not treat as one: it
// may be in a program that is handed out.
//
// With App.ConnectPage the client is one of the type "Web application", at which redirect URIs are compared. It
// is given a refresh token only if the request says access_type=offline and, from the second approval on, prompt=consent:
// both are sent.
//
// Of most APIs a redirect is the only way: Google grants few scopes to devices (see [GoogleDevice]), so that
// most of its APIs cannot be had where no browser is on the machine, and there is no page.
//
// email and profile are granted by other names ([scopes.Google]), and the APIs' challenges list alternatives
// ([scopes.GoogleDemand]). People can leave scopes out when they approve; the call then fails with
// [lazyauth.ReasonNarrowed]. While the consent screen of the project is in "Testing", refresh
// tokens end after seven days; and until Google has verified it, no more than a hundred people can grant
// sensitive or restricted scopes.
//
// Sources: developers.google.com/identity/protocols/oauth2/native-app ("refresh tokens are
// always returned for installed applications"), …/web-server (access_type; that a refresh token comes
// with the first approval alone is from others' practice), …/openid-connect/openid-connect (the metadata),
// support.google.com/cloud/answer/13464323 (verification). Read on 2026-11-26 and 27, the first two as others
// quote it. Not run against Google.
func Google(app App) (lazyauth.Service, error) {
	const provider = "Google"
	if err := app.checkRedirect(provider, redirectRule{example: "http://127.0.0.1/callback"}); err != nil {
		return lazyauth.Service{}, err
	}
	s, err := google(provider, app)
	s.Flows = []lazyauth.Flow{lazyauth.FlowRedirect}
	if app.ConnectPage != nil {
		s.Params = url.Values{"access_type": {"offline"}, "prompt": {"consent"}}
	}
	return s, err
}

// GoogleDevice is for Google's APIs by the device flow, with an OAuth client of the type "TVs and
// Limited Input devices", and its secret. Google grants few scopes to devices: others have measured
// openid, email, profile, drive.file, youtube and youtube.readonly, and that any other is refused
// ("Invalid device flow scope"), drive.appdata among them, which its page lists.
//
// Sources: developers.google.com/identity/protocols/oauth2/limited-input-device#allowedscopes; what
// others measured: the comments of docs.rs/grr-cli/2.1.0 (2026-10-13). Read on 2026-11-26. Not run
// against Google.
func GoogleDevice(app App) (lazyauth.Service, error) {
	if app.redirects() {
		return lazyauth.Service{}, failf("GoogleDevice", "App.RedirectURI or ConnectPage is set, and clients for devices have none: leave it empty, or register a desktop app, or a web application, for Google")
	}
	return google("GoogleDevice", app)
}

func google(provider string, app App) (lazyauth.Service, error) {
	if err := app.needSecret(provider, "Google's token endpoint wants that of the OAuth client, of desktop apps and devices as well"); err != nil {
		return lazyauth.Service{}, err
	}
	s := app.service("Google")
	s.Issuer = "https://accounts.google.com"
	s.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	s.Scopes = scopes.Of("openid", "email")
	s.UserInfo = "https://openidconnect.googleapis.com/v1/userinfo"
	s.Hierarchy = scopes.Google()
	s.Dialect = scopes.GoogleDemand
	// Each of Google's newer APIs has a host of its own. Add what is missing.
	s.APIOrigins = []string{
		"https://www.googleapis.com", // Calendar, Drive, YouTube
		"https://docs.googleapis.com",
		"https://gmail.googleapis.com",
		"https://people.googleapis.com",
		"https://sheets.googleapis.com",
		"https://slides.googleapis.com",
		"https://tasks.googleapis.com",
	}
	return s, nil
}
