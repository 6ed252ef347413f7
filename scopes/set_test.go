package scopes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/lazyauth/mcp-lazyauth/scopes"
)

func TestOrderAndRepetitionDoNotMatter(t *testing.T) {
	want := scopes.Of("a", "b", "c")
	for _, set := range []scopes.Set{
		scopes.Of("c", "b", "a"),
		scopes.Of("b", "a", "c", "a"),
		scopes.Of("c").Union(scopes.Of("a", "b")),
		scopes.Of("a", "b", "c", "d").Minus(scopes.Of("d")),
	} {
		if set != want {
			t.Errorf("%q is not %q", set, want)
		}
	}
	if scopes.Of("A") == scopes.Of("a") {
		t.Error("scopes are case-sensitive")
	}
	grants := map[scopes.Set]int{want: 1}
	if grants[scopes.Of("b", "c", "a")] != 1 {
		t.Error("a set is not found as a map key")
	}
}

func TestZeroValueIsTheEmptySet(t *testing.T) {
	var zero scopes.Set
	if zero != scopes.Of() || !zero.IsEmpty() || zero.Len() != 0 || zero.String() != "" {
		t.Errorf("zero value: %#v", zero)
	}
	if !zero.Covers(zero) || !scopes.Of("a").Covers(zero) || zero.Covers(scopes.Of("a")) {
		t.Error("the empty set is covered by every set and covers only itself")
	}
	for name := range zero.All() {
		t.Errorf("the empty set yields %q", name)
	}
}

func TestUnionMinusCovers(t *testing.T) {
	for _, test := range []struct {
		a, b, union, minus string
		covers             bool
	}{
		{"", "", "", "", true},
		{"a", "", "a", "a", true},
		{"", "a", "a", "", false},
		{"a", "a", "a", "", true},
		{"a", "b", "a b", "a", false},
		{"b", "a", "a b", "b", false},
		{"a b", "b", "a b", "a", true},
		{"b", "a b", "a b", "", false},
		{"a c e", "b d", "a b c d e", "a c e", false},
		{"a c e", "a e", "a c e", "c", true},
		{"a c e", "b", "a b c e", "a c e", false},
		{"a c e", "f", "a c e f", "a c e", false},
		{"repo repo:status", "repo:status", "repo repo:status", "repo", true},
		// One name is the beginning of another, and the separator (0x20) sorts
		// below every character of a name, '!' included.
		{"repo", "rep", "rep repo", "repo", false},
		{"a a! b", "a!", "a a! b", "a b", true},
		{"a!x", "a", "a a!x", "a!x", false},
	} {
		a, b := parse(t, test.a), parse(t, test.b)
		if got := a.Union(b); got != parse(t, test.union) {
			t.Errorf("%q ∪ %q = %q, want %q", a, b, got, test.union)
		}
		if got := a.Minus(b); got != parse(t, test.minus) {
			t.Errorf("%q \\ %q = %q, want %q", a, b, got, test.minus)
		}
		if got := a.Covers(b); got != test.covers {
			t.Errorf("%q covers %q: %t, want %t", a, b, got, test.covers)
		}
	}
}

func TestAllYieldsInOrderAndStops(t *testing.T) {
	set := scopes.Of("c", "a", "b")
	if got := slices.Collect(set.All()); !slices.Equal(got, []string{"a", "b", "c"}) {
		t.Errorf("yields %q", got)
	}
	if set.Len() != 3 {
		t.Errorf("Len is %d", set.Len())
	}
	for name := range set.All() {
		if name != "a" {
			t.Errorf("went on to %q", name)
		}
		break
	}
}

// What can be held must be stored and read again, however much it is.
func TestASetOfAnySizeIsReadBack(t *testing.T) {
	many := make([]string, 5000)
	for n := range many {
		many[n] = fmt.Sprintf("%0200d", n)
	}
	left, right := scopes.Of(many[:3000]...), scopes.Of(many[2000:]...)
	both := left.Union(right)
	if both.Len() != 5000 || !both.Covers(left) || !both.Covers(right) {
		t.Errorf("the union has %d scopes", both.Len())
	}
	checkRoundTrip(t, left)
	checkRoundTrip(t, both)
}

