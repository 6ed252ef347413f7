package scopes_test

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestChallengesAreReadHoweverTheyAreWritten(t *testing.T) {
	want := []scopes.Challenge{{Scheme: "bearer", Error: scopes.InsufficientScope, Scopes: scopes.Of("a", "b")}}
	for _, values := range [][]string{
		{`Bearer error="insufficient_scope", scope="a b"`},
		{`Bearer scope="a b", error="insufficient_scope"`},
		{`bearer error=insufficient_scope,scope="b a"`},
		{`BEARER ERROR=insufficient_scope,SCOPE="a b a"`},
		{`Bearer error = "insufficient_scope" , scope	=	"a b"`},
		{` ,, Bearer   error=insufficient_scope,, ,scope="a b",`},
		{`Bearer , error=insufficient_scope, scope="a b"`},
		{`Bearer error="\i\nsufficient_scope", scope="\a b"`},
		{`Bearer error="insufficient_scope"`, `scope="a b"`},
		{`Bearer`, `error="insufficient_scope", scope="a b"`},
		{`Bearer realm="a, \"b\", Basic c=\\", error=insufficient_scope, scope="a b"`},
		{`Bearer realm="caf` + "\xc3\xa9" + `", error=insufficient_scope, scope="a b"`},
		{`Bearer realm="", error_description="error=\"invalid_token\"", error_uri="https://x.test/?scope=c", error=insufficient_scope, scope="a b"`},
		{`Bearer resource_metadata="https://evil.test/.well-known/oauth-protected-resource", error="insufficient_scope", scope="a b"`},
	} {
		if got, err := scopes.ParseChallenges(values); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q is read as %+v, %v", values, got, err)
		}
	}
}

func TestSeveralChallenges(t *testing.T) {
	basic, negotiate := scopes.Challenge{Scheme: "basic"}, scopes.Challenge{Scheme: "negotiate"}
	expired := scopes.Challenge{Scheme: "bearer", Error: scopes.InvalidToken}
	for _, test := range []struct {
		values []string
		want   []scopes.Challenge
	}{
		{nil, nil},
		{[]string{"", " ", ","}, nil},
		{[]string{`Basic realm="x"`, `Bearer error=invalid_token`}, []scopes.Challenge{basic, expired}},
		{[]string{`Basic realm="x", Bearer error=invalid_token`}, []scopes.Challenge{basic, expired}},
		{[]string{`Bearer error=invalid_token, Basic realm="x"`}, []scopes.Challenge{expired, basic}},
		{[]string{`Negotiate, Bearer error=invalid_token,Basic`}, []scopes.Challenge{negotiate, expired, basic}},
		{[]string{`Negotiate YII/+-._~==, Bearer error=invalid_token`}, []scopes.Challenge{negotiate, expired}},
		{[]string{`Negotiate realm=`, `Bearer error=invalid_token`}, []scopes.Challenge{negotiate, expired}},
		{[]string{`Negotiate YII== `, `Negotiate`}, []scopes.Challenge{negotiate, negotiate}},
		{[]string{`Negotiate YII==, Bearer`, `error=invalid_token`}, []scopes.Challenge{negotiate, expired}},
		// Each challenge has its own parameters, and only Bearer's are read.
		{[]string{`Basic realm=x, error=invalid_token, scope="a", Bearer realm=x`}, []scopes.Challenge{basic, {Scheme: "bearer"}}},
		{[]string{`Basic scope="` + "\t" + `"`}, []scopes.Challenge{basic}},
		{[]string{`Bearer scope="a", Bearer scope="b"`}, []scopes.Challenge{
			{Scheme: "bearer", Scopes: scopes.Of("a")}, {Scheme: "bearer", Scopes: scopes.Of("b")},
		}},
		{[]string{`Bearer scope=""`}, []scopes.Challenge{{Scheme: "bearer"}}},
		{[]string{`Bearer error=""`, `Bearer error=Invalid_Token`, `Bearer error=invalid_request`}, []scopes.Challenge{
			{Scheme: "bearer", Error: scopes.OtherError},
			{Scheme: "bearer", Error: scopes.OtherError},
			{Scheme: "bearer", Error: scopes.InvalidRequest},
		}},
	} {
		if got, err := scopes.ParseChallenges(test.values); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q is read as %+v, %v, want %+v", test.values, got, err, test.want)
		}
	}
}

