package scopes_test

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

var (
	_ scopes.Dialect = scopes.BearerDemand
	_ scopes.Dialect = scopes.GitHubDemand
	_ scopes.Dialect = scopes.GoogleDemand
)

// What a response asks for that refuses the token: where a sign-in may help, and
// where it does not.
var (
	refused   = scopes.Demand{Fresh: true, SignIn: true}
	refreshed = scopes.Demand{Fresh: true}
)

func TestWhatAResponseDemands(t *testing.T) {
	more := scopes.Demand{More: true}
	a := scopes.Of("a")
	for _, test := range []struct {
		name   string
		status int
		values []string
		want   scopes.Demand
	}{
		{"expired", 401, []string{`Bearer realm="x", error="invalid_token", error_description="The token expired"`}, refused},
		{"refused without an error", 401, []string{`Bearer realm="x"`}, refused},
		{"refused without a challenge", 401, nil, refused},
		{"refused with an empty one", 401, []string{""}, refused},
		{"refused, with what the next one has to have", 401, []string{`Bearer error="invalid_token", scope="a"`}, scopes.Demand{Fresh: true, SignIn: true, Needs: a}},
		{"refused, among others", 401, []string{`Basic realm="x", Bearer`, `Negotiate`}, refused},
		{"refused with 403", 403, []string{`Bearer error="invalid_token"`}, refused},
		{"another scheme", 401, []string{`Basic realm="x"`}, refreshed},
		{"another kind of sign-in (RFC 9470)", 401, []string{`Bearer error="insufficient_user_authentication", acr_values="high"`}, refreshed},
		{"the request is wrong", 401, []string{`Bearer error="invalid_request"`}, refreshed},
		{"more", 403, []string{`Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{More: true, Needs: a}},
		{"more, in the second value", 403, []string{`Basic realm=x`, `Bearer scope="a", error="insufficient_scope"`}, scopes.Demand{More: true, Needs: a}},
		{"more, nobody knows what", 403, []string{`Bearer error="insufficient_scope"`}, more},
		{"more, nobody says what", 403, []string{`Bearer error="insufficient_scope", scope=""`}, more},
		{"more with 401", 401, []string{`Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{Fresh: true, More: true, Needs: a}},
		{"more, with a choice", 403, []string{`Bearer error="insufficient_scope", scope="b", Bearer error="insufficient_scope", scope="a"`},
			scopes.Demand{More: true, Needs: scopes.AnyOf(scopes.Of("b"), a)}},
		{"more and nothing", 401, []string{`Bearer realm="x", scope="z", Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{Fresh: true, More: true, Needs: a}},
		{"both", 401, []string{`Bearer error="invalid_token", Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{Fresh: true, SignIn: true, More: true, Needs: a}},
		{"more, beside what nobody can read", 403, []string{`Basic realm="x" charset="UTF-8"`, `Bearer error="insufficient_scope", scope="a"`}, scopes.Demand{More: true, Needs: a}},

		{"forbidden", 403, nil, scopes.Demand{}},
		{"forbidden, and the scheme named", 403, []string{`Bearer realm="x", scope="a"`}, scopes.Demand{}},
		{"another scheme with the words of Bearer", 403, []string{`DPoP error="insufficient_scope", scope="a"`}, scopes.Demand{}},
		{"another kind of sign-in, with 403", 403, []string{`Bearer error="insufficient_user_authentication", acr_values="high"`}, scopes.Demand{}},
		{"another scheme, with 403", 403, []string{`Basic realm="x"`}, scopes.Demand{}},
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

// refusals are what WWW-Authenticate was seen to say beside a 401, or could say
// likewise.
var refusals = []struct {
	from   string
	values []string
	signIn bool // a Bearer challenge, or none, says that it may help
}{
	{"Kong (issue 14429)", []string{`Bearer realm="service" error="invalid_token" error_description="The access token is invalid or has expired"`}, true},
	{"Elasticsearch before 8.15", []string{`Basic realm="security" charset="UTF-8"`, `Bearer realm="security"`, `ApiKey`}, true},
	{"Elasticsearch in one line", []string{`Bearer realm="security", ApiKey, Basic realm="security" charset="UTF-8"`}, true},
	{"no comma before Bearer", []string{`Basic realm="security" Bearer realm="security"`}, true},
	{"Dataverse", []string{`Bearer authorization_uri=https://login.microsoftonline.com/c0/oauth2/authorize, resource_id=https://org.crm.dynamics.com/`}, true},
	{"Azure DevOps", []string{`Bearer authorization_uri=https://login.microsoftonline.com/c0`, `Basic realm="https://tfs.app.visualstudio.com/"`, `TFS-Federated`}, true},
	{"hand-made", []string{`Bearer error=invalid_token, error_description=The token has expired`}, true},
	{"hand-made, with semicolons", []string{`Bearer error="invalid_token"; error_description="gone"`}, true},
	{"single quotes", []string{`Bearer realm='my api', error='invalid_token'`}, true},
	{"single quotes, with a comma", []string{`Bearer realm='mine, all mine', error='invalid_token'`}, true},
	{"a quote left open", []string{`Bearer error="invalid_token`}, true},
	{"a code of another kind", []string{`Bearer error="expired_token"`}, true},
	{"and another", []string{`Bearer error=Token_Expired`}, true},
	{"an empty code", []string{`Bearer error="", scope="a" x`}, true},
	{"a scope that is none", []string{`Bearer error="invalid_token", scope="a\"b"`}, true},
	{"a scope given twice", []string{`Bearer error="invalid_token", scope="a", scope="b"`}, true},
	{"Token", []string{`Token realm="Application"`}, false}, // Rails
	{"OAuth", []string{`OAuth realm="https://jira.test"`}, false},
	{"Windows", []string{`Negotiate`, `NTLM`}, false},
	{"Windows, in mid-air", []string{`Negotiate oRQwEqADCgEBoQsGCSqGSIb3EgECAg==`}, false},
	{"Facebook", []string{`OAuth "Facebook Platform" "invalid_token" "Error validating access token"`}, false},
	{"the word alone", []string{`Basic realm="use Bearer", x='Bearer'`}, false},
	{"the word in what is said", []string{`Basic realm=Ask the Bearer, error=invalid_token`}, false},
	{"Entra, for claims", []string{`Bearer realm="", authorization_uri="https://login.microsoftonline.com/common/oauth2/authorize", error="insufficient_claims", claims="eyJhY2Nlc3NfdG9rZW4iOnt9fQ=="`}, false},
	{"RFC 9470", []string{`Bearer error="insufficient_user_authentication" error_description="with max_age, token"`}, false},
	{"more, unreadable", []string{`Bearer error="insufficient_scope" scope="a"`}, false},
	{"nothing of the kind", []string{"\x00\xff=\"'"}, false},
	{"as long as can be", []string{strings.Repeat(" ", 16<<10-5) + "Basic"}, false},
	{"too long", []string{strings.Repeat("x", 20<<10)}, false},
	{"too long, and Bearer before", []string{"Bearer error=invalid_token, realm=" + strings.Repeat("x", 20<<10)}, true},
	{"too many", append(slices.Repeat([]string{""}, 16), "Basic"), false},
}

func TestBearerDemand_A401IsAlwaysAboutTheToken(t *testing.T) {
	for _, test := range refusals {
		for name, dialect := range dialects {
			got, err := dialect(401, http.Header{"Www-Authenticate": test.values})
			if want := (scopes.Demand{Fresh: true, SignIn: test.signIn}); err != nil || got != want {
				t.Errorf("%s, %s: %+v, %v, want %+v", test.from, name, got, err, want)
			}
		}
	}
}

var dialects = map[string]scopes.Dialect{"RFC 6750": scopes.BearerDemand, "GitHub": scopes.GitHubDemand, "Google": scopes.GoogleDemand}

func TestAnUnreadableChallengeDemandsNothing(t *testing.T) {
	for _, value := range []string{
		`Bearer error="insufficient_scope", scope="a", scope="b"`,
		`Bearer error="insufficient_scope" scope="a"`,
		`Bearer error="invalid_token", scope="` + strings.Repeat("a", 257) + `"`,
	} {
		for _, dialect := range dialects {
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

		{"bad credentials", 401, http.Header{}, refused},
		{"bad credentials, and headers", 401, http.Header{"X-OAuth-Scopes": {""}, "X-Accepted-OAuth-Scopes": {"repo"}}, refused},
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

// FuzzRefusal looks for headers that make a 401 anything but one about the token,
// or have a 403 ask for what is not in the text.
func FuzzRefusal(f *testing.F) {
	for _, test := range refusals {
		f.Add(append(test.values, "")[0], strings.Join(test.values[1:], ","))
	}
	for _, value := range []string{
		`Bearer error="insufficient_scope", scope="a b"`, `Basic x;y, Bearer error=insufficient_scope, scope=a`,
		`Bearer realm="https://accounts.google.com/", error="insufficient_scope", scope="https://www.googleapis.com/auth/contacts https://www.google.com/m8/feeds"`,
		`Bearer error="insufficient_scope", scope="\a"`, `error=invalid_token`, "",
	} {
		f.Add(value, "")
		f.Add(`Basic realm="x" charset="UTF-8"`, value)
	}
	for _, found := range [][2]string{
		{`0 sCope="",sCope=""`, `0`}, {`00 000="0`, `BeArer error=A`}, {`0 0=""0`, `0=0"`}, {`0,"","",0`, `BeArer("`}, {`0 0 0,(0`, `=,( 0" 0=`},
	} {
		f.Add(found[0], found[1])
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		header := http.Header{"Www-Authenticate": {first, second}}
		challenges, unreadable := scopes.ParseChallenges(header.Values("WWW-Authenticate"))
		for name, dialect := range dialects {
			refused, err := dialect(401, header)
			checkDemand(t, 401, refused, err)
			if err != nil || !refused.Fresh {
				t.Errorf("%s: on 401: %+v, %v", name, refused, err)
			}
			if unreadable != nil && refused.More {
				t.Errorf("%s: more is asked for by what cannot be read", name)
			}
			// What can be read in full is read the same loosely, but for what only the
			// one knows: single quotes and semicolons.
			if unreadable == nil && !strings.ContainsAny(first+second, "';") {
				if helps, known := signInHelps(challenges); known && refused.SignIn != helps {
					t.Errorf("%s: %+v, read as %+v", name, refused, challenges)
				}
			}

			forbidden, err := dialect(403, header)
			checkDemand(t, 403, forbidden, err)
			if (err != nil) != (unreadable != nil) {
				t.Errorf("%s: on 403: %+v, %v, challenges %v", name, forbidden, err, unreadable)
			}
			if forbidden.More && !strings.Contains(unescape(first+second), scopes.InsufficientScope) {
				t.Errorf("%s: on 403: %+v", name, forbidden)
			}
			for _, d := range []scopes.Demand{refused, forbidden} {
				for asked := range scopes.Ceiling(d.Needs).All() {
					if !strings.Contains(unescape(first), asked) && !strings.Contains(unescape(second), asked) {
						t.Errorf("%s: %q is asked for, and not in the text", name, asked)
					}
				}
			}
		}
	})
}

// signInHelps reports whether it does by what challenges say, if that is known: of
// other codes they do not tell enough.
func signInHelps(challenges []scopes.Challenge) (helps, known bool) {
	var bearer, coded bool
	for _, c := range challenges {
		switch c.Error {
		case scopes.InvalidToken:
			return true, true
		case scopes.OtherError:
			return false, false
		}
		bearer = bearer || c.Scheme == "bearer"
		coded = coded || c.Error != ""
	}
	return len(challenges) == 0 || bearer && !coded, true
}

// unescape takes the escapes of quoted strings out of a text.
func unescape(text string) string { return strings.ReplaceAll(text, `\`, "") }

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
	if !d.Fresh && (!d.More || d.SignIn) || !d.HeldKnown && !d.Held.IsEmpty() || status != 401 && status != 403 && status != 404 {
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
