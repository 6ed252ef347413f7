package scopes

import (
	"net/http"
	"sync"
)

const googleAPIs = "https://www.googleapis.com/auth/"

// Google returns the hierarchy of the scopes of Google's best-known APIs. Two of
// them have other names: who asks for email or profile (OpenID Connect) is granted
// https://www.googleapis.com/auth/userinfo.email or …/userinfo.profile
// (googleapis/google-api-python-client, pull request 1088). With the common
// beginning left out:
//
//	X                ⊃ X.readonly            for calendar, calendar.events, contacts, documents, drive,
//	                                         drive.metadata, presentations, spreadsheets, tasks, youtube
//	calendar         ⊃ calendar.events
//	calendar.readonly ⊃ calendar.events.readonly
//	drive            ⊃ drive.metadata
//	drive.readonly   ⊃ drive.metadata.readonly
//
// The source are the APIs' discovery documents: each of their methods that takes
// the narrower scope takes the broader one, and by their descriptions ("OAuth 2.0
// Scopes for Google APIs", developers.google.com/identity/protocols/oauth2/scopes)
// the broader one reaches all that the narrower does. That is not so for
// drive.appdata, which nothing else implies. Google grants few scopes to devices
// (developers.google.com/identity/protocols/oauth2/limited-input-device).
func Google() *Hierarchy { return google() }

var google = sync.OnceValue(func() *Hierarchy {
	implies := make(map[string]Set)
	imply := func(broader, narrower string) {
		broader = googleAPIs + broader
		implies[broader] = implies[broader].Union(Of(googleAPIs + narrower))
	}
	for _, what := range []string{
		"calendar", "calendar.events", "contacts", "documents", "drive",
		"drive.metadata", "presentations", "spreadsheets", "tasks", "youtube",
	} {
		imply(what, what+".readonly")
	}
	imply("calendar", "calendar.events")
	imply("calendar.readonly", "calendar.events.readonly")
	imply("drive", "drive.metadata")
	imply("drive.readonly", "drive.metadata.readonly")
	h, err := NewHierarchy(implies,
		Of("email", googleAPIs+"userinfo.email"),
		Of("profile", googleAPIs+"userinfo.profile"))
	if err != nil {
		panic(err)
	}
	return h
})

// GoogleDemand is the [Dialect] of Google's APIs. They send Bearer challenges
// whose scopes are alternatives, where RFC 6750 §3 has one list of all that is
// needed: a request for contacts is refused with more than fifteen scopes, any
// one of which would do (kwent/react-google-contacts, issue 6), and each method's
// reference says that it "requires one of the following OAuth scopes". Otherwise
// it is [BearerDemand]; to a token that has ended Google says 401 and
// invalid_token.
func GoogleDemand(status int, header http.Header) (Demand, error) {
	d, err := BearerDemand(status, header)
	if d.Needs != nil {
		d.Needs = anyOne(Ceiling(d.Needs))
	}
	return d, err
}
