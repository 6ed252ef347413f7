package device

// A meaning is what an OAuth error code says, whoever spelled it.
type meaning int

const (
	meansRefused  meaning = iota // waiting or asking the person will not help
	meansPending                 // the person has not decided
	meansSlowDown                // the same, and we ask too often
	meansDenied                  // the person said no
	meansExpired                 // what was presented has lapsed
	meansGone                    // what was presented is not known (any more)
	meansPerson                  // the person has to sign in again
	meansTrouble                 // the server has a problem of its own
)

type knownCode struct {
	code  string // in the standard spelling
	means meaning
}

// knownCodes are the error codes this package understands, in every spelling that
// servers use. Sources: RFC 6749 §4.1.2.1 and §5.2, RFC 8628 §3.5, RFC 8707 §2,
// OpenID Connect Core §3.1.2.6, and the documentation of GitHub and Entra.
var knownCodes = map[string]knownCode{
	"authorization_pending": {"authorization_pending", meansPending},
	"slow_down":             {"slow_down", meansSlowDown},

	"access_denied":          {"access_denied", meansDenied},
	"authorization_declined": {"access_denied", meansDenied}, // Entra

	"expired_token": {"expired_token", meansExpired},
	"code_expired":  {"expired_token", meansExpired}, // Azure AD v1
	"token_expired": {"expired_token", meansExpired}, // GitHub, in places

	"invalid_grant":         {"invalid_grant", meansGone},
	"bad_verification_code": {"invalid_grant", meansGone}, // Entra, GitHub
	"incorrect_device_code": {"invalid_grant", meansGone}, // GitHub
	"bad_refresh_token":     {"invalid_grant", meansGone}, // GitHub

	"interaction_required": {"interaction_required", meansPerson},
	"login_required":       {"login_required", meansPerson},
	"consent_required":     {"consent_required", meansPerson},

	"server_error":            {"server_error", meansTrouble},
	"temporarily_unavailable": {"temporarily_unavailable", meansTrouble},

	"invalid_request":              {"invalid_request", meansRefused},
	"invalid_client":               {"invalid_client", meansRefused},
	"incorrect_client_credentials": {"invalid_client", meansRefused}, // GitHub
	"unauthorized_client":          {"unauthorized_client", meansRefused},
	"unsupported_grant_type":       {"unsupported_grant_type", meansRefused},
	"invalid_scope":                {"invalid_scope", meansRefused},
	"invalid_target":               {"invalid_target", meansRefused},
	"device_flow_disabled":         {"device_flow_disabled", meansRefused}, // GitHub
}

// understand looks up the error code of an answer.
func understand(code string) knownCode {
	if known, ok := knownCodes[code]; ok {
		return known
	}
	return knownCode{CodeOther, meansRefused}
}
