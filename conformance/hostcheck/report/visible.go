package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible makes a peer's text safe to show. Characters that a terminal or a
// browser would act on instead of showing them (control and format characters,
// those that turn the direction of writing among them) are written out as
// \u202e, bytes that are not UTF-8 as \xff. Line feeds and tabs stay.
func visible(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case r == '\n' || r == '\t' || unicode.IsGraphic(r):
			b.WriteRune(r)
		case r <= 0xffff:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[size:]
	}
	return b.String()
}

// line is visible on one line, with runs of white space as one space each.
func line(s string) string { return visible(strings.Join(strings.Fields(s), " ")) }

// shorten cuts what has more than limit characters and says so.
func shorten(s string, limit int) string {
	if utf8.RuneCountInString(s) <= limit {
		return s
	}
	runes := []rune(s)
	return fmt.Sprintf("%s… (%d characters more)", string(runes[:limit]), len(runes)-limit)
}

// wrap breaks text into lines of at most width columns, between words; a word
// that is longer, as addresses are, has a line of its own.
func wrap(s string, width int) []string {
	var lines []string
	current := ""
	for word := range strings.FieldsSeq(visible(s)) {
		switch {
		case current == "":
			current = word
		case utf8.RuneCountInString(current)+1+utf8.RuneCountInString(word) <= width:
			current += " " + word
		default:
			lines, current = append(lines, current), word
		}
	}
	if current == "" {
		return lines
	}
	return append(lines, current)
}
