// Package providers has presets for the authorization servers and APIs that authors of MCP servers
// ask for most: each is a function that returns a [lazyauth.Service] with what that
// provider needs and does differently. What else is to be set is set on the result, which is
// a plain struct:
//
//	service, err := providers.GitHub(providers.App{ClientID: "Ov23li0123456789abcd"})
//	if err != nil {
//		log.Fatal(err)
//	}
//	service.ScopeNames = map[string]string{"repo": "your repositories, private ones too"}
//	auth, err := lazyauth.New(service, nil)
//
// docs/providers.md says for each how to register the application, which scopes it grants to which
// flow, and what cannot be had.
//
// # What they are worth
//
// Each function names the documents that it follows, and when they were read: in November 2026, from
// copies that may be older than what the provider serves; where a page has a date of its own, that
// is named. What a preset departs from the standards in is shown in its test by a double
// of the provider that does as these documents say, with a client that fails without the
// preset. None of them has been run against the provider itself: no test of this project reaches a
// network. What a document does not say, and other people have observed, is marked as that.
//
// # Which flows
//
// For a user's own machine [App.RedirectURI] decides. With it, people are sent to the provider by a redirect where a browser
// on this machine can be expected, and get a code for any browser elsewhere, if the provider has
// the device flow. Without it there is the device flow alone; a provider that has none then is
// an error (but for [Google], whose redirect needs none).
//
// For many people who call over HTTP there is [App.ConnectPage], by which all of them sign in by a redirect to a
// page of the server's own; or, where there is none, the device flow, whose grants have to be checked
// ([lazyauth.Options].VerifyUser). Cognito, Slack, Notion, Linear and Atlassian have no device flow.
//
// InsecureAssumePKCE is set where the provider documents PKCE with S256 and has no metadata that
// says so; the functions tell which do that.
package providers