func TestASetIsOneStringInJSON(t *testing.T) {
	type grant struct {
		Scopes scopes.Set `json:"scopes"`
		None   scopes.Set `json:"none,omitzero"`
	}
	out, err := json.Marshal(grant{Scopes: scopes.Of("b", "a")})
	if err != nil || string(out) != `{"scopes":"a b"}` {
		t.Fatalf("marshalled %s, %v", out, err)
	}
	var in grant
	if err := json.Unmarshal([]byte(`{"scopes":"b,a"}`), &in); err != nil || in.Scopes != scopes.Of("a", "b") {
		t.Errorf("unmarshalled %+v, %v", in, err)
	}
	if err := json.Unmarshal([]byte(`{"scopes":"x\ny"}`), &in); err == nil || in.Scopes != scopes.Of("a", "b") {
		t.Errorf("after an invalid text: %+v, %v", in, err)
	}
}

var long = strings.Repeat("x", 257)

func TestOfPanicsOnWhatIsNotAScope(t *testing.T) {
	for name, message := range map[string]string{
		"":        `scopes: invalid: empty scope: ""`,
		"a b":     `scopes: invalid: "a b" is not one scope: write each as an argument of its own`,
		"a,b":     `scopes: invalid: "a,b" is not one scope: write each as an argument of its own`,
		"a\tb":    `scopes: invalid: "a\tb" is not one scope: write each as an argument of its own`,
		" a":      `scopes: invalid: " a" begins or ends with a blank: remove it`,
		"a\n":     `scopes: invalid: "a\n" begins or ends with a blank: remove it`,
		`a"`:      `scopes: invalid: character 0x22 not allowed: "a\""`,
		`a\b`:     `scopes: invalid: character 0x5c not allowed: "a\\b"`,
		"\u00e9a": `scopes: invalid: character 0xc3 not allowed: "\u00e9a"`,
		"a\u00a0": `scopes: invalid: "a\u00a0" begins or ends with a blank: remove it`,
		long:      `scopes: invalid: scope of 257 bytes, at most 256 allowed: "` + long + `"`,
	} {
		func() {
			defer func() {
				err, _ := recover().(error)
				if !errors.Is(err, scopes.ErrInvalid) || err.Error() != message {
					t.Errorf("Of(%q) panics with %q, want %q", name, err, message)
				}
			}()
			scopes.Of("fine", name)
		}()
	}
}

func TestOfLeavesItsArgumentsAlone(t *testing.T) {
	names := []string{"b", "a", "b"}
	if scopes.Of(names...) != scopes.Of("a", "b") || !slices.Equal(names, []string{"b", "a", "b"}) {
		t.Errorf("changed to %q", names)
	}
}

func BenchmarkCovers(b *testing.B) {
	held := scopes.Of("notes:read", "notes:write", "offline_access", "openid", "profile")
	for _, bench := range []struct {
		name   string
		needed scopes.Set
	}{
		{"same", scopes.Of("profile", "openid", "offline_access", "notes:write", "notes:read")},
		{"last", scopes.Of("profile")},
		{"two", scopes.Of("notes:read", "profile")},
		{"missing", scopes.Of("notes:admin")},
	} {
		b.Run(bench.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				held.Covers(bench.needed)
			}
		})
	}
}

func TestCoversDoesNotAllocate(t *testing.T) {
	held, needed := scopes.Of("a", "b", "c", "d"), scopes.Of("b", "d")
	if n := testing.AllocsPerRun(100, func() { held.Covers(needed) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func parse(t *testing.T, text string) scopes.Set {
	t.Helper()
	set, err := scopes.Parse(text)
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return set
}

func numbered(n int) []string {
	names := make([]string, n)
	for i := range names {
		names[i] = fmt.Sprintf("s%d", i)
	}
	return names
}
