// Package fault has what the errors of all engines of package store have in common: they name the server,
// say what to do, and hold nothing of a row.
package fault

import (
	"strings"
	"unicode"
)

// An Error is one of an engine. It wraps Is, Cause and Mark.
type Error struct {
	Where string // the server is, as in "in Redis at db.example.com"
	Is    error  // of package store; nil if it is none of those
	Text  string // what is wrong, and what to do
	Cause error  // of the end of a context, or nil
	Mark  error  // by which the engine knows it again, which is not in the text; or nil
}

// Error implements error.
func (e *Error) Error() string {
	text := "store: rows " + e.Where + ": "
	if e.Is != nil {
		text += e.Is.Error() + ": "
	}
	text += e.Text
	if e.Cause != nil {
		text += ": " + e.Cause.Error()
	}
	return text
}

// Unwrap is for package errors.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Is, e.Cause, e.Mark} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}

// most is how many characters of a server's text are shown.
const most = 160

// Shown returns text of a server as an error may have it: on one line, and not long.
func Shown(text string) string {
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, " "))
	if runes := []rune(text); len(runes) > most {
		text = string(runes[:most]) + "…"
	}
	return text
}
