package fakeas

import (
	"net/http"
	"slices"
	"strings"
)

// GitHub is a dialect that speaks as GitHub does to OAuth apps ("Authorizing
// OAuth apps" and "Scopes for OAuth apps" in its documentation).
//
// Of the authorization server: OAuth errors come with status 200, answers are
// form-encoded unless JSON is asked for, and slow_down tells the new interval.
// A device code that is unknown or used is incorrect_device_code, an
// authorization code bad_verification_code, a client that is unknown
// incorrect_client_credentials. There is no
// verification_uri_complete. A token has neither an end nor a refresh token;
// its type is in lower case and its scopes are separated by commas, without
// those that another one includes.
//
// Of the notes API: no Bearer challenges. Every answer lists the scopes that
// would do in X-Accepted-OAuth-Scopes and, if the token is valid, those that it
// has in X-OAuth-Scopes. If it has none that will do, a read is answered 404,
// as if there were nothing, and a write 403.
//
// The metadata stays, although GitHub has none: a client that has an issuer
// only can be tested too. See [Options.NoMetadata].
func GitHub(r *http.Request, a *Answer) {
	switch a.Operation {
	case Me, ListNotes, CreateNote:
		gitHubAPI(r, a)
	case DeviceAuthorization, Poll, Exchange, Refresh, OtherTokenRequest:
		gitHubServer(r, a)
	}
}

func gitHubServer(r *http.Request, a *Answer) {
	switch a.Members["error"] {
	case nil:
	case "invalid_grant":
		a.Members["error"] = "incorrect_device_code"
		if a.Operation == Exchange {
			a.Members["error"] = "bad_verification_code"
		}
	case "invalid_client":
		a.Members["error"] = "incorrect_client_credentials"
	case "slow_down":
		if a.Interval > 0 {
			a.Members["interval"] = wholeSeconds(a.Interval)
		}
	}
	delete(a.Members, "verification_uri_complete")
	if _, ok := a.Members["access_token"]; ok {
		delete(a.Members, "expires_in")
		delete(a.Members, "refresh_token")
		a.Members["token_type"] = "bearer"
		if scope, ok := a.Members["scope"].(string); ok {
			a.Members["scope"] = strings.Join(gitHubNormal(strings.Fields(scope)), " ")
		}
	}
	CommaScopes(r, a)
	ErrorsUnder200(r, a)
	FormUnlessJSON(r, a)
}

func gitHubAPI(r *http.Request, a *Answer) {
	a.Header.Del("WWW-Authenticate")
	if a.Accepted != nil {
		a.Header.Set("X-Accepted-Oauth-Scopes", strings.Join(a.Accepted, ", "))
	}
	if a.Held != nil {
		a.Header.Set("X-Oauth-Scopes", strings.Join(gitHubNormal(a.Held), ", "))
	}
	switch code := a.Members["error"]; {
	case code == nil:
		return
	case code == "insufficient_scope" && r.Method == http.MethodGet:
		a.Status = http.StatusNotFound
	}
	a.Members = map[string]any{"message": http.StatusText(a.Status)}
}

// gitHubIncludes are the scopes that others include, at whatever depth, as far
// as its documentation is explicit about them.
var gitHubIncludes = map[string][]string{
	"repo":             {"repo:status", "repo_deployment", "public_repo", "repo:invite", "security_events"},
	"user":             {"read:user", "user:email", "user:follow"},
	"admin:org":        {"write:org", "read:org"},
	"write:org":        {"read:org"},
	"admin:public_key": {"write:public_key", "read:public_key"},
	"write:public_key": {"read:public_key"},
	"admin:repo_hook":  {"write:repo_hook", "read:repo_hook"},
	"write:repo_hook":  {"read:repo_hook"},
	"admin:gpg_key":    {"write:gpg_key", "read:gpg_key"},
	"write:gpg_key":    {"read:gpg_key"},
	"project":          {"read:project"},
}

// gitHubNormal leaves out what another of the scopes includes.
func gitHubNormal(names []string) []string {
	var included []string
	for _, name := range names {
		included = append(included, gitHubIncludes[name]...)
	}
	return slices.DeleteFunc(slices.Clone(names), func(name string) bool { return slices.Contains(included, name) })
}