// A neighbour of a Bearer challenge does not spoil it.
func TestParseChallenges_UnreadableNeighbours(t *testing.T) {
	basic := scopes.Challenge{Scheme: "basic"}
	more := scopes.Challenge{Scheme: "bearer", Error: scopes.InsufficientScope, Scopes: scopes.Of("a")}
	const bearer = `Bearer error="insufficient_scope", scope="a"`
	for _, test := range []struct {
		values []string
		want   []scopes.Challenge
	}{
		{[]string{`Basic realm="security" charset="UTF-8"`, bearer}, []scopes.Challenge{basic, more}}, // Elasticsearch before 8.15
		{[]string{bearer, `Basic realm="security" charset="UTF-8"`}, []scopes.Challenge{more, basic}},
		{[]string{`Basic realm="security" charset="UTF-8", ` + bearer}, []scopes.Challenge{basic, more}},
		{[]string{bearer + `, Basic realm="a, \"b" charset="UTF-8"`}, []scopes.Challenge{more, basic}},
		{[]string{`Basic realm=https://x.test/, ` + bearer}, []scopes.Challenge{basic, more}}, // Azure DevOps
		{[]string{`Basic realm="x", realm="y", scope="b" scope="c", ` + bearer}, []scopes.Challenge{basic, more}},
		{[]string{`Basic x;y`, `scope="b"`, bearer}, []scopes.Challenge{basic, more}},
		{[]string{`Negotiate`, `oops;`, bearer}, []scopes.Challenge{{Scheme: "negotiate"}, more}},
	} {
		if got, err := scopes.ParseChallenges(test.values); err != nil || !slices.Equal(got, test.want) {
			t.Errorf("%q is read as %+v, %v, want %+v", test.values, got, err, test.want)
		}
	}
}

func TestUnreadableChallengesAreRefusedAndNothingIsRepeated(t *testing.T) {
	for name, values := range map[string][]string{
		"parameter before any scheme":   {`secret="x"`},
		"parameter before, next value":  {``, `secret=x, Bearer`},
		"no comma":                      {`Bearer secret="x" error="invalid_token"`},
		"scheme after scheme":           {`Bearer secret Basic`},
		"token68 and parameter":         {`Bearer secret, realm="x"`},
		"token68 and parameter later":   {`Bearer secret`, `realm="x"`},
		"value missing":                 {`Bearer realm="secret", error=, scope="a"`},
		"value missing at the end":      {`Bearer realm="secret", error=`},
		"name missing":                  {`Bearer ="secret"`},
		"quote open":                    {`Bearer realm="secret`},
		"quote open, next value":        {`Bearer realm="secret`, `Basic realm="x"`},
		"escape open":                   {`Bearer realm="secret\`},
		"text after quote":              {`Bearer realm="secret"secret`},
		"quote alone":                   {`"secret"`},
		"unquoted URL":                  {`Bearer resource_metadata=https://secret.test`},
		"no space before a token68":     {`Bearer/secret`},
		"semicolon":                     {`Bearer; secret`},
		"line end":                      {"Bearer realm=\"secret\r\nX: y\""},
		"escaped line end":              {"Bearer realm=\"secret\\\n\""},
		"zero byte":                     {"Bearer realm=\"secret\x00\""},
		"delete":                        {"Bearer realm=\"secret\x7f\""},
		"not ASCII":                     {"Bearer sécret=x"},
		"realm twice":                   {`Bearer realm="secret", REALM="secret"`},
		"error twice":                   {`Bearer error=secret, error=invalid_token`},
		"beside, and no scheme":         {`secret;x, Bearer`},
		"beside, and after Bearer":      {`Bearer realm="x", secret;x`},
		"beside, with a quote open":     {`Basic realm="x" secret="`, `Bearer error=invalid_token`},
		"beside, with Bearer in it":     {`Basic realm="x" Bearer error="secret"`},
		"beside, with Bearer in quotes": {`Basic realm="secret" charset="use bearer"`},
		"error twice, in two values":    {`Bearer error=secret`, `error=invalid_token`},
		"many values":                   append(slices.Repeat([]string{""}, 16), "secret"),
		"long":                          {`Bearer realm="secret` + strings.Repeat("x", 16<<10) + `"`},
		"long together":                 slices.Repeat([]string{`Bearer realm="secret` + strings.Repeat("x", 1100) + `"`}, 15),
		"many challenges":               {strings.Repeat("secret,", 17)},
		"many challenges in two values": {strings.Repeat("secret,", 16), "secret"},
		"many parameters":               {"Bearer " + parameters(33)},
	} {
		got, err := scopes.ParseChallenges(values)
		if !errors.Is(err, scopes.ErrChallenge) || errors.Is(err, scopes.ErrInvalid) || got != nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
			continue
		}
		if msg := err.Error(); strings.Contains(msg, "ecret") || strings.Count(msg, "scopes:") != 1 {
			t.Errorf("%s: message %q", name, msg)
		}
	}
}

func TestAnUnusableScopeIsNamed(t *testing.T) {
	for name, value := range map[string]string{
		"twice":          `Bearer scope="secret", scope="secret"`,
		"empty, twice":   `Bearer scope="", scope="secret"`,
		"escaped quote":  `Bearer scope="secret\""`,
		"tab":            "Bearer scope=\"secret\tx\"",
		"not ASCII":      "Bearer scope=\"secret\xe2\x80\xae\"",
		"long":           `Bearer scope="` + strings.Repeat("secret", 43) + `"`,
		"many":           `Bearer scope="secret ` + strings.Join(numbered(128), " ") + `"`,
		"long text":      `Bearer scope="secret` + strings.Repeat(" ", 4096) + `"`,
		"beside a usual": `Basic realm=x, Bearer error=insufficient_scope, scope="secret\\"`,
	} {
		got, err := scopes.ParseChallenges([]string{value})
		if !errors.Is(err, scopes.ErrChallenge) || !errors.Is(err, scopes.ErrInvalid) || got != nil {
			t.Errorf("%s: got %+v, %v", name, got, err)
			continue
		}
		msg := err.Error()
		if !strings.HasPrefix(msg, "scopes: unreadable challenge: scope unusable: ") || strings.Contains(msg, "secret") || strings.Count(msg, "scopes:") != 1 {
			t.Errorf("%s: message %q", name, msg)
		}
	}
}

