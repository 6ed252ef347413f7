package names_test

import (
	"strings"
	"testing"
	"unicode"

	"github.com/lazyauth/mcp-lazyauth/internal/names"
)

func TestCheck(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                true,
		"work":                            true,
		"काम":                             true,  // letters with marks
		"e\u0301te\u0301":                 true,  // decomposed
		"東京\u3000支社":                      true,  // IDEOGRAPHIC SPACE
		"Jean\u00a0Dupont":                true,  // NO-BREAK SPACE
		"עברית\u200f":                     true,  // RIGHT-TO-LEFT MARK
		"می\u200cخواهم":                   true,  // ZERO WIDTH NON-JOINER
		"👩‍💻":                             true,  // ZERO WIDTH JOINER
		"a\nb":                            false, // a line of its own
		"a\u2028b":                        false,
		"\x1b[2J":                         false,
		"a\u202eb":                        false, // RIGHT-TO-LEFT OVERRIDE
		"a\u2069b":                        false, // would end an isolate
		"a\ufeffb":                        false,
		"a\xffb":                          false,
		"z" + strings.Repeat("\u0301", 9): false,
	} {
		if got := names.Check(text); got != want {
			t.Errorf("%q: %t, want %t", text, got, want)
		}
	}
}

func TestShow(t *testing.T) {
	for text, want := range map[string]string{
		"work":             "work",
		"काम":              "काम",
		`a" is yours; "b\`: `a\" is yours; \"b\\`,
		"東京\u3000支社":       "東京 支社",
		"a\u00a0b":         "a b",
		"עברית":            "\u2068עברית\u2069",
		"a\u200fb":         "\u2068a\u200fb\u2069",
		"\u0301x":          "\u25cc\u0301x",
	} {
		if got := names.Show(text); got != want {
			t.Errorf("%q is shown as %q, want %q", text, got, want)
		}
	}
}

// Whatever passes Check stays between the quotation marks, on its line, and in its place.
func FuzzShow(f *testing.F) {
	for _, seed := range []string{"work", `"`, "עברית\u200f", "e\u0301", "a\u202eb", "\u2069", "\u0301", "\xff"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if !names.Check(text) {
			return
		}
		shown := names.Show(text)
		inner, isolated := strings.CutPrefix(shown, "\u2068")
		if isolated {
			inner, isolated = strings.CutSuffix(inner, "\u2069")
			if !isolated {
				t.Fatalf("%q begins an isolate and does not end it", shown)
			}
		}
		escaped := false
		for n, r := range inner {
			switch {
			case r >= '\u202a' && r <= '\u202e', r >= '\u2066' && r <= '\u2069', unicode.IsControl(r), r == '\u2028', r == '\u2029':
				t.Fatalf("%q has %U", shown, r)
			case n == 0 && unicode.IsMark(r):
				t.Fatalf("%q begins with a mark", shown)
			case r == '"' && !escaped:
				t.Fatalf("%q ends the quotation", shown)
			case unicode.In(r, unicode.Hebrew, unicode.Arabic) && !isolated && unicode.IsLetter(r):
				t.Fatalf("%q is not isolated", shown)
			}
			escaped = r == '\\' && !escaped
		}
		if escaped {
			t.Fatalf("%q ends with half an escape", shown)
		}
	})
}
