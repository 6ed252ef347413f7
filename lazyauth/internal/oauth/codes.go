package oauth

import "net/http"

// A Meaning is what an answer says in OAuth's words, whoever spelled them.
type Meaning int

// The meanings.
const (
	MeansNothing  Meaning = iota // no word of OAuth: it says nothing of a code or a grant
	MeansPending                 // the person has not decided
	MeansSlowDown                // the same, and we ask too often
	MeansLater                   // not now: 408, 425 and 429 with any other word
	MeansTrouble                 // the server has a problem of its own
	MeansDenied                  // the person said no
	MeansExpired                 // what was presented has lapsed
	MeansGone                    // what was presented is not good, or not any more
	MeansPerson                  // the person has to sign in again
	MeansClient                  // this client is not known, not authenticated or not allowed
	MeansRefused                 // waiting or asking the person will not help
	MeansUnknown                 // an error that is not on the list, in JSON under a 4xx
)

// A Verdict is an error code that an answer carries, and what it means.
type Verdict struct {
	Code  string // in the standard spelling, or CodeOther; empty if there is none
	Means Meaning
}

// known are the error codes that this package understands, in every spelling that a
// specification or a provider documents. Nothing else is a verdict. Those without a
// remark are in RFC 6749 §5.2.
var known = map[string]Verdict{
	"authorization_pending": {"authorization_pending", MeansPending}, // RFC 8628 §3.5
	"slow_down":             {"slow_down", MeansSlowDown},            // RFC 8628 §3.5
	"rate_limit_exceeded":   {"slow_down", MeansSlowDown},            // Google, at its device endpoint

	"access_denied":          {"access_denied", MeansDenied}, // RFC 8628 §3.5
	"authorization_declined": {"access_denied", MeansDenied}, // Entra

	"expired_token": {"expired_token", MeansExpired}, // RFC 8628 §3.5
	"code_expired":  {"expired_token", MeansExpired}, // Azure AD v1
	"token_expired": {"expired_token", MeansExpired}, // GitHub, in places

	"invalid_grant":         {"invalid_grant", MeansGone},
	"bad_verification_code": {"invalid_grant", MeansGone}, // Entra, GitHub
	"incorrect_device_code": {"invalid_grant", MeansGone}, // GitHub
	"bad_refresh_token":     {"invalid_grant", MeansGone}, // GitHub
	"invalid_code":          {"invalid_grant", MeansGone}, // Slack, oauth.v2.access
	"invalid_refresh_token": {"invalid_grant", MeansGone}, // Slack, the same

	"interaction_required": {"interaction_required", MeansPerson}, // OpenID Connect Core §3.1.2.6
	"login_required":       {"login_required", MeansPerson},       // the same
	"consent_required":     {"consent_required", MeansPerson},     // the same

	"server_error":            {"server_error", MeansTrouble},            // RFC 6749 §4.1.2.1
	"temporarily_unavailable": {"temporarily_unavailable", MeansTrouble}, // RFC 6749 §4.1.2.1

	"invalid_client":               {"invalid_client", MeansClient},
	"incorrect_client_credentials": {"invalid_client", MeansClient}, // GitHub
	"invalid_client_id":            {"invalid_client", MeansClient}, // Slack
	"bad_client_secret":            {"invalid_client", MeansClient}, // Slack
	"unauthorized_client":          {"unauthorized_client", MeansClient},

	"insufficient_user_authentication": {"insufficient_user_authentication", MeansPerson}, // RFC 9470 §3

	"account_selection_required": {"account_selection_required", MeansPerson}, // the same

	"invalid_request":        {"invalid_request", MeansRefused},
	"unsupported_grant_type": {"unsupported_grant_type", MeansRefused},
	"device_flow_disabled":   {"device_flow_disabled", MeansRefused}, // GitHub
	"invalid_scope":          {"invalid_scope", MeansRefused},
	"invalid_target":         {"invalid_target", MeansRefused},         // RFC 8707 §2
	"unsupported_token_type": {"unsupported_token_type", MeansRefused}, // RFC 7009 §2.2.1

	"unsupported_response_type":     {"unsupported_response_type", MeansRefused},     // RFC 6749 §4.1.2.1
	"redirect_uri_mismatch":         {"invalid_request", MeansRefused},               // GitHub
	"bad_redirect_uri":              {"invalid_request", MeansRefused},               // Slack
	"invalid_request_uri":           {"invalid_request_uri", MeansRefused},           // RFC 9101 §7
	"invalid_request_object":        {"invalid_request_object", MeansRefused},        // the same
	"invalid_redirect_uri":          {"invalid_redirect_uri", MeansRefused},          // RFC 7591 §3.2.2
	"invalid_client_metadata":       {"invalid_client_metadata", MeansRefused},       // the same
	"invalid_software_statement":    {"invalid_software_statement", MeansRefused},    // the same
	"unapproved_software_statement": {"unapproved_software_statement", MeansRefused}, // the same
}

