package lazyauth

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/lazyauth/mcp-lazyauth/elicit"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/asking"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/authcode"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/bars"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/device"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/grants"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/oauth"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/redirect"
	"github.com/lazyauth/mcp-lazyauth/lazyauth/internal/registration"
	"github.com/lazyauth/mcp-lazyauth/scopes"
)

// Keys in a failed tool result's _meta.
const (
	// MetaReason holds the [Reason].
	MetaReason = "io.github.lazyauth/reason"
	// MetaRequired and MetaHeld hold the scopes that the call needed and those
	// that were granted, as space-separated text; alternatives stand after
	// ", or ".
	MetaRequired = "io.github.lazyauth/required-scopes"
	MetaHeld     = "io.github.lazyauth/held-scopes"
)

// A Reason says why a call could not be authorized, for programs.
type Reason string

// The reasons.
const (
	// ReasonDeclined: the person refused the prompt or dismissed it.
	ReasonDeclined Reason = "declined"
	// ReasonDenied: the person refused at the authorization server, or was logged out
	// before the sign-in was finished.
	ReasonDenied Reason = "denied"
	// ReasonExpired: nobody approved before the code or the link lapsed, by the clock or by the
	// authorization server's word.
	ReasonExpired Reason = "expired"
	// ReasonNarrowed: the person or the server granted less than the tool needs.
	ReasonNarrowed Reason = "narrowed"
	// ReasonUnsupported: the authorization server does not offer a flow of Service.Flows to this
	// client, or none leads to this caller, or the API refused a request in a way that is not
	// understood, or that cannot be met by sending it again.
	ReasonUnsupported Reason = "unsupported"
	// ReasonAnonymous: it is not known whose call it is.
	ReasonAnonymous Reason = "anonymous"
	// ReasonUnverified: it is not certain that the grant belongs to the caller.
	ReasonUnverified Reason = "unverified"
	// ReasonUnavailable: the authorization server could not be reached, or refused
	// this server, or no longer accepted the code, or this server is shutting down.
	ReasonUnavailable Reason = "unavailable"
	// ReasonAbandoned: the host did not come back for the call in time, or the call's
	// handler ended its goroutine or panicked, and returned nothing, or was started by another
	// process of this server, which does not answer. Of a whole
	// authorization, as a [Trace] is told of it: its person declined, and nobody waited.
	ReasonAbandoned Reason = "abandoned"
	// ReasonBusy: too many calls wait already, or too many sign-ins are not finished, of this
	// person or in all ([Options].MaxCalls, MaxSignIns). Nothing was begun.
	ReasonBusy Reason = "busy"
	// ReasonPending: the person has not finished yet; the next call goes on from
	// where this one stopped.
	ReasonPending Reason = "pending"
	// ReasonExceeded: more was demanded than this server may ask for.
	ReasonExceeded Reason = "exceeded"
	// ReasonBarred: an operator has barred the person: see [Operator.Bar].
	ReasonBarred Reason = "barred"
	// ReasonUndetermined: what the call needs could not be told from its arguments, since the
	// function that says so ([AddToolWithNeeds], scopes.Policy.ByArguments) refused them or
	// failed.
	ReasonUndetermined Reason = "undetermined"
)

// An Error is why a call was not authorized. Its text is meant for a model and
// the person behind it: it says what happened and what to do next, and it
// repeats nothing that a server wrote. It has no user code: where the model must
// be told one, that is put into the call's result, and into no error.
//
// Handlers get it, possibly wrapped, from the client and the token source of
// their context; errors.AsType[*Error] finds it. Returned from the handler, it
// becomes the call's result.
type Error struct {
	// Reason is the kind of failure.
	Reason Reason
	// Missing holds the scopes that a [ReasonNarrowed] grant lacks.
	Missing scopes.Set
	// Required is what the call needed, nil if it did not come so far, and Held
	// what the grant had when it failed, of what this program ever asked for.
	Required scopes.Requirement
	Held     scopes.Set
	// Cause is the error behind it, for operators. It may be nil. It holds no
	// secret, and is not part of the text.
	Cause error

	service   string
	prompt    *elicit.Prompt   // what a host without elicitation is shown …
	wording   elicit.Wording   // … and how
	declined  *asking.Declined // how, of Declined
	operators bool             // of Narrowed: it is the operator's token
	unasked   bool             // of Narrowed: it was got without the person
	signIn    *string          // the prompt by which the person is asked at once, if there is one
	wait      time.Duration    // for how long the same need is not asked for …
	asked     bool             // … of the person, who can end that
	denies    bool             // the call's handler has not begun, and the envelope says so
	detail    string           // of Undetermined: what the author's function said, for the model
}

