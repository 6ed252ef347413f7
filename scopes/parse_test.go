package scopes_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestParseReadsWhatServersSend(t *testing.T) {
	for text, want := range map[string]string{
		"":                         "",
		" ":                        "",
		",":                        "",
		"a":                        "a",
		"b a":                      "a b",
		"repo,gist":                "gist repo", // GitHub
		"repo, gist":               "gist repo",
		"  a  b ,, a ":             "a b",
		"https://x.test/auth/read": "https://x.test/auth/read", // Google
		"User.Read openid":         "User.Read openid",         // Entra
		"read:user!#$%&'()*+./":    "read:user!#$%&'()*+./",
		"[x]^_`{|}~":               "[x]^_`{|}~",
	} {
		if got := parse(t, text).String(); got != want {
			t.Errorf("Parse(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestParseRefusesAndRepeatsNothing(t *testing.T) {
	for name, text := range map[string]string{
		"quote":         `secret"`,
		"backslash":     `secret\`,
		"tab":           "secret\tb",
		"line end":      "secret\r\nX: y",
		"zero byte":     "secret\x00",
		"delete":        "secret\x7f",
		"not ASCII":     "secretscopé",
		"bidi override": "secret\u202e",
		"invalid UTF-8": "secret\xff",
		"long scope":    strings.Repeat("secret", 43),
		"many scopes":   strings.Join(numbered(129), " ") + " secret",
		"long text":     "secret" + strings.Repeat(" ", 4096),
	} {
		set, err := scopes.Parse(text)
		if !errors.Is(err, scopes.ErrInvalid) || !set.IsEmpty() {
			t.Errorf("%s: got %q, %v", name, set, err)
			continue
		}
		if msg := err.Error(); strings.Contains(msg, "secret") || !strings.HasPrefix(msg, "scopes: ") {
			t.Errorf("%s: message %q", name, msg)
		}
	}
}

func TestParseAcceptsUpToItsLimits(t *testing.T) {
	longest := strings.Repeat("a", 256)
	if set := parse(t, longest); set.String() != longest {
		t.Error("a scope of 256 bytes is cut")
	}
	if set := parse(t, strings.Join(numbered(128), " ")); set.Len() != 128 {
		t.Errorf("of 128 scopes %d are left", set.Len())
	}
	if set := parse(t, strings.Repeat("a ", 2048)); set != scopes.Of("a") {
		t.Errorf("repetitions count: %q", set)
	}
}

func TestParseGranted(t *testing.T) {
	long := strings.Repeat("a", 256)
	for _, test := range []struct {
		name, text, want string
		dropped          int
	}{
		{"nothing", "", "", 0},
		{"usual", "b a b", "a b", 0},
		{"GitHub", "repo,gist", "gist repo", 0},
		{"line end", "b\ta\r\n", "a b", 0},
		{"some are none", "a caf\u00e9 b\\ \"c\" d\u202e e\x00 f", "a f", 5},
		{"none is one", "\xff \x00", "", 2},
		{"the same twice is counted twice", "\" \"", "", 2},
		{"up to the length", long + " " + long + "a", long, 1},
	} {
		got, dropped := scopes.ParseGranted(test.text)
		if got.String() != test.want || dropped != test.dropped {
			t.Errorf("%s: %q, %d dropped, want %q, %d", test.name, got, dropped, test.want, test.dropped)
		}
	}
}

// What two authorization servers were seen to grant, in number and length.
func TestParseGranted_MoreThanChallengesMay(t *testing.T) {
	entra, google := make([]string, 150), make([]string, 90)
	for n := range entra {
		entra[n] = fmt.Sprintf("ServiceActivity.ReadWrite%d.All", n)
	}
	for n := range google {
		google[n] = fmt.Sprintf("https://www.googleapis.com/auth/devstorage.read_only%d", n)
	}
	for name, names := range map[string][]string{"Entra": entra, "Google": google} {
		text := strings.Join(names, " ")
		got, dropped := scopes.ParseGranted(text)
		if got != scopes.Of(names...) || dropped != 0 || len(text) <= 4096 {
			t.Errorf("%s: %d of %d scopes, %d dropped", name, got.Len(), len(names), dropped)
		}
		checkRoundTrip(t, got)
	}
}

func TestParseGranted_UpToItsLimits(t *testing.T) {
	got, dropped := scopes.ParseGranted(strings.Join(numbered(1030), " ") + " s0 s1029")
	if got != scopes.Of(numbered(1024)...) || dropped != 7 {
		t.Errorf("%d scopes, %d dropped", got.Len(), dropped)
	}
	got, dropped = scopes.ParseGranted("first" + strings.Repeat(" ", 64<<10-10) + "fits1 over1 first over2")
	if got != scopes.Of("first", "fits1") || dropped != 2 {
		t.Errorf("%q, %d dropped", got, dropped)
	}
	checkRoundTrip(t, got)
}

func FuzzParseGranted(f *testing.F) {
	for _, seed := range []string{"", "a b", "repo,gist", "a\tb\r\n", "caf\u00e9 a", `"`, "\x00 \xff", strings.Repeat("a", 257)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		granted, dropped := scopes.ParseGranted(text)
		checkRoundTrip(t, granted)
		if granted.Len() > 1024 || len(granted.String()) > 64<<10 || dropped < 0 || granted.Len()+dropped > len(text)/2+1 {
			t.Errorf("%d scopes, %d dropped", granted.Len(), dropped)
		}
		for name := range granted.All() {
			if !strings.Contains(text, name) {
				t.Errorf("%q is not in the text", name)
			}
		}
		if strict, err := scopes.Parse(text); err == nil && (strict != granted || dropped != 0) {
			t.Errorf("%q, %d dropped, where Parse reads %q", granted, dropped, strict)
		}
	})
}

func FuzzParse(f *testing.F) {
	for _, seed := range [][2]string{
		{"", ""}, {"a", "b"}, {"a b c", "b,c,d"}, {" ,a", "a, "}, {"a! a", "a"}, {"x\ny", `"`}, {"é", "\xff"},
		{strings.Repeat("a", 256), strings.Repeat("a", 257)},
	} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, left, right string) {
		a, errA := scopes.Parse(left)
		b, errB := scopes.Parse(right)
		if errA != nil || errB != nil {
			if errA != nil && (!a.IsEmpty() || !errors.Is(errA, scopes.ErrInvalid)) {
				t.Errorf("error and set: %q, %v", a, errA)
			}
			return
		}
		checkSet(t, a)
		checkLaws(t, a, b)
	})
}

