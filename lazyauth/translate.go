package lazyauth

import (
	"errors"

	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/guard"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/pending"
	"github.com/lazyauth/mcp-lazyauth/scopes"
	"github.com/modelcontextprotocol/go-sdk/mcp"
)

// fail returns an error of this service.
func (i *Interceptor) fail(reason Reason, cause error) *Error {
	return &Error{Reason: reason, Cause: cause, service: i.service.Name, signIn: i.signIn.Load()}
}

// translate gives an error of packages grants, asking and device its reason; what a call
// adds is added by explain. It returns nil for any other error, such as that of a context.
func translate(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		return e
	}
	if s, ok := errors.AsType[*grants.Setback](err); ok {
		e := translate(s.Err) // which package grants has of its own, or of package device
		e.wait, e.asked = s.Wait, s.Asked
		return e
	}
	if p, ok := errors.AsType[*asking.Pending](err); ok {
		e := &Error{Reason: ReasonPending, prompt: p.Prompt}
		if p.NoPrompt {
			e.Cause = errNoPrompt
		}
		return e
	}
	if d, ok := errors.AsType[*asking.Declined](err); ok {
		return &Error{Reason: ReasonDeclined, declined: d, prompt: d.Prompt}
	}
	if _, ok := errors.AsType[*pending.Declined](err); ok {
		return &Error{Reason: ReasonDeclined, declined: &asking.Declined{}}
	}
	if n, ok := errors.AsType[*grants.Narrowed](err); ok {
		return &Error{Reason: ReasonNarrowed, Missing: n.Missing, operators: n.Operators, unasked: n.Drawn}
	}
	if b, ok := errors.AsType[*bars.Barred](err); ok {
		return &Error{Reason: ReasonBarred, Cause: b}
	}
	cause := grants.Cause(err)
	for _, known := range []struct {
		kind   error
		reason Reason
		cause  error
	}{
		{grants.ErrClosed, ReasonUnavailable, grants.ErrClosed},
		{bars.ErrUnknown, ReasonUnavailable, err},
		{bars.ErrEnded, ReasonDenied, grants.ErrLoggedOut},
		{grants.ErrNoNeed, ReasonExceeded, errUnlisted},
		{grants.ErrUnseen, ReasonUnavailable, grants.ErrUnseen},
		{grants.ErrStoreNotAnswered, ReasonPending, grants.ErrStoreNotAnswered},
		{grants.ErrNotAnswered, ReasonPending, errNoPrompt},
		{grants.ErrUnverified, ReasonUnverified, cause},
		{grants.ErrLoggedOut, ReasonDenied, grants.ErrLoggedOut},
		{grants.ErrAbandoned, ReasonAbandoned, grants.ErrAbandoned},
		{grants.ErrOperatorToken, ReasonUnavailable, errOperatorToken{cause}},
		{grants.ErrManySignIns, ReasonBusy, grants.ErrManySignIns},
		{grants.ErrBusy, ReasonBusy, grants.ErrBusy},
		{grants.ErrUnattended, ReasonUnavailable, errUnattended{cause}},
		{grants.ErrRefresh, ReasonUnavailable, cause},
		{oauth.ErrDenied, ReasonDenied, cause},
		{device.ErrExpired, ReasonExpired, cause},
		{authcode.ErrExpired, ReasonExpired, cause},
		{grants.ErrUnconfirmed, ReasonUnverified, errNoVerifyUser},
		{grants.ErrNotPossible, ReasonUnsupported, err},
		{grants.ErrNoWayBack, ReasonUnavailable, err},
		{grants.ErrNotOpened, ReasonUnavailable, err},
	} {
		if errors.Is(err, known.kind) {
			return &Error{Reason: known.reason, Cause: known.cause}
		}
	}
	if guard.IsMishap(err) { // of ours, that is: a callback's has a kind
		return &Error{Reason: ReasonUnavailable, Cause: err}
	}
	if d, ok := errors.AsType[*oauth.Error](err); ok {
		if unsupported(d) {
			return &Error{Reason: ReasonUnsupported, Cause: err}
		}
		return &Error{Reason: ReasonUnavailable, Cause: err}
	}
	return nil
}

func unsupported(err *oauth.Error) bool {
	switch err.Code {
	case "unsupported_grant_type", "device_flow_disabled":
		return true
	}
	return errors.Is(err, oauth.ErrUnsupported)
}

// explain returns err for one call: one that waited for what another began gets that one's
// cause, with its own need. An error that is none of an authorization is returned as it is.
//
// It is kept out of line for the sake of the stacks of calls that wait, of which there may
// be very many: see BenchmarkWaiting.
//
//go:noinline
func (i *Interceptor) explain(err error, p *asking.Person, need scopes.Requirement, req *mcp.CallToolRequest) error {
	e := translate(err)
	if e == nil {
		return err
	}
	mine := *e
	mine.service, mine.signIn = i.service.Name, i.signIn.Load()
	mine.Required, mine.wording = need, i.wording(req)
	if p != nil {
		if g := p.Grant(); g != nil {
			mine.Held = g.Known()
		}
	}
	return &mine
}

// errExited is the cause of a call whose handler neither returned nor panicked.
var errExited = errors.New("lazyauth: the handler's goroutine exited")

// errNoPrompt is the cause of a wait that ended before there was a code, or after it was used.
var errNoPrompt = errors.New("lazyauth: there is nothing to be shown: the authorization server has not answered yet, or another process has the token and brings it")

// errNoCall is what Client and TokenSource report outside of a call.
var errNoCall = errors.New("lazyauth: the context does not come from a tool registered with lazyauth.AddTool")

// errOperatorToken is the cause of a failure to get the operator's token.
type errOperatorToken struct{ err error }

func (e errOperatorToken) Error() string { return e.err.Error() }

func (e errOperatorToken) Unwrap() error { return e.err }
