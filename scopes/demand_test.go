package scopes_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

var (
	_ scopes.Dialect = scopes.BearerDemand
	_ scopes.Dialect = scopes.GitHubDemand
)

func TestWhatAResponseDemands(t *testing.T) {
	fresh, more := scopes.Demand{Fresh: true}, scopes.Demand{More: true}
	a := scopes.Of("a")
	for _, test := range []struct {
		name   string
		status int
		values []string
		want   scopes.Demand
	}{
		{"expired", 401, []string{`Bearer realm="x", error="invalid_token", error_description="The token expired"`}, fresh},
		{"refused without an error", 401, []string{`Bearer realm="x"`}, fresh},
		{"refused without a challenge", 401, nil, fresh},
		{"refused with an empty one", 401, []string{""}, fresh},
		{"refused, with what the next one has to have", 401, []string{`Bearer error="invalid_token", scope="a"`}, scopes.Demand{Fresh: true, Needs: a}},
		{"refused, among others", 401, []string{`Basic realm="x", Bearer`, `Negotiate`}, fresh},
		{"refused with 403", 403, []string{`Bearer error="invalid_token"`}, fresh},
		{"more", 403, []string{`Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{More: true, Needs: a}},
		{"more, in the second value", 403, []string{`Basic realm=x`, `Bearer scope="a", error="insufficient_scope"`}, scopes.Demand{More: true, Needs: a}},
		{"more, nobody knows what", 403, []string{`Bearer error="insufficient_scope"`}, more},
		{"more, nobody says what", 403, []string{`Bearer error="insufficient_scope", scope=""`}, more},
		{"more with 401", 401, []string{`Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{More: true, Needs: a}},
		{"more, with a choice", 403, []string{`Bearer error="insufficient_scope", scope="b", Bearer error="insufficient_scope", scope="a"`},
			scopes.Demand{More: true, Needs: scopes.AnyOf(scopes.Of("b"), a)}},
		{"more and nothing", 401, []string{`Bearer realm="x", scope="z", Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{More: true, Needs: a}},
		{"both", 401, []string{`Bearer error="invalid_token", Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{Fresh: true, More: true, Needs: a}},

		{"forbidden", 403, nil, scopes.Demand{}},
		{"forbidden, and the scheme named", 403, []string{`Bearer realm="x", scope="a"`}, scopes.Demand{}},
		{"another scheme", 401, []string{`Basic realm="x"`}, scopes.Demand{}},
		{"another scheme with the words of Bearer", 403, []string{`DPoP error="insufficient_scope", scope="a"`}, scopes.Demand{}},
		{"another kind of sign-in (RFC 9470)", 401, []string{`Bearer error="insufficient_user_authentication", acr_values="high"`}, scopes.Demand{}},
		{"the request is wrong", 401, []string{`Bearer error="invalid_request"`}, scopes.Demand{}},
		{"success", 200, []string{`Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{}},
		{"not found", 404, []string{`Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{}},
		{"a proxy's", 407, []string{`Bearer error="invalid_token"`}, scopes.Demand{}},
		{"unreadable, but nobody asked", 500, []string{`"`}, scopes.Demand{}},
	} {
		header := http.Header{"Www-Authenticate": test.values}
		got, err := scopes.BearerDemand(test.status, header)
		if err != nil || got != test.want || got.IsZero() != (test.want == scopes.Demand{}) {
			t.Errorf("%s: %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestAnUnreadableChallengeDemandsNothing(t *testing.T) {
	for _, value := range []string{
		`Bearer error="insufficient_scope", scope="a", scope="b"`,
		`Bearer error="insufficient_scope" scope="a"`,
		`Bearer error="invalid_token", scope="` + strings.Repeat("a", 257) + `"`,
	} {
		for _, dialect := range []scopes.Dialect{scopes.BearerDemand, scopes.GitHubDemand} {
			got, err := dialect(403, http.Header{"Www-Authenticate": {value}})
			if !errors.Is(err, scopes.ErrChallenge) || !got.IsZero() {
				t.Errorf("%q: %+v, %v", value, got, err)
			}
		}
	}
}

func TestWhatGitHubDemands(t *testing.T) {
	of := scopes.Of
	orgs := "admin:org, read:org, repo, user, write:org"
	more := func(held scopes.Set, sets ...scopes.Set) scopes.Demand {
		return scopes.Demand{More: true, Needs: scopes.AnyOf(sets...), Held: held, HeldKnown: true}
	}
	for _, test := range []struct {
		name   string
		status int
		header http.Header // keys as GitHub's documentation spells them
		want   scopes.Demand
	}{
		{"forbidden", 403, http.Header{"X-OAuth-Scopes": {"gist"}, "X-Accepted-OAuth-Scopes": {orgs}},
			more(of("gist"), of("admin:org"), of("read:org"), of("repo"), of("user"), of("write:org"))},
		{"hidden", 404, http.Header{"X-OAuth-Scopes": {"gist, user"}, "X-Accepted-OAuth-Scopes": {"repo"}}, more(of("gist", "user"), of("repo"))},
		{"hidden from a token without scopes", 404, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}}, more(of(), of("repo"))},
		{"a part is not the whole", 404, http.Header{"X-OAuth-Scopes": {"public_repo"}, "X-Accepted-OAuth-Scopes": {"repo"}}, more(of("public_repo"), of("repo"))},
		{"in several values", 403, http.Header{"X-OAuth-Scopes": {"gist", "user"}, "X-Accepted-OAuth-Scopes": {"repo", "public_repo"}},
			more(of("gist", "user"), of("public_repo"), of("repo"))},
		{"single sign-on is done", 403, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}, "X-GitHub-SSO": {"partial-results; organizations=1"}}, more(of(), of("repo"))},
		{"below the rate limit", 403, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}, "X-RateLimit-Remaining": {"4999"}}, more(of(), of("repo"))},

		{"one of those accepted is held", 403, http.Header{"X-OAuth-Scopes": {"repo"}, "X-Accepted-OAuth-Scopes": {orgs}}, scopes.Demand{}},
		{"one of those accepted is implied", 404, http.Header{"X-OAuth-Scopes": {"repo"}, "X-Accepted-OAuth-Scopes": {"public_repo"}}, scopes.Demand{}},
		{"implied two levels down", 403, http.Header{"X-OAuth-Scopes": {"admin:org"}, "X-Accepted-OAuth-Scopes": {"read:org"}}, scopes.Demand{}},
		{"none are accepted", 403, http.Header{"X-OAuth-Scopes": {"repo"}, "X-Accepted-OAuth-Scopes": {""}}, scopes.Demand{}},
		{"none are listed", 403, http.Header{"X-OAuth-Scopes": {"repo"}}, scopes.Demand{}},
		{"a token of another kind", 404, http.Header{"X-Accepted-OAuth-Scopes": {"repo"}}, scopes.Demand{}},
		{"rate limit", 403, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}, "X-RateLimit-Remaining": {"0"}}, scopes.Demand{}},
		{"second rate limit", 403, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}, "Retry-After": {"60"}}, scopes.Demand{}},
		{"single sign-on", 403, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}, "X-GitHub-SSO": {"required; url=https://github.test/sso"}}, scopes.Demand{}},
		{"success", 200, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"user"}}, scopes.Demand{}},
		{"unprocessable", 422, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}}, scopes.Demand{}},

		{"bad credentials", 401, http.Header{}, scopes.Demand{Fresh: true}},
		{"bad credentials, and headers", 401, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}}, scopes.Demand{Fresh: true}},
		{"somebody in between speaks Bearer", 403, http.Header{"WWW-Authenticate": {`Bearer error="insufficient_scope", scope="a"`}},
			scopes.Demand{More: true, Needs: of("a")}},
	} {
		header := make(http.Header)
		for name, values := range test.header {
			for _, value := range values {
				header.Add(name, value)
			}
		}
		if got, err := scopes.GitHubDemand(test.status, header); err != nil || got != test.want {
			t.Errorf("%s: %+v, %v, want %+v", test.name, got, err, test.want)
		}
	}
}