// Known returns what a word means that a server wrote, where it is not the error of an
// answer; MeansNothing if this package does not know it.
func Known(word string) Verdict { return known[word] }

// comesTo says what a meaning comes to: of a request with which nothing is lost, of an
// authorization code, of a refresh and of a revocation. With MeansNothing the answer's
// other members and its status decide.
//
// Nothing but the server's word for "no good any more" ends a grant (ErrRevoked).
// Every other verdict on a refresh leaves it as it is.
var comesTo = [...]struct{ ask, exchange, refresh, revoke error }{
	MeansNothing:  {},
	MeansPending:  {ErrUnavailable, ErrUnavailable, ErrUnavailable, ErrUnavailable},
	MeansSlowDown: {ErrUnavailable, ErrUnavailable, ErrUnavailable, ErrUnavailable},
	MeansLater:    {ErrUnavailable, ErrUnavailable, ErrUnavailable, ErrUnavailable},
	MeansTrouble:  {ErrUnavailable, ErrUnavailable, ErrUnavailable, ErrUnavailable},
	MeansDenied:   {ErrRefused, ErrRefused, ErrRefused, ErrNotRevoked},
	MeansExpired:  {ErrRefused, ErrCode, ErrRefused, ErrNotRevoked},
	MeansGone:     {ErrRefused, ErrCode, ErrRevoked, ErrNotRevoked},
	MeansPerson:   {ErrRefused, ErrRefused, ErrRefused, ErrNotRevoked},
	MeansClient:   {ErrRefused, ErrRefused, ErrRefused, ErrRefused},
	MeansRefused:  {ErrRefused, ErrRefused, ErrRefused, ErrNotRevoked},
	MeansUnknown:  {ErrRefused, ErrRefused, ErrRefused, ErrNotRevoked},
}

// judge reads the verdict of an answer, and says of one that carries none, and is no
// success either, what is wrong with it.
//
// The body decides, whatever the status is: servers send errors under 200 (GitHub)
// and under 500. Two kinds of status weigh more than a word. Under 429, and under 408
// and 425, the answer is that of a limit, which has words of its own for it, some of
// them OAuth's. And a word that is not on the list is a verdict only in JSON under a
// 4xx, as RFC 6749 §5.2 has it; elsewhere it is that of something in between.
func (a *Answer) judge() {
	said := a.fields.text("error")
	if !a.fields.has("error") {
		// Google's spelling of the member, at its device endpoint, under 403.
		if said = a.fields.text("error_code"); known[said].Means != MeansSlowDown {
			said = ""
		}
	}
	if said != "" {
		v, listed := known[said]
		if !listed {
			v.Code = CodeOther
		}
		switch {
		case v.Means == MeansPending || v.Means == MeansSlowDown:
		case a.Status == http.StatusTooManyRequests, a.Status == http.StatusRequestTimeout, a.Status == http.StatusTooEarly:
			v.Means = MeansLater
		case !listed && a.json && a.Status >= 400 && a.Status < 500:
			v.Means = MeansUnknown
		}
		a.Verdict = v
	}
	switch {
	case a.trace != "" || a.Verdict.Means != MeansNothing:
	case a.Status >= 300 && a.Status < 400:
		// Followed, it would take the device code or a secret somewhere else.
		a.Fault = "the answer is a redirect, which is not followed"
	case a.Fault != "":
	case said != "":
		a.Fault = "the answer carries an error that is not one of OAuth's"
	case a.Status < 200 || a.Status >= 300:
		a.Fault = "the answer carries no OAuth error"
	}
}