// Format writes the text, whatever the verb, and with %+v the cause as well, for
// operators: what a server wrote appears in that escaped and shortened, if at all.
func (e *Error) Format(s fmt.State, verb rune) {
	text := e.Error()
	if _, cause := causeOf(e); cause != nil && verb == 'v' && s.Flag('+') {
		text += " (" + string(e.Reason) + ": " + cause.Error() + ")"
	}
	if verb == 'q' {
		text = strconv.Quote(text)
	}
	_, _ = io.WriteString(s, text)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Cause }

// Error returns the text for the model.
func (e *Error) Error() string {
	switch e.Reason {
	case ReasonDeclined:
		again := e.again()
		switch d := e.declined; {
		case d == nil:
		case d.HostOnly, d.Automatic && d.Dismissed: // the next call may ask
			return fmt.Sprintf("The host refused the sign-in to %s without asking its user, and nothing was done. Call again only where the user can be asked.", e.service)
		case d.Dismissed:
			return fmt.Sprintf("The sign-in to %s was dismissed, and nothing was done. Call again only if the user wants to sign in.", e.service)
		case d.Automatic:
			return fmt.Sprintf("The host refused the sign-in to %s without asking its user, and nothing was done. Calls within the next minute are refused as well; %s", e.service, again)
		}
		return fmt.Sprintf("The user declined to sign in to %s, and nothing was done. Calls within the next minute are refused without asking; %s", e.service, again)
	case ReasonDenied:
		if errors.Is(e.Cause, grants.ErrLoggedOut) {
			return fmt.Sprintf("The user was logged out of %s before this sign-in was finished, and it was discarded. Call again only if the user wants to sign in.", e.service)
		}
		if e.asked { // by a window that was opened without asking
			return fmt.Sprintf("The user denied this server access to %s.%s", e.service, e.later())
		}
		return fmt.Sprintf("The user denied this server access to %s. Call again only if the user wants to be asked anew.", e.service)
	case ReasonExpired:
		if errors.Is(e.Cause, authcode.ErrExpired) {
			return fmt.Sprintf("The sign-in to %s was not finished before its link expired. Call again for a new link.", e.service)
		}
		return fmt.Sprintf("The sign-in to %s was not finished before its code expired. Call again for a new code.", e.service)
	case ReasonNarrowed:
		if e.operators {
			return fmt.Sprintf("The token that this server's operator configured for %s lacks: %s. The operator must configure one that has it.", e.service, e.Missing)
		}
		if e.unasked {
			return fmt.Sprintf("The access to %s that this server gets for the caller by itself lacks: %s. Who manages that access there must grant it; calls that need it are refused for a minute.", e.service, e.Missing)
		}
		return fmt.Sprintf("%s granted less than this tool needs; missing: %s. The user may have left it out, or may not have it, or it may need a setting at the service. Calls that need it are refused for a minute without asking; %s", e.service, e.Missing, e.again())
	case ReasonUnsupported:
		if errors.Is(e.Cause, errNoReplay) {
			return fmt.Sprintf("%s refused a request that cannot be sent again, so nobody was asked for more access. %s", e.service, advice(e.Cause))
		}
		switch {
		case errors.Is(e.Cause, errOperatorRefused):
			return fmt.Sprintf("The token that this server's operator configured for %s is not accepted there. The operator must configure another one.", e.service)
		case errors.Is(e.Cause, errTokenRefused):
			return fmt.Sprintf("%s does not accept the access that it granted. %s", e.service, advice(e.Cause))
		}
		if errors.Is(e.Cause, grants.ErrNotPossible) {
			return fmt.Sprintf("Signing in to %s leads a browser back to the machine where this server runs, which callers on other machines cannot do. %s", e.service, advice(errNotHere))
		}
		if _, ok := errors.AsType[*oauth.Error](e.Cause); !ok {
			return fmt.Sprintf("%s refused the request in a way that this server does not understand.", e.service)
		}
		if errors.Is(e.Cause, grants.ErrNoFlow) {
			return fmt.Sprintf("The authorization server of %s offers none of the flows that this server may use, so nobody can be asked to sign in, which calling again will not change. If it has an endpoint for one after all, this server's operator can name it.", e.service)
		}
		switch { // who this program is
		case errors.Is(e.Cause, grants.ErrNoDocuments):
			return fmt.Sprintf("The authorization server of %s does not take the address of a document for a client identifier, which is how this server is known, so nobody can be asked to sign in, and calling again will not change that. Its operator needs a client identifier that is registered there, or can have the server register itself.", e.service)
		case errors.Is(e.Cause, grants.ErrNoRegistration):
			return fmt.Sprintf("The authorization server of %s does not let programs register themselves, and this server has no client identifier there, so nobody can be asked to sign in, which calling again will not change. Its operator needs a client identifier that is registered there.", e.service)
		case errors.Is(e.Cause, grants.ErrClientRefused), errors.Is(e.Cause, grants.ErrNoClient):
			return fmt.Sprintf("This server signs in to %s under the client identifier of the application that runs it, and was given none that it accepts, so nobody can be asked to sign in, which calling again will not change. The server's log says more.", e.service)
		}
		if errors.Is(e.Cause, authcode.ErrNoPKCE) {
			return fmt.Sprintf("The authorization server of %s does not say that it protects sign-ins by a browser (PKCE), so nobody can be asked to sign in, which calling again will not change. If it does after all, this server's operator can say so.", e.service)
		}
		if errors.Is(e.Cause, grants.ErrNoRedirect) {
			return fmt.Sprintf("The authorization server of %s does not offer sign-ins by a browser, so nobody can be asked, which calling again will not change. If it has an endpoint for it after all, this server's operator can name it.", e.service)
		}
		if errors.Is(e.Cause, oauth.ErrUnsupported) {
			return fmt.Sprintf("The authorization server of %s does not offer device authorization, so nobody can be asked to sign in, which calling again will not change. If it has an endpoint for it after all, this server's operator can name it.", e.service)
		}
		return fmt.Sprintf("The authorization server of %s does not offer device authorization to this server. Its operator must enable it for the client.", e.service)
	case ReasonAnonymous:
		return fmt.Sprintf("This server does not know whose call this is, and so cannot use anyone's access to %s. %s", e.service, advice(e.Cause))
	case ReasonUnverified:
		if errors.Is(e.Cause, errNoVerifyUser) {
			return fmt.Sprintf("This server cannot make sure that access to %s belongs to the caller. %s", e.service, advice(e.Cause))
		}
		return fmt.Sprintf("The sign-in to %s could not be confirmed as the caller's own, and was discarded. Call again and sign in with your own account.", e.service)
	case ReasonAbandoned:
		if errors.Is(e.Cause, errExited) {
			return fmt.Sprintf("This tool broke off without a result while it could use %s, and part of its work may be done. Call again only if doing that twice does no harm.", e.service)
		}
		if errors.Is(e.Cause, errElsewhere) {
			return fmt.Sprintf("Another process of this server has begun this call, which uses %s, and is gone or cannot be reached. Part of its work may be done. Call again only if doing that twice does no harm.", e.service)
		}
		return fmt.Sprintf("Nobody came back for this call while it waited for %s, and it was ended. Call again.", e.service)
	case ReasonBusy:
		if errors.Is(e.Cause, grants.ErrManySignIns) {
			return fmt.Sprintf("Too many sign-ins to %s are not finished yet, and no other one was begun. Call again in a minute, or when one of them is finished.", e.service)
		}
		return fmt.Sprintf("Too many calls are waiting for %s. Call again in a minute.", e.service)
	case ReasonPending:
		if e.prompt != nil && e.prompt.UserCode == "" {
			return fmt.Sprintf("The sign-in to %s is not finished yet. This call's result has the link; then call this tool again.", e.service)
		}
		if e.prompt != nil {
			return fmt.Sprintf("The sign-in to %s is not finished yet. This call's result has the link and the code; then call this tool again.", e.service)
		}
		if errors.Is(e.Cause, grants.ErrStoreNotAnswered) {
			return fmt.Sprintf("The store that keeps this server's access to %s has not answered yet: it may wait for a password, or for another process. Call this tool again in a minute; the server's log says more.", e.service)
		}
		if errors.Is(e.Cause, errNoPrompt) {
			return fmt.Sprintf("Nobody need do anything for the sign-in to %s now: its authorization server has not answered yet, or another process of this server is finishing it. Call this tool again in a minute.", e.service)
		}
		return fmt.Sprintf("The sign-in to %s is not finished yet. Finish it in the browser, then call this tool again, which also shows the prompt again where it is needed.", e.service)
	case ReasonExceeded:
		if errors.Is(e.Cause, errUnlisted) || errors.Is(e.Cause, errMayUseNothing) {
			return fmt.Sprintf("This tool may not use the access to %s. %s", e.service, advice(e.Cause))
		}
		if n, ok := errors.AsType[notOffered](e.Cause); ok {
			return n.text(e.service)
		}
		if e.Required != nil {
			return fmt.Sprintf("%s demands more access than this server may ask for, and of that this server knows: %s. %s", e.service, e.Required, advice(e.Cause))
		}
		return fmt.Sprintf("%s demands more access than this server may ask for. %s", e.service, advice(e.Cause))
	case ReasonUndetermined:
		if e.detail != "" {
			return fmt.Sprintf("What this call needs of %s cannot be told from its arguments, and nothing was done: %s", e.service, e.detail)
		}
		return fmt.Sprintf("What this call needs of %s could not be determined, which is a fault of this server, and nothing was done. Its operator finds the cause in the server's log.", e.service)
	case ReasonBarred:
		return e.barred()
	default:
		if errors.Is(e.Cause, bars.ErrUnknown) {
			return fmt.Sprintf("This server keeps a list of who may use its access to %s, and cannot read it at the moment. Call again in a minute; if that does not help, the server's log says more.", e.service)
		}
		if errors.Is(e.Cause, grants.ErrUnseen) {
			return fmt.Sprintf("The store that keeps this server's access to %s has not said for minutes whether it was ended, and so it is not used. Call again in a minute; if that does not help, the server's log says more.", e.service)
		}
		if errors.Is(e.Cause, grants.ErrClosed) {
			return fmt.Sprintf("This server is shutting down, and the sign-in to %s with it.", e.service)
		}
		if _, ok := errors.AsType[errOperatorToken](e.Cause); ok {
			return fmt.Sprintf("The token that this server's operator configured for %s cannot be used. Calling again will not change that; the operator finds the cause in the server's log.", e.service)
		}
		if _, ok := errors.AsType[errUnattended](e.Cause); ok {
			return e.unattended()
		}
		if port, ok := errors.AsType[*redirect.PortError](e.Cause); ok {
			return fmt.Sprintf("Signing in to %s is not possible at the moment: the browser has to come back to %s on this machine, and something else uses that. Close that, or wait until another sign-in is finished, and call again.", e.service, port.Address)
		}
		if errors.Is(e.Cause, grants.ErrNotOpened) {
			again := ""
			if e.wait > 0 {
				again = fmt.Sprintf(" It is not tried again before %d seconds have passed.", int(math.Ceil(e.wait.Seconds())))
			}
			return fmt.Sprintf("Signing in to %s is not possible at the moment: this server could not open a browser, which it is to do by itself.%s The server's log says more.", e.service, again)
		}
		if errors.Is(e.Cause, device.ErrUnknownCode) {
			return fmt.Sprintf("The authorization server of %s no longer accepts this code: refused by a policy, used, or forgotten. If a new code comes to the same, this server's operator must act, and finds the cause in the server's log.%s", e.service, e.later())
		}
		if errors.Is(e.Cause, oauth.ErrTokenType) {
			return fmt.Sprintf("The sign-in to %s was finished, but the token that came of it cannot be used by this server, which calling again will not change. Its operator must act, and finds the cause in the server's log.%s", e.service, e.later())
		}
		if soon, ok := errors.AsType[*oauth.Error](e.Cause); ok && errors.Is(soon, registration.ErrTooSoon) {
			return fmt.Sprintf("The authorization server of %s no longer accepts the client that this server registered there a short while ago. Another one can be registered in %d seconds: call again then.", e.service, int(math.Ceil(cmp.Or(e.wait, soon.RetryAfter).Seconds())))
		}
		if refused, ok := errors.AsType[*oauth.Error](e.Cause); ok && errors.Is(refused, oauth.ErrRefused) && (refused.Code == "invalid_client" || refused.Code == "unauthorized_client") {
			return fmt.Sprintf("The authorization server of %s refused this server, which calling again will not change. Its operator must check the client identifier, the secret and how it is sent, and that the client is enabled%s; the server's log has the error code.%s", e.service, permission(refused.Op), e.later())
		}
		if errors.Is(e.Cause, oauth.ErrRefused) {
			return fmt.Sprintf("The authorization server of %s refused this server, which calling again will not change. Its operator must act, and finds the cause in the server's log.%s", e.service, e.later())
		}
		if d, ok := errors.AsType[*oauth.Error](e.Cause); ok && d.Op == "discovery" && errors.Is(d, oauth.ErrInvalid) {
			return fmt.Sprintf("The authorization server of %s was not found by the address that this server is configured with, which calling again will not change. Its operator finds the cause in the server's log.", e.service)
		}
		again := "Try again later"
		if e.wait > 0 && !e.asked {
			again = fmt.Sprintf("It is not asked again before %d seconds have passed", int(math.Ceil(e.wait.Seconds())))
		}
		return fmt.Sprintf("Signing in to %s is not possible at the moment: its authorization server did not answer as it should. %s; the server's log says more.%s", e.service, again, e.later())
	}
}

