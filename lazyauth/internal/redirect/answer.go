package redirect

import (
	"net/url"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// op is what the errors of this package say was being done, as oauth.Error.Op.
const op = "authorization"

const (
	maxQuery      = 16 << 10 // bytes, of the callback
	maxParameters = 64
	maxCode       = 8 << 10 // bytes; Entra's have more than one kilobyte
	maxState      = 128     // ours has 43
	maxError      = 4 << 10
)

// An answer is the authorization response (RFC 6749 §4.1.2) as it stands in the address that a
// browser loads. Anybody can make a browser load one.
type answer struct {
	state   string
	code    string // if there is no error
	error   string
	details string // error_description, which the server wrote
	iss     string // RFC 9207 §2; empty if there is none
}

// readAnswer reads the query of the callback. It is false if that is no authorization response:
// one without a state, with neither or both of a code and an error, with a parameter of
// its own twice (RFC 6749 §3.1), or too long. Parameters that are not known are passed
// over, and those without a value count as left out.
func readAnswer(query string) (answer, bool) {
	if len(query) > maxQuery || strings.Count(query, "&") >= maxParameters {
		return answer{}, false
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return answer{}, false
	}
	var a answer
	for name, limited := range map[string]struct {
		text *string
		most int
	}{
		"state":             {&a.state, maxState},
		"code":              {&a.code, maxCode},
		"error":             {&a.error, maxError},
		"error_description": {&a.details, maxError},
		"iss":               {&a.iss, maxError},
	} {
		switch list := values[name]; {
		case len(list) > 1:
			return answer{}, false
		case len(list) == 1 && len(list[0]) > limited.most:
			return answer{}, false
		case len(list) == 1:
			*limited.text = list[0]
		}
	}
	if a.state == "" || (a.code == "") == (a.error == "") || !isVisible(a.code) {
		return answer{}, false
	}
	return a, true
}

// isVisible reports whether a code has no characters but those that one can have (RFC 6749
// appendix A.11).
func isVisible(code string) bool {
	for i := range len(code) {
		if code[i] < ' ' || code[i] > '~' {
			return false
		}
	}
	return true
}

// failure returns what the error of an authorization response comes to.
func (a answer) failure() *oauth.Error {
	return oauth.ResponseError(op, url.Values{"error": {a.error}, "error_description": {a.details}})
}