func TestUnusableListsOfGitHubAreRefusedAndNothingIsRepeated(t *testing.T) {
	for _, name := range []string{"X-Oauth-Scopes", "X-Accepted-Oauth-Scopes"} {
		for what, values := range map[string][]string{
			"quote":       {`secret"`},
			"not ASCII":   {"secret\u202e"},
			"long scope":  {strings.Repeat("secret", 43)},
			"many scopes": {"secret", strings.Join(numbered(128), ",")},
			"long":        {"secret" + strings.Repeat(",", 20<<10)},
			"many values": strings.Split(strings.Repeat("secret,", 16), ","),
		} {
			header := http.Header{"X-Oauth-Scopes": {""}, "X-Accepted-Oauth-Scopes": {"repo"}}
			header[name] = values
			got, err := scopes.GitHubDemand(404, header)
			if !errors.Is(err, scopes.ErrInvalid) || !got.IsZero() {
				t.Errorf("%s in %s: %+v, %v", what, name, got, err)
				continue
			}
			checkMessage(t, err)
		}
	}
}

// A story: what to ask for when GitHub takes any one of five scopes.
func TestFromGitHubsAnswerToTheNextPrompt(t *testing.T) {
	demand, err := scopes.GitHubDemand(403, http.Header{
		"X-Oauth-Scopes":          {"gist, public_repo"},
		"X-Accepted-Oauth-Scopes": {"admin:org, read:org, repo, user, write:org"},
	})
	if err != nil {
		t.Fatal(err)
	}
	github := scopes.GitHub()
	for _, test := range []struct {
		name  string
		limit scopes.Set
		ask   string
	}{
		{"any of them", scopes.Ceiling(demand.Needs), "read:org"},
		{"declared broader", scopes.Of("admin:org", "repo"), "read:org"},
		{"declared otherwise", scopes.Of("gist", "repo"), "repo"},
		{"declared nothing of the kind", scopes.Of("gist", "notifications"), ""},
	} {
		ask, ok := github.Narrowest(demand.Held, demand.Needs, test.limit)
		if ask.String() != test.ask || ok != (test.ask != "") {
			t.Errorf("%s: %q, %t", test.name, ask, ok)
		}
		// GitHub leaves out of its answer what another scope implies.
		if granted := scopes.Of("gist", "repo"); ok && test.ask == "repo" && !github.Covers(granted, demand.Held.Union(ask)) {
			t.Errorf("%s: %q is not enough for %q", test.name, granted, ask)
		}
	}
}