// permission says what a client needs beside being enabled for what it was refused at: an oauth.Error.Op.
func permission(op string) string {
	switch op {
	case "device authorization", "poll":
		return " and may use device authorization"
	case "authorization", "pushed authorization request", "code exchange":
		return " and may use sign-ins by a browser"
	}
	return ""
}

// again says when to call again for what the user has refused, or was asked for in vain.
func (e *Error) again() string {
	if e.signIn != nil {
		return fmt.Sprintf("call again later only if the user wants it, or at once when they have used the prompt %q.", *e.signIn)
	}
	return "call again later only if the user wants it."
}

// later is a sentence for when the user was asked in vain, with a blank before it, or
// nothing.
func (e *Error) later() string {
	if !e.asked {
		return ""
	}
	return " Calls within the next minute are refused without asking; " + e.again()
}

// Causes that say what an operator must configure. Their texts are ours, so
// they may reach the model.
type configuration string

func (c configuration) Error() string { return string(c) }

const (
	errNotLocal      configuration = "It came over a transport that says nothing of its caller, and is not known to be a local one, such as SSE: set Options.Principal to tell callers apart, or Options.InsecureSingleUser if the server serves one person."
	errSecondSession configuration = "A second session without user information appeared: set Options.Principal to tell callers apart."
	errNoUser        configuration = "Put the endpoint behind a bearer token verifier that sets TokenInfo.UserID, or set Options.InsecureSingleUser if it serves one person."
	errUnlisted      configuration = "List it in the scopes.Policy, or say there what unlisted tools may use."
	errMayUseNothing configuration = "The scopes.Policy lists it as one that may use nothing."
	errBeyondLimit   configuration = "Its author can declare those scopes with the tool, or allow them in Options.MaxScopes; the server's log has them all."
	errTokenRefused  configuration = "What was given a moment ago is refused as well, and nothing more is tried for a minute. Its operator should check that the tokens are for this API (audience or resource, in Service.Params)."
	errNoReplay      configuration = "Its author can declare the scopes with the tool, or set http.Request.GetBody."
	errChosen        configuration = "The name of an account has letters, digits and . _ @ + - only."
	errAccount       configuration = "An account is named by at most 64 printable characters."
	errNotHere       configuration = "Its author can allow the device flow in Service.Flows."
	errNoVerifyUser  configuration = "Set Options.VerifyUser to check whose grant was given, or Service.ConnectPage, or Options.InsecureSingleUser if the endpoint serves one person."
)

func advice(cause error) string {
	if c, ok := errors.AsType[configuration](cause); ok {
		return string(c)
	}
	return "Its operator finds the cause in the server's log."
}

// ErrNotRevoked means that tokens were forgotten here and may still be good elsewhere,
// until they expire: the authorization server did not say that it ended them. It may not
// have known them any more, which some servers answer in the same way.
var ErrNotRevoked = grants.ErrNotRevoked

// IsJustNotRevoked reports whether all that an error says is [ErrNotRevoked]: everything that was to end has ended here
// and in the store. Where errors.Is alone finds it, something else may have failed besides, and has to be done again.
func IsJustNotRevoked(err error) bool {
	just, _ := grants.IsJustNotRevoked(err)
	return just
}