// checkSet holds for every set that Parse returns.
func checkSet(t *testing.T, set scopes.Set) {
	again, err := scopes.Parse(set.String())
	if err != nil || again != set {
		t.Errorf("%q is read back as %q, %v", set, again, err)
	}
	checkRoundTrip(t, set)
	if len(set.String()) > 4096 || set.Len() > 128 {
		t.Errorf("beyond the limits: %d bytes, %d scopes", len(set.String()), set.Len())
	}
	count, last := 0, ""
	for name := range set.All() {
		count++
		if name <= last || len(name) > 256 || strings.ContainsAny(name, " ,\"\\") || scopes.Of(name).String() != name {
			t.Errorf("%q after %q", name, last)
		}
		last = name
	}
	if count != set.Len() || set.IsEmpty() != (count == 0) {
		t.Errorf("%d scopes, Len %d, IsEmpty %t", count, set.Len(), set.IsEmpty())
	}
}

// checkRoundTrip holds for every set that there can be: what was stored is read.
func checkRoundTrip(t *testing.T, set scopes.Set) {
	t.Helper()
	var unmarshalled scopes.Set
	text, _ := set.MarshalText()
	if err := unmarshalled.UnmarshalText(text); err != nil || unmarshalled != set {
		t.Errorf("%q is unmarshalled as %q, %v", set, unmarshalled, err)
	}
}

// checkLaws holds for every two sets.
func checkLaws(t *testing.T, a, b scopes.Set) {
	union, left, right := a.Union(b), a.Minus(b), b.Minus(a)
	checkRoundTrip(t, union)
	common := a.Minus(left)
	for law, holds := range map[string]bool{
		"union commutes":                             union == b.Union(a),
		"union is idempotent":                        union.Union(a) == union && a.Union(a) == a,
		"union covers both":                          union.Covers(a) && union.Covers(b),
		"minus leaves nothing of the other":          left.Minus(b) == left && left.Union(b) == union,
		"minus itself is empty":                      a.Minus(a).IsEmpty(),
		"covers is an empty difference":              a.Covers(b) == right.IsEmpty(),
		"covers is an absorbed union":                a.Covers(b) == (union == a),
		"covers both ways is equality":               (a.Covers(b) && b.Covers(a)) == (a == b),
		"the parts make up the union":                left.Union(common).Union(right) == union,
		"the parts count":                            left.Len()+common.Len()+right.Len() == union.Len(),
		"what is common is the same from both sides": common == b.Minus(right),
	} {
		if !holds {
			t.Errorf("%s: not for %q and %q", law, a, b)
		}
	}
}
