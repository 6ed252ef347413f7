package scopes_test

import (
	"net/http"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestGoogle(t *testing.T) {
	const at = "https://www.googleapis.com/auth/"
	google := scopes.Google()
	for _, test := range []struct{ held, need, missing string }{
		{at + "userinfo.email openid", "email openid", ""},
		{"profile", at + "userinfo.profile", ""},
		{"openid", "email", "email"},
		{at + "drive", at + "drive.readonly " + at + "drive.metadata.readonly", ""},
		{at + "calendar", at + "calendar.events.readonly", ""},
		{at + "calendar.events", at + "calendar.readonly", at + "calendar.readonly"},
		{at + "youtube", at + "youtube.readonly", ""},
		{at + "drive", at + "drive.appdata", at + "drive.appdata"},
		{at + "drive.readonly", at + "drive", at + "drive"},
	} {
		held, need := parse(t, test.held), parse(t, test.need)
		if got := google.Missing(held, need); got != parse(t, test.missing) {
			t.Errorf("%q lacks %q for %q, want %q", held, got, need, test.missing)
		}
	}
}

func TestWhatGoogleDemands(t *testing.T) {
	const contacts = "https://www.googleapis.com/auth/contacts"
	one := func(names ...string) scopes.Requirement {
		var sets []scopes.Set
		for _, name := range names {
			sets = append(sets, scopes.Of(name))
		}
		return scopes.AnyOf(sets...)
	}
	for _, test := range []struct {
		name   string
		status int
		values []string
		want   scopes.Demand
	}{
		// kwent/react-google-contacts, issue 6
		{"any of them", 403, []string{`Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="` + contacts + ` https://www.google.com/m8/feeds https://www.google.com/m8/feeds/"`},
			scopes.Demand{More: true, Needs: one("https://www.google.com/m8/feeds", "https://www.google.com/m8/feeds/", contacts)}},
		// google/google-api-ruby-client-samples, issue 18
		{"one", 403, []string{`Bearer realm="https://accounts.google.com/AuthSubRequest", error=insufficient_scope, scope="` + contacts + `"`},
			scopes.Demand{More: true, Needs: scopes.Of(contacts)}},
		{"in two challenges", 403, []string{`Bearer error="insufficient_scope", scope="c b"`, `Bearer error="insufficient_scope", scope="a"`},
			scopes.Demand{More: true, Needs: one("a", "b", "c")}},
		{"nobody says what", 403, []string{`Bearer error="insufficient_scope"`}, scopes.Demand{More: true}},
		{"ended", 401, []string{`Bearer realm="https://accounts.google.com/", error="invalid_token"`}, refused},
		{"ended, with what the next one has to have", 401, []string{`Bearer realm="https://accounts.google.com/", error="invalid_token", scope="a b"`},
			scopes.Demand{Fresh: true, SignIn: true, Needs: one("a", "b")}},
		{"the API is switched off", 403, nil, scopes.Demand{}},
		{"success", 200, []string{`Bearer error="insufficient_scope", scope="a b"`}, scopes.Demand{}},
	} {
		got, err := scopes.GoogleDemand(test.status, http.Header{"Www-Authenticate": test.values})
		if err != nil || got != test.want {
			t.Errorf("%s: %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}
