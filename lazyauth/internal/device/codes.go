package device

import "net/http"

// A meaning is what an answer says in OAuth's words, whoever spelled them.
type meaning int

const (
	meansNothing  meaning = iota // no word of OAuth: it says nothing of a code or a grant
	meansPending                 // the person has not decided
	meansSlowDown                // the same, and we ask too often
	meansLater                   // not now: 408, 425 and 429 with any other word
	meansTrouble                 // the server has a problem of its own
	meansDenied                  // the person said no
	meansExpired                 // what was presented has lapsed
	meansGone                    // what was presented is not good, or not any more
	meansPerson                  // the person has to sign in again
	meansClient                  // this client is not known, not authenticated or not allowed
	meansRefused                 // waiting or asking the person will not help
	meansUnknown                 // an error that is not on the list, in JSON under a 4xx
)

// A verdict is an error code that an answer carries, and what it means.
type verdict struct {
	code  string // in the standard spelling, or CodeOther; empty if there is none
	means meaning
}

// known are the error codes that this package understands, in every spelling that a
// specification or a provider documents. Nothing else is a verdict. Those without a
// remark are in RFC 6749 §5.2.
var known = map[string]verdict{
	"authorization_pending": {"authorization_pending", meansPending}, // RFC 8628 §3.5
	"slow_down":             {"slow_down", meansSlowDown},            // RFC 8628 §3.5
	"rate_limit_exceeded":   {"slow_down", meansSlowDown},            // Google, at its device endpoint

	"access_denied":          {"access_denied", meansDenied}, // RFC 8628 §3.5
	"authorization_declined": {"access_denied", meansDenied}, // Entra

	"expired_token": {"expired_token", meansExpired}, // RFC 8628 §3.5
	"code_expired":  {"expired_token", meansExpired}, // Azure AD v1
	"token_expired": {"expired_token", meansExpired}, // GitHub, in places

	"invalid_grant":         {"invalid_grant", meansGone},
	"bad_verification_code": {"invalid_grant", meansGone}, // Entra, GitHub
	"incorrect_device_code": {"invalid_grant", meansGone}, // GitHub
	"bad_refresh_token":     {"invalid_grant", meansGone}, // GitHub

	"interaction_required": {"interaction_required", meansPerson}, // OpenID Connect Core §3.1.2.6
	"login_required":       {"login_required", meansPerson},       // the same
	"consent_required":     {"consent_required", meansPerson},     // the same

	"server_error":            {"server_error", meansTrouble},            // RFC 6749 §4.1.2.1
	"temporarily_unavailable": {"temporarily_unavailable", meansTrouble}, // RFC 6749 §4.1.2.1

	"invalid_client":               {"invalid_client", meansClient},
	"incorrect_client_credentials": {"invalid_client", meansClient}, // GitHub
	"unauthorized_client":          {"unauthorized_client", meansClient},

	"invalid_request":        {"invalid_request", meansRefused},
	"unsupported_grant_type": {"unsupported_grant_type", meansRefused},
	"device_flow_disabled":   {"device_flow_disabled", meansRefused}, // GitHub
	"invalid_scope":          {"invalid_scope", meansRefused},
	"invalid_target":         {"invalid_target", meansRefused},         // RFC 8707 §2
	"unsupported_token_type": {"unsupported_token_type", meansRefused}, // RFC 7009 §2.2.1
}

// comesTo says what a meaning comes to at each endpoint. A nil is no end: of a poll
// it says to go on, and with meansNothing the answer's other members and its status
// decide.
//
// Nothing but the server's word for "no good any more" ends a grant (ErrRevoked).
// Every other verdict on a refresh leaves it as it is.
var comesTo = [...]struct{ authorize, poll, refresh, revoke error }{
	meansNothing:  {},
	meansPending:  {ErrUnavailable, nil, ErrUnavailable, ErrUnavailable},
	meansSlowDown: {ErrUnavailable, nil, ErrUnavailable, ErrUnavailable},
	meansLater:    {ErrUnavailable, nil, ErrUnavailable, ErrUnavailable},
	meansTrouble:  {ErrUnavailable, ErrUnavailable, ErrUnavailable, ErrUnavailable},
	meansDenied:   {ErrRefused, ErrDenied, ErrRefused, ErrNotRevoked},
	meansExpired:  {ErrRefused, ErrExpired, ErrRefused, ErrNotRevoked},
	meansGone:     {ErrRefused, ErrUnknownCode, ErrRevoked, ErrNotRevoked},
	meansPerson:   {ErrRefused, ErrRefused, ErrRefused, ErrNotRevoked},
	meansClient:   {ErrRefused, ErrRefused, ErrRefused, ErrRefused},
	meansRefused:  {ErrRefused, ErrRefused, ErrRefused, ErrNotRevoked},
	meansUnknown:  {ErrRefused, ErrRefused, ErrRefused, ErrNotRevoked},
}

// judge reads the verdict of an answer, and says of one that carries none, and is no
// success either, what is wrong with it.
//
// The body decides, whatever the status is: servers send errors under 200 (GitHub)
// and under 500. Two kinds of status weigh more than a word. Under 429, and under 408
// and 425, the answer is that of a limit, which has words of its own for it, some of
// them OAuth's. And a word that is not on the list is a verdict only in JSON under a
// 4xx, as RFC 6749 §5.2 has it; elsewhere it is that of something in between.
func (a *answer) judge() {
	said := a.fields.text("error")
	if !a.fields.has("error") {
		// Google's spelling of the member, at its device endpoint, under 403.
		if said = a.fields.text("error_code"); known[said].means != meansSlowDown {
			said = ""
		}
	}
	if said != "" {
		v, listed := known[said]
		if !listed {
			v.code = CodeOther
		}
		switch {
		case v.means == meansPending || v.means == meansSlowDown:
		case a.status == http.StatusTooManyRequests, a.status == http.StatusRequestTimeout, a.status == http.StatusTooEarly:
			v.means = meansLater
		case !listed && a.json && a.status >= 400 && a.status < 500:
			v.means = meansUnknown
		}
		a.verdict = v
	}
	switch {
	case a.trace != "" || a.verdict.means != meansNothing:
	case a.status >= 300 && a.status < 400:
		// Followed, it would take the device code or a secret somewhere else.
		a.fault = "the answer is a redirect, which is not followed"
	case a.fault != "":
	case said != "":
		a.fault = "the answer carries an error that is not one of OAuth's"
	case a.status < 200 || a.status >= 300:
		a.fault = "the answer carries no OAuth error"
	}
}

// heed takes the message of an answer without an error for the verdict that a poll
// goes on with, if it is the very word: Twitch answers
// {"status":400,"message":"authorization_pending"}. Other messages end nothing: they
// are written for people, and say the same thing in many ways.
func (a *answer) heed() {
	if a.verdict.code != "" || a.fields.has("error") {
		return
	}
	switch v := known[a.fields.text("message")]; v.means {
	case meansPending, meansSlowDown:
		a.verdict, a.fault = v, ""
	}
}

// success reports whether the status is one of success.
func (a *answer) success() bool { return a.status >= 200 && a.status < 300 }

// passes reports whether the same request may be answered otherwise in a moment.
func (a *answer) passes() bool {
	switch a.verdict.means {
	case meansNothing:
		return a.fault != "" && a.passing()
	case meansPending, meansSlowDown, meansLater, meansTrouble:
		return true
	}
	return false
}
