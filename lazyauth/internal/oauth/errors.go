package oauth

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// What an [Error] can mean; compare with errors.Is.
var (
	// ErrDenied: the person said no. (A few servers, zitadel among them, say so of
	// a code they do not know as well.)
	ErrDenied = errors.New("the request was denied")

	// ErrCode: the server does not accept an authorization code: it is not the server's, not
	// this client's, not of this challenge, too old, or used.
	ErrCode = errors.New("the authorization code is not accepted")

	// ErrRevoked: the refresh token is not, or not any more, good for a new access
	// token, by the server's own word, and only the person can help. Nothing else
	// ends a grant.
	ErrRevoked = errors.New("the refresh token is no longer accepted")

	// ErrUnexplained: the server answered a refresh with an empty 400. Of some that
	// means a bad refresh token, of others a client that is not accepted, or is
	// misconfigured. The grant is to be dropped only when the client is known to be
	// good, for instance because a device code could be had since.
	ErrUnexplained = errors.New("the refresh was refused without a word")

	// ErrNotRevoked: the server did not say that it ended the token. It may be as good
	// as before, or the server did not know it.
	ErrNotRevoked = errors.New("the token was not revoked, or was not known")

	// ErrUnsupported: by its metadata the server does not have what this takes.
	ErrUnsupported = errors.New("the authorization server does not offer this")

	// ErrRefused: the server answered with an OAuth error that waiting will not
	// cure; [Error.Code] names it. Usually the configuration is wrong.
	ErrRefused = errors.New("refused by the authorization server")

	// ErrUnavailable: the server could not be reached, gave no usable answer, or
	// reported trouble of its own. The same request may succeed later.
	ErrUnavailable = errors.New("the authorization server is unavailable")

	// ErrInvalid: the server's answer or metadata is incomplete or unsafe to use.
	ErrInvalid = errors.New("unusable answer from the authorization server")

	// ErrUnreadable is an ErrInvalid: a refresh was answered with success, and there
	// is no token to be read in the answer. It may be that of something in between; or
	// the refresh token was used up, and the new one is lost. One more try tells: if it
	// comes to this again, the person has to sign in.
	ErrUnreadable = fmt.Errorf("%w: a success without a token", ErrInvalid)

	// ErrTokenType is an ErrInvalid: a token was issued, and cannot be used as a bearer
	// token. The next one will be no better: the operator has to act. See
	// [Config.BearerNames].
	ErrTokenType = fmt.Errorf("%w: the token is of a type that cannot be used", ErrInvalid)
)

// An Error is what every method of this package, and of the flows above it, returns when it fails after its
// arguments were found in order. Its text contains nothing that a server wrote and
// no secret, so it can be shown to anybody.
//
// It wraps its Kind; when the context ended, the Kind is ctx.Err() and the cause
// of the context is wrapped as well.
type Error struct {
	// Op says what was being done: "discovery", "registration", "device authorization",
	// "poll", "pushed authorization request", "code exchange", "refresh" or "revocation".
	Op string

	// Kind is one of the errors above, or ctx.Err().
	Kind error

	// Code is the OAuth error code of the answer in its standard spelling (all of them
	// are listed in codes.go), or [CodeOther] for a code this package does not know;
	// empty if there was none.
	Code string

	// Status is the HTTP status of the answer, 0 if there was none.
	Status int

	// RetryAfter is how long the server asked not to be asked again (RFC 9110 §10.2.3);
	// 0 if it did not say, and at most five minutes.
	RetryAfter time.Duration

	// Detail is for the operator's log and for nobody else. It quotes what the server
	// wrote, escaped to ASCII and cut short: its error, or else the content type and
	// the head of the body. What is known to be secret, or looks it, is blotted out.
	Detail string

	// Reason narrows Kind down, in our words.
	Reason string

	cause error // of a context that ended
}

// CodeOther stands in [Error.Code] and [Verdict] for an OAuth error code
// that is not a known one, because it is text that the server chose.
const CodeOther = "other"

// Error says what failed, in words of this package only.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("oauth: ")
	b.WriteString(e.Op)
	b.WriteString(": ")
	switch {
	case e.cause != nil:
		b.WriteString(e.cause.Error())
	case e.Kind != nil:
		b.WriteString(e.Kind.Error())
	}
	if e.Reason != "" {
		b.WriteString(": ")
		b.WriteString(e.Reason)
	}
	var facts []string
	if e.Code != "" {
		facts = append(facts, "error code "+e.Code)
	}
	if e.Status != 0 {
		facts = append(facts, "HTTP status "+strconv.Itoa(e.Status))
	}
	if facts != nil {
		b.WriteString(" (" + strings.Join(facts, ", ") + ")")
	}
	return b.String()
}

// Unwrap returns the Kind and, of a context that ended, its cause.
func (e *Error) Unwrap() []error {
	var errs []error
	for _, err := range []error{e.Kind, e.cause} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	return errs
}
