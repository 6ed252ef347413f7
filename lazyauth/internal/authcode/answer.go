package authcode

import (
	"net/url"
	"strings"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
)

// Op is what errors of an authorization say was being done, as oauth.Error.Op.
const Op = "authorization"

const (
	maxQuery      = 16 << 10 // bytes, of the callback
	maxParameters = 64
	maxCode       = 8 << 10 // bytes; Entra's have more than one kilobyte
	maxState      = 128     // ours has 43
	maxError      = 4 << 10
)

// An Answer is the authorization response (RFC 6749 §4.1.2) as it stands in the address that a
// browser loads. Anybody can make a browser load one.
type Answer struct {
	State   string
	Code    string // if there is no error
	Error   string
	Details string // error_description, which the server wrote
	Issuer  string // RFC 9207 §2; empty if there is none
}

// ReadAnswer reads the query of the callback. It is false if that is no authorization response:
// one without a state, with neither or both of a code and an error, with a parameter of
// its own twice (RFC 6749 §3.1), or too long. Parameters that are not known are passed
// over, and those without a value count as left out.
func ReadAnswer(query string) (Answer, bool) {
	if len(query) > maxQuery || strings.Count(query, "&") >= maxParameters {
		return Answer{}, false
	}
	values, err := url.ParseQuery(query)
	if err != nil {
		return Answer{}, false
	}
	var a Answer
	for name, limited := range map[string]struct {
		text *string
		most int
	}{
		"state":             {&a.State, maxState},
		"code":              {&a.Code, maxCode},
		"error":             {&a.Error, maxError},
		"error_description": {&a.Details, maxError},
		"iss":               {&a.Issuer, maxError},
	} {
		switch list := values[name]; {
		case len(list) > 1:
			return Answer{}, false
		case len(list) == 1 && len(list[0]) > limited.most:
			return Answer{}, false
		case len(list) == 1:
			*limited.text = list[0]
		}
	}
	if a.State == "" || (a.Code == "") == (a.Error == "") || !isVisible(a.Code) {
		return Answer{}, false
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

// Failure returns what the error of an authorization response comes to.
func (a Answer) Failure() *oauth.Error {
	return oauth.ResponseError(Op, url.Values{"error": {a.Error}, "error_description": {a.Details}})
}

// Mixed returns why the answer is not known to be of the server that was asked (a mix-up, RFC 9700 §4.4), as far
// as it names an issuer; empty if nothing speaks against it. It is to be asked before anything of the answer is
// acted on or shown.
//
// It is the table of MCP basic/authorization (2026-07-28), "Authorization Response Validation", which has four
// rows: promised by the metadata (authorization_response_iss_parameter_supported) and present, "Compare to the
// recorded issuer using simple string comparison"; promised and absent, "Reject the response"; not promised and
// present, "Compare to the recorded issuer" as well; neither, "Proceed". The recorded issuer is that of "the
// selected authorization server's validated metadata document".
func (a Answer) Mixed(e oauth.Endpoints) string {
	switch {
	case a.Issuer == "" && e.Features.IssuerInResponse:
		return "the answer does not name its issuer, as the metadata promises (RFC 9207)"
	// Where all endpoints were named by hand there is no such document, and so no recorded issuer, which the
	// table does not foresee. The third row has to be met all the same, and nothing is equal to what is not
	// there; RFC 9207 §2.4, too, has clients "discard authorization responses with the iss parameter from
	// authorization servers that do not indicate their support", unless they are configured to accept
	// them: which is to name the issuer.
	case a.Issuer != "" && e.Issuer == "":
		return "the answer names an issuer, and none is configured to compare it with: " + quote(a.Issuer)
	case a.Issuer != "" && a.Issuer != e.Issuer:
		return "the answer names another issuer (RFC 9207): " + quote(a.Issuer)
	}
	return ""
}