func FuzzDemand(f *testing.F) {
	f.Add(403, `Bearer error="insufficient_scope", scope="a b"`, "", "")
	f.Add(401, `Bearer, Bearer scope="a"`, "repo", "gist")
	f.Add(404, "", "public_repo, repo", "repo:status")
	f.Add(403, `Basic x=`, "admin:org, read:org", "")
	f.Add(403, `Bearer scope="\`, "a\"", "\x00")
	f.Fuzz(func(t *testing.T, status int, challenge, accepted, held string) {
		header := http.Header{"Www-Authenticate": {challenge}, "X-Accepted-Oauth-Scopes": {accepted}, "X-Oauth-Scopes": {held}}
		standard, err := scopes.BearerDemand(status, header)
		checkDemand(t, status, standard, err)
		if err == nil && (standard.HeldKnown || status != 401 && status != 403 && !standard.IsZero()) {
			t.Errorf("on %d: %+v", status, standard)
		}

		github, err := scopes.GitHubDemand(status, header)
		checkDemand(t, status, github, err)
		if err != nil {
			return
		}
		if !github.HeldKnown && github != standard {
			t.Errorf("on %d: %+v, by the standard %+v", status, github, standard)
		}
		if github.HeldKnown && (scopes.GitHub().Covers(github.Held, github.Needs) || scopes.Ceiling(github.Needs) != parse(t, accepted) || github.Held != parse(t, held)) {
			t.Errorf("on %d: %+v", status, github)
		}
	})
}

func checkDemand(t *testing.T, status int, d scopes.Demand, err error) {
	t.Helper()
	if err != nil {
		if !d.IsZero() {
			t.Errorf("on %d, error and demand: %+v, %v", status, d, err)
		}
		checkMessage(t, err)
		return
	}
	if d.IsZero() {
		return
	}
	if !d.Fresh && !d.More || !d.HeldKnown && !d.Held.IsEmpty() || status != 401 && status != 403 && status != 404 {
		t.Errorf("on %d: %+v", status, d)
	}
	if d.Needs != nil {
		for set := range d.Needs.Alternatives() {
			checkSet(t, set)
			if set.IsEmpty() {
				t.Errorf("an alternative of %q is empty", d.Needs)
			}
		}
	}
}
