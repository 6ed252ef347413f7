package scopes

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A Challenge is one challenge of a WWW-Authenticate header (RFC 9110 §11.6.1),
// reduced to what decides what a client does next. Realms, descriptions and
// URLs are not kept: nothing here would show or fetch them, in particular not
// resource_metadata (RFC 9728 §5.1), by which an API could name another
// authorization server than the one that is configured.
type Challenge struct {
	// Scheme is the authentication scheme in lower case, such as "bearer".
	Scheme string
	// Error is the error code of a Bearer challenge: [InvalidRequest],
	// [InvalidToken], [InsufficientScope], [OtherError], or empty if there is
	// none. For any other scheme it is empty.
	Error string
	// Scopes is what a Bearer challenge says the token has to have; empty if it
	// does not say. For any other scheme it is empty.
	Scopes Set
}

// The error codes of a Bearer challenge (RFC 6750 §3.1), and one that stands
// for every code that is not among them.
const (
	InvalidRequest    = "invalid_request"
	InvalidToken      = "invalid_token"
	InsufficientScope = "insufficient_scope"
	OtherError        = "other"
)

// What ParseChallenges accepts: far more than servers send, and little enough
// to read at once.
const (
	maxValues     = 16       // fields of one name
	maxValueBytes = 16 << 10 // in all of them
	maxChallenges = 16
	maxParams     = 32 // of one challenge
)

// ErrChallenge is what every error of [ParseChallenges] wraps. If it is the
// scope parameter that is unusable, the error wraps [ErrInvalid] too. The
// message repeats nothing of what the server wrote.
var ErrChallenge = errors.New("scopes: unreadable challenge")

// ParseChallenges reads the values of WWW-Authenticate, as [net/http.Header]
// returns them: several challenges in one value or in many, in any order (RFC
// 9110 §11.6.1). Of Bearer challenges it reads error and scope (RFC 6750 §3).
// An empty scope is the same as none.
//
// Whatever does not follow the grammar is an error and not skipped, because the
// meaning of the rest would be a guess; so are a parameter that occurs twice
// (RFC 9110 §11.2), scopes that [Parse] refuses, and more than 16 values, 16
// KiB, 16 challenges, or 32 parameters in one of them. The exception are errors
// in a challenge of another scheme than Bearer, from where they are to the next
// comma, if it is certain that nothing of a Bearer challenge is there: no word of
// one, and no quote that is left open. Elasticsearch puts such a one, with a comma
// left out, beside its own.
func ParseChallenges(values []string) ([]Challenge, error) {
	if err := checkValues(values); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrChallenge, err)
	}
	var p challengeParser
	for n, value := range values {
		p.rest = value
		if err := p.value(); err != nil {
			if errors.Is(err, ErrInvalid) {
				return nil, &scopeError{err}
			}
			return nil, fmt.Errorf("%w: %w at byte %d of value %d", ErrChallenge, err, len(value)-len(p.rest), n+1)
		}
	}
	return p.out, nil
}

func checkValues(values []string) error {
	if len(values) > maxValues {
		return fmt.Errorf("%d values, at most %d allowed", len(values), maxValues)
	}
	size := 0
	for _, value := range values {
		size += len(value)
	}
	if size > maxValueBytes {
		return fmt.Errorf("%d bytes, at most %d allowed", size, maxValueBytes)
	}
	return nil
}

// A scopeError is a challenge whose scope cannot be used.
type scopeError struct{ cause error }

func (e *scopeError) Error() string {
	return ErrChallenge.Error() + ": scope unusable" + strings.TrimPrefix(e.cause.Error(), ErrInvalid.Error())
}

func (e *scopeError) Unwrap() []error { return []error{ErrChallenge, e.cause} }

// A challengeParser reads values one after the other. They are parts of one
// list (RFC 9110 §5.3), so parameters at the start of a value belong to the
// last challenge of the one before.
type challengeParser struct {
	out    []Challenge
	params []string // names the last challenge has so far, in lower case
	opaque bool     // the last challenge consists of a token68
	rest   string   // of the value in hand
}

var (
	errSyntax = errors.New("not in the form of a challenge")
	errTwice  = errors.New("parameter given twice")
	errMany   = errors.New("too many challenges or parameters")
)

// value reads p.rest to its end.
func (p *challengeParser) value() error {
	for {
		p.rest = strings.TrimLeft(p.rest, " \t,")
		if p.rest == "" {
			return nil
		}
		before := p.rest
		if err := p.element(); err != nil && (errors.Is(err, errMany) || !p.passOver(before)) {
			return err
		}
	}
}

