package device

import (
	"errors"
	"strconv"
	"strings"
)

// What an [Error] can mean; compare with errors.Is.
var (
	// ErrDenied: the person said no. (A few servers, zitadel among them, say so of
	// a code they do not know as well.)
	ErrDenied = errors.New("the request was denied")

	// ErrExpired: the device code lapsed before the person decided, by the
	// server's word or by our own clock.
	ErrExpired = errors.New("the device code has expired")

	// ErrUnknownCode: the server does not know the device code, or not any more: it
	// was restarted, or has already reported denial or expiry once, or the code
	// was used.
	ErrUnknownCode = errors.New("the device code is not known to the authorization server")

	// ErrRevoked: the refresh token is not, or not any more, good for a new access
	// token; only the person can help.
	ErrRevoked = errors.New("the refresh token is no longer accepted")

	// ErrRefused: the server answered with an OAuth error that waiting will not
	// cure; [Error.Code] names it. Usually the configuration is wrong.
	ErrRefused = errors.New("refused by the authorization server")

	// ErrUnavailable: the server could not be reached, gave no usable answer, or
	// reported trouble of its own. The same request may succeed later.
	ErrUnavailable = errors.New("the authorization server is unavailable")

	// ErrInvalid: the server's answer or metadata is incomplete or unsafe to use.
	ErrInvalid = errors.New("unusable answer from the authorization server")
)

// An Error is what every method of this package returns when it fails after its
// arguments were found in order. Its text contains nothing that a server wrote and
// no secret, so it can be shown to anybody.
//
// It wraps its Kind; when the context ended, the Kind is ctx.Err() and the cause
// of the context is wrapped as well.
type Error struct {
	// Op says what was being done: "discovery", "device authorization", "poll" or
	// "refresh".
	Op string

	// Kind is one of the errors above, or ctx.Err().
	Kind error

	// Code is the OAuth error code of the answer in its standard spelling (RFC 6749
	// §5.2, RFC 8628 §3.5, RFC 8707 §2, and GitHub's device_flow_disabled), or
	// [CodeOther] for a code this package does not know; empty if there was none.
	Code string

	// Status is the HTTP status of the answer, 0 if there was none.
	Status int

	// Detail is for the operator's log and for nobody else. It may quote what the
	// server wrote, escaped to ASCII and cut short; what is known to be secret is
	// blotted out.
	Detail string

	reason string // ours; narrows Kind down
	cause  error  // of a context that ended
}

// CodeOther stands in [Error.Code] and [PollEvent.Code] for an OAuth error code
// that is not a known one, because it is text that the server chose.
const CodeOther = "other"

// Error says what failed, in words of this package only.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString("device: ")
	b.WriteString(e.Op)
	b.WriteString(": ")
	switch {
	case e.cause != nil:
		b.WriteString(e.cause.Error())
	case e.Kind != nil:
		b.WriteString(e.Kind.Error())
	}
	if e.reason != "" {
		b.WriteString(": ")
		b.WriteString(e.reason)
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
