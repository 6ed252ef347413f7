package oidcsignin

import (
	"net/url"
	"strings"
)

const (
	maxQuery      = 16 << 10 // bytes, of the answer
	maxParameters = 64
	maxCode       = 8 << 10
	maxOther      = 4 << 10
)

// An answer is the authentication response (OpenID Connect Core 1.0 §3.1.2.5) as it stands in the address that a
// browser loads. Anybody can make a browser load one.
type answer struct{ state, code, failure, description, issuer string }

// readAnswer reads a query. It is false if that is no answer: without a state, with neither or both of a code and an
// error, with a parameter of its own twice (RFC 6749 §3.1), or too long.
func readAnswer(query string) (a answer, ok bool) {
	if len(query) > maxQuery || strings.Count(query, "&") >= maxParameters {
		return answer{}, false
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return answer{}, false
	}
	ok = true
	one := func(name string, most int) string {
		switch list := values[name]; {
		case len(list) == 0:
		case len(list) > 1, len(list[0]) > most:
			ok = false
		default:
			return list[0]
		}
		return ""
	}
	a = answer{
		state: one("state", stateLength), code: one("code", maxCode), failure: one("error", maxOther),
		description: one("error_description", maxOther), issuer: one("iss", maxOther),
	}
	if !ok || a.state == "" || (a.code == "") == (a.failure == "") {
		return answer{}, false
	}
	return a, true
}

const (
	idLength    = 16 // of what names an attempt, in the name of its cookie
	stateLength = idLength + 1 + 43
)

// attemptOf returns the name of the attempt that a state is of.
func attemptOf(state string) (id string, ok bool) {
	id, rest, ok := strings.Cut(state, ".")
	return id, ok && isCode(id, idLength) && isCode(rest, stateLength-idLength-1)
}

// isCode reports whether a text consists of so many letters, digits, dashes and underscores.
func isCode(text string, length int) bool {
	return len(text) == length && !strings.ContainsFunc(text, func(c rune) bool {
		return (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' && c != '_'
	})
}