// element reads an element of the list: a parameter of the last challenge, or a
// new one with all that comes before a comma.
func (p *challengeParser) element() error {
	before := p.rest
	name := p.token()
	if name == "" {
		return errSyntax
	}
	blanks := p.blanks()
	switch {
	case strings.HasPrefix(p.rest, "="):
		p.rest = before
		return p.param()
	case p.atEnd():
		return p.challenge(name)
	case !blanks:
		return errSyntax
	}
	if err := p.challenge(name); err != nil {
		return err
	}
	if p.opaque = p.token68(); p.opaque {
		return nil
	}
	return p.param()
}

// passOver goes to the end of an element that could not be read, if that is safe,
// as [ParseChallenges] says. If it is not, everything stays as it is.
func (p *challengeParser) passOver(element string) bool {
	if len(p.out) == 0 || p.out[len(p.out)-1].Scheme == "bearer" {
		return false
	}
	end := challengeParser{rest: element}
	for !end.atEnd() {
		if end.rest[0] != '"' {
			end.rest = end.rest[1:]
		} else if _, ok := end.quoted(); !ok {
			return false
		}
	}
	element = element[:len(element)-len(end.rest)]
	if strings.Contains(strings.ToLower(element), "bearer") {
		return false
	}
	p.rest = end.rest
	return true
}

// challenge begins a new one.
func (p *challengeParser) challenge(scheme string) error {
	if len(p.out) == maxChallenges {
		return errMany
	}
	p.out = append(p.out, Challenge{Scheme: strings.ToLower(scheme)})
	p.params, p.opaque = p.params[:0], false
	return nil
}

// param reads a parameter of the last challenge, to the end of the list element.
func (p *challengeParser) param() error {
	name := strings.ToLower(p.token())
	p.blanks()
	var ok bool
	if p.rest, ok = strings.CutPrefix(p.rest, "="); !ok || name == "" {
		return errSyntax
	}
	p.blanks()
	value := p.token()
	if value == "" {
		if value, ok = p.quoted(); !ok {
			return errSyntax
		}
	}
	p.blanks()
	switch {
	case !p.atEnd() || len(p.out) == 0 || p.opaque:
		return errSyntax
	case len(p.params) == maxParams:
		return errMany
	}
	last := &p.out[len(p.out)-1]
	bearer := last.Scheme == "bearer"
	if slices.Contains(p.params, name) {
		if bearer && name == "scope" {
			return fmt.Errorf("%w: given twice", ErrInvalid)
		}
		return errTwice
	}
	p.params = append(p.params, name)
	switch {
	case bearer && name == "error":
		last.Error = OtherError
		if value == InvalidRequest || value == InvalidToken || value == InsufficientScope {
			last.Error = value
		}
	case bearer && name == "scope":
		set, err := Parse(value)
		if err != nil {
			return err
		}
		last.Scopes = set
	}
	return nil
}

// atEnd reports whether a list element ends here.
func (p *challengeParser) atEnd() bool { return p.rest == "" || p.rest[0] == ',' }

// blanks skips spaces and tabs, and reports whether there were any.
func (p *challengeParser) blanks() bool {
	before := len(p.rest)
	p.rest = strings.TrimLeft(p.rest, " \t")
	return len(p.rest) < before
}

// token reads a token (RFC 9110 §5.6.2), or nothing.
func (p *challengeParser) token() string {
	n := 0
	for n < len(p.rest) && (isAlphanumeric(p.rest[n]) || strings.IndexByte("!#$%&'*+-.^_`|~", p.rest[n]) >= 0) {
		n++
	}
	token := p.rest[:n]
	p.rest = p.rest[n:]
	return token
}

// token68 skips a token68 (RFC 9110 §11.2) that is all of a list element, and
// reports whether there was one. A parameter is none, since something follows
// its equals sign.
func (p *challengeParser) token68() bool {
	n := 0
	for n < len(p.rest) && (isAlphanumeric(p.rest[n]) || strings.IndexByte("-._~+/", p.rest[n]) >= 0) {
		n++
	}
	after := strings.TrimLeft(strings.TrimLeft(p.rest[n:], "="), " \t")
	if n == 0 || after != "" && after[0] != ',' {
		return false
	}
	p.rest = after
	return true
}

// quoted reads a quoted string (RFC 9110 §5.6.4) and takes the quotes and
// escapes off.
func (p *challengeParser) quoted() (string, bool) {
	if !strings.HasPrefix(p.rest, `"`) {
		return "", false
	}
	var b strings.Builder
	for n := 1; n < len(p.rest); n++ {
		c := p.rest[n]
		if c == '"' {
			p.rest = p.rest[n+1:]
			return b.String(), true
		}
		if c == '\\' {
			if n++; n == len(p.rest) {
				break
			}
			c = p.rest[n]
		}
		if c < ' ' && c != '\t' || c == 0x7f {
			break
		}
		b.WriteByte(c)
	}
	return "", false
}

func isAlphanumeric(c byte) bool {
	return '0' <= c && c <= '9' || 'A' <= c && c <= 'Z' || 'a' <= c && c <= 'z'
}