func TestChallengesAreReadUpToTheLimits(t *testing.T) {
	values := slices.Repeat([]string{"Bearer " + parameters(32)}, 16)
	values[15] += `,` + strings.Repeat(" ", 16<<10-len(strings.Join(values, ""))-1)
	if got, err := scopes.ParseChallenges(values); err != nil || len(got) != 16 {
		t.Errorf("%d challenges, %v", len(got), err)
	}
	longest := strings.Repeat("a", 256)
	got, err := scopes.ParseChallenges([]string{`Bearer scope="` + longest + `"`})
	if err != nil || len(got) != 1 || got[0].Scopes != scopes.Of(longest) {
		t.Errorf("%+v, %v", got, err)
	}
}

func FuzzParseChallenges(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""},
		{`Bearer error="insufficient_scope", scope="a b"`, `Basic realm="x"`},
		{`Bearer`, `error=invalid_token`},
		{`Negotiate YII==, Bearer realm="\"", error=x`, ` , ,Digest qop="auth,auth-int"`},
		{`Bearer a = b , c`, `Bearer scope=a, scope=b`},
		{`Bearer realm="x`, `", error=y`},
		{"Bearer scope=\"\x00\"", `=`},
	} {
		f.Add(seed[0], seed[1])
	}
	for _, test := range refusals {
		f.Add(strings.Join(test.values, ","), `Bearer error="insufficient_scope", scope="a"`)
	}
	f.Fuzz(func(t *testing.T, first, second string) {
		got, err := scopes.ParseChallenges([]string{first, second})
		if err != nil {
			if got != nil || !errors.Is(err, scopes.ErrChallenge) {
				t.Errorf("error and challenges: %+v, %v", got, err)
			}
			checkMessage(t, err)
			return
		}
		if len(got) > 16 {
			t.Errorf("%d challenges", len(got))
		}
		rendered := make([]string, len(got))
		for n, c := range got {
			rendered[n] = render(t, c)
		}
		if again, err := scopes.ParseChallenges(rendered); err != nil || !slices.Equal(again, got) {
			t.Errorf("%+v is read back from %q as %+v, %v", got, rendered, again, err)
		}
		if len(first)+len(second) < 16<<10-8 {
			// Two values are one list, and empty elements mean nothing.
			joined, err := scopes.ParseChallenges([]string{", " + first + " ,\t," + second + ","})
			if err != nil || !slices.Equal(joined, got) {
				t.Errorf("joined into one value: %+v, %v; separate: %+v", joined, err, got)
			}
		}
	})
}

func render(t *testing.T, c scopes.Challenge) string {
	if c.Scheme != "bearer" && (c.Error != "" || !c.Scopes.IsEmpty()) {
		t.Errorf("read from a scheme other than Bearer: %+v", c)
	}
	checkSet(t, c.Scopes)
	text := c.Scheme
	switch c.Error {
	case "":
	case scopes.InvalidRequest, scopes.InvalidToken, scopes.InsufficientScope, scopes.OtherError:
		text += fmt.Sprintf(" error=%q,", c.Error)
	default:
		t.Errorf("error code %q", c.Error)
	}
	if !c.Scopes.IsEmpty() {
		text += fmt.Sprintf(" scope=%q", c.Scopes)
	}
	return text
}

// messages is every text that an error about a response can have. Numbers are
// all that varies, so nothing of the response can be in it.
var messages = regexp.MustCompile(`^scopes: (unreadable challenge: (` +
	`\d+ values, at most \d+ allowed|\d+ bytes, at most \d+ allowed|` +
	`(not in the form of a challenge|parameter given twice|too many challenges or parameters) at byte \d+ of value \d+|` +
	`scope unusable: (given twice|` + aboutSet + `))` +
	`|invalid: (` + aboutSet + `|\d+ values, at most \d+ allowed|\d+ bytes, at most \d+ allowed),? in X-(Accepted-)?Oauth-Scopes)$`)

const aboutSet = `\d+ bytes of text, at most \d+ allowed|scope of \d+ bytes, at most \d+ allowed, in the scope at byte \d+|` +
	`character 0x[0-9a-f]{2} not allowed, in the scope at byte \d+|\d+ scopes, at most \d+ allowed`

func checkMessage(t *testing.T, err error) {
	t.Helper()
	if !messages.MatchString(err.Error()) {
		t.Errorf("message %q", err)
	}
}

// parameters returns n different ones.
func parameters(n int) string {
	names := numbered(n)
	return strings.Join(names, `="x",`) + `="x"`
}
