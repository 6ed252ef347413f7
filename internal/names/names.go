// Package names judges names that others chose, of people and of their accounts, and
// shows them between words of this program's own.
package names

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// mostMarks is how many marks one letter may have: scripts need a few, and more of them
// cover the lines around.
const mostMarks = 8

// Check reports whether text can be shown by [Show]: text of letters, marks, numbers,
// punctuation, symbols and blanks of all scripts, with the invisible characters that some
// of them need to be written. It has no line ends, no control characters, and none that
// set the direction of what follows.
func Check(text string) bool {
	marks := 0
	for _, r := range text {
		if !Allowed(r) {
			return false
		}
		if marks++; !unicode.IsMark(r) {
			marks = 0
		}
		if marks > mostMarks {
			return false
		}
	}
	return utf8.ValidString(text)
}

// Allowed reports whether a name can have r in it.
func Allowed(r rune) bool { return unicode.IsPrint(r) || unicode.Is(unicode.Zs, r) || IsInvisible(r) }

// IsInvisible reports whether r joins or parts letters (ZERO WIDTH NON-JOINER and JOINER, as
// Persian and the scripts of India need them), or is a mark of direction that has an
// effect on its neighbours alone.
func IsInvisible(r rune) bool {
	switch r {
	case '\u200c', '\u200d', '\u200e', '\u200f', '\u061c':
		return true
	}
	return false
}

const (
	isolate    = "\u2068" // FIRST STRONG ISOLATE
	endIsolate = "\u2069" // POP DIRECTIONAL ISOLATE
)

// Show returns a name that passed [Check] as it is put between other words, within
// quotation marks: it cannot end those, and what is written from right to left does not
// change the order of what is around it (UAX 9, section 2.4.2). All blanks are plain
// ones.
func Show(text string) string {
	var b strings.Builder
	for n, r := range text {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
		case unicode.Is(unicode.Zs, r):
			r = ' '
		case n == 0 && unicode.IsMark(r):
			b.WriteRune('\u25cc') // it would be set upon what stands before
		}
		b.WriteRune(r)
	}
	return Isolate(b.String())
}

// Isolate returns a name so that its direction does not change what is around it. What is
// written from left to right is returned as it is.
func Isolate(text string) string {
	if !strings.ContainsFunc(text, isRightToLeft) {
		return text
	}
	return isolate + text + endIsolate
}

// isRightToLeft reports whether r may have an effect on the direction of its neighbours:
// the blocks of scripts from right to left, assigned or not, and the marks.
func isRightToLeft(r rune) bool {
	switch {
	case r < 0x590:
		return false
	case r <= 0x8ff, r >= 0xfb1d && r <= 0xfdff, r >= 0xfe70 && r <= 0xfeff, r >= 0x10800 && r <= 0x10fff, r >= 0x1e800 && r <= 0x1efff:
		return true
	}
	return r == '\u200e' || r == '\u200f'
}
